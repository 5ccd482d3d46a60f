"""What a planted bug is, and the tools to plant one."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from revops.kernel import CallContext
from revops.orders.provisioning.create_once import CreateOnce
from revops.table import ANYTHING, Row, Transaction
from revops.table.transaction import Expectation
from tests.faults.world import World

Plant = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted bug. `plant` patches, `wrap` changes one world; `within` is how many seeds it may take to notice,
    `cast` who plays if not everybody."""

    name: str
    what: str
    plant: Plant = nullcontext
    wrap: Callable[[World], None] = lambda _: None
    engine: str = "memory"
    within: int = 400
    cast: frozenset[str] = frozenset()


def unconditional(*kinds: str) -> Plant:
    """Rows of these kinds are put whatever stands there."""

    @contextmanager
    def plant() -> Iterator[None]:
        put = Transaction.put

        def careless(self: Transaction, row: Row, expect: Expectation) -> None:
            put(self, row, ANYTHING if row.kind in kinds else expect)

        with patch.object(Transaction, "put", careless):
            yield

    return plant


def create_once(about: str = "", **changed: Callable[..., Any]) -> Plant:
    """`CreateOnce` whose callers pass something else in, for things whose name begins with `about`."""

    @contextmanager
    def plant() -> Iterator[None]:
        real = CreateOnce.__call__

        def other(self: CreateOnce, identifier: str, prefix: str, call: CallContext, **given: Any) -> str:
            if not identifier.startswith(about):
                return real(self, identifier, prefix, call, **given)
            passed = {name: changed[name](given[name]) if name in changed else given[name] for name in given}
            return real(self, identifier, prefix, call, **passed)

        with patch.object(CreateOnce, "__call__", other):
            yield

    return plant


def random_key(create: Callable[[Any, str], str]) -> Callable[[Any, str], str]:
    """A key of its own for each attempt."""
    return lambda request, key: create(request, f"{key}-{random.getrandbits(60):x}")


def no_lookup(_: Callable[..., Any]) -> Callable[..., None]:
    """Nobody looks what an earlier attempt may have made."""
    return lambda _: None
