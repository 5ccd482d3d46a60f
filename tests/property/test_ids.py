"""Identifiers: a prefix that names the kind, and bits that nobody guesses."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revops.kernel import RandomIds, id_prefix

PREFIXES = st.sampled_from(["LEAD", "ACC", "CON", "OPP", "ACT", "PER", "ORD"])


@pytest.mark.mission("LEAD-1")
@given(PREFIXES, st.integers(0, 2**32))
def test_an_id_names_its_kind_and_fits_a_key(prefix: str, seed: int) -> None:
    made = RandomIds(random.Random(seed).getrandbits).new(prefix)
    assert re.fullmatch(r"[A-Z]+_[0-9A-HJKMNP-TV-Z]{26}", made)
    assert id_prefix(made) == prefix


@given(st.integers(0, 2**130 - 1), st.integers(0, 2**130 - 1))
def test_every_bit_counts(first: int, second: int) -> None:
    made = [RandomIds(lambda _, bits=bits: bits).new("X") for bits in (first, second)]  # type: ignore[misc]
    assert (made[0] == made[1]) == (first == second)


def test_the_default_source_does_not_repeat() -> None:
    ids = RandomIds()
    assert len({ids.new("LEAD") for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize("text", ["", "_", "LEAD", "LEAD_", "_x"])
def test_what_is_no_id_has_no_prefix(text: str) -> None:
    assert id_prefix(text) == ""
