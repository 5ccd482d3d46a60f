"""Canonical forms: two ways of writing one thing compare equal, and what cannot be read is said to be unreadable.

Text is NFKC and casefolded, domains are IDNA, phones are E.164. The originals are kept on the lead; canonical forms
are for comparing and for claims.
"""

import re
import unicodedata
from dataclasses import dataclass

from revops.crm.countries import country_code
from revops.crm.scripts import mixed_script as mixed_script

_LEGAL_FORMS = frozenset(
    [
        "ab",
        "ag",
        "aps",
        "as",
        "asa",
        "bv",
        "bvba",
        "co",
        "company",
        "corp",
        "corporation",
        "doo",
        "ehf",
        "eood",
        "eurl",
        "gmbh",
        "holding",
        "inc",
        "incorporated",
        "kft",
        "kg",
        "kk",
        "limited",
        "llc",
        "llp",
        "ltd",
        "ltda",
        "mbh",
        "nv",
        "ohg",
        "oy",
        "oyj",
        "plc",
        "pte",
        "pty",
        "pvt",
        "private",
        "sa",
        "sarl",
        "sas",
        "se",
        "sl",
        "sp",
        "spa",
        "spol",
        "srl",
        "sro",
        "ug",
        "zoo",
    ]
)
_ZERO_WIDTH = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)


def tidy(text: str) -> str:
    """NFKC, without invisible and control characters, one space where there were many. Keeps case and script.

    The joiners U+200C and U+200D stay: several scripts cannot be written without them.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    visible = _ZERO_WIDTH.sub("", unicodedata.normalize("NFKC", _ZERO_WIDTH.sub("", text)))
    spaced = "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in visible)
    return unicodedata.normalize("NFKC", " ".join(spaced.split()))


def fold(text: str) -> str:
    """The form in which texts are compared: tidy, casefolded, without accents on Latin letters."""
    shown = tidy(text)
    if shown.isascii():
        return shown.lower()
    kept: list[str] = []
    base = ""
    for char in unicodedata.normalize("NFKD", shown.casefold()):
        accent = unicodedata.category(char) == "Mn"
        base = base if accent else char
        if not (accent and base.isascii()):  # one letter may carry several, as Vietnamese ones do
            kept.append(char)
    return unicodedata.normalize("NFC", " ".join("".join(kept).split()))


def company_core(name: str) -> str:
    """A company's name without punctuation and legal forms: `ACME Holding GmbH & Co. KG` → `acme`."""
    words = re.sub(r"[^\w\s]", " ", fold(name).replace("&", " ").replace(".", "")).split()
    core = [word for word in words if word not in _LEGAL_FORMS]
    return " ".join(core or words)


@dataclass(frozen=True, slots=True)
class CanonicalEmail:
    """An e-mail address for comparing: local part casefolded, domain in IDNA. `role` is a shared mailbox."""

    address: str
    domain: str
    role: bool

    @property
    def readable(self) -> str:
        """The address with its domain as people read it, not as it travels."""
        try:
            return f"{self.address.partition('@')[0]}@{self.domain.encode('ascii').decode('idna')}"
        except UnicodeError:
            return self.address


_ROLE_MAILBOXES = frozenset(
    [
        "admin",
        "billing",
        "contact",
        "enquiries",
        "hello",
        "help",
        "hr",
        "info",
        "jobs",
        "mail",
        "marketing",
        "office",
        "press",
        "purchasing",
        "reception",
        "sales",
        "service",
        "support",
        "team",
        "webmaster",
    ]
)


_AS_A_DECIMAL = re.compile(r"^(\s*\+?\d+)\.0+\s*$")
_PLAIN_ADDRESS = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,}")
_PLAIN_LENGTH = 60
"""Characters of a plain address; any part of it may have as many."""
_RESERVED = (".arpa", ".invalid", ".local", ".localhost", ".onion", ".test")
"""Ends of addresses that the library refuses."""


def canonical_email(text: str) -> CanonicalEmail | None:
    """None when it is not an address. Header injection cannot pass: CR and LF are no part of an address (S15).

    A plain address, as nearly all are, is canonical as it stands; only others need the library, which takes thirty
    times as long to come to the same.
    """
    if len(text) <= _PLAIN_LENGTH and _PLAIN_ADDRESS.fullmatch(text) and not text.endswith(_RESERVED):
        local, _, domain = text.partition("@")
        return CanonicalEmail(text, domain, local in _ROLE_MAILBOXES)
    from email_validator import EmailNotValidError, validate_email  # loaded when an address is read

    try:
        checked = validate_email(unicodedata.normalize("NFKC", text).strip(), check_deliverability=False)
    except EmailNotValidError:
        return None
    local = unicodedata.normalize("NFKC", checked.local_part).casefold()
    domain = (checked.ascii_domain or checked.domain).casefold()
    return CanonicalEmail(f"{local}@{domain}", domain, local in _ROLE_MAILBOXES)


def canonical_phone(text: str, country: str) -> str | None:
    """E.164, read in a country when no international prefix is given; None when it is no possible number. What a
    spreadsheet makes of a number, `1712345678.0`, is read as the number."""
    import phonenumbers  # loaded when a number is read

    try:
        number = phonenumbers.parse(_AS_A_DECIMAL.sub(r"\1", text), country_code(country) or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def has_extension(text: str, country: str) -> bool:
    """Whether a number is of one line behind a switchboard: `+49 30 901820 ext. 12`."""
    import phonenumbers

    try:
        return bool(phonenumbers.parse(text, country_code(country) or None).extension)
    except phonenumbers.NumberParseException:
        return False


def mobile(number: str) -> bool:
    """Whether an E.164 number is certain to be a mobile one: that is somebody's own. Where a country does not tell
    its mobile numbers apart, none is."""
    if not number:
        return False
    import phonenumbers

    try:
        kind = phonenumbers.number_type(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return False
    return bool(kind == phonenumbers.PhoneNumberType.MOBILE)


def phone_country(text: str) -> str:
    """The country of a phone that is written with its international prefix; an empty text otherwise."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.region_code_for_number(number) or ""
