"""Countries as people write them → ISO 3166-1 alpha-2, and where consent is a duty.

Every country is known by its English name and by any alpha-2 code that a phone library knows, those whose rules depend
on the country by their names in other languages too. To these belong parts of them that have a code of their own.
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


_ELSEWHERE = {
    "AC": "ascension island", "AD": "andorra", "AF": "afghanistan", "AG": "antigua and barbuda, antigua",
    "AI": "anguilla", "AL": "albania", "AM": "armenia", "AO": "angola", "AS": "american samoa", "AW": "aruba",
    "AX": "åland islands", "AZ": "azerbaijan", "BA": "bosnia and herzegovina, bosnia", "BB": "barbados",
    "BD": "bangladesh", "BF": "burkina faso", "BH": "bahrain", "BI": "burundi", "BJ": "benin",
    "BL": "saint barthélemy, st. barts", "BM": "bermuda", "BN": "brunei, brunei darussalam", "BO": "bolivia",
    "BQ": "caribbean netherlands, bonaire", "BS": "bahamas, the bahamas", "BT": "bhutan", "BW": "botswana",
    "BY": "belarus", "BZ": "belize", "CC": "cocos islands",
    "CD": "democratic republic of the congo, dr congo, drc, congo-kinshasa", "CF": "central african republic",
    "CG": "republic of the congo, congo-brazzaville", "CI": "côte d'ivoire, ivory coast", "CK": "cook islands",
    "CM": "cameroon", "CR": "costa rica", "CU": "cuba", "CV": "cabo verde, cape verde", "CW": "curaçao",
    "CX": "christmas island", "DJ": "djibouti", "DM": "dominica", "DO": "dominican republic", "DZ": "algeria",
    "EC": "ecuador", "EH": "western sahara", "ER": "eritrea", "ET": "ethiopia", "FJ": "fiji", "FK": "falkland islands",
    "FM": "micronesia", "FO": "faroe islands", "GA": "gabon", "GD": "grenada", "GE": "georgia", "GF": "french guiana",
    "GG": "guernsey", "GH": "ghana", "GI": "gibraltar", "GL": "greenland", "GM": "gambia, the gambia", "GN": "guinea",
    "GQ": "equatorial guinea", "GT": "guatemala", "GU": "guam", "GW": "guinea-bissau", "GY": "guyana",
    "HK": "hong kong", "HN": "honduras", "HT": "haiti", "ID": "indonesia", "IM": "isle of man",
    "IO": "british indian ocean territory", "IQ": "iraq", "IR": "iran", "JE": "jersey", "JM": "jamaica",
    "JO": "jordan", "KG": "kyrgyzstan", "KH": "cambodia", "KI": "kiribati", "KM": "comoros",
    "KN": "saint kitts and nevis, st. kitts and nevis", "KP": "north korea", "KR": "korea, republic of korea",
    "KW": "kuwait", "KY": "cayman islands", "KZ": "kazakhstan", "LA": "laos", "LB": "lebanon",
    "LC": "saint lucia, st. lucia", "LK": "sri lanka", "LR": "liberia", "LS": "lesotho", "LY": "libya",
    "MA": "morocco", "MC": "monaco", "MD": "moldova", "ME": "montenegro", "MF": "saint martin", "MG": "madagascar",
    "MH": "marshall islands", "MK": "north macedonia, macedonia", "ML": "mali", "MM": "myanmar, burma",
    "MN": "mongolia", "MO": "macao, macau", "MP": "northern mariana islands", "MR": "mauritania", "MS": "montserrat",
    "MU": "mauritius", "MV": "maldives", "MW": "malawi", "MY": "malaysia", "MZ": "mozambique", "NA": "namibia",
    "NC": "new caledonia", "NE": "niger", "NF": "norfolk island", "NI": "nicaragua", "NP": "nepal", "NR": "nauru",
    "NU": "niue", "OM": "oman", "PA": "panama", "PE": "peru", "PF": "french polynesia", "PG": "papua new guinea",
    "PH": "philippines, the philippines", "PK": "pakistan", "PM": "saint pierre and miquelon", "PR": "puerto rico",
    "PS": "palestine", "PW": "palau", "PY": "paraguay", "QA": "qatar", "RU": "russia, russian federation",
    "RW": "rwanda", "SB": "solomon islands", "SC": "seychelles", "SD": "sudan", "SH": "saint helena, st. helena",
    "SJ": "svalbard and jan mayen, svalbard", "SL": "sierra leone", "SM": "san marino", "SN": "senegal",
    "SO": "somalia", "SR": "suriname", "SS": "south sudan", "ST": "são tomé and príncipe", "SV": "el salvador",
    "SX": "sint maarten", "SY": "syria", "SZ": "eswatini, swaziland", "TA": "tristan da cunha",
    "TC": "turks and caicos islands", "TD": "chad", "TG": "togo", "TH": "thailand", "TJ": "tajikistan",
    "TK": "tokelau", "TL": "timor-leste, east timor", "TM": "turkmenistan", "TN": "tunisia", "TO": "tonga",
    "TR": "türkiye", "TT": "trinidad and tobago, trinidad", "TV": "tuvalu", "TW": "taiwan", "TZ": "tanzania",
    "UG": "uganda", "UY": "uruguay", "UZ": "uzbekistan", "VA": "vatican city, holy see",
    "VC": "saint vincent and the grenadines", "VE": "venezuela", "VG": "british virgin islands",
    "VI": "us virgin islands", "VN": "vietnam, viet nam", "VU": "vanuatu", "WF": "wallis and futuna", "WS": "samoa",
    "XK": "kosovo", "YE": "yemen", "ZM": "zambia", "ZW": "zimbabwe",
}  # fmt: skip
"""English names of all other countries and parts of them that a phone library knows."""


@cache
def by_name() -> Mapping[str, str]:
    """Every name that is known, as it is compared, and its country's code."""
    listed = (*_ELSEWHERE.items(), *_IN_OTHER_LANGUAGES.items())
    more = ((name, code) for code, names in listed for name in names.split(", "))
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
    return by_name().get(_spelled(wanted), "")
