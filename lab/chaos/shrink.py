"""Finds the shortest schedule that still breaks something: delta debugging over whatever the schedule is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Shrunk(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What is left."""

    kept: tuple[T, ...]
    runs: int
    """How often it was tried."""
    is_minimal: bool
    """Whether it is known that nothing can be left out; else the runs had been used up."""


class _UsedUpError(Exception):
    pass


def shrink(items: Sequence[T], breaks: Callable[[Sequence[T]], bool], *, most_runs: int) -> Shrunk[T]:
    """The fewest of `items`, in their order, with which `breaks` is true: a 1-minimal one, by ddmin (Zeller, 2002).

    `breaks(items)` is taken to be true. Nothing at all is tried first, then halves, then their complements, ever
    finer. No choice is tried twice, and none after `most_runs`: then the shortest so far is kept.
    """
    tried: dict[tuple[int, ...], bool] = {}
    best = tuple(range(len(items)))

    def is_broken(kept: tuple[int, ...]) -> bool:
        nonlocal best
        if kept not in tried:
            if len(tried) >= most_runs:
                raise _UsedUpError
            tried[kept] = breaks([items[place] for place in kept])
            if tried[kept] and len(kept) < len(best):
                best = kept
        return tried[kept]

    is_minimal = True
    try:
        if not best or is_broken(()):
            best = ()
        else:
            _ddmin(best, is_broken)
    except _UsedUpError:
        is_minimal = False
    return Shrunk(kept=tuple(items[place] for place in best), runs=len(tried), is_minimal=is_minimal)


def _ddmin(kept: tuple[int, ...], is_broken: Callable[[tuple[int, ...]], bool]) -> None:
    parts = 2
    while len(kept) > 1:
        chunks = _split(kept, parts)
        rests = [tuple(one for one in kept if one not in chunk) for chunk in chunks]
        smaller = next((chunk for chunk in chunks if is_broken(chunk)), None)
        if smaller is not None:
            kept, parts = smaller, 2
            continue
        smaller = next((rest for rest in rests if rest not in chunks and is_broken(rest)), None)
        if smaller is not None:
            kept, parts = smaller, max(parts - 1, 2)
        elif parts >= len(kept):
            return
        else:
            parts = min(2 * parts, len(kept))


def _split(kept: tuple[int, ...], parts: int) -> list[tuple[int, ...]]:
    """So many parts, as even as can be."""
    ends = [len(kept) * number // parts for number in range(parts + 1)]
    return [kept[begin:end] for begin, end in pairwise(ends)]
