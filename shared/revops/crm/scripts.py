"""Scripts of writing: one Latin spelling for names in several scripts, and what only looks like another name (S14).

The tables are no settings: the keys under which people are found are made with them and stand in the table.
"""

import re
import unicodedata
from functools import lru_cache

_CYRILLIC = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґўјљњћђџ",
        "a b v g d e e zh z i i k l m n o p r s t u f kh ts ch sh sh _ y _ e yu ya i i e g u j lj nj c dj dz".split(),
        strict=True,
    )
)
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρσςτυφχψω",
        "a v g d e z i th i k l m n x o p r s s t y f ch ps o".split(),
        strict=True,
    )
)
_LATIN = {"æ": "a", "ø": "o", "œ": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ß": "ss", "ħ": "h"}
_LETTERS = {ord(char): text.replace("_", "") for char, text in (_CYRILLIC | _GREEK | _LATIN).items()}
_CLUSTERS = (("ου", "u"), ("γγ", "ng"), ("μπ", "b"), ("ντ", "d"))
_WAY = {
    "aa": "a",
    "ae": "a",
    "ck": "k",
    "j": "i",
    "oe": "o",
    "ou": "u",
    "ph": "f",
    "sch": "sh",
    "th": "t",
    "tsch": "ch",
    "tz": "ts",
    "ue": "u",
    "w": "v",
    "y": "i",
}
_WAYS = re.compile("|".join(sorted(_WAY, key=len, reverse=True)))
"""Ways of writing one sound: letters a keyboard lacks written out, and what one country's transcription writes
differently from another's. All are brought to one."""

_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһӏкмтвнгпαορνυικτχεηωγβ",
    "aeopcyxijsdhlkmtbhrnaopvuiktxenwyb",
)
"""Cyrillic and Greek small letters that are read as Latin ones."""

_INVISIBLE = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
_JOINERS = re.compile(r"(?<=[\u0600-\u1aff])[\u200c\u200d]")


def invisible(text: str) -> bool:
    """Whether a text has characters nobody sees. A joiner inside a script that is written with joiners is none."""
    return bool(_INVISIBLE.search(_JOINERS.sub("", text)))


INVISIBLE = "invisible characters"


def unseen(*texts: str) -> tuple[str, ...]:
    """The flag of names that were sent with characters nobody sees. They are taken out when a lead comes in, and that
    they were there is kept."""
    return (INVISIBLE,) if any(invisible(text) for text in texts) else ()


def script_of(word: str) -> frozenset[str]:
    """Which of Latin, Cyrillic and Greek a word's letters are of."""
    if word.isascii():
        return frozenset({"LATIN"}) if any(char.isalpha() for char in word) else frozenset()
    names = (unicodedata.name(char, "").split(" ")[0] for char in word if char.isalpha())
    return frozenset(name for name in names if name in ("LATIN", "CYRILLIC", "GREEK"))


def mixed_script(text: str) -> bool:
    """Whether one word mixes Latin, Cyrillic or Greek letters, as homograph attacks do."""
    return not text.isascii() and any(len(script_of(word)) > 1 for word in text.split())


def looks(text: str) -> str:
    """A folded text as the eye reads it, letters of other scripts taken for the Latin ones they look like."""
    return text if text.isascii() else text.translate(_LOOKALIKES)


@lru_cache(maxsize=8192)
def latin(text: str) -> str:
    """A folded text in Latin letters, each word as it is spoken; one that mixes scripts, as it looks. Scripts without
    a table (Devanagari, Han, Arabic …) stay as they are. `иванов` and
    `iwanow` → `ivanov`, `müller` and `mueller` → `muller`."""
    return " ".join(_WAYS.sub(_one_way, word if word.isascii() else _spelled(word)) for word in text.split())


def _spelled(word: str) -> str:
    if mixed_script(word):
        return looks(_bare(word))
    word = _bare(word)
    for cluster, sound in _CLUSTERS:
        word = word.replace(cluster, sound)
    return word.translate(_LETTERS)


def _bare(word: str) -> str:
    """Without the accents of Latin, Greek and Cyrillic letters; other scripts cannot be written without their marks."""
    kept: list[str] = []
    base = ""
    for char in unicodedata.normalize("NFD", word):
        accent = unicodedata.category(char) == "Mn"
        base = base if accent else char
        if not (accent and base < "\u0590"):
            kept.append(char)
    return unicodedata.normalize("NFC", "".join(kept))


def _one_way(found: re.Match[str]) -> str:
    return _WAY[found.group()]
