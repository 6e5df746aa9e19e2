"""Page events as they come, for any number of readers who may come late and come again."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import msgspec

from lab.report.events import AnyPageEvent


class Feed:
    """Grows and then ends. An event's number is its place: it stays the same for whoever asks again."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._is_over = False
        self._changed = threading.Condition()

    def add(self, events: Iterable[AnyPageEvent]) -> None:
        """More events."""
        lines = [msgspec.json.encode(event) for event in events]
        if lines:
            with self._changed:
                self._lines += lines
                self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    @property
    def is_over(self) -> bool:
        return self._is_over

    def __len__(self) -> int:
        return len(self._lines)

    def after(self, number: int, *, wait: float) -> tuple[Sequence[bytes], bool]:
        """The events from `number` on, and whether they are the last; waits up to `wait` seconds for the first."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._lines) > number or self._is_over, timeout=wait)
            return self._lines[number:], self._is_over
