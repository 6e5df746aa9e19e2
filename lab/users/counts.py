"""What a crowd has done so far, for showing while it goes on; the record alone is judged."""

from __future__ import annotations

from collections import Counter, deque

from lab.clock import NS, Clock
from lab.model import TRIED_AGAIN, Operation, Outcome, Value

MAY_LAG = 1.0
"""Seconds by which the driver may be late; a driver that is later measures itself."""

BUCKETS = 10
"""Into how many parts the last second is cut."""

_OK = Outcome.OK


class CrowdCounts(Value):
    """One moment's counts of a crowd."""

    users: int
    devices: int
    logged_in: int
    """Devices that are logged in."""
    in_flight: int
    """Operations that were begun and haven't ended."""
    operations: int
    tries: int
    first_tries_failed: int
    saved_by_retry: int
    """Operations that a further try brought to a good end."""
    lost: int
    """Operations without a good answer after all tries; a 4xx is an answer."""
    by_release: dict[str, int]
    """Answers by the release that gave them."""
    by_release_last_second: dict[str, int]
    repeated_at_edge: int
    """Tries that the balancer sent to more than one replica."""
    worst_lag: float
    """The most seconds by which the driver itself, not the app, was ever behind its schedule."""

    @property
    def late(self) -> str:
        """Why nothing can be told of the app, if the driver was late; empty if it was not."""
        return f"the users' driver was {self.worst_lag:.1f} s behind itself" if self.worst_lag > MAY_LAG else ""


class CrowdTally:
    """Counts operations as they end, in one thread; may be read from any.

    Without a lock, which each request would pay for: each count is right for itself at some time, and what is looked
    through is copied first, in one step of the interpreter's.
    """

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._operations = self._tries = self._failed_first = self._saved = self._lost = self._repeated = 0
        self._by_release: dict[str, int] = {}
        self._lately: deque[tuple[int, dict[str, int]]] = deque(maxlen=BUCKETS)
        self._bucket: dict[str, int] = {}
        """The newest of them, which takes answers until `_full_at`."""
        self._full_at = 0
        self._worst_lag = 0.0

    def late(self, seconds: float) -> None:
        """The driver did something `seconds` after it should have."""
        if seconds > self._worst_lag:  # noqa: PLR1730 -- a call would cost more than all the rest
            self._worst_lag = seconds

    def ended(self, operation: Operation) -> None:
        if operation.is_conclusion:
            return
        tries = operation.tries
        self._operations += 1
        self._tries += len(tries)
        if operation.outcome is not _OK or len(tries) > 1:
            self._note_failure(operation)
        if operation.end >= self._full_at:
            self._begin_bucket(operation.end)
        lately, in_all = self._bucket, self._by_release
        for done in tries:
            release = done.release
            if release is not None:
                lately[release] = lately.get(release, 0) + 1
                in_all[release] = in_all.get(release, 0) + 1
            if len(done.edge) > 1:
                self._repeated += 1

    def _note_failure(self, operation: Operation) -> None:
        is_good = operation.outcome is _OK
        if operation.tries[0].result in TRIED_AGAIN:
            self._failed_first += 1
            self._saved += is_good
        self._lost += not is_good and not operation.turned_away and not operation.final.result.startswith("4")

    def counts(self, *, users: int, devices: int, logged_in: int, in_flight: int) -> CrowdCounts:
        oldest = self._clock.now() * BUCKETS // NS - BUCKETS
        lately: Counter[str] = Counter()
        for number, answers in tuple(self._lately):
            if number > oldest:
                lately.update(answers.copy())
        return CrowdCounts(
            users=users,
            devices=devices,
            logged_in=logged_in,
            in_flight=in_flight,
            operations=self._operations,
            tries=self._tries,
            first_tries_failed=self._failed_first,
            saved_by_retry=self._saved,
            lost=self._lost,
            by_release=self._by_release.copy(),
            by_release_last_second=dict(lately),
            repeated_at_edge=self._repeated,
            worst_lag=self._worst_lag,
        )

    def _begin_bucket(self, at: int) -> None:
        number = at * BUCKETS // NS
        self._bucket = {}
        self._lately.append((number, self._bucket))
        self._full_at = (number + 1) * NS // BUCKETS
