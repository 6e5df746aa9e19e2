"""Looks all the while whether a run's chaos must stop: what users got, who was hurt, who serves, and the lab itself."""

from __future__ import annotations

import threading
from collections import deque

from lab.chaos.guard import GuardView, StopWhen, reason_to_stop
from lab.clock import NS
from lab.errors import LabFault
from lab.model import Operation
from lab.oracle.service import is_proper


class Stopped(LabFault):
    """A stop condition of the scenario was met: what was still to come is not done, so nothing is proved by it."""


class StopMonitor:
    """Notes every operation; `check` may be called at any time and from any thread."""

    def __init__(self, rules: StopWhen) -> None:
        self._rules = rules
        self._lock = threading.Lock()
        self._lately: deque[tuple[int, bool]] = deque()

    def note(self, operation: Operation) -> None:
        """An operation ended."""
        if not self._rules.failed_share or operation.is_conclusion:
            return
        good = is_proper(operation.answered, operation)
        with self._lock:
            self._lately.append((operation.end, good))

    def check(self, now: int, *, users_lost: int, serving: int, unwell: str = "", halted: str = "") -> None:
        """Raises Stopped, with the figure and the rule, where a condition is met."""
        since = now - int(self._rules.failed_for * NS)
        with self._lock:
            while self._lately and self._lately[0][0] < since:
                self._lately.popleft()
            operations, failed = len(self._lately), sum(not good for _, good in self._lately)
        seen = GuardView(
            users_lost=users_lost,
            operations=operations,
            failed=failed,
            serving=serving,
            unwell=unwell,
            halted=halted,
        )
        why = reason_to_stop(self._rules, seen)
        if why:
            raise Stopped(f"stopped: {why}", hint="see events.jsonl")
