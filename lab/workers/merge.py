"""What the users of several workers did, in one order: that in which it ended, by the conductor's clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from msgspec.structs import force_setattr

from lab.model import Operation


class CrowdMerge:
    """Takes operations of each worker in the order of their ends, and tells all of them, numbered from 0.

    An operation is told once every worker has said that it has sent all that ended before. May be called from several
    threads; `on_operation` is never called twice at once.
    """

    def __init__(self, workers: int, on_operation: Callable[[Operation], None]) -> None:
        self._on_operation = on_operation
        self._lock = threading.Lock()
        self._waiting: list[Operation] = []
        self._passed: list[int | None] = [0] * workers
        """Until when each has sent all; None: nothing will come any more."""
        self.told = 0
        """How many were told."""

    def take(self, operations: Sequence[Operation], offset: int) -> None:
        """Operations that nobody else has, whose times are that much earlier than the conductor's."""
        if offset:
            for one in operations:
                _shift(one, offset)
        with self._lock:
            self._waiting += operations

    def passed(self, worker: int, now: int | None) -> None:
        """A worker has sent all that ended until then, by the conductor's clock; None: it sends no more."""
        with self._lock:
            self._passed[worker] = now
            until = min((one for one in self._passed if one is not None), default=None)
            self._waiting.sort(key=_end)  # what is in order already is looked at once
            count = len(self._waiting)
            if until is not None:
                count = next((place for place, one in enumerate(self._waiting) if one.end > until), count)
            due, self._waiting = self._waiting[:count], self._waiting[count:]
            for one in due:
                force_setattr(one, "id", self.told)  # decoded just now: nobody else has it
                self.told += 1
                self._on_operation(one)


def _end(operation: Operation) -> int:
    return operation.end


def _shift(operation: Operation, offset: int) -> None:
    force_setattr(operation, "begin", operation.begin + offset)
    force_setattr(operation, "end", operation.end + offset)
    if operation.due is not None:
        force_setattr(operation, "due", operation.due + offset)
    for one in operation.tries:
        force_setattr(one, "begin", one.begin + offset)
        force_setattr(one, "end", one.end + offset)
