"""Every phase of a rollout by every fault: a rollout for each pair, on one cluster, with users who must not notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from lab.backends.protocol import Backend
from lab.clock import SYSTEM_CLOCK
from lab.console.reports import short
from lab.deploy.rollout import Canary, DrainThenMove, Phase, RedBlack, Rolling, Strategy
from lab.errors import ExitCode, UsageError
from lab.experiments.rehearsal import Rehearsal, Rolled, rehearsal
from lab.model import Value
from lab.operate.runs import Say
from lab.run.pinned_faults import Pinned, PinnedFaultParts
from lab.scenario.pin_spec import Pin, PinnedFault, PinnedTo

AT_SLOT = "b1"
"""The slot whose change the fault is pinned to: neither the first nor the last."""


def _at(moment: Literal["before", "after"], action: PinnedTo, phase: Phase | None = None) -> Pin:
    return Pin(moment=moment, action=action, slot=AT_SLOT, phase=phase)


_MADE: Mapping[str, Pin] = {"made": _at("after", "create"), "started": _at("after", "start")}
_ENTERED: Mapping[str, Pin] = {"ready": _at("before", "enter"), "in rotation": _at("after", "enter")}
_LEFT: Mapping[str, Pin] = {"old drains": _at("after", "drain"), "old gone": _at("after", "remove")}
_BESIDE: Mapping[str, Pin] = {"before": _at("before", "create"), **_MADE, **_ENTERED, **_LEFT}


class Course(Value):
    """One kind of rollout and the moments in it at which something may go wrong, in their order."""

    strategy: Strategy
    points: Mapping[str, Pin]
    is_reversed: bool = False
    """Whether a person wants the old release back as soon as everybody is on the new one."""


COURSES: Mapping[str, Course] = {
    "rolling": Course(strategy=Rolling(), points={**_BESIDE, "all moved": _at("before", "advance", Phase.WATCH)}),
    "drain-then-move": Course(
        strategy=DrainThenMove(), points={"before": _at("before", "drain"), **_LEFT, **_MADE, **_ENTERED}
    ),
    "canary": Course(
        strategy=Canary(shares=(0.3, 0.6, 1.0), hold=0.3),
        points={"watched": Pin(action="advance", phase=Phase.WATCH), **_BESIDE},
    ),
    "red-black": Course(
        strategy=RedBlack(keep=0.2),
        points={
            **_MADE,
            "group ready": _at("before", "advance", Phase.MOVE),
            **_ENTERED,
            "old kept": _at("after", "advance", Phase.KEEP),
            **_LEFT,
        },
    ),
    "reverse": Course(
        strategy=RedBlack(keep=60),
        points={
            "asked": _at("before", "advance", Phase.BACK),
            "turned": _at("after", "advance", Phase.BACK),
            "old ready": _at("before", "enter", Phase.BACK),
            "old in rotation": _at("after", "enter", Phase.BACK),
            # By then the old release serves everywhere, and the rollout has ended.
            "new drains": _at("after", "drain"),
            "new gone": _at("after", "remove"),
        },
        is_reversed=True,
    ),
}
"""What is swept: each strategy, and red/black when it is sent back."""


class Cell(Value):
    """One pair: what came of it, and whether there was anybody to do it to."""

    point: str
    fault: PinnedFault
    hit: bool
    rolled: Rolled

    @property
    def text(self) -> str:
        """As it stands in the matrix."""
        if not self.hit:
            return "-"
        if self.rolled.verdict == "broken":
            return "BROKEN"
        if self.rolled.failed:
            return f"not served {self.rolled.failed}"
        return f"saved {self.rolled.retried}" if self.rolled.retried else "held"


class Matrix(Value):
    """All pairs of one strategy."""

    strategy: str
    seed: int
    cells: tuple[Cell, ...]

    @property
    def line(self) -> str:
        """The one line of counts."""
        hit = [cell for cell in self.cells if cell.hit]
        count = Counter(_verdict(cell) for cell in hit)
        operations = sum(cell.rolled.operations for cell in hit)
        without = len(self.cells) - len(hit)
        return (
            f"sweep {self.strategy}: {len(hit)} faults at a phase: {count['held']} held,"
            f" {count['saved by retry']} saved by retry, {count['not served']} with users not served,"
            f" {count['broken']} broken; {without} had no victim;"
            f" {operations} operations, seed {self.seed}"
        )

    @property
    def exit_code(self) -> ExitCode:
        """Broken if any pair is, and nothing at all if nothing was hit."""
        if any(_verdict(cell) == "broken" for cell in self.cells):
            return ExitCode.BROKEN
        return ExitCode.HELD if any(cell.hit for cell in self.cells) else ExitCode.TOO_LITTLE_CHECKED

    def table(self) -> list[list[str]]:
        """A row for each fault, a column for each moment."""
        points = list(dict.fromkeys(cell.point for cell in self.cells))
        faults = list(dict.fromkeys(cell.fault for cell in self.cells))
        text = {(cell.fault, cell.point): cell.text for cell in self.cells}
        return [["", *points], *([str(fault), *(text.get((fault, point), "") for point in points)] for fault in faults)]


def choose(
    names: Sequence[str], faults: Sequence[str], points: Sequence[str]
) -> tuple[dict[str, Course], list[PinnedFault]]:
    """The courses and faults of these names, all where none is named. Raises UsageError for one that there isn't."""
    known_points = dict.fromkeys(point for course in COURSES.values() for point in course.points)
    for asked, known in ((names, COURSES), (faults, list(PinnedFault)), (points, known_points)):
        for unknown in [name for name in asked if name not in known]:
            raise UsageError("nothing of that name can be swept", at=unknown, hint=f"one of: {', '.join(known)}")
    chosen = {}
    for name in names or COURSES:
        course = COURSES[name]
        kept = {point: pin for point, pin in course.points.items() if not points or point in points}
        if kept:
            chosen[name] = msgspec.structs.replace(course, points=kept)
    if not chosen:
        raise UsageError(f"{', '.join(names)} is never there", at=", ".join(points), hint="lab sweep --help")
    return chosen, [PinnedFault(name) for name in faults] or list(PinnedFault)


def sweep_faults(
    backend: Backend,
    name: str,
    course: Course,
    seed: int,
    say: Say,
    *,
    faults: Sequence[PinnedFault] = tuple(PinnedFault),
) -> Matrix:
    """One rollout for each pair; a line for each that was not simply held."""
    cells: list[Cell] = []
    with rehearsal(backend, "faults", seed) as stage:
        for fault in faults:
            for point, pin in course.points.items():
                cells.append(_try(stage, course, point, pin, fault))
                if cells[-1].hit and cells[-1].text != "held":
                    say(_tell(cells[-1]))
    for one in stage.left:
        say(one)
    late = stage.finish()
    if late:
        say(f"found when all was read back: {late[-1].why}")
        last = cells[-1]
        broken = msgspec.structs.replace(last.rolled, findings=tuple(late))
        cells[-1] = msgspec.structs.replace(last, rolled=broken, hit=True)
    return Matrix(strategy=name, seed=seed, cells=tuple(cells))


def run_fault_sweep(
    backend: Backend, seed: int, say: Say, *, names: Sequence[str], faults: Sequence[str], points: Sequence[str]
) -> int:
    """The sweep as a command: prints a matrix for each strategy, keeps them in runs/, ends each with a line of counts.

    Exit 1 if any pair is broken, 5 if a strategy had nobody to hurt.
    """
    chosen, wanted = choose(names, faults, points)
    folder = backend.runs / f"sweep-{SYSTEM_CLOCK.wall():%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True)
    matrices: list[Matrix] = []
    for name, course in chosen.items():
        matrices.append(sweep_faults(backend, name, course, seed, say, faults=wanted))
        _show(matrices[-1], say)
        write_report(folder, matrices)  # now, so that a sweep that is broken off has told what it found
    say(f"report {short(folder)}/sweep.md")
    for matrix in matrices:
        say(matrix.line)
    codes = {matrix.exit_code for matrix in matrices}
    return next((code for code in (ExitCode.BROKEN, ExitCode.TOO_LITTLE_CHECKED) if code in codes), ExitCode.HELD)


def _show(matrix: Matrix, say: Say) -> None:
    rows = matrix.table()
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        say("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def write_report(folder: Path, matrices: Sequence[Matrix]) -> None:
    """sweep.json for machines, sweep.md for people."""
    (folder / "sweep.json").write_bytes(msgspec.json.format(msgspec.json.encode(matrices), indent=2) + b"\n")
    lines = ["# Every phase of a rollout by every fault", "", *(f"- {matrix.line}" for matrix in matrices)]
    for matrix in matrices:
        head, *rows = matrix.table()
        lines += ["", f"## {matrix.strategy}", "", f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        told = [_tell(cell) for cell in matrix.cells if cell.hit and cell.text != "held"]
        lines += ["", *(f"- {one}" for one in told)] if told else []
    lines += ["", "held: no user's first try failed. saved: so many operations needed another try, and all got their"]
    lines += ["answer. not served: so many got none, and lost nothing. -: nobody was there to hurt."]
    (folder / "sweep.md").write_text("\n".join(lines) + "\n")


def _try(stage: Rehearsal, course: Course, point: str, pin: Pin, fault: PinnedFault) -> Cell:
    crew = stage.crew
    assert crew is not None  # noqa: S101 -- the rehearsal has one while it lasts
    pinned = Pinned(PinnedFaultParts(live=stage.live, desk=stage.desk, crew=crew), pin, fault)
    stage.on_boundary = pinned
    try:
        rolled = stage.roll(course.strategy, is_reversed=course.is_reversed)
    finally:
        stage.on_boundary = None
        pinned.end()
    return Cell(point=point, fault=fault, hit=pinned.hit, rolled=rolled)


def _verdict(cell: Cell) -> str:
    return cell.rolled.verdict if cell.hit else ""


def _tell(cell: Cell) -> str:
    rolled = cell.rolled
    why = rolled.wrong or (rolled.findings[0].why if rolled.findings else "")
    tries = f"{rolled.retried} of {rolled.operations} operations needed another try, {rolled.failed} failed"
    return f"{cell.fault}, {cell.point}: {cell.text}; {why or tries}"
