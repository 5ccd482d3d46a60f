"""Mail providers whose domain says nothing of a company."""

FREE_MAIL = frozenset(
    [
        "aol.com",
        "gmail.com",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "outlook.com",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rediffmail.com",
        "t-online.de",
        "web.de",
        "yahoo.com",
        "yandex.ru",
    ]
)


def mail_kind(address: str) -> str:
    """`company`, `free`, or "" for no address."""
    domain = address.strip().rpartition("@")[2].casefold()
    return "" if not domain else "free" if domain in FREE_MAIL else "company"
