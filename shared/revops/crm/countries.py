"""Countries as people write them → ISO 3166-1 alpha-2, and where consent is a duty.

Names are listed for the regions whose rules depend on the country; any alpha-2 code that a phone library knows is
accepted as it is.
"""

import phonenumbers

_NAMES = {
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
    ]
)
"""Where a lead that we collect needs a consent (CAP-9)."""


def country_code(text: str) -> str:
    """`Germany`, `de`, `DE` → `DE`; an empty text for what is not recognised."""
    wanted = text.strip()
    if len(wanted) == 2 and wanted.upper() in phonenumbers.SUPPORTED_REGIONS:
        return wanted.upper()
    return _NAMES.get(wanted.casefold(), "")
