"""`python -m tests.scale [STEP ...]`: how judging grows with a record; 1 where a step does not hold.

memory: ten times the operations of the same users, in ten parts, take about the memory of one time. processes: 10^7
operations in two processes and in one. hundred-million: 10^8 of them, on no disk, of which one proves a loss.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import ExitCode
from tests.machine import load_now
from tests.scale.generated import Shape, write_record
from tests.scale.judged import Judged, judge, judge_piped

MOST_GROWTH = 1.5
"""Times the memory that ten times the operations of the same users may take, in ten times the parts."""
QUICKER = 1.7
"""Times that two processes must be quicker than one."""
FREE_CORES = 1.9
"""Cores that two processes must have had for the wall clock to say anything of them."""
LARGEST = 4 * 2**30
"""Bytes in which 10^8 operations must be judged, by the largest process."""
PARTS = 29
"""Into so many `lab check` would divide them by itself, if they were in a file."""
FREE = 20 * 2**30
"""Bytes that a disk must have left for the record of 10^7."""


def memory() -> Iterator[str]:
    """What a longer record of the same users takes, judged in more parts."""
    with _folder() as folder:
        short, long = (
            _piped(folder / f"{size}", Shape(operations=size, users=users), parts=parts)
            for size, users, parts in ((10**6, 1000, 1), (10**7, 100, 10))
        )
    print(f"figure: {short.figure}\nfigure: {long.figure}")
    yield from _is_held(short, long)
    growth = long.peak / short.peak
    print(f"figure: ten times the operations of {long.users:,} users in ten parts: {growth:.2f}x the memory")
    if growth > MOST_GROWTH:
        yield f"memory grew {growth:.2f}x with ten times the operations, {MOST_GROWTH:g}x is allowed"


def processes(size: int = 10**7) -> Iterator[str]:
    """What a second process is worth."""
    with _folder() as folder:
        if shutil.disk_usage(folder).free < FREE:
            yield f"less than {FREE // 2**30} GB of disk are left for the record"
            return
        history, total = write_record(folder / "run", Shape(operations=size))
        with (folder / "run" / "history.jsonl").open("wb", buffering=0) as file:
            history(file)
        written = (folder / "run" / "history.jsonl").stat().st_size
        print(f"figure: {total:,} operations take {written:,} bytes: {written / total:.0f} each", flush=True)
        one, two = (judge(folder / "run", total, processes=number) for number in (1, 2))
    print(f"figure: {one.figure}\nfigure: {two.figure}")
    yield from _is_held(one, two)
    quicker, cores = one.seconds / two.seconds, two.cpu / two.seconds
    print(
        f"figure: two processes are {quicker:.2f}x as quick by the wall clock, on {cores:.2f} cores of their own;"
        f" {2 * one.cpu / two.cpu:.2f}x if they had two, load {load_now()[0]:.1f}"
    )
    if cores < FREE_CORES:
        print(f"processes: could not tell: others left them {cores:.2f} cores")
    elif quicker < QUICKER:
        yield f"two processes are {quicker:.2f}x as quick, {QUICKER:g}x are wanted"


def hundred_million(size: int = 10**8) -> Iterator[str]:
    """10^8 operations, of which one shows that something was lost."""
    with _folder() as folder:
        done = _piped(folder / "run", Shape(operations=size, is_spoilt=True), parts=PARTS, processes=2)
    print(f"figure: {done.figure}")
    if (done.code, done.hurt, done.findings) != (ExitCode.BROKEN, 1, 1):
        yield f"one loss was planted: exit {done.code}, {done.hurt} hurt, {done.findings} findings{done.said}"
    if done.peak > LARGEST:
        yield f"{done.peak / 2**30:.1f} GB at the peak, {LARGEST / 2**30:.0f} are allowed"


STEPS: dict[str, Callable[[], Iterator[str]]] = {
    "memory": memory,
    "processes": processes,
    "hundred-million": hundred_million,
}


def main(asked: list[str]) -> int:
    """0 where every step held, 2 for one that is not there."""
    unknown = [name for name in asked if name not in STEPS]
    if unknown:
        print(f"there is no step {unknown[0]!r}; there are: {', '.join(STEPS)}", file=sys.stderr)
        return 2
    wrong: list[str] = []
    for name in asked or STEPS:
        print(f"{name}: {(STEPS[name].__doc__ or '').strip()}", flush=True)
        found = list(STEPS[name]())
        for what in found:
            print(f"✕ {name}: {what}", flush=True)
        wrong += found
    print(f"scale: {len(asked or STEPS) - len(wrong)} of {len(asked or STEPS)} steps hold")
    return int(bool(wrong))


def _is_held(*those: Judged) -> Iterator[str]:
    for one in those:
        if one.code != ExitCode.HELD:
            yield f"a valid record of {one.operations:,} operations ended with {one.code}{one.said}"


def _piped(folder: Path, shape: Shape, *, parts: int = 1, processes: int = 1) -> Judged:
    history, total = write_record(folder, shape)
    return judge_piped(folder, history, total, parts=parts, processes=processes)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lab-scale-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
