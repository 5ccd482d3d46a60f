"""Form-encoded nested parameters, as Stripe's API takes them: `items[0][price]=…`, `expand[]=…`, `metadata[k]=…`."""

import re
from typing import Any
from urllib.parse import parse_qsl

type Params = dict[str, Any]

_MAPS = {"metadata", "payload", "currency_options"}


class FormError(ValueError):
    """A parameter name that does not nest properly."""


def parse(text: str) -> Params:
    """Nested parameters of a form body or query string; every scalar stays text. Raises FormError."""
    root: Params = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, *rest = re.split(r"\[", name)
        steps = [head, *(step.removesuffix("]") for step in rest)]
        if not head or any(not step.endswith("]") for step in rest):
            raise FormError(name)
        _place(root, steps, value, name)
    return {key: _lists(key, value) for key, value in root.items()}


def _place(root: Params, steps: list[str], value: str, name: str) -> None:
    here = root
    for index, step in enumerate(steps):
        key = str(len(here)) if step == "" else step
        if index == len(steps) - 1:
            here[key] = value
            return
        inner = here.setdefault(key, {})
        if not isinstance(inner, dict):
            raise FormError(name)
        here = inner


def _lists(key: str, value: Any) -> Any:
    """Mappings keyed 0, 1, 2 … become lists, except where the keys are the caller's own."""
    if not isinstance(value, dict):
        return value
    if key in _MAPS:
        return value
    if value and all(step.isdigit() for step in value):
        return [_lists("", value[step]) for step in sorted(value, key=int)]
    return {step: _lists(step, inner) for step, inner in value.items()}


def integer(value: Any, default: int | None = None) -> int | None:
    """A whole number, or the default where none was sent."""
    return default if value is None or value == "" else int(value)


def boolean(value: Any, default: bool = False) -> bool:
    """A truth value, or the default where none was sent."""
    return default if value is None or value == "" else str(value).lower() == "true"
