"""All devices of an account show the same once everything has come to rest."""

from __future__ import annotations

from collections.abc import Sequence

from lab.model import Kind, Operation
from lab.oracle.breach import Breach, breach
from lab.oracle.counts import CheckCounts
from lab.oracle.interval import NEVER, READS, begin_of
from lab.oracle.promises import DEVICES_AGREE, Anomaly
from lab.oracle.words import ACCOUNT, ADD, CART, CHECKOUT, HISTORY, OK, ORDERS, REFUSED, REMOVE, RENAME, UNKNOWN, VIEW

_WRITTEN_BY = {
    HISTORY: (VIEW,),
    CART: (ADD, REMOVE, CHECKOUT),
    ORDERS: (CHECKOUT,),
    ACCOUNT: (RENAME,),
}
"""The writes that each read shows."""
_WRITES = frozenset(write for writes in _WRITTEN_BY.values() for write in writes)
_WHAT = {
    HISTORY: "viewed items",
    CART: "a cart",
    ORDERS: "orders",
    ACCOUNT: "a display name",
}


class Devices:
    """Sound: only reads that began after the last write had ended, and show every write of unknown outcome, are
    compared, and counted.

    Any other may have been answered before such a write came, or after: nothing is said. Nothing here depends on the
    other rules, so that a stale read which has healed breaks no promise of this kind.
    """

    __slots__ = ("_counts", "_last_read", "_unknown", "_written_until")

    def __init__(self, counts: CheckCounts) -> None:
        self._counts = counts
        self._last_read: dict[Kind, dict[str, Operation]] = {}
        self._unknown: list[Operation] = []
        self._written_until: dict[Kind, int] = {}
        """When the last answered write of each kind ended."""

    def note(self, operation: Operation) -> None:
        """Remember what the last comparison needs; constant work, and no memory but for unknown outcomes."""
        kind = operation.kind
        if operation.outcome is REFUSED:
            return
        if kind in READS:
            if operation.outcome is OK:
                reads = self._last_read.get(kind)
                if reads is None:
                    reads = self._last_read[kind] = {}
                reads[operation.device] = operation
        elif kind in _WRITES:
            if operation.outcome is UNKNOWN:
                self._unknown.append(operation)
            elif operation.end > self._written_until.get(kind, -NEVER):
                self._written_until[kind] = operation.end

    def judge(self) -> Breach | None:
        """Compare the last reads of all devices; the first difference, or None."""
        for kind, reads in self._last_read.items():
            rested = max(self._written_until.get(write, -NEVER) for write in _WRITTEN_BY[kind])
            unknown = [write for write in self._unknown if write.kind in _WRITTEN_BY[kind]]
            last = [
                read
                for read in reads.values()
                if begin_of(read) > rested and all(_is_in(write, read) for write in unknown)
            ]
            if len(last) < 2:
                continue
            found = _difference(kind, last)
            if found is not None:
                return found
            self._counts.devices_compared += len(last)
        return None


def _difference(kind: Kind, reads: Sequence[Operation]) -> Breach | None:
    first = reads[0]
    for other in reads[1:]:
        if first.answer != other.answer:
            why = (
                f"after all writes had ended, devices {first.device} and {other.device} "
                f"of one account are shown {_WHAT[kind]} that differ"
            )
            return breach(DEVICES_AGREE, Anomaly.DEVICES_DIFFER, why, first, other)
    return None


def _is_in(write: Operation, read: Operation) -> bool:
    if write.kind is VIEW:
        return write.key in read.answer[1]
    return write.kind is ADD and read.kind is CART and write.key in read.answer
