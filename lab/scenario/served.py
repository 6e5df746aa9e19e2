"""Who answered whom lately: what the monkey needs to know of its victims, and the verdict of the new release."""

from __future__ import annotations

import threading
from collections import deque

from lab.model import Operation

REMEMBERED = 512
"""Answers remembered of each replica; more than any replica gives in the seconds that are asked about."""


class Served:
    """Notes every answer by replica and every user by release. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, deque[int]] = {}
        self._users: dict[str, set[str]] = {}

    def note(self, operation: Operation) -> None:
        with self._lock:
            for one in operation.tries:
                if one.replica is not None:
                    self._answers.setdefault(one.replica, deque(maxlen=REMEMBERED)).append(one.end)
                if one.release is not None:
                    self._users.setdefault(one.release, set()).add(operation.user)

    def answered_since(self, replica: str, since: int) -> int:
        """How many answers this replica gave since then (at most REMEMBERED)."""
        with self._lock:
            return sum(end >= since for end in self._answers.get(replica, ()))

    def users_served_by(self, release: str) -> int:
        with self._lock:
            return len(self._users.get(release, ()))
