"""A contradiction that one of a user's objects has met, before it becomes a finding."""

from __future__ import annotations

from typing import NamedTuple

from lab.clock import NS
from lab.model import Operation

WITNESSES = 4


class Breach(NamedTuple):
    """What is broken, why in one sentence, and the few operations that prove it, in time order."""

    promise: str
    anomaly: str
    why: str
    witness: tuple[Operation, ...]
    missing: str | None = None
    """The id that should have been shown: if a later read shows it again, the read was stale, nothing was lost."""


def breach(promise: str, anomaly: str, why: str, *operations: Operation | None, missing: str | None = None) -> Breach:
    """Make a breach of its proof, given with the indispensable operations last; None and repeats are left out."""
    distinct: dict[int, Operation] = {}
    for operation in reversed(operations):
        if operation is not None and len(distinct) < WITNESSES:
            distinct.setdefault(operation.id, operation)
    witness = tuple(sorted(distinct.values(), key=lambda operation: (operation.begin, operation.end)))
    return Breach(promise, anomaly, why, witness, missing)


def seconds(nanoseconds: int) -> str:
    """A length of time for a sentence."""
    length = nanoseconds / NS
    return f"{length:.1f} s" if length >= 1 else f"{length * 1000:.1f} ms"
