"""Who else changed something of a user between the two sides of a contradiction.

A release that writes back only what it knows of drops what another one had written, and neither side of the proof
shows it: the old release wrote, and the old release found nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from lab.model import Finding, Kind, Operation, Value
from lab.oracle.promises import Anomaly

CHANGES = frozenset({Kind.VIEW, Kind.ADD, Kind.REMOVE, Kind.CHECKOUT, Kind.RENAME, Kind.ACT})
MISSING = frozenset({Anomaly.LOST_WRITE, Anomaly.STALE_READ})
"""What is found where something that was written is not there."""


class Between(Value):
    """What new releases changed in between."""

    changes: tuple[Mapping[Kind, Operation], ...] = ()
    """For each finding the last change of each kind; empty where nothing is missing."""
    times: Mapping[Kind, int] = {}
    """How often they answered each kind at all."""


def changed_between(findings: Sequence[Finding], history: Iterable[Operation], releases: Collection[str]) -> Between:
    """What `releases` changed of each finding's user while what is missing got lost: after the proof's first
    operation ended, before its last one began."""
    found: tuple[dict[Kind, Operation], ...] = tuple({} for _ in findings)
    by_user: dict[str, list[int]] = {}
    for number, finding in enumerate(findings):
        if finding.anomaly in MISSING and len(finding.witness) > 1:
            by_user.setdefault(finding.user, []).append(number)
    if not by_user:
        return Between()
    times: Counter[Kind] = Counter()
    for operation in history:
        if operation.kind not in CHANGES or operation.tries[-1].release not in releases:
            continue
        times[operation.kind] += 1
        for number in by_user.get(operation.user, ()):
            witness = findings[number].witness
            if witness[0].end <= operation.begin and operation.end <= witness[-1].begin:
                found[number][operation.kind] = operation
    return Between(changes=found, times=times)
