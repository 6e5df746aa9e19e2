"""What is counted of a record's operations, all of them in one process or some of the users in each of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.collection import no_collection
from lab.model import Operation
from lab.oracle import Oracle
from lab.oracle.occasions import OccasionCounts
from lab.oracle.scattered_logins import ScatteredLogins
from lab.oracle.service import Service, ServiceRules
from lab.oracle.wholeness import Wholeness
from lab.record import AnyEvent, ReadRecord

MOST_PER_PART = 2 << 30
"""Bytes of history whose users are judged at once: what is remembered of them takes one and a half times as many."""


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

    def take(
        self,
        operations: Iterable[Operation],
        *,
        is_cut_off: bool = False,
        also: Callable[[Operation], None] | None = None,
    ) -> None:
        """The operations in the order of the file, to their end; `also` is told each of them.

        `is_cut_off`: there it was not over yet.
        """
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
            if is_cut_off:
                self.oracle.cut_off()
            else:
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


def parts_of(size: int, processes: int) -> int:
    """Into how many parts the users of a history of so many bytes are divided: each is held in memory as a whole.

    As many for each process; 1: there is nothing to divide.
    """
    return processes * max(1, -(-size // (MOST_PER_PART * processes)))


def take_in_processes(
    tally: Tally,
    seen: ReadRecord,
    rules: ServiceRules,
    new_release: str | None,
    *,
    processes: int,
    parts: int,
    is_cut_off: bool,
) -> None:
    """The same as `take` of all operations, with the users divided into `parts`, of which so many processes take one
    after another. What a part needs is let go with its process. Where there are more of them than processes the
    history is read once and divided among files beside it, where there is room for them; else each part reads it whole.

    Raises what a part raised: what is wrong with a record is told better by one process. Who is told to stop
    meanwhile waits for no part.
    """
    others = set(active_children())
    with _divided(seen, parts, tally) if parts > processes else nullcontext() as divided:
        part = partial(_part, seen.folder, divided, rules, new_release, parts, is_cut_off)
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
            try:
                tally.absorb(list(pool.map(part, range(parts))))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for one in set(active_children()) - others:
                    one.terminate()
                raise


@contextmanager
def _divided(seen: ReadRecord, parts: int, tally: Tally) -> Iterator[Path | None]:
    """The folder of the parts' files, gone with the block; None where they can't be written."""
    with ExitStack() as stack:
        yield _divide(seen, parts, tally, stack)


def _divide(seen: ReadRecord, parts: int, tally: Tally, stack: ExitStack) -> Path | None:
    passing = _Passing(tally.whole)
    try:
        made = TemporaryDirectory(prefix=".parts-", dir=seen.folder, ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(made))
        seen.divide(parts, folder, passed=passing.lines)
    except OSError:  # the disk is full, or nobody may write there
        stack.close()
        return None
    if tally.occasions is not None:
        tally.occasions.add_neighbours(passing.neighbours)
    return folder


def _part(
    folder: Path,
    divided: Path | None,
    rules: ServiceRules,
    new_release: str | None,
    of: int,
    is_cut_off: bool,
    number: int,
) -> Tally:
    """One part, in a process of its own. If nobody has, the first also looks at what concerns all: numbers, who came
    after whom."""
    seen, tally = ReadRecord(folder), Tally(rules, is_part=True)
    tally.take_events(list(seen.events()), new_release)
    passing = _Passing(tally.whole)
    if divided is None:
        operations = seen.shard(number, of, passed=passing.lines if number == 0 else None)
    else:
        operations = seen.part(number, divided)
    tally.take(operations, is_cut_off=is_cut_off)
    if tally.occasions is not None:
        tally.occasions.add_neighbours(passing.neighbours)
    tally.oracle.close()
    tally.torn = seen.torn
    tally.whole.read(seen.checksum)
    return tally


_TRIES_END, _REPLICA, _TRIES = b"}]", b'"replica":"', b'"tries":['
_ID = len(b'{"id":')


class _Passing:
    """Reads of every line, whoever's it is, the little that matters beyond its user."""

    def __init__(self, whole: Wholeness) -> None:
        self._whole = whole
        self._served: dict[bytes, bytes] = {}
        """Whom each replica answered last."""
        self.neighbours = 0
        """How often that was somebody else than the time before."""

    def lines(self, lines: Sequence[bytes], users: Sequence[bytes]) -> None:
        """The next lines of the history, and whose they are; what is torn is no operation."""
        if not lines[-1].endswith(b"\n"):
            lines = lines[:-1]
        self._whole.numbers([int(line[_ID : line.find(b",")]) for line in lines])
        served = self._served
        for line, user in zip(lines, users, strict=False):
            end = line.find(_TRIES_END, line.find(_TRIES))
            at = line.find(_REPLICA, line.rfind(b"{", 0, end), end)
            if at >= 0:
                begin = at + len(_REPLICA)
                replica = line[begin : line.find(b'"', begin)]
                if served.get(replica) != user:
                    served[replica] = user
                    self.neighbours += 1
