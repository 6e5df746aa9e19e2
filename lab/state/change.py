"""Changes of what several processes keep together: read, change, write, and again where somebody wrote in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lab.errors import Stale

T = TypeVar("T")

WRITES_TRIED = 20
"""How often a change is made again where somebody else changed the same thing meanwhile."""


def again_while_stale(change: Callable[[], T]) -> T:
    """What `change`, which reads and writes, returns. Raises Stale where others were quicker every time."""
    for _ in range(WRITES_TRIED - 1):
        try:
            return change()
        except Stale:
            continue
    return change()
