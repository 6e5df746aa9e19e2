"""A user who goes on for hours costs the oracle no more than one who came an hour ago."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

from msgspec.structs import replace

from lab.model import Kind, Operation
from lab.oracle import Oracle
from tests.unit.oracle.making import op

MS = 1_000_000
ROUND = 4
"""Operations in each round of `rounds`."""


def rounds(first: int, last: int) -> Iterator[Operation]:
    """A line put into the cart and taken out again, an item viewed, and the list of the newest ones read."""
    for number in range(first, last):
        at = number * 100 * MS
        shown = [f"v{one}" for one in range(max(0, number - 99), number + 1)]
        for place, one in enumerate(
            (
                op(Kind.ADD, at, at + MS, f"l{number}", argument=1),
                op(Kind.REMOVE, at + 10 * MS, at + 11 * MS, f"r{number}", argument=f"l{number}", answer=True),
                op(Kind.VIEW, at + 20 * MS, at + 21 * MS, f"v{number}"),
                op(Kind.HISTORY, at + 30 * MS, at + 31 * MS, answer=(number + 1, shown)),
            )
        ):
            yield replace(one, id=number * ROUND + place, quiet=True)


def test_what_is_over_is_forgotten_in_the_end() -> None:
    oracle = Oracle()
    tracemalloc.start()
    try:
        held = [_fed(oracle, first, first + 300) for first in range(0, 1500, 300)]
    finally:
        tracemalloc.stop()
    assert not oracle.findings
    assert oracle.counts["state_kept"] >= 1500, "nothing was compared"
    assert held[-1] < 1.2 * held[0], f"KiB after every 300 rounds: {held}"


def _fed(oracle: Oracle, first: int, last: int) -> int:
    """KiB that are held once it has been fed with these."""
    for one in rounds(first, last):
        oracle.feed(one)
    gc.collect()
    return tracemalloc.get_traced_memory()[0] // 1024
