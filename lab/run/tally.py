"""What is counted of a record's operations, all of them in one process or some of the users in each of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from lab.collection import no_collection
from lab.model import Operation
from lab.oracle import Oracle
from lab.oracle.occasions import OccasionCounts
from lab.oracle.scattered_logins import ScatteredLogins
from lab.oracle.service import Service, ServiceRules
from lab.oracle.wholeness import Wholeness
from lab.record import AnyEvent, ReadRecord


class Tally:
    """Everything that looks at each operation. A part sees only some of the users, and is absorbed by a whole one."""

    def __init__(self, rules: ServiceRules, *, is_part: bool = False) -> None:
        self.oracle, self.service = Oracle(), Service(rules, is_part=is_part)
        self.whole = Wholeness(is_part=is_part)
        self.occasions: OccasionCounts | None = None
        self.logins = ScatteredLogins()
        self.last = self.torn = 0
        self._is_part = is_part

    def take_events(self, events: Sequence[AnyEvent], new_release: str | None) -> None:
        """All of them, before any operation."""
        for event in events:
            self.service.event(event)
            self.whole.event(event)
        self.occasions = OccasionCounts(events, new_release=new_release, is_part=self._is_part)

    def take(self, operations: Iterable[Operation], *, also: Callable[[Operation], None] | None = None) -> None:
        """The operations in the order of the file, to their end; `also` is told each of them."""
        occasions = self.occasions
        assert occasions is not None  # noqa: S101 -- events come first
        with no_collection():
            for operation in operations:
                self.oracle.feed(operation)
                self.service.feed(operation)
                self.whole.operation(operation)
                occasions.feed(operation)
                self.logins.feed(operation)
                self.last = max(self.last, operation.end)
                if also is not None:
                    also(operation)
            self.oracle.finish()

    def absorb(self, parts: Sequence[Tally]) -> None:
        """Take over what parts counted, each of them of other users; nothing was taken here but the events."""
        self.service.absorb([part.service for part in parts])
        for part in parts:
            self.oracle.absorb(part.oracle)
            self.whole.absorb(part.whole)
            if self.occasions is not None and part.occasions is not None:
                self.occasions.absorb(part.occasions)
            self.logins.absorb(part.logins)
            self.last = max(self.last, part.last)
            self.torn = max(self.torn, part.torn)


def take_in_processes(tally: Tally, folder: Path, rules: ServiceRules, new_release: str | None, processes: int) -> None:
    """The same as `take` of all operations, with the users divided among so many processes.

    Raises what a part raised: what is wrong with a record is told better by one process.
    """
    part = partial(_part, folder, rules, new_release, processes)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        tally.absorb(list(pool.map(part, range(processes))))


def _part(folder: Path, rules: ServiceRules, new_release: str | None, of: int, number: int) -> Tally:
    """One part, in a process of its own. The first also looks at what concerns all: numbers, who came after whom."""
    seen, tally = ReadRecord(folder), Tally(rules, is_part=True)
    tally.take_events(list(seen.events()), new_release)
    tally.take(seen.shard(number, of, passed=_Passing(tally).line if number == 0 else None))
    tally.oracle.close()
    tally.torn = seen.torn
    return tally


_TRIES_END, _REPLICA, _TRIES = b"}]", b'"replica":"', b'"tries":['


class _Passing:
    """Reads of every line, whoever's it is, the few bytes that matter beyond its user: far quicker than decoding it."""

    def __init__(self, tally: Tally) -> None:
        self._whole, self._occasions = tally.whole, tally.occasions

    def line(self, line: bytes) -> None:
        """The next line of the history."""
        if not line.endswith(b"\n"):
            return  # torn: it is no operation
        self._whole.number(int(line[line.find(b":") + 1 : line.find(b",")]))
        end = line.find(_TRIES_END, line.find(_TRIES))
        at = line.find(_REPLICA, line.rfind(b"{", 0, end), end)
        if at >= 0 and self._occasions is not None:
            begin = at + len(_REPLICA)
            user = line.find(b'"user":"') + len(b'"user":"')
            replica = line[begin : line.find(b'"', begin)].decode("latin-1")
            self._occasions.note_answer(replica, line[user : line.find(b'"', user)].decode("latin-1"))
