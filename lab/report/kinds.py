"""How each kind of request fared: how many, how many failed or were repeated, and how long they took."""

from __future__ import annotations

import re

from lab.model import Operation
from lab.oracle.latency import Latencies
from lab.oracle.service import is_proper
from lab.oracle.telling import OWN_KINDS
from lab.report.events import KindCount

MS = 1000
MOST = 80
"""So many kinds are told apart; what comes after that is counted together."""
OTHER = "other requests"
_NAMED = re.compile(r"(?<=/)(?=[^/]*[0-9])[^/]{1,}")
"""A part of a path with a digit in it: it names one thing of many."""


def request_name(operation: Operation) -> str:
    """Which request this is, for a table: its kind, or of somebody's own app method and path without what names one
    thing of many: "GET /orders/*"."""
    argument = operation.argument
    if operation.is_conclusion or operation.kind not in OWN_KINDS or not isinstance(argument, str):
        return str(operation.kind)
    method, _, path = argument.partition(" (to ")[0].partition(" ")
    path = path.partition("?")[0]
    return f"{method} {_NAMED.sub('*', path)}" if path.startswith("/") else str(operation.kind)


class KindTally:
    """Counts operations by their kind; memory does not grow with their number."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def take(self, operation: Operation) -> None:
        """One more operation; what is only concluded from others is none."""
        if not operation.is_conclusion:
            name = request_name(operation)
            known = self._kinds.get(name)
            if known is None:
                known = self._kinds.setdefault(name if len(self._kinds) < MOST else OTHER, _Kind())
            known.take(operation)

    def counts(self) -> dict[str, KindCount]:
        """By kind, in the order in which they were first seen."""
        return {name: one.count() for name, one in self._kinds.items()}


class _Kind:
    def __init__(self) -> None:
        self._requests = self._failed = self._repeated = 0
        self._latencies = Latencies()

    def take(self, operation: Operation) -> None:
        tries = operation.tries
        self._requests += 1
        self._failed += not tries or not is_proper(operation.answered, operation)
        self._repeated += len(tries) > 1
        self._latencies.add(operation.end - operation.begin)

    def count(self) -> KindCount:
        took = self._latencies.summary()
        return KindCount(
            requests=self._requests,
            failed=self._failed,
            repeated=self._repeated,
            p50=round(took.half * MS, 1),
            p95=round(took.p95 * MS, 1),
            p99=round(took.p99 * MS, 1),
            slowest=round(took.slowest * MS, 1),
        )
