"""Events and operations of one record in the order of time, however they arrive."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from lab.model import Operation
from lab.record import AnyEvent

Item = AnyEvent | Operation


def time_of(item: Item) -> int:
    """When it is known: an operation when it ended."""
    return item.end if isinstance(item, Operation) else item.at


class Merge:
    """Takes both files' lines in any portions and gives them back by time; of one time, events first.

    What comes out does not depend on the portions, as long as nothing older than an earlier `until` arrives.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, bool, int, Item]] = []
        self._arrived = 0

    def add(self, items: Iterable[Item]) -> None:
        """More lines of either file, in the file's order."""
        for item in items:
            heapq.heappush(self._waiting, (time_of(item), isinstance(item, Operation), self._arrived, item))
            self._arrived += 1

    def take(self, until: int | None = None) -> Iterator[Item]:
        """All that happened up to `until`, or all that there is."""
        while self._waiting and (until is None or self._waiting[0][0] <= until):
            yield heapq.heappop(self._waiting)[3]
