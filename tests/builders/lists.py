"""Lists of invented people as files, with the verdict that each row deserves: worked out here, not by the importer."""

import codecs
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

HEADER = (
    "First Name", "Surname", "Company", "E-Mail", "Phone", "Country", "utm_source", "utm_campaign", "utm_medium",
    "utm_term", "Opt-in", "Stand", "Remarks",
)  # fmt: skip
COLUMNS = {"Stand": "metadata.stand", "Remarks": "metadata.remarks"}
"""What the importer says of the two columns nobody knows."""
WIDTH = len(HEADER)
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True)
class Expected:
    """What must become of a row: its verdict, the rule that refuses it, the row whose lead it joins."""

    row: int
    verdict: str
    rule: str = ""
    joins: int = 0


@dataclass
class People:
    """A stream of rows, each with what must become of it. The same for the same seed."""

    seed: int
    kinds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._words: set[str] = set()
        self._number = 0
        self._known: list[tuple[int, list[str]]] = []
        self._shared: list[tuple[int, list[str]]] = []
        self._makers: list[tuple[str, int, Callable[[int], tuple[list[bytes], Expected]]]] = [
            ("new", 60, self.new),
            ("elsewhere, no consent asked", 4, self._elsewhere),
            ("consent withheld", 2, self._withheld),
            ("the same again", 5, self._again),
            ("the same, written otherwise", 4, self._otherwise),
            ("another script", 4, self._another_script),
            ("phone alone", 2, self._phone_alone),
            ("shared mailbox", 2, self._shared_mailbox),
            ("shared mailbox, the same again", 1, self._shared_again),
            ("looks like somebody", 3, self._alike),
            ("colleague on one phone", 3, self._colleague),
            ("no consent", 3, self._without_consent),
            ("unreadable consent", 1, self._odd_consent),
            ("no source", 2, self._without_source),
            ("unreachable", 2, self._unreachable),
            ("bad mail, good phone", 1, self._bad_mail),
            ("bad phone, good mail", 1, self._bad_phone),
            ("too long", 1, self._too_long),
            ("wrong width", 2, self._wrong_width),
            ("bad UTF-8", 1, self._bad_encoding),
            ("NUL", 1, self._nul),
            ("large cell", 1, self._large_cell),
            ("empty", 1, self._empty),
            ("header again", 1, self._header_again),
            ("many lines", 1, self._many_lines),
            ("formula", 1, self._formula),
        ]

    def rows(self, count: int) -> Iterator[tuple[bytes, Expected]]:
        """So many rows below a header, as the bytes of a line and what must become of it: some new people, then every
        kind of row once, then any of them."""
        names = [name for name, _, _ in self._makers]
        weights = [weight for _, weight, _ in self._makers]
        makers = {name: make for name, _, make in self._makers}
        once = self._random.sample(names, len(names))
        for row in range(2, count + 2):
            [kind] = ["new"] if row <= 12 else [once.pop()] if once else self._random.choices(names, weights)
            self.kinds[kind] += 1
            cells, expected = makers[kind](row)
            yield b",".join(cells) + b"\r\n", expected

    # -- people ----------------------------------------------------------------------------------------------------

    def _word(self, syllables: int) -> str:
        while True:
            word = "".join(
                self._random.choice(_CONSONANTS) + self._random.choice(_VOWELS) for _ in range(syllables)
            ) + self._random.choice(_CONSONANTS)
            if word not in self._words:
                self._words.add(word)
                return word

    def _person(self) -> list[str]:
        self._number += 1
        last, company = self._word(4), self._word(5)
        return [
            self._word(3).title(), last.title(), f"{company.title()} Ltd", f"{last}@{company}.example",
            f"+4420{70_000_000 + self._number}", "GB", "Trade fair", "autumn", "event", "crm", "yes", "A1", "",
        ]  # fmt: skip

    def _elder(self, *, with_mail: bool = False) -> tuple[int, list[str]]:
        while True:
            row, said = self._random.choice(self._known)
            if said[3] or not with_mail:
                return row, said

    def new(self, row: int) -> tuple[list[bytes], Expected]:
        """Somebody new, complete in every field."""
        said = self._person()
        self._known.append((row, said))
        return _cells(said), Expected(row, "stored")

    def _elsewhere(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        said[4], said[5], said[10] = f"+1212{2_000_000 + self._number}", "US", ""
        return _cells(said), Expected(row, "stored")

    def _withheld(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        said[10] = "No"
        return _cells(said), Expected(row, "stored")

    def _again(self, row: int) -> tuple[list[bytes], Expected]:
        first, said = self._elder()
        return _cells(said), Expected(row, "joined", joins=first)

    def _otherwise(self, row: int) -> tuple[list[bytes], Expected]:
        """The same address; everything else may differ."""
        first, said = self._elder(with_mail=True)
        other = [said[0].upper(), "", f"  {said[2]} ", said[3].upper(), "", *said[5:]]
        return _cells(other), Expected(row, "joined", joins=first)

    def _phone_alone(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        said[3] = ""
        self._known.append((row, said))
        return _cells(said), Expected(row, "stored")

    def _another_script(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        said[0], said[1] = "राहुल", f"पाटील {_devanagari(said[1])}"
        self._known.append((row, said))
        return _cells(said), Expected(row, "stored")

    def _shared_mailbox(self, row: int) -> tuple[list[bytes], Expected]:
        """Known by a mailbox that is everybody's: by nothing exclusive."""
        said = self._person()
        said[3] = f"info@{said[3].partition('@')[2]}"
        self._shared.append((row, said))
        return _cells(said), Expected(row, "stored")

    def _shared_again(self, row: int) -> tuple[list[bytes], Expected]:
        if not self._shared:
            return self._shared_mailbox(row)
        first, said = self._random.choice(self._shared)
        return _cells(said), Expected(row, "joined", joins=first)

    def _alike(self, row: int) -> tuple[list[bytes], Expected]:
        """The same name, company and phone, another address there: somebody has to look."""
        _, said = self._elder(with_mail=True)
        domain = said[3].partition("@")[2]
        self._number += 1
        other = [*said[:3], f"{self._word(3)}{self._number}@{domain}", *said[4:]]
        return _cells(other), Expected(row, "pending")

    def _colleague(self, row: int) -> tuple[list[bytes], Expected]:
        """Another person on the same switchboard."""
        _, said = self._elder(with_mail=True)
        own = self._person()
        domain = said[3].partition("@")[2]
        other = [own[0], own[1], said[2], f"{own[1].lower()}@{domain}", said[4], *said[5:]]
        return _cells(other), Expected(row, "stored")

    # -- rows that break a rule ------------------------------------------------------------------------------------

    def _without_consent(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        said[10] = ""
        return _cells(said), Expected(row, "refused", "CAP-9 consent-required-eu-eea-uk")

    def _odd_consent(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        said[10] = "perhaps"
        return _cells(said), Expected(row, "refused", "CAP-9 consent-value")

    def _without_source(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        said[self._random.choice((6, 7, 8, 9))] = ""
        return _cells(said), Expected(row, "refused", "CAP-8 attribution-required")

    def _unreachable(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        said[3], said[4] = self._random.choice(("", "nobody at all", "a@b@c")), self._random.choice(("", "12"))
        return _cells(said), Expected(row, "refused", "CAP-10 reachable")

    def _bad_mail(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        said[3] = "ring me instead"
        return _cells(said), Expected(row, "stored")

    def _bad_phone(self, row: int) -> tuple[list[bytes], Expected]:
        """No number of the row's country."""
        said = self._person()
        said[4] = "12"
        return _cells(said), Expected(row, "stored")

    def _too_long(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        said[2] = "x" * 121
        return _cells(said), Expected(row, "refused", "string_too_long")

    def _wrong_width(self, row: int) -> tuple[list[bytes], Expected]:
        """Too narrow, too wide, or two rows with the line end of another system between them."""
        said, chance = self._person(), self._random.random()
        cells = _cells(said[:9] if chance < 0.4 else [*said, "too", "many"])
        if chance > 0.8:
            cells = _cells(said)
            other = _cells(self._person())
            cells = [*cells[:-1], cells[-1] + b"\r" + other[0], *other[1:]]
        return cells, Expected(row, "refused", "row-width")

    def _bad_encoding(self, row: int) -> tuple[list[bytes], Expected]:
        cells = _cells(self._person())
        cells[1] = b"M\xfcller"
        return cells, Expected(row, "refused", "encoding")

    def _nul(self, row: int) -> tuple[list[bytes], Expected]:
        cells = _cells(self._person())
        cells[2] += b"\0"
        return cells, Expected(row, "refused", "nul-byte")

    def _large_cell(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        huge = self.kinds["large cell"] % 64 == 1  # beyond what the csv module takes; few, for a list may have 50 MB
        said[12] = "x" * (140_000 if huge else 32_768)
        return _cells(said), Expected(row, "refused", "cell-size")

    def _empty(self, row: int) -> tuple[list[bytes], Expected]:
        cells = [b""] * WIDTH if self._random.random() < 0.5 else [b""]
        return cells, Expected(row, "refused", "empty-row")

    def _header_again(self, row: int) -> tuple[list[bytes], Expected]:
        return _cells([name.upper() for name in HEADER]), Expected(row, "refused", "repeated-header")

    # -- rows that look odd and are good ---------------------------------------------------------------------------

    def _many_lines(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        said[12] = "\n".join(f'line {number}, with a "quote"' for number in range(200))
        return _cells(said), Expected(row, "stored")

    def _formula(self, row: int) -> tuple[list[bytes], Expected]:
        said = self._person()
        said[12] = '=HYPERLINK("http://example.com";"look")'
        return _cells(said), Expected(row, "stored")


def _devanagari(word: str) -> str:
    """Another word for each word, in another script."""
    letters = "कखगघचछजझटठडढणतथदधनपफबभ"
    return "".join(letters[(ord(char) - 97) % len(letters)] for char in word.lower())


def _cells(said: list[str]) -> list[bytes]:
    return [_quoted(cell).encode() for cell in said]


def _quoted(cell: str) -> str:
    if any(mark in cell for mark in ',"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def csv_file(seed: int, count: int) -> tuple[bytes, list[Expected], Counter[str]]:
    """A CSV file of so many rows with every kind of broken row, what must become of each, and how many of each kind.

    It says by its mark that it is UTF-8: without one, more damaged rows than rows in another script would rightly make
    it a file of Windows-1252.
    """
    people = People(seed)
    lines, expected = [codecs.BOM_UTF8 + ",".join(HEADER).encode() + b"\r\n"], []
    for line, verdict in people.rows(count):
        lines.append(line)
        expected.append(verdict)
    return b"".join(lines), expected, people.kinds
