"""Python's search for cycles: made rare where a crowd is driven, left out where a record is judged."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG, MIDDLING = 50_000, 20
"""So many more objects than at the last search begin one; of so many of these, one looks at the older objects too."""


@contextmanager
def rare_collection() -> Iterator[None]:
    """Search less often for unreachable cycles, of which a crowd makes next to none, until the block ends.

    What users did and were answered grows all the time, so that as Python comes a sixth of a crowd's time goes into
    looking through it. Holds for the whole process: for one that is the lab's own.
    """
    before = gc.get_threshold()
    gc.set_threshold(YOUNG, MIDDLING, before[2])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def no_collection() -> Iterator[None]:
    """Without that search, until the block ends: a record makes no cycles, and it would take as long as the judging."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
