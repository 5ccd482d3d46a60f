"""Fields of a secret that hold several texts, such as the keys of a rotation."""

from collections.abc import Mapping
from typing import Any


def several(secret: Mapping[str, Any], name: str) -> list[str]:
    """The texts of a field, empty ones left out. One that was written as a single text is that one, never its letters:
    a key of one letter would prove anybody."""
    held = secret.get(name) or ()
    return [str(each) for each in ((held,) if isinstance(held, str) else held) if each]
