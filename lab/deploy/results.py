"""What users got from each release lately, kept by the second so that it stays small however long a run lasts."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping

from lab.clock import NS
from lab.deploy.gate import EDGES_MS, Figures
from lab.model import Kind, Operation, Try, Value
from lab.oracle.refusals import Refusals
from lab.oracle.service import is_proper

WINDOW = 20
"""Seconds that are looked back over."""


class ReleaseFigures(Value):
    """Figures by release, all of the same window."""

    by_release: Mapping[str, Figures] = {}
    at: int = 0
    """When the desk took them down, wall-clock nanoseconds."""

    def of(self, release: str) -> Figures:
        """What is known of a release; nothing tried if nothing is."""
        return self.by_release.get(release, Figures())


class _Second:
    """One second of one release."""

    __slots__ = ("at", "broken", "failed", "latencies", "tries")

    def __init__(self, at: int) -> None:
        self.at, self.tries, self.failed, self.broken = at, 0, 0, 0
        self.latencies = [0] * (len(EDGES_MS) + 1)


class ResultWindow:
    """Fed with operations from any thread. A try counts for the release that answered it, or, where none did, for
    the release that has the slot which was asked last. A session that its user had ended is refused rightly: that is
    no failure of whoever refuses it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[str, deque[_Second]] = {}
        self._slots: dict[str, str] = {}
        self._met: dict[str, dict[str, int]] = {}
        """When each release last answered each user."""
        self._refusals = Refusals()
        self._ended: dict[str, str] = {}
        """The last session of each device that was logged out."""

    def note(self, operation: Operation) -> None:
        """Count every try of an operation that ended."""
        with self._lock:
            is_rejected = self._is_rejected(operation)
            is_refused = self._refusals.is_wrong(operation)
            for one in operation.tries:
                release = one.release or self._slots.get(_slot_of(one), "")
                if one.release and one.edge:
                    self._slots[_slot_of(one)] = one.release
                if one.release:
                    self._met.setdefault(one.release, {})[operation.user] = one.end
                if release:
                    is_good = is_proper(one, operation) and not (one is operation.final and (is_rejected or is_refused))
                    self._count(one, release, is_good=is_good)

    def note_broken(self, release: str, at: int) -> None:
        """A promise was broken, and that counts against this release."""
        with self._lock:
            self._second(release, at).broken += 1

    def has_met(self, release: str, user: str, *, since: int) -> bool:
        """Whether a release answered a user at `since` or later."""
        with self._lock:
            return self._met.get(release, {}).get(user, since - 1) >= since

    def figures(self, now: int) -> ReleaseFigures:
        """The last WINDOW seconds up to `now`, monotonic nanoseconds."""
        first = now // NS - WINDOW
        with self._lock:
            for seconds in self._seconds.values():
                while seconds and seconds[0].at < first:
                    seconds.popleft()
            return ReleaseFigures(by_release={name: _sum(seconds) for name, seconds in self._seconds.items()})

    def _is_rejected(self, operation: Operation) -> bool:
        """Whether a session that nobody had ended was refused."""
        if operation.session is None:
            return operation.session_rejected
        device = operation.session.partition("#")[0]
        if operation.session_rejected:
            return self._ended.get(device) != operation.session
        if operation.kind is Kind.LOGOUT:
            self._ended[device] = operation.session
        return False

    def _count(self, one: Try, release: str, *, is_good: bool) -> None:
        second = self._second(release, one.end)
        second.tries += 1
        if not is_good:
            second.failed += 1
        else:
            second.latencies[bisect_left(EDGES_MS, (one.end - one.begin) / 1_000_000)] += 1

    def _second(self, release: str, at: int) -> _Second:
        seconds = self._seconds.setdefault(release, deque(maxlen=WINDOW + 1))
        if not seconds or seconds[-1].at < at // NS:
            seconds.append(_Second(at // NS))
        return seconds[-1]


def _slot_of(one: Try) -> str:
    return one.edge[-1] if one.edge else ""


def _sum(seconds: deque[_Second]) -> Figures:
    return Figures(
        tries=sum(one.tries for one in seconds),
        failed=sum(one.failed for one in seconds),
        broken=sum(one.broken for one in seconds),
        latencies=tuple(map(sum, zip(*(one.latencies for one in seconds), strict=True))),
    )
