"""Packages whose face is loaded part by part: what a webhook needs of a slice must not bring along its worker."""

from collections.abc import Callable, Mapping
from importlib import import_module


def face(package: str, found_in: Mapping[str, str]) -> Callable[[str], object]:
    """A module's `__getattr__` (PEP 562) that imports each name from its own module when it is first asked for."""

    def load(name: str) -> object:
        if name not in found_in:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found: object = getattr(import_module(f"{package}.{found_in[name]}"), name)
        return found

    return load
