"""Fault rules: what a simulator does wrong on purpose, in a reproducible order.

A rule is JSON. `on` is `request` or `webhook`; `match` narrows it (regular expressions over `method`,
`path` and `about`, the body; for webhooks over `type`, `url` and `about`, the message itself); `times` limits how often
it strikes (absent: always); `probability` draws from the seeded generator. What it may `do`:

request  `status` (with `status`, `retry_after`; `after_work` does the work first), `lose_response`, `delay`
webhook  `duplicate` (`copies`; `fresh_id` makes each an event of its own),
         `reorder` (`window`, `seconds`), `delay` (`seconds`), `drop`

Two entries stand alone: `{"search_lag_seconds": n}` and `{"seed": n}`.
"""

import random
import re
from dataclasses import dataclass
from typing import Any

from local.simulators.common.state import Store

type Rule = dict[str, Any]

_ACTIONS = {
    "request": {"status", "lose_response", "delay"},
    "webhook": {"duplicate", "reorder", "delay", "drop"},
}
_MATCHES = {"request": {"method", "path", "about"}, "webhook": {"type", "url", "about"}}
_FIELDS = {
    *("on", "do", "match", "times", "probability"),
    *("status", "retry_after", "after_work", "seconds", "copies", "fresh_id", "window"),
}


@dataclass
class RuleError(ValueError):
    """A rule that cannot be understood, with what would be."""

    detail: str

    def __str__(self) -> str:
        return self.detail


class Faults:
    """The active rules, kept with the state so that a restart keeps misbehaving alike."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def rules(self) -> list[Rule]:
        """Active rules in the order they are tried."""
        held: list[Rule] = self._store.setting("faults", [])
        return held

    @property
    def search_lag(self) -> float:
        """Seconds by which a search index trails the objects."""
        return float(self._store.setting("search_lag", 0))

    @property
    def seed(self) -> int:
        """Seed of every random choice."""
        return int(self._store.setting("seed", 0))

    def add(self, entries: list[Rule]) -> None:
        """Add rules; raises RuleError and changes nothing if one of them is not understood."""
        for entry in entries:
            _check(entry)
        for entry in entries:
            if "search_lag_seconds" in entry:
                self._store.set_setting("search_lag", float(entry["search_lag_seconds"]))
            elif "seed" in entry:
                self._store.set_setting("seed", int(entry["seed"]))
                self._store.set_setting("draws", 0)
            else:
                self._store.set_setting("faults", [*self.rules, dict(entry)])

    def clear(self) -> None:
        """Behave well again."""
        self._store.set_setting("faults", [])
        self._store.set_setting("search_lag", 0)

    def draw(self) -> random.Random:
        """A fresh generator, determined by the seed and how many were drawn before."""
        draws = int(self._store.setting("draws", 0))
        self._store.set_setting("draws", draws + 1)
        return random.Random(f"{self.seed}:{draws}")

    def strike(self, on: str, facts: dict[str, str], doing: set[str] | None = None) -> Rule | None:
        """The first rule that fits these facts, with one of its `times` used up; None if all is well."""
        rules = self.rules
        for index, rule in enumerate(rules):
            if rule["on"] != on or (doing is not None and rule["do"] not in doing):
                continue
            match: dict[str, str] = rule.get("match", {})
            if not all(re.search(pattern, facts.get(name, "")) for name, pattern in match.items()):
                continue
            if "probability" in rule and self.draw().random() >= float(rule["probability"]):
                continue
            if "times" in rule:
                left = int(rule["times"]) - 1
                kept = [] if left <= 0 else [{**rule, "times": left}]
                self._store.set_setting("faults", [*rules[:index], *kept, *rules[index + 1 :]])
            return rule
        return None


def _check(entry: Rule) -> None:
    if set(entry) in ({"search_lag_seconds"}, {"seed"}):
        return
    on = entry.get("on")
    if on not in _ACTIONS:
        raise RuleError(f"'on' must be one of {sorted(_ACTIONS)}, or search_lag_seconds or seed alone")
    if entry.get("do") not in _ACTIONS[on]:
        raise RuleError(f"'do' on a {on} must be one of {sorted(_ACTIONS[on])}")
    if unknown := set(entry.get("match", {})) - _MATCHES[on]:
        raise RuleError(f"a {on} is matched by {sorted(_MATCHES[on])}, not {sorted(unknown)}")
    if unknown := set(entry) - _FIELDS:
        raise RuleError(f"unknown fields {sorted(unknown)}; known are {sorted(_FIELDS)}")
    if entry["do"] == "status" and not 400 <= int(entry.get("status", 0)) <= 599:
        raise RuleError("'status' must be between 400 and 599")
