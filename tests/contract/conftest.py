"""The Stripe simulator as its tests have it; tests of another vendor's bring their own."""

from collections.abc import Iterator

import pytest

from tests.contract.stripe_harness import Bench, fresh, serving


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One process for the tests of a file."""
    with serving(tmp_path_factory.mktemp("stripe")) as bench:
        yield bench


@pytest.fixture
def bench(running: Bench) -> Iterator[Bench]:
    """It, empty."""
    with fresh(running) as empty:
        yield empty


@pytest.fixture
def no_violations(bench: Bench) -> Iterator[None]:
    """For tests that ask for nothing the contract does not name either."""
    yield
    assert bench.sim("GET", "violations") == []
