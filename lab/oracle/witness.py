"""Who made what a finding is about, who showed that it was gone, and of which release they were."""

from __future__ import annotations

from collections.abc import Collection

from lab.model import Finding, Kind, Operation, Try
from lab.oracle.interval import READS
from lab.oracle.promises import Anomaly


def maker_of(finding: Finding) -> Operation | None:
    """The first operation of the witness that a replica is known to have answered."""
    return next((one for one in finding.witness if replica_of(one) is not None), None)


def reader_of(finding: Finding) -> Operation | None:
    """Who showed it: the last that a replica is known to have answered, or what came too late for another read."""
    if finding.anomaly == Anomaly.STALE_READ and (missed := missing_read(finding)) is not None and replica_of(missed):
        return missed
    return next((one for one in reversed(finding.witness) if replica_of(one) is not None), None)


def culprit_of(finding: Finding) -> Operation | None:
    """What must have gone wrong if it did not go wrong where it shows: the last change before that is shown."""
    if finding.anomaly == Anomaly.FORCED_LOGOUT:
        return maker_of(finding)
    known = [one for one in _changes(finding) if replica_of(one) is not None]
    missed = missing_read(finding) if finding.anomaly == Anomaly.STALE_READ else None
    there = () if missed is None else shown(missed)
    lacking = [one for one in known if one.key not in there]
    return (lacking or known)[-1] if known else None


def _changes(finding: Finding) -> list[Operation]:
    return [one for one in finding.witness[:-1] if one.kind not in READS and one.kind is not Kind.BROWSE]


def replica_of(operation: Operation) -> str | None:
    """Who gave the answer that counts."""
    return None if not operation.tries else _telling(operation).replica


def release_of(operation: Operation) -> str | None:
    """Of which release that one is."""
    return None if not operation.tries else _telling(operation).release


def _telling(operation: Operation) -> Try:
    """What was sent again on purpose came later, and tells only where it was refused."""
    is_refused = operation.session_rejected or operation.final.result.startswith("4")
    return operation.final if is_refused else operation.answered


def who(operation: Operation) -> str:
    release = release_of(operation)
    return f"{replica_of(operation)} ({release})" if release else str(replica_of(operation))


def was_shown_before(finding: Finding) -> bool:
    """Whether a read that had ended before shows more than the one that misses something."""
    missed = missing_read(finding)
    return missed is not None and any(one.end <= missed.begin for one in _fuller(finding, missed))


def is_shown_again(finding: Finding) -> bool:
    """Whether a read that began later shows what one missed: nothing was lost."""
    missed = missing_read(finding)
    return missed is not None and any(one.begin >= missed.end for one in _fuller(finding, missed))


def missing_read(finding: Finding) -> Operation | None:
    """The read that lacks something, or shows least, the last of those that do; but none that had ended before."""
    reads, changes = [one for one in finding.witness if one.kind in READS], _changes(finding)
    written = min((one.end for one in changes), default=0)
    reads = [one for one in reads if one.end >= written] or reads
    lacking = [one for one in reads if _tells_ids(one) and any(write.key not in shown(one) for write in changes)]
    return min(lacking or reads, key=lambda one: (_size(one), -one.begin), default=None)


def _fuller(finding: Finding, missed: Operation) -> list[Operation]:
    return [one for one in finding.witness if one.kind in READS and _size(one) > _size(missed)]


def _tells_ids(read: Operation) -> bool:
    return read.kind is Kind.HISTORY or isinstance(read.answer, dict)


def shown(read: Operation) -> Collection[str]:
    """The ids that it shows."""
    answer = read.answer
    if read.kind is Kind.HISTORY:
        return tuple(answer[1]) if answer else ()
    return tuple(answer) if isinstance(answer, dict) else ()


def _size(read: Operation) -> int:
    """How much it shows: entries, lines, orders, or a name."""
    answer = read.answer
    if isinstance(answer, list) and answer and isinstance(answer[0], int):
        return answer[0]  # a history says how many there are
    return len(answer) if isinstance(answer, list | dict) else int(answer is not None)
