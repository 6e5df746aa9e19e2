"""Does parts one after another: one that fails keeps no other from running, and its last line stands in the table."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from lab.clock import NS, Clock
from lab.model import Value
from tests.machine import load_now
from tests.prove.parts import Part

ENDS_WITHIN = 60.0
"""Seconds in which a part that is interrupted takes its clusters away."""
FIGURE = "figure:"
"""What a line of figures begins with."""
Say = Callable[[str], None]


class Proof(Value):
    """What came of one part. `last` is the last line that it said: its own count of what it did; `load` the machine's
    load average when it ended, which says how much a failure to be in time is worth."""

    part: str
    proves: str
    result: str
    seconds: float
    load: float
    last: str
    figures: tuple[str, ...] = ()
    """The lines in which it gave figures, for whoever wants more than the last."""

    @property
    def is_good(self) -> bool:
        return self.result == PROVEN


class Proofs(Value):
    """All of them, as `prove.json` has them."""

    began: str
    commit: str
    parts: tuple[Proof, ...]

    @property
    def exit_code(self) -> int:
        """0 only where something was proven, and nothing failed."""
        return int(not self.parts or not all(one.is_good for one in self.parts))


PROVEN = "proven"


def prove(part: Part, say: Say, *, cwd: Path, clock: Clock) -> Proof:
    """Do one part to its end, say its lines as they come. Its processes are gone afterwards, whatever ends it."""
    began, last, figures = clock.now(), "", list[str]()
    late = threading.Event()

    def is_late() -> None:
        late.set()
        process.send_signal(signal.SIGINT)

    with subprocess.Popen(
        part.argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        timer = threading.Timer(part.within, is_late)
        timer.start()
        try:
            for line in process.stdout:
                say(line.rstrip())
                last = line.strip() or last
                if line.startswith(FIGURE):
                    figures.append(line.removeprefix(FIGURE).strip())
            code = process.wait()
        finally:
            timer.cancel()
            _end(process)
    return Proof(
        part=part.name,
        proves=part.proves,
        result=_result(code, is_late=late.is_set(), within=part.within),
        seconds=round((clock.now() - began) / NS, 1),
        load=round(load_now()[0], 1),
        last=last,
        figures=tuple(figures),
    )


def _result(code: int, *, is_late: bool, within: float) -> str:
    if is_late:
        return f"not over after {within:g} s"
    return PROVEN if code == 0 else f"failed with {code}"


def _end(process: subprocess.Popen[str]) -> None:
    """As Ctrl-C does, so that clusters are taken away; by force where that takes too long."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()


def choose(asked: Sequence[str], parts: Sequence[Part]) -> list[Part]:
    """The parts of these names, in their own order; all without any. Raises ValueError for one that is not there."""
    known = [part.name for part in parts]
    for name in asked:
        if name not in known:
            raise ValueError(f"there is no part {name!r}; there are: {', '.join(known)}")
    return [part for part in parts if not asked or part.name in asked]


def table(proofs: Proofs) -> str:
    """What was proven, the seconds and the result of each, for people."""
    rows = [("part", "seconds", "load", "result", "last line")]
    rows += [(one.part, f"{one.seconds:.0f}", f"{one.load:.1f}", one.result, one.last) for one in proofs.parts]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join(
            [part.ljust(widths[0]), took.rjust(widths[1]), load.rjust(widths[2]), result.ljust(widths[3]), last]
        ).rstrip()
        for part, took, load, result, last in rows
    ]
    good = sum(one.is_good for one in proofs.parts)
    return "\n".join([*lines, f"prove: {good} of {len(proofs.parts)} parts proven, at commit {proofs.commit}"])


def save(proofs: Proofs, path: Path) -> None:
    """For machines, and for the docs."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(proofs), indent=2) + b"\n")
