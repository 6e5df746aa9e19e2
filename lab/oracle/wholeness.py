"""Whether a record holds a whole run: what was cut off, dropped or turned round must never be green. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lab.model import Kind, Operation, Outcome, Value
from lab.record import AnyEvent, PhaseBegan, RunEnded, Trouble

READ_BACK = "read back"
AFTERWARDS = frozenset({"clean up", "down"})
"""Phases that begin once everybody has read back."""
READS = frozenset({Kind.HISTORY, Kind.CART, Kind.ORDERS, Kind.ACCOUNT, Kind.READ, Kind.STATE})
WRITES = frozenset({Kind.VIEW, Kind.ADD, Kind.REMOVE, Kind.CHECKOUT, Kind.RENAME, Kind.ACT})
MOST_UNKNOWN = 0.25
"""The share of the writes whose outcome may be unknown: of more, too little is known of what the state should be."""
LEAST_WRITES = 20
"""Writes from which on a share means something."""


class Due(Value):
    """What must be in a record, by what it says itself of how it was made."""

    users: int = 0
    """So many must have done something, on so many `devices` together."""
    devices: int = 0
    has_end: bool = False
    """Whether whoever wrote it writes a last line to every record."""


class Wholeness:
    """Is fed a record's events, then its operations, each in the order of the file; memory grows with devices alone."""

    def __init__(self, *, is_part: bool = False) -> None:
        """`is_part`: it is fed only some of the operations, whose numbers it does not look at."""
        self._is_part = is_part
        self._read_back_at: int | None = None
        self._is_ended = self._is_troubled = self._has_last_line = False
        self._counted: int | None = None
        self._stated: int | None = None
        self._checksum: int | None = None
        self._operations = self._next = self._reversed = 0
        self._missing_at: int | None = None
        self._writes = self._unknown = 0
        self._has_read: dict[str, bool] = {}

    def event(self, event: AnyEvent) -> None:
        """The next event of the record."""
        if isinstance(event, PhaseBegan):
            if event.name == READ_BACK:
                self._read_back_at = event.at
            self._is_ended = self._is_ended or (self._read_back_at is not None and event.name in AFTERWARDS)
        elif isinstance(event, RunEnded):
            self._is_ended = self._has_last_line = True
            self._counted, self._stated = event.operations, event.history
        elif isinstance(event, Trouble):
            self._is_troubled = True

    def operation(self, operation: Operation) -> None:
        """The next operation of the record."""
        if not self._is_part:
            self.number(operation.id)
        self._operations += 1
        if operation.end < operation.begin or any(one.end < one.begin for one in operation.tries):
            self._reversed += 1
        if operation.kind in WRITES:
            self._writes += 1
            self._unknown += operation.outcome is Outcome.UNKNOWN
        device = operation.device
        reads = operation.kind in READS and operation.outcome is Outcome.OK and self._is_late(operation)
        self._has_read[device] = self._has_read.get(device, False) or reads

    def number(self, number: int) -> None:
        """The number of the next operation of the record."""
        if number != self._next and self._missing_at is None:
            self._missing_at = self._next
        self._next = number + 1

    def numbers(self, numbers: Sequence[int]) -> None:
        """The numbers of the next operations of the record, likewise."""
        if numbers and numbers == list(range(self._next, self._next + len(numbers))):
            self._next += len(numbers)
            return
        for one in numbers:
            self.number(one)

    def read(self, checksum: int | None) -> None:
        """All operations were read, and this is what the file comes to; None where nobody knows."""
        self._checksum = self._checksum if checksum is None else checksum

    def absorb(self, part: Wholeness) -> None:
        """Take over what a part was fed, which is none of this one's."""
        self._operations += part._operations
        self._reversed += part._reversed
        self._writes += part._writes
        self._unknown += part._unknown
        self._has_read |= part._has_read
        if part._missing_at is not None:
            self._missing_at = part._missing_at
        if part._checksum is not None:
            self._checksum = part._checksum

    def is_cut_off(self, *, is_over: bool = False, has_end: bool = False) -> bool:
        """Whether its events end before the run did: what was under way then is in no operation."""
        return not (is_over or self._has_last_line or (self._is_ended and not has_end))

    @property
    def lacks_operations(self) -> bool:
        """Whether some are missing that were made, or stand elsewhere than they were made."""
        return self._missing_at is not None or (self._counted is not None and self._counted != self._operations)

    def reasons(self, *, is_over: bool = False, due: Due | None = None) -> tuple[str, ...]:
        """Why this record proves nothing, in words; empty where it is whole.

        `is_over`: the caller wrote it and knows that only its last line is still to come. `due` is what must be there.
        """
        due = due or Due()
        reasons = []
        if not self._is_troubled:  # a run that met trouble says so itself, and says why
            reasons += self._cut_short(is_over=is_over, has_end=due.has_end)
            reasons += self._lacking(due)
        if self._missing_at is not None:
            reasons.append(f"operations are missing from the record or out of order, from number {self._missing_at} on")
        elif self._counted is not None and self._counted != self._operations:
            reasons.append(f"the record holds {self._operations} operations, but the run made {self._counted}")
        elif None not in {self._stated, self._checksum} and self._stated != self._checksum:
            reasons.append("the operations of the record are not those that the run wrote: its checksum is another")
        if self._reversed:
            reasons.append(f"{self._reversed} operations of the record end before they begin")
        if self._writes >= LEAST_WRITES and self._unknown > MOST_UNKNOWN * self._writes:
            reasons.append(f"the outcome of {self._unknown} of {self._writes} writes is unknown")
        return tuple(reasons)

    def _is_late(self, operation: Operation) -> bool:
        return self._read_back_at is not None and operation.begin >= self._read_back_at

    def _lacking(self, due: Due) -> list[str]:
        """Users and devices of which nothing is there."""
        users = len({device.rpartition(".")[0] for device in self._has_read})
        seen = [("users", users, due.users), ("devices", len(self._has_read), due.devices)]
        return [
            f"the record tells of {count} {what}, and its scenario of {all_}"
            for what, count, all_ in seen
            if count < all_
        ]

    def _cut_short(self, *, is_over: bool, has_end: bool) -> list[str]:
        if self._read_back_at is None:
            return ["the record ends before the users read back their state"]
        if self.is_cut_off(is_over=is_over, has_end=has_end):
            return ["the record ends while the users read back their state"]
        silent = sorted(device for device, has_read in self._has_read.items() if not has_read)
        if not silent:
            return []
        return [f"{len(silent)} of {len(self._has_read)} devices read nothing back in the end, such as {silent[0]}"]
