"""Whether writes alone fail, wherever they are asked for, while whoever refuses them answers reads: what they write to
takes nothing.

A replica that is stopped, killed or too slow fails reads as well, and is one of several; a build that is spoilt is one
release. What all of them share is their store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from lab.model import Finding, Kind, Operation, Outcome
from lab.oracle.interval import READS
from lab.oracle.promises import CLEAN_STOPS, TRIES

LEAST = 20
"""Writes that must have failed, and reads that must have been answered meanwhile."""
MUCH, LITTLE = 0.2, 0.02
"""The share of writes that must have failed at each release, and of reads that may have."""
EXCEPTIONS = 0.2
"""The share of the failed writes that may have failed otherwise than by a replica's own word."""
_READS = READS | {Kind.BROWSE, Kind.DEVICES, Kind.READ}

CAUSE = (
    "every replica refuses writes while it answers reads: what they write to takes none"
    " (it is full, locked or read-only)"
)


def writes_alone(findings: Sequence[Finding], history: Iterable[Operation]) -> str:
    """CAUSE where the findings are of unanswered writes and this is so between the first and the last; else ""."""
    harmed = [one for one in findings if one.witness and one.promise in {TRIES, CLEAN_STOPS}]
    if len(harmed) < len(findings) / 2 or not harmed:
        return ""
    since, until = min(one.at for one in harmed), max(one.at for one in harmed)
    well, failed = _Counts(), _Counts()
    for operation in history:
        if since <= operation.end <= until and not operation.is_conclusion:
            (failed if _has_failed(operation) else well).take(operation)
    return CAUSE if _is_so(well, failed) else ""


class _Counts:
    def __init__(self) -> None:
        self.reads = self.writes = self.told = 0
        self.by_release: Counter[str] = Counter()
        """Writes that a replica answered."""
        self.slots: set[str] = set()

    def take(self, operation: Operation) -> None:
        if operation.kind in _READS or _asks_only(operation):
            self.reads += 1
            return
        self.writes += 1
        last = operation.final
        if last.replica is not None and last.result >= "200":
            self.told += 1
            self.by_release[str(last.release)] += 1
            self.slots.add(last.replica.partition("-")[0])


def _is_so(well: _Counts, failed: _Counts) -> bool:
    if failed.writes < LEAST or well.reads < LEAST or failed.reads > LITTLE * (well.reads + failed.reads):
        return False
    if failed.told < (1 - EXCEPTIONS) * failed.writes or len(failed.slots) < 2:
        return False
    served = well.by_release + failed.by_release
    return all(failed.by_release[one] >= MUCH * count for one, count in served.items() if count >= LEAST)


def _has_failed(operation: Operation) -> bool:
    return operation.outcome is Outcome.UNKNOWN


def _asks_only(operation: Operation) -> bool:
    """A page that is got, of somebody's own app."""
    return operation.kind is Kind.ACT and str(operation.argument).startswith(("GET ", "HEAD "))
