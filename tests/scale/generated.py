"""A record of as many operations as are asked for, as quickly as a disk takes it: one block again and again.

A block is a valid history of some users from the oracle's reference model, spread over replicas. Each further block is
the same text for other users at a later time, so that nothing is computed for an operation: numbers and times are
written in two parts, of which the lower one is the block's own. In the end everybody reads back, as in every run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from random import Random
from typing import IO

import msgspec
from msgspec.structs import replace

from lab import record
from lab.model import Kind, Operation, Outcome, Try, Value, Verdict
from lab.scenario.spec import ClusterSpec, Scenario, UsersSpec
from tests.unit.oracle.making import with_quiet_points
from tests.unit.oracle.mutations import plant
from tests.unit.oracle.reference import MS, Weather, simulate

BLOCK = 100_000
"""Operations of a block, without the last reads: a power of ten, so that numbers have two parts."""
PERIOD = 10**11
"""Nanoseconds from one block to the next, a power of ten for the same reason."""
SPARE = 1.4
"""So many times the users are simulated, of whom those are taken who can read back in the end."""
REPLICAS = ("a1-1", "b1-2", "c1-3", "a2-4", "b2-5", "c2-6")
READS_BACK = (Kind.HISTORY, Kind.CART, Kind.ORDERS, Kind.ACCOUNT)
_MAY_BE_LEFT_OUT = frozenset({*READS_BACK, Kind.BROWSE})
_MARK = 7
"""The upper part of a number in a template."""
_PREFIX = b"w000000-"
ANOMALY = "lost line"


class Shape(Value):
    """What a record is to be: `users` of each block do `BLOCK / users` things each."""

    operations: int
    """Without the last reads; a multiple of BLOCK."""
    users: int = 100
    is_spoilt: bool = False
    """One anomaly is in the last block."""

    @property
    def blocks(self) -> int:
        return self.operations // BLOCK


class Template:
    """A block's text, and that of its users' last reads."""

    def __init__(self, body: Sequence[Operation], last: Sequence[Operation]) -> None:
        self._body = _marked(body)
        self._first_body = b"".join(_line(one) for one in body)
        self._last = [_marked([one]) for one in last]
        self.reads = len(last)

    def body(self, block: int) -> bytes:
        """The operations of a block, in the order of their ends."""
        if not block:
            return self._named(_times(self._first_body, PERIOD), block)
        text = self._body.replace(b"@I", b"%d" % block).replace(b"@T", b"%d" % (block + 1))
        return self._named(text, block)

    def last(self, block: int, blocks: int) -> bytes:
        """The last reads of a block's users, after all `blocks`."""
        first, at = blocks * BLOCK + block * self.reads, b"%d" % (blocks + 1 + block)
        lines = [
            _NUMBER.sub(b'"id":%d' % (first + number), line.replace(b"@T", at), count=1)
            for number, line in enumerate(self._last)
        ]
        return self._named(b"".join(lines), block)

    def _named(self, text: bytes, block: int) -> bytes:
        return text.replace(_PREFIX, b"w%06d-" % block)


_NUMBER = re.compile(rb'"id":[^,]*')
_TIME = re.compile(rb'"(begin|end)":(\d+)')


def _line(operation: Operation) -> bytes:
    return msgspec.json.encode(operation) + b"\n"


def _times(text: bytes, later: int) -> bytes:
    return _TIME.sub(lambda found: b'"%s":%d' % (found[1], int(found[2]) + later), text)


def _marked(operations: Sequence[Operation]) -> bytes:
    """The lines with marks in the place of the upper parts of numbers and times."""
    text = b"".join(_line(replace(one, id=_MARK * BLOCK + one.id % BLOCK)) for one in operations)
    text = re.sub(rb'"id":%d' % _MARK, b'"id":@I', text)
    text = _times(text, _MARK * PERIOD)
    return re.sub(rb'"(begin|end)":%d(?=\d{11}\b)' % _MARK, rb'"\1":@T', text)


def make_template(users: int, *, is_spoilt: bool = False) -> Template:
    """A block of so many users. Raises ValueError where the reference model gives too few that can read back."""
    each, chance = BLOCK // users, Random(users)
    think = round(0.6 * PERIOD / each)
    weather = Weather(
        users=round(users * SPARE),
        prefix=_PREFIX.decode().rstrip("-"),
        operations=each + 1,
        think=think,
        latency=min(4 * MS, think // 20),
        devices=(1, 1, 2),
        unsent=0.005,
        cut=0.0,
        storm=0.0,
    )
    taken = list(_taken(simulate(users, weather), users))
    body = [one for own, _ in taken for one in own]
    body = _left_out(body, len(body) - BLOCK, chance)
    if is_spoilt:
        spoilt = plant(ANOMALY, body, chance)
        if spoilt is None:
            raise ValueError("there is no place for an anomaly")
        body = spoilt[1]
    ordered = [replace(one, id=number) for number, one in enumerate(with_quiet_points(_spread(body, chance)))]
    last = [replace(one, quiet=True) for one in _spread([one for _, reads in taken for one in reads], chance)]
    if ordered[-1].end >= PERIOD:
        raise ValueError("the block is too long")
    begin = min(one.begin for one in last)
    last = [_moved(one, begin) for one in sorted(last, key=lambda one: one.end)]
    return Template(ordered, last)


def _taken(history: Sequence[Operation], users: int) -> Iterator[tuple[list[Operation], list[Operation]]]:
    """What users did who read back on all their devices, and these reads; so many of them."""
    left = users
    for _, group in groupby(sorted(history, key=lambda one: one.user), key=lambda one: one.user):
        own = sorted(group, key=lambda one: one.end)
        devices = len({one.device for one in own})
        body, reads = own[: -4 * devices], own[-4 * devices :]
        is_whole = [one.kind for one in reads] == list(READS_BACK) * devices
        has_read = {one.device for one in reads} == {one.device for one in body} and len(body) >= 4
        if left and is_whole and has_read and all(one.outcome is Outcome.OK for one in own[-4 * devices :]):
            left -= 1
            yield body, reads
    if left:
        raise ValueError(f"{left} of {users} users are missing")


def _left_out(body: list[Operation], count: int, chance: Random) -> list[Operation]:
    """Without so many reads: to have asked less contradicts nothing."""
    if count < 0:
        raise ValueError("too few operations")
    may = [one.id for one in body if one.kind in _MAY_BE_LEFT_OUT and one.outcome is Outcome.OK]
    out = set(chance.sample(may, count))
    return [one for one in body if one.id not in out]


def _spread(operations: Sequence[Operation], chance: Random) -> list[Operation]:
    """Over the replicas, whichever took a request: they share the store."""
    spread = []
    for one in operations:
        tries = tuple(_at(made, chance.choice(REPLICAS)) for made in one.tries)
        spread.append(replace(one, tries=tries))
    return spread


def _at(made: Try, replica: str) -> Try:
    if not made.answered:
        return replace(made, replica=None, release=None)
    return replace(made, replica=replica, edge=(replica.partition("-")[0],))


def _moved(operation: Operation, back: int) -> Operation:
    """Earlier by so much."""
    tries = tuple(replace(one, begin=one.begin - back, end=one.end - back) for one in operation.tries)
    return replace(operation, begin=operation.begin - back, end=operation.end - back, tries=tries)


def write_record(folder: Path, shape: Shape) -> tuple[Callable[[IO[bytes]], None], int]:
    """Write all of a record but its history; what writes that, to a file without a buffer, and how many operations it
    has."""
    template = make_template(shape.users)
    spoilt = make_template(shape.users, is_spoilt=True) if shape.is_spoilt else template
    total = shape.blocks * (BLOCK + template.reads)
    scenario = Scenario(
        lab=1,
        name="generated",
        title="a generated record",
        cluster=ClusterSpec(release="shop:v1", zones={"a": 2, "b": 2, "c": 2}),
        users=UsersSpec(count=shape.blocks * shape.users, on_two_devices=0),
        steps=(),
    )
    with record.RunRecord(folder) as made:
        made.write("scenario.json", scenario)
        made.write("environment.json", {**record.written_by(), "run": folder.name, "seed": 1})
        for event in _events(folder.name, shape.blocks, total):
            made.event(event)
    (folder / "history.jsonl").unlink()

    def history(file: IO[bytes]) -> None:
        for block in range(shape.blocks):
            _write(file.write, (spoilt if block == shape.blocks - 1 else template).body(block))
        for block in range(shape.blocks):
            _write(file.write, template.last(block, shape.blocks))

    return history, total


def _write(write: Callable[[memoryview], int | None], text: bytes) -> None:
    left = memoryview(text)
    while left:
        left = left[write(left) or 0 :]


def _events(run: str, blocks: int, total: int) -> Iterator[record.AnyEvent]:
    """Those of a run in which nothing is struck or rolled out."""
    ends = (2 * blocks + 2) * PERIOD
    yield record.RunBegan(at=1, run=run, scenario="generated", title="a generated record", seed=1)
    for replica in REPLICAS:
        slot = replica.partition("-")[0]
        yield record.Step(at=2, action="enter", slot=slot, replica=replica, release="v1", why="first")
    yield record.Serving(at=3, by_release={"v1": len(REPLICAS)}, total=len(REPLICAS))
    for at, name in ((4, "log in"), (5, "settle"), ((blocks + 1) * PERIOD, "read back"), (ends, "clean up")):
        yield record.PhaseBegan(at=at, name=name)
    yield record.RunEnded(at=ends + 1, verdict=Verdict.HELD, exit_code=0, operations=total)
