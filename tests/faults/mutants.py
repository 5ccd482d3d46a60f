"""stub"""
from dataclasses import dataclass
from typing import Any
@dataclass
class Verdict:
    name: str
    seed: int | None
    tried: int
    violation: str
MUTANTS: tuple[Any, ...] = ()
def hunt(mutant: Any, server: Any) -> Verdict: ...
