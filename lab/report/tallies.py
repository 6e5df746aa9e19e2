"""What users did within one sample: counted as operations come, told once."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2

from lab.clock import NS
from lab.model import Operation, Outcome
from lab.oracle.service import is_proper
from lab.report.events import Sample

COMPARED, REPEATED = 1, 2
"""Marks on a user."""
STEPS = 8
"""Buckets for each doubling of a time: a percentile drawn from them is right to within 9 %."""


class SampleTally:
    """One sample in the making. Releases and users are numbers already."""

    def __init__(self) -> None:
        self.is_empty = True
        self._by: dict[int, int] = {}
        self._slots: dict[str, int] = {}
        self._retries = self._lost = self._repeated = 0
        self._took: list[int] = []
        self._buckets: dict[int, dict[int, int]] = {}
        self._failed: dict[int, int] = {}
        self._unanswered = 0
        self._names: list[str] = []
        self._users: dict[int, tuple[int, int]] = {}

    def take(self, operation: Operation, user: int, release_number: Callable[[str], int]) -> None:
        """One more operation."""
        self.is_empty = False
        last, marks = self._users.get(user, (-1, 0))
        marks |= COMPARED * (operation.outcome is Outcome.OK and operation.answer is not None)
        if not operation.is_conclusion:
            self._count(operation, release_number)
            marks |= REPEATED * (len(operation.tries) > 1)
            answered = [one.release for one in operation.tries if one.release is not None]
            last = release_number(answered[-1]) if answered else last
        self._users[user] = (last, marks)

    def meet(self, name: str) -> None:
        """A user is seen for the first time."""
        self._names.append(name)

    def sample(self, t: float, releases: int) -> Sample:
        """All of it, at the end of its time."""
        took = sorted(self._took)
        return Sample(
            t=t,
            by=tuple(self._by.get(number, 0) for number in range(releases)),
            slots=dict(sorted(self._slots.items())),
            retries=self._retries,
            lost=self._lost,
            repeated=self._repeated,
            p50=_share(took, 0.5),
            p99=_share(took, 0.99),
            took=tuple(_flat(self._buckets.get(number, {})) for number in range(releases)),
            failed=tuple(self._failed.get(number, 0) for number in range(releases)) if self._failed else (),
            unanswered=self._unanswered,
            names=tuple(self._names),
            users=tuple((user, last, marks) for user, (last, marks) in sorted(self._users.items())),
        )

    def _count(self, operation: Operation, release_number: Callable[[str], int]) -> None:
        tries = operation.tries
        self._retries += max(len(tries) - 1, 0)
        self._lost += not is_proper(operation.answered, operation)
        self._took.append(operation.end - operation.begin)
        answered = next((one.release for one in reversed(tries) if one.release is not None), None)
        if answered is not None:
            buckets = self._buckets.setdefault(release_number(answered), {})
            bucket = int(log2(max(operation.end - operation.begin, 1)) * STEPS)
            buckets[bucket] = buckets.get(bucket, 0) + 1
        for one in tries:
            self._unanswered += one.release is None
            self._repeated += len(one.edge) > 1
            if one.release is not None:
                number = release_number(one.release)
                self._by[number] = self._by.get(number, 0) + 1
                if not is_proper(one, operation):
                    self._failed[number] = self._failed.get(number, 0) + 1
                slot = one.edge[-1] if one.edge else (one.replica or "").rpartition("-")[0]
                self._slots[slot] = self._slots.get(slot, 0) + 1


def _flat(buckets: dict[int, int]) -> tuple[int, ...]:
    return tuple(part for pair in sorted(buckets.items()) for part in pair)


def _share(took: list[int], share: float) -> float:
    """Milliseconds within which this share ended."""
    return round(took[max(ceil(len(took) * share) - 1, 0)] / NS * 1000, 1) if took else 0.0
