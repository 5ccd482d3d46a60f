"""A seeded corpus of B2B people with known truth: each person in one to five records, written the ways people are.

Made apart from the matcher: it imports nothing of it and shares no table with it. Every record is what a sender would
say; `truth` is the number of the person behind it, `how` names what was done to the record.
"""

import random
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from tests.builders.name_lists import LANDLINE, LANGUAGES, MOBILE, RUSSIAN, Language

_CYRILLIC = {
    "plain": (
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh shch  y  e yu ya".split(" "),
    ),
    "german": (
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        "a b w g d e jo sch s i j k l m n o p r s t u f ch z tsch sch schtsch  y  e ju ja".split(" "),
    ),
}
_GREEK = ("αβγδεζηθικλμνξοπρσςτυφχψω", "a v g d e z i th i k l m n x o p r s s t y f ch ps o".split(" "))
_UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "å": "aa", "ø": "oe"}
_FREE = ("gmail.com", "outlook.com", "gmx.de", "yahoo.com", "icloud.com")
_ROLE = ("info", "office", "sales", "contact")
_LOOKALIKE = {"a": "а", "e": "е", "o": "о", "p": "р", "c": "с", "x": "х", "i": "і"}
_STEM = ("Nor Vel Tar Mer Kos Bal Rin Sol Dra Fen Gal Hex", "d k m s t l v n", "an er ix on um ia ek or")
_SURNAME = (
    "Ald Bram Cald Dun Els Farn Hal Lang Rad Thorn Whit Stan",
    "e o i a u",
    "rt ng mb ck ll st v d n",
    "s ton field brook by man ling er",
)
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


@dataclass(frozen=True, slots=True)
class Record:
    """What a sender said of somebody."""

    truth: int
    first: str
    last: str
    company: str
    email: str
    phone: str
    country: str
    how: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Company:
    language: Language
    country: str
    stem: str
    trade: str
    form: str
    domain: str
    switchboard: str

    @property
    def name(self) -> str:
        return f"{self.stem} {self.trade} {self.form}"


@dataclass(frozen=True, slots=True)
class _Person:
    number: int
    first: str
    last: str
    company: _Company
    email: str
    private: str
    mobile: str
    phone: str


class MatchCorpus:
    """`records` of `people` persons at a fifth as many companies; the same for the same seed."""

    def __init__(self, seed: int, people: int = 20_000) -> None:
        self._random = random.Random(seed)
        self._taken: set[str] = set()
        self._companies = [self._company() for _ in range(people // 6)]
        self._companies += [self._subsidiary(self._random.choice(self._companies)) for _ in range(people // 30)]
        self._sizes = [1 / (place + 3) ** 0.7 for place in range(len(self._companies))]
        self.records: list[Record] = []
        self._count = 0
        while self._count < people:
            self._newcomers()
        self._random.shuffle(self.records)

    @property
    def phenomena(self) -> Counter[str]:
        """How many records each alteration made."""
        return Counter(how for record in self.records for how in record.how)

    # -- companies and people ------------------------------------------------------------------------------------------

    def _company(self) -> _Company:
        choose = self._random.choice
        language = choose(LANGUAGES)
        country = choose(language.countries)
        stem = "".join(choose(part.split()) for part in _STEM)
        stem += choose(("", "", choose(("dal", "berg", "tec", "net", "ton", "mar", "gen"))))
        if self._random.random() < 0.12:
            stem = choose(language.last)
        trade = choose(language.trades)
        domain = f"{_ascii(_romanized(stem, 'plain')).lower()}-{_ascii(_romanized(trade, 'plain')).lower()[:4]}"
        return _Company(
            language,
            country,
            stem,
            trade,
            choose(language.forms),
            self._fresh(domain, ".example"),
            self._number(LANDLINE, country),
        )

    def _subsidiary(self, parent: _Company) -> _Company:
        """Another company of the group: its name, another country's word, its own domain and switchboard."""
        choose = self._random.choice
        language = choose(LANGUAGES)
        country = choose(language.countries)
        domain = self._fresh(f"{parent.domain.partition('.')[0]}-{country.lower()}", ".example")
        trade = f"{parent.trade} {choose(('Iberia', 'Nordic', 'Deutschland', 'UK', 'France', 'Services', 'Hellas'))}"
        return replace(
            parent,
            country=country,
            trade=trade,
            form=choose(language.forms),
            domain=domain,
            switchboard=self._number(LANDLINE, country),
        )

    def _fresh(self, text: str, end: str) -> str:
        found, number = text + end, 1
        while found in self._taken:
            number += 1
            found = f"{text}{number}{end}"
        self._taken.add(found)
        return found

    def _number(self, forms: dict[str, str], country: str) -> str:
        form = forms[country]
        while True:
            found = "".join(self._random.choice("0123456789") if char == "#" else char for char in form)
            if found not in self._taken:
                self._taken.add(found)
                return found

    def _person(self, company: _Company, first: str = "", last: str = "", switchboard: float = 0.5) -> _Person:
        choose, chance = self._random.choice, self._random.random
        first, last = first or choose(sorted(company.language.first)), last or choose(company.language.last)
        if not _one_script(first, last):
            last = choose([name for name in company.language.last if _one_script(first, name)])
        if chance() < 0.35:  # most surnames are rare
            last = self._rare(last)
        self._count += 1
        given, family = (_ascii(_romanized(name, "plain")).lower() for name in (first, last))
        local = choose((f"{given}.{family}", f"{given}.{family}", f"{given[:1]}.{family}", f"{given}{family}"))
        private = self._fresh(f"{given}.{family}{self._random.randrange(10, 99)}", "@" + choose(_FREE))
        mobile = self._number(MOBILE, company.country)
        return _Person(
            self._count,
            first,
            last,
            company,
            self._fresh(local, "@" + company.domain),
            private,
            mobile,
            company.switchboard if chance() < switchboard else mobile,
        )

    def _rare(self, last: str) -> str:
        if last.isascii() and " " not in last:
            return "".join(self._random.choice(part.split()) for part in _SURNAME)
        return last

    def _newcomers(self) -> None:
        """One person, now and then with somebody they are easily taken for."""
        (company,) = self._random.choices(self._companies, self._sizes)
        person = self._person(company)
        self._write(person)
        chance = self._random.random()
        if chance < 0.004:  # a namesake at the same company, numbered addresses
            self._write(self._person(company, person.first, person.last, 0.8), "namesake colleague")
        elif chance < 0.012:  # a family firm: one surname, one telephone
            self._write(self._person(company, "", person.last, 0.9), "family firm")
        elif chance < 0.017:  # twins in spelling: Jan and Jana
            near = [name for name in company.language.first if _near(name, person.first)]
            if near:
                self._write(self._person(company, self._random.choice(near), person.last, 0.9), "near namesake")
        elif chance < 0.020:  # a mobile passed on to the successor
            successor = replace(self._person(company), mobile=person.mobile, phone=person.mobile)
            self._write(successor, "inherited mobile")
        elif chance < 0.030:  # a namesake elsewhere
            (other,) = self._random.choices(self._companies, self._sizes)
            self._write(self._person(other, person.first, person.last), "namesake elsewhere")
        elif chance < 0.033 and person.first.isascii():  # somebody who wants to be taken for them
            self._impostor(person)

    def _impostor(self, person: _Person) -> None:
        self._count += 1
        name = person.company.domain.removesuffix(".example")
        domain = self._fresh(name.replace("o", "0", 1) if "o" in name else f"{name}s", ".example")
        company = replace(person.company, stem=_alike(person.company.stem))
        record = Record(
            self._count,
            _alike(person.first),
            person.last,
            company.name,
            f"{person.email.partition('@')[0]}@{domain}",
            person.phone,
            person.company.country,
            ("homograph",),
        )
        self.records.append(record)

    # -- records -------------------------------------------------------------------------------------------------------

    def _write(self, person: _Person, how: str = "") -> None:
        """A person's first record, and for some more of them, each altered."""
        record = Record(
            person.number,
            person.first,
            person.last,
            person.company.name,
            person.email,
            person.phone,
            person.company.country,
            (how,) if how else (),
        )
        chance = self._random.random()
        if chance < 0.03:
            role = f"{self._random.choice(_ROLE)}@{person.company.domain}"
            record = replace(record, email=role, how=(*record.how, "role mailbox"))
        elif chance < 0.06:
            record = replace(record, email="", how=(*record.how, "no e-mail"))
        self.records.append(record)
        for _ in range(self._random.choices((0, 1, 2, 3, 4), (66, 22, 8, 3, 1))[0]):
            self.records.append(self._altered(record, person))

    def _altered(self, record: Record, person: _Person) -> Record:
        record = replace(record, how=())
        steps = [self._names, self._addresses, self._firms, self._phones]
        for step in self._random.sample(steps, self._random.choices((1, 2, 3), (50, 38, 12))[0]):
            record = step(record, person)
        return record

    def _names(self, record: Record, person: _Person) -> Record:
        chance, first, last = self._random.random(), record.first, record.last
        nicknames = person.company.language.first.get(first, ())
        if chance < 0.25 and nicknames:
            return _noted(record, "nickname", first=self._random.choice(nicknames))
        if not (first + last).isascii() and chance < 0.6:
            way = self._random.choice(("plain", "plain", "german"))
            return _noted(record, "transliteration", first=_romanized(first, way), last=_romanized(last, way))
        if chance < 0.70:
            return _noted(record, "typo in a name", last=self._slip(last))
        if chance < 0.80:
            return _noted(record, "typo in a name", first=self._slip(first))
        if chance < 0.90:
            return _noted(record, "swapped names", first=last, last=first)
        if chance < 0.95:
            return _noted(record, "initial", first=f"{first[:1]}.")
        return _noted(record, "capitals", first=first.upper(), last=last.upper())

    def _addresses(self, record: Record, person: _Person) -> Record:
        chance, mail = self._random.random(), record.email
        if chance < 0.30:
            return _noted(record, "private e-mail", email=person.private)
        if chance < 0.50 and mail:
            local, _, domain = mail.partition("@")
            return _noted(record, "typo in the e-mail", email=f"{self._slip(local)}@{domain}".lower())
        if chance < 0.60 and mail:
            local, _, domain = mail.partition("@")
            return _noted(record, "typo in the e-mail", email=f"{local}@{self._slip(domain[:-8]).lower()}.example")
        if chance < 0.75:
            family = _ascii(_romanized(person.last, "plain")).lower()
            return _noted(record, "another address", email=f"{family}.{person.number}@{person.company.domain}")
        if chance < 0.90:
            return _noted(record, "no e-mail", email="")
        return _noted(record, "role mailbox", email=f"{self._random.choice(_ROLE)}@{person.company.domain}")

    def _firms(self, record: Record, person: _Person) -> Record:
        chance, company = self._random.random(), person.company
        if chance < 0.25:
            return _noted(record, "legal form", company=f"{company.stem} {company.trade}")
        if chance < 0.40:
            form = self._random.choice(company.language.forms)
            return _noted(record, "legal form", company=f"{company.stem} {company.trade}, {form}")
        if chance < 0.52:
            return _noted(record, "short company", company=company.stem)
        if chance < 0.65:
            return _noted(record, "typo in the company", company=f"{self._slip(company.stem)} {company.trade}")
        if chance < 0.75:
            return _noted(record, "group company", company=f"{company.stem} {company.trade} Holding International")
        if chance < 0.83:
            return _noted(record, "no company", company="")
        known = record.phone == person.mobile or record.email == person.private
        if not known and self._random.random() < 0.85:  # who leaves nothing behind cannot be told from a namesake
            return _noted(record, "legal form", company=f"{company.name}".upper())
        (new,) = self._random.choices(self._companies, self._sizes)
        local = _ascii(_romanized(f"{person.first}.{person.last}", "plain")).lower().replace(" ", "")
        moved = {"company": new.name, "email": self._fresh(local, "@" + new.domain), "country": new.country}
        if record.phone == person.mobile:
            return _noted(record, "job change", **moved)
        if record.email == person.private:
            return _noted(record, "job change", **(moved | {"email": person.private, "phone": new.switchboard}))
        return _noted(record, "job change without a trace", phone=new.switchboard, **moved)

    def _phones(self, record: Record, person: _Person) -> Record:
        chance = self._random.random()
        if chance < 0.35:
            return _noted(record, "mobile", phone=person.mobile)
        if chance < 0.55:
            return _noted(record, "switchboard", phone=person.company.switchboard)
        if chance < 0.70 and record.phone:
            place = self._random.randrange(len(record.phone) - 4, len(record.phone))
            digit = str((int(record.phone[place]) + self._random.randrange(1, 9)) % 10)
            return _noted(record, "typo in the phone", phone=record.phone[:place] + digit + record.phone[place + 1 :])
        return _noted(record, "no phone", phone="")

    def _slip(self, text: str) -> str:
        """One slip of the fingers: a letter left out, doubled, turned round with the next, or its neighbour's key."""
        if len(text) < 3:
            return text
        place = self._random.randrange(1, len(text) - 1)
        char, kind = text[place], self._random.randrange(4)
        if kind == 0:
            return text[:place] + text[place + 1 :]
        if kind == 1:
            return text[:place] + char + text[place:]
        if kind == 2:
            return text[:place] + text[place + 1] + char + text[place + 2 :]
        row = next((row for row in _KEYS if char.lower() in row), "")
        near = row[(row.index(char.lower()) + 1) % len(row)] if row else char
        return text[:place] + near + text[place + 1 :]


def _one_script(first: str, last: str) -> bool:
    """Both in one script: nobody is called राहुल Patil in one record."""
    return _block(first) == _block(last)


def _block(text: str) -> str:
    return unicodedata.name(next(char for char in text if char.isalpha())).split()[0]


def _noted(record: Record, how: str, **changed: Any) -> Record:
    return replace(record, how=(*record.how, how), **changed)


def _near(name: str, other: str) -> bool:
    """One name is the other with a letter more, or with another last letter."""
    return name != other and abs(len(name) - len(other)) <= 1 and name[:-1] in (other, other[:-1])


def _alike(text: str) -> str:
    place = next((place for place, char in enumerate(text) if char in _LOOKALIKE), None)
    return text if place is None else text[:place] + _LOOKALIKE[text[place]] + text[place + 1 :]


def _romanized(text: str, way: str) -> str:
    """In Latin letters, as passports or Germans write them; umlauts written out."""
    if any(char in "".join((*RUSSIAN.last, *RUSSIAN.first)) for char in text.lower() if ord(char) > 0x3FF):
        letters = dict(zip(*_CYRILLIC[way], strict=True))
    elif any("GREEK" in unicodedata.name(char, "") for char in text):
        letters = dict(zip(*_GREEK, strict=True))
        text = "".join(char for char in unicodedata.normalize("NFD", text) if unicodedata.category(char) != "Mn")
        text = text.replace("ου", "ou").replace("Ου", "Ou").replace("μπ", "b").replace("ντ", "d").replace("Μπ", "B")
        text = text.replace("Ντ", "D").replace("γγ", "ng")
    else:
        return "".join(_UMLAUTS.get(char, char) for char in text)
    spelled = (letters.get(char.lower(), char) for char in text)
    return "".join(new.capitalize() if char.isupper() else new for char, new in zip(text, spelled, strict=True))


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.replace("ł", "l").replace("Ł", "L").replace("ı", "i").replace("'", ""))
    kept = "".join(char for char in plain if char.isascii() and (char.isalnum() or char in ".-"))
    return kept or f"x{sum(map(ord, text)) % 9973}"
