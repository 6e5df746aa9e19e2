"""The shortest schedule that still breaks: pure, against a judge that is told what it breaks by."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lab.chaos.shrink import shrink


@given(some.integers(0, 24), some.data())
def test_what_is_needed_is_what_is_left(size: int, data: some.DataObject) -> None:
    """Whichever strikes it takes together, in their order, and nothing else."""
    items = list(range(size))
    needed = data.draw(some.sets(some.sampled_from(items))) if items else set()
    found = shrink(items, lambda kept: needed <= set(kept), most_runs=10_000)
    assert found.kept == tuple(sorted(needed))
    assert found.is_minimal


@given(some.integers(1, 12), some.data())
def test_of_several_ways_to_break_one_is_left_whole(size: int, data: some.DataObject) -> None:
    """1-minimal: with any one strike fewer it holds."""
    items = list(range(size))
    ways = data.draw(some.lists(some.sets(some.sampled_from(items), min_size=1), min_size=1, max_size=4))

    def breaks(kept: Sequence[int]) -> bool:
        return any(way <= set(kept) for way in ways)

    left = shrink(items, lambda kept: breaks(kept) or len(kept) == size, most_runs=10_000).kept
    for one in left:
        assert not breaks([other for other in left if other != one]) or len(left) == size
    assert breaks(left)


def test_nothing_is_tried_twice_and_runs_are_bounded() -> None:
    """Each run is half a minute on a real cluster."""
    tried: list[tuple[int, ...]] = []

    def breaks(kept: Sequence[int]) -> bool:
        tried.append(tuple(kept))
        return {3, 11} <= set(kept)

    found = shrink(range(16), breaks, most_runs=100)
    assert (found.kept, found.is_minimal) == ((3, 11), True)
    assert len(tried) == len(set(tried)) == found.runs
    assert found.runs <= 40
    tried.clear()
    cut_short = shrink(range(16), breaks, most_runs=5)
    assert not cut_short.is_minimal
    assert len(tried) == 5
    assert {3, 11} <= set(cut_short.kept)


@pytest.mark.parametrize("size", [0, 1, 5])
def test_what_breaks_by_itself_needs_no_strike(size: int) -> None:
    """One run tells."""
    found = shrink(range(size), lambda _: True, most_runs=10)
    assert (found.kept, found.is_minimal) == ((), True)
    assert found.runs <= 1


def test_without_any_run_nothing_is_claimed() -> None:
    """All of it is kept."""
    found = shrink(range(4), lambda _: True, most_runs=0)
    assert (found.kept, found.is_minimal) == ((0, 1, 2, 3), False)
