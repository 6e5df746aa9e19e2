"""Changes of a user that were lost as another was made at the same time: read, changed, written back as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import comb

from lab.model import Finding, Kind, Operation
from lab.oracle.promises import Anomaly
from lab.oracle.witness import culprit_of

FITS, LEAST = 0.9, 3
"""The share of what was lost, and how much of it, that must have been under way beside another change."""
MOST, RARE = 0.75, 0.01
"""Or this share, where it would be such an accident: what was lost may have been so by an earlier change's doing."""
USUAL = 0.5
"""Where more than this share of all changes is, that says nothing of those which were lost."""
_CHANGES = {
    Kind.VIEW: "history",
    Kind.ADD: "cart",
    Kind.REMOVE: "cart",
    Kind.CHECKOUT: "cart",
    Kind.RENAME: "name",
}
_UNDONE = frozenset({Anomaly.LOST_WRITE, Anomaly.REMOVED_BACK, Anomaly.BOUGHT_BACK})


def overwritten(findings: Sequence[Finding], history: Iterable[Operation]) -> str:
    """The likely cause, in words; empty where it fits too little, or is as usual as anything else."""
    undone = [finding for finding in findings if finding.anomaly in _UNDONE]
    lost = [one for one in map(_undone_by, undone) if one is not None and one.kind in _CHANGES]
    if len(lost) < LEAST:
        return ""
    users = {one.user for one in lost}
    by_user: dict[tuple[str, str], list[Operation]] = {}
    for operation in history:
        if operation.user in users and operation.kind in _CHANGES:
            by_user.setdefault((operation.user, _CHANGES[operation.kind]), []).append(operation)
    beside = {one.id for those in by_user.values() for one in _beside_another(those)}
    usual = len(beside) / sum(map(len, by_user.values()))
    fitting = sum(one.id in beside for one in lost)
    is_all = fitting >= FITS * len(lost) and usual <= USUAL
    is_most = fitting >= MOST * len(lost) and _chance(fitting, len(lost), usual) <= RARE
    if not (is_all or is_most):
        return ""
    return "changes of one user at the same time undo each other: the whole is read, changed and written back"


def _chance(times: int, of: int, share: float) -> float:
    """How likely so many of these, or more, are such as that share of all are."""
    return sum(comb(of, many) * share**many * (1 - share) ** (of - many) for many in range(times, of + 1))


def _undone_by(finding: Finding) -> Operation | None:
    """The change that is undone; also where the finding has nothing but it."""
    return culprit_of(finding) or next(iter(finding.witness), None)


def _beside_another(changes: Sequence[Operation]) -> list[Operation]:
    """Those that were under way while another one was."""
    found: dict[int, Operation] = {}
    latest: Operation | None = None
    for one in sorted(changes, key=lambda change: change.begin):
        if latest is not None and one.begin <= latest.end:
            found[one.id], found[latest.id] = one, latest
        if latest is None or one.end > latest.end:
            latest = one
    return list(found.values())
