"""The display name: a register whose written values are unique, judged by zones, without any search."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from lab.model import Operation
from lab.oracle.breach import Breach, breach, seconds
from lab.oracle.counts import CheckCounts
from lab.oracle.interval import NEVER, begin_of, end_of, precedes
from lab.oracle.promises import NAME_REGISTER, Anomaly
from lab.oracle.words import ACCOUNT, OK, RENAME, UNKNOWN

RETIRED_KEPT = 64


class _Zone:
    """All that is known of one value: it was there by `first`, and something about it began as late as `last`."""

    __slots__ = ("first", "first_by", "last", "last_by", "value", "write")

    def __init__(self, value: str | None, first: int, first_by: Operation | None) -> None:
        self.value = value
        self.write: Operation | None = None
        self.first, self.first_by = first, first_by
        self.last, self.last_by = -NEVER, first_by

    def add(self, operation: Operation) -> None:
        if operation.kind is RENAME:
            self.write = operation
        begin, end = begin_of(operation), end_of(operation)
        if end < self.first:
            self.first, self.first_by = end, operation
        if begin > self.last:
            self.last, self.last_by = begin, operation


class Name:
    """Exact (Gibbons and Korach 1997), window by window.

    A value's zone runs from its earliest end to its latest begin. If that is forwards in time, the value was
    surely set throughout, so that two such zones must not overlap; if it is backwards, the value fits anywhere
    between, but not wholly inside a forward zone. At a quiet point only those values can still be set that
    nothing of another value surely follows. A write of unknown outcome counts from its first read on.
    """

    __slots__ = ("_counts", "_current", "_refused", "_retired", "_unknown")

    def __init__(self, counts: CheckCounts) -> None:
        self._counts = counts
        self._current: dict[str | None, Operation | None] = {None: None}
        """The values that may be set now, and what showed that they were."""
        self._unknown: dict[str, Operation] = {}
        self._refused: dict[str, Operation] = {}
        self._retired: dict[str | None, tuple[Operation | None, Operation]] = {}
        """Values that are surely over: what showed them, and what replaced them."""

    def judge(self, window: Sequence[Operation]) -> Breach | None:
        """Take in all renames and reads of the name between two quiet points; the first contradiction, or None."""
        live = [operation for operation in window if self._note(operation)]
        if not live or (len(live) == 1 and self.fits(live[0])):
            return None
        self._counts.names_compared += sum(1 for operation in live if operation.kind is ACCOUNT)
        zones: dict[str | None, _Zone] = {}
        for operation in live:
            if operation.kind is RENAME:
                value = _set_by(operation)
                zones.setdefault(value, _Zone(value, NEVER, None)).add(operation)
        for operation in live:
            if operation.kind is ACCOUNT:
                found = self._read(operation, zones)
                if found is not None:
                    return found
        found = _conflict(list(zones.values()))
        if found is None:
            self._advance(zones)
        return found

    def shows(self, operation: Operation, identifier: str) -> bool:
        """Does this read show the name?"""
        return operation.kind is ACCOUNT and operation.answer == identifier

    def _note(self, operation: Operation) -> bool:
        if operation.outcome is OK:
            return True
        if operation.kind is RENAME:
            of_outcome = self._unknown if operation.outcome is UNKNOWN else self._refused
            of_outcome[_set_by(operation)] = operation
        return False

    def fits(self, operation: Operation) -> bool:
        """A rename fits always; a read where its name may be set."""
        if operation.kind is RENAME:
            self._settle(_set_by(operation), operation)
            return True
        if operation.answer not in self._current:
            return False
        self._counts.names_compared += 1
        if len(self._current) > 1:
            self._settle(operation.answer, operation)
        return True

    def _read(self, read: Operation, zones: dict[str | None, _Zone]) -> Breach | None:
        value = read.answer
        zone = zones.get(value)
        if zone is None and value in self._current:
            zone = zones[value] = _Zone(value, -NEVER, self._current[value])
        if zone is None and value in self._unknown:
            zone = zones[value] = _Zone(value, NEVER, None)
            zone.add(self._unknown[value])
        if zone is None:
            return self._unexplained(read)
        write = zone.write
        if write is not None and read.end < begin_of(write):
            why = f"the name {value} was read before the request to set it was even sent"
            return breach(NAME_REGISTER, Anomaly.PHANTOM, why, read, write)
        zone.add(read)
        return None

    def _unexplained(self, read: Operation) -> Breach:
        value = read.answer
        refused = self._refused.get(value)
        if refused is not None:
            why = f"setting the name {value} was refused, which means that it had no effect, yet it is shown"
            return breach(NAME_REGISTER, Anomaly.REFUSED_APPLIED, why, refused, read)
        if value in self._retired:
            shown_by, replaced_by = self._retired[value]
            return _replaced(value, shown_by, replaced_by, read)
        why = f"the name {value} is shown, though nothing that sets it had begun"
        return breach(NAME_REGISTER, Anomaly.PHANTOM, why, read)

    def _settle(self, value: str | None, by: Operation) -> None:
        for other, shown_by in self._current.items():
            if other != value:
                self._retired[other] = (shown_by, by)
        self._current = {value: by}
        self._forget()

    def _advance(self, zones: dict[str | None, _Zone]) -> None:
        for value in zones:
            if value is not None:
                self._unknown.pop(value, None)
        latest = sorted(zones.values(), key=lambda zone: zone.last)[-2:]
        following: dict[str | None, Operation | None] = {}
        for zone in zones.values():
            after = latest[0] if zone is latest[-1] and len(latest) == 2 else latest[-1]
            if after is zone or zone.first >= after.last:
                following[zone.value] = zone.first_by
            elif after.last_by is not None:
                self._retired[zone.value] = (zone.first_by, after.last_by)
        for value, shown_by in self._current.items():
            if value not in zones and latest[-1].last_by is not None:
                self._retired[value] = (shown_by, latest[-1].last_by)
        self._current = following
        self._forget()

    def _forget(self) -> None:
        while len(self._retired) > RETIRED_KEPT:
            self._retired.pop(next(iter(self._retired)))


def _set_by(rename: Operation) -> str:
    return str(rename.key if rename.argument is None else rename.argument)


def _conflict(zones: Sequence[_Zone]) -> Breach | None:
    forward = sorted((zone for zone in zones if zone.first < zone.last), key=lambda zone: zone.first)
    for one, other in pairwise(forward):
        if other.first < one.last:
            return _between(one, other)
    firsts = [zone.first for zone in forward]
    for zone in zones:
        if zone.first >= zone.last and zone.first < NEVER:
            at = bisect_left(firsts, zone.last) - 1
            if at >= 0 and forward[at].last > zone.first:
                return _between(forward[at], zone)
    return None


def _between(outer: _Zone, inner: _Zone) -> Breach:
    """`outer` was set before and after something of `inner`."""
    after = outer.last_by
    if after is None or inner.first_by is None:
        raise AssertionError("a zone without operations can't be in conflict")
    return _replaced(outer.value, outer.first_by, inner.last_by or inner.first_by, after, inner.first_by)


def _replaced(
    value: str | None,
    shown_by: Operation | None,
    replaced_by: Operation,
    read: Operation,
    seen_by: Operation | None = None,
) -> Breach:
    was = "no name" if value is None else f"the name {value}"
    other = _set_by(replaced_by) if replaced_by.kind is RENAME else replaced_by.answer
    ended = seen_by or replaced_by
    ago = f" {seconds(begin_of(read) - ended.end)} earlier" if precedes(ended, read) else ""
    if replaced_by.kind is RENAME and ended.kind is RENAME:
        why = f"the name {other} was acknowledged{ago}, yet this read shows {was} again"
        lost = _set_by(replaced_by)
        return breach(NAME_REGISTER, Anomaly.LOST_WRITE, why, seen_by, shown_by, replaced_by, read, missing=lost)
    why = f"this read shows {was}, though {other} had replaced it{ago}"
    return breach(NAME_REGISTER, Anomaly.STALE_READ, why, seen_by, shown_by, replaced_by, read)
