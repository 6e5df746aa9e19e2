"""Who answered lately: what whoever strikes needs to know of its victims."""

from __future__ import annotations

import threading
from collections import deque

from lab.model import Operation

REMEMBERED = 512
"""Answers remembered of each replica; more than any replica gives in the seconds that are asked about."""


class RecentAnswers:
    """Notes every answer by replica. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, deque[int]] = {}

    def note(self, operation: Operation) -> None:
        with self._lock:
            for one in operation.tries:
                if one.replica is not None:
                    self._answers.setdefault(one.replica, deque(maxlen=REMEMBERED)).append(one.end)

    def answered_since(self, replica: str, since: int) -> int:
        """How many answers this replica gave since then (at most REMEMBERED)."""
        with self._lock:
            return sum(end >= since for end in self._answers.get(replica, ()))
