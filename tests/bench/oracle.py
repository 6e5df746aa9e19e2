"""How fast the oracle judges, from memory and from a record, and how that and its memory grow with the history."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from time import process_time
from typing import NamedTuple

from msgspec.structs import replace

from lab.machine.setup import Toolbox
from lab.model import Operation
from lab.oracle import Oracle
from lab.record import ReadRecord, RunRecord
from tests.bench.drive import resident
from tests.unit.oracle.making import with_quiet_points
from tests.unit.oracle.mutations import plant
from tests.unit.oracle.reference import MS, Weather, simulate

SIZES = (10**5, 10**6, 10**7)
BLOCK = Weather(
    users=100, operations=1000, think=350 * MS, latency=4 * MS, devices=(1, 1, 2), unsent=0.01, cut=0.002, storm=0.01
)
"""About 10^5 operations. A longer history is one of more users, as long ones are; no two blocks are alike."""

ANOMALY = "lost line"


class Figures(NamedTuple):
    """What judging one history took."""

    operations: int
    in_memory: float
    """Operations a second of CPU."""
    from_record: float
    """The same with reading and decoding the record."""
    bytes_held: float
    """Memory that the oracle keeps, an operation."""
    bytes_written: float
    """What the record of an operation takes on the disk."""


def bench_oracle(_: Toolbox) -> None:
    """10^5, 10^6 and 10^7 operations, judged from memory and from the record."""
    before: Figures | None = None
    for size in SIZES:
        figures = judge(size)
        print(
            f"oracle, {figures.operations:>10,} operations: {figures.in_memory:9,.0f}/s in memory,"
            f" {figures.from_record:9,.0f}/s from the record,"
            f" {figures.bytes_held:4.0f} bytes held and {figures.bytes_written:4.0f} written an operation"
        )
        if before is not None:
            times = figures.operations / before.operations
            slower = (before.in_memory / figures.in_memory, before.from_record / figures.from_record)
            print(
                f"  {times:.1f}x the operations: {slower[0]:.2f}x the time of each in memory,"
                f" {slower[1]:.2f}x from the record"
            )
        before = figures


def judge(size: int) -> Figures:
    """Judge `size` operations block by block. Raises SystemExit where the one planted anomaly isn't all that is found.

    A block is made and written while no clock runs; the oracles keep what they must of all blocks.
    """
    from_memory, from_record = Oracle(), Oracle()
    written, spent_in_memory, spent_from_record = 0, 0.0, 0.0
    gc.collect()
    before, hurt = resident(), set[str]()
    with tempfile.TemporaryDirectory() as folder:
        for number, (block, victim) in enumerate(blocks(size)):
            hurt |= {victim} - {""}
            record = Path(folder) / str(number)
            written += write(record, block)
            spent_in_memory += feed(from_memory, block)
            block.clear()
            spent_from_record += feed(from_record, ReadRecord(record).history())
            (record / "history.jsonl").unlink()
    gc.collect()
    held = (resident() - before) / 2  # there are two oracles
    for oracle in (from_memory, from_record):
        oracle.finish()
        if oracle.users_hurt != hurt:
            raise SystemExit(f"oracle: an anomaly was planted for {hurt}; found for {set(oracle.users_hurt)}")
    total = from_memory.operations
    return Figures(total, total / spent_in_memory, total / spent_from_record, held / total, written / total)


def blocks(size: int) -> Iterator[tuple[list[Operation], str]]:
    """Histories of different users, `size` operations together; who is hurt by the one anomaly, in the first."""
    made = number = 0
    while made < size:
        block, hurt = simulate(number, replace(BLOCK, prefix=f"block{number}")), ""
        if number == 0:
            spoilt = plant(ANOMALY, block, Random(1))
            assert spoilt is not None
            hurt, block = spoilt
        yield with_quiet_points(block), hurt
        made += len(block)
        number += 1


def feed(oracle: Oracle, operations: Iterable[Operation]) -> float:
    """CPU seconds that it took."""
    began = process_time()
    gc.disable()  # as `lab check` does
    try:
        for operation in operations:
            oracle.feed(operation)
    finally:
        gc.enable()
    return process_time() - began


def write(folder: Path, block: list[Operation]) -> int:
    """Write a record with these operations; its bytes."""
    with RunRecord(folder) as record:
        for operation in block:
            record.operation(operation)
    return (folder / "history.jsonl").stat().st_size
