"""Whom an inbox entry is about, as a key may say it: what came from a person is found again for erasure and replay by
their address or number, and no text of theirs stands in a key (S17)."""

import hashlib


def person_subject(email: str, phone: str) -> str:
    """The subject of what a person sent: by canonical e-mail where there is one, else by E.164 phone."""
    name, value = ("email", email) if email else ("phone", phone)
    return f"{name}:{hashlib.sha256(value.encode()).hexdigest()}"
