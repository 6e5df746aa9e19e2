"""Who made what a finding is about, who showed that it was gone, and of which release they were."""

from __future__ import annotations

from lab.model import Finding, Operation


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
