"""Countries as people write them → ISO 3166-1 alpha-2, and where consent is a duty.

Names are listed for the regions whose rules depend on the country; any alpha-2 code that a phone library knows is
accepted as it is. To those regions belong parts of their countries that have a code of their own.
"""

import unicodedata
from collections.abc import Mapping
from functools import cache

_NAMES = {
    "el": "GR", "aut": "AT", "bel": "BE", "bgr": "BG", "hrv": "HR", "cyp": "CY", "cze": "CZ", "dnk": "DK", "est": "EE",
    "fin": "FI", "fra": "FR", "deu": "DE", "grc": "GR", "hun": "HU", "irl": "IE", "ita": "IT", "lva": "LV", "ltu": "LT",
    "lux": "LU", "mlt": "MT", "nld": "NL", "pol": "PL", "prt": "PT", "rou": "RO", "svk": "SK", "svn": "SI", "esp": "ES",
    "swe": "SE", "isl": "IS", "lie": "LI", "nor": "NO", "gbr": "GB", "ind": "IN", "bra": "BR", "che": "CH", "can": "CA",
    "österreich": "AT", "belgië": "BE", "belgique": "BE", "danmark": "DK", "suomi": "FI", "ellada": "GR", "éire": "IE",
    "republic of ireland": "IE", "italia": "IT", "holland": "NL", "nederland": "NL", "polska": "PL", "españa": "ES",
    "sverige": "SE", "norge": "NO", "ísland": "IS", "magyarország": "HU", "česko": "CZ", "hrvatska": "HR",
    "românia": "RO", "slovensko": "SK", "slovenija": "SI", "u.k": "GB", "britain": "GB", "u.s.a": "US", "u.s": "US",
    "austria": "AT", "belgium": "BE", "bulgaria": "BG", "croatia": "HR", "cyprus": "CY", "czechia": "CZ",
    "czech republic": "CZ", "denmark": "DK", "estonia": "EE", "finland": "FI", "france": "FR", "germany": "DE",
    "deutschland": "DE", "greece": "GR", "hungary": "HU", "ireland": "IE", "italy": "IT", "latvia": "LV",
    "lithuania": "LT", "luxembourg": "LU", "malta": "MT", "netherlands": "NL", "the netherlands": "NL", "poland": "PL",
    "portugal": "PT", "romania": "RO", "slovakia": "SK", "slovenia": "SI", "spain": "ES", "sweden": "SE",
    "iceland": "IS", "liechtenstein": "LI", "norway": "NO",
    "united kingdom": "GB", "uk": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB",
    "northern ireland": "GB",
    "united states": "US", "united states of america": "US", "usa": "US", "canada": "CA", "mexico": "MX",
    "brazil": "BR", "brasil": "BR", "argentina": "AR", "chile": "CL", "colombia": "CO",
    "india": "IN", "bharat": "IN", "china": "CN", "japan": "JP", "south korea": "KR", "singapore": "SG",
    "australia": "AU", "new zealand": "NZ", "united arab emirates": "AE", "uae": "AE", "israel": "IL",
    "saudi arabia": "SA", "south africa": "ZA", "nigeria": "NG", "kenya": "KE", "egypt": "EG", "turkey": "TR",
    "switzerland": "CH", "ukraine": "UA", "serbia": "RS",
}  # fmt: skip

EU_EEA_UK = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "HR",
        "CY",
        "CZ",
        "DK",
        "EE",
        "FI",
        "FR",
        "DE",
        "GR",
        "HU",
        "IE",
        "IT",
        "LV",
        "LT",
        "LU",
        "MT",
        "NL",
        "PL",
        "PT",
        "RO",
        "SK",
        "SI",
        "ES",
        "SE",
        "IS",
        "LI",
        "NO",
        "GB",
        "AX",
        "GF",
        "GP",
        "MF",
        "MQ",
        "RE",
        "YT",
    ]
)
"""Where a lead that we collect needs a consent (CAP-9)."""

_IN_OTHER_LANGUAGES = {
    "AT": "oesterreich, autriche, oostenrijk, rakousko, ausztria, østrig, österrike",
    "BE": "belgien, bélgica, belgio, belgia",
    "BG": "bulgarien, bulgarie, българия, bulgarije",
    "CY": "zypern, chypre, chipre, cipro, κύπρος, kıbrıs",
    "CZ": "tschechien, tschechische republik, tchéquie, république tchèque, chequia, cechia, česká republika, czechy",
    "DE": "allemagne, alemania, germania, duitsland, niemcy, německo, tyskland, alemanha, bundesrepublik deutschland",
    "DK": "dänemark, danemark, dinamarca, danimarca, denemarken",
    "EE": "estland, estonie, eesti, viro",
    "ES": "spanien, espagne, spagna, spanje, espanha, hiszpania",
    "FI": "finnland, finlande, finlandia",
    "FR": "frankreich, francia, frankrijk, frança, francja, frankrike, frankrig",
    "GB": "vereinigtes königreich, großbritannien, grossbritannien, royaume-uni, royaume uni, reino unido, "
    "regno unito, verenigd koninkrijk, gran bretaña, wielka brytania, the united kingdom",
    "GR": "griechenland, grèce, grecia, griekenland, ελλάδα, ελλάς, hellas",
    "HR": "kroatien, croatie, croacia, croazia, kroatië",
    "HU": "ungarn, hongrie, hungría, ungheria, hongarije, węgry",
    "IE": "irland, irlande, irlanda, ierland",
    "IS": "island, islande, islandia, islanda",
    "IT": "italien, italie, italië, włochy",
    "LI": "fürstentum liechtenstein",
    "LT": "litauen, lituanie, lituania, lietuva, litwa",
    "LU": "luxemburg, luxemburgo, lussemburgo, lëtzebuerg, groussherzogtum lëtzebuerg",
    "LV": "lettland, lettonie, letonia, lettonia, latvija, łotwa",
    "MT": "malte",
    "NL": "niederlande, pays-bas, pays bas, países bajos, paesi bassi, holandia, nederländerna",
    "NO": "norwegen, norvège, noruega, norvegia, noorwegen, noreg",
    "PL": "polen, pologne, polonia",
    "PT": "portogallo, portugalia",
    "RO": "rumänien, roumanie, rumanía, rumunia, roemenië",
    "SE": "schweden, suède, suecia, svezia, zweden, szwecja",
    "SI": "slowenien, slovénie, eslovenia, słowenia",
    "SK": "slowakei, slovaquie, eslovaquia, slovacchia, slowakije, slovenská republika, słowacja",
    "AX": "åland", "GF": "guyane", "GP": "guadeloupe", "MQ": "martinique", "RE": "réunion, la réunion", "YT": "mayotte",
    "CH": "schweiz, suisse, svizzera, suiza, zwitserland",
}  # fmt: skip
"""What those countries call each other."""


@cache
def _by_name() -> Mapping[str, str]:
    more = ((name, code) for code, names in _IN_OTHER_LANGUAGES.items() for name in names.split(", "))
    return {_spelled(name): code for name, code in (*_NAMES.items(), *more)}


def _spelled(name: str) -> str:
    """A name without accents and case: people type them or leave them out."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return " ".join("".join(char for char in letters if unicodedata.category(char) != "Mn").split()).rstrip(".")


def country_code(text: str) -> str:
    """`Germany`, `de`, `DE` → `DE`; an empty text for what is not recognised."""
    import phonenumbers  # loaded when a country or number is read: few requests do, and it is dear at a cold start

    wanted = text.strip()
    if len(wanted) == 2 and wanted.upper() in phonenumbers.SUPPORTED_REGIONS:
        return wanted.upper()
    return _by_name().get(_spelled(wanted), "")
