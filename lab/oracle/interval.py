"""When an operation can have taken effect, and where a user's history may be cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from lab.model import Operation
from lab.oracle.words import ACCOUNT, CART, HISTORY, OK, ORDERS

NEVER = 1 << 62
"""Later than any time: when an operation of unknown outcome is over."""

READS = frozenset({HISTORY, CART, ORDERS, ACCOUNT})
"""Kinds that change nothing, so that only their last try matters."""


def begin_of(operation: Operation) -> int:
    """The earliest instant at which the operation can have taken effect.

    Reads: when the try that was answered began. Writes: when the first try that was sent began.
    """
    tries = operation.tries
    if len(tries) < 2:
        return operation.begin
    if operation.kind in READS:
        return max(operation.begin, tries[-1].begin)
    for one in tries:
        if one.sent:
            return max(operation.begin, one.begin)
    return operation.begin


def end_of(operation: Operation) -> int:
    """The latest instant at which the operation can have taken effect: NEVER where nobody knows."""
    return operation.end if operation.outcome is OK else NEVER


def precedes(first: Operation, second: Operation) -> bool:
    """Is it certain that `first` took effect before `second`? Equal instants count as at the same time."""
    return end_of(first) < begin_of(second)


def cut_at_quiet(
    operations: Iterable[Operation], begin: Callable[[Operation], int] = lambda operation: operation.begin
) -> Iterator[list[Operation]]:
    """Split operations, sorted by `begin`, wherever all earlier ones ended before the next one began."""
    window: list[Operation] = []
    quiet_after = -NEVER
    for operation in operations:
        if window and begin(operation) > quiet_after:
            yield window
            window = []
        window.append(operation)
        quiet_after = max(quiet_after, operation.end)
    if window:
        yield window
