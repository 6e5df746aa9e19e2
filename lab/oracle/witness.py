"""Who made what a finding is about, who showed that it was gone, and of which release they were."""

from __future__ import annotations

from lab.model import Finding, Operation
from lab.oracle.interval import READS


def maker_of(finding: Finding) -> Operation | None:
    """The first operation of the witness that a replica is known to have answered."""
    return next((one for one in finding.witness if replica_of(one) is not None), None)


def reader_of(finding: Finding) -> Operation | None:
    return next((one for one in reversed(finding.witness) if replica_of(one) is not None), None)


def replica_of(operation: Operation) -> str | None:
    return operation.tries[-1].replica if operation.tries else None


def release_of(operation: Operation) -> str | None:
    return operation.tries[-1].release if operation.tries else None


def who(operation: Operation) -> str:
    release = release_of(operation)
    return f"{replica_of(operation)} ({release})" if release else str(replica_of(operation))


def was_shown_before(finding: Finding) -> bool:
    """Whether a read that had ended before shows more than the one that misses something."""
    missed = _missing_read(finding)
    return missed is not None and any(one.end <= missed.begin for one in _fuller(finding, missed))


def is_shown_again(finding: Finding) -> bool:
    """Whether a read that began later shows what one missed: nothing was lost."""
    missed = _missing_read(finding)
    return missed is not None and any(one.begin >= missed.end for one in _fuller(finding, missed))


def _missing_read(finding: Finding) -> Operation | None:
    """The read that shows least, the last of those that do."""
    reads = [one for one in finding.witness if one.kind in READS]
    return min(reads, key=lambda one: (_size(one), -one.begin), default=None)


def _fuller(finding: Finding, missed: Operation) -> list[Operation]:
    return [one for one in finding.witness if one.kind in READS and _size(one) > _size(missed)]


def _size(read: Operation) -> int:
    """How much it shows: entries, lines, orders, or a name."""
    answer = read.answer
    if isinstance(answer, list) and answer and isinstance(answer[0], int):
        return answer[0]  # a history says how many there are
    return len(answer) if isinstance(answer, list | dict) else int(answer is not None)
