"""Every phase of a rollout by every fault: a rollout for each pair, on one cluster, with users who must not notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from lab.clock import SYSTEM_CLOCK
from lab.cluster.setup import Toolbox
from lab.deploy.rollout import Strategy
from lab.errors import ExitCode
from lab.model import Value
from lab.scenario.pins import Fault, Ground, Pin, Pinned
from lab.scenario.rehearsal import Rehearsal, Rolled, rehearsal

Say = Callable[[str], None]

AT_SLOT = "b1"
"""The slot whose change the fault is pinned to: neither the first nor the last."""

POINTS: Mapping[str, Pin] = {
    "before": Pin(moment="before", action="create", slot=AT_SLOT),
    "made": Pin(moment="after", action="create", slot=AT_SLOT),
    "started": Pin(moment="after", action="start", slot=AT_SLOT),
    "ready": Pin(moment="before", action="enter", slot=AT_SLOT),
    "in rotation": Pin(moment="after", action="enter", slot=AT_SLOT),
    "old drains": Pin(moment="after", action="drain", slot=AT_SLOT),
    "old gone": Pin(moment="after", action="remove", slot=AT_SLOT),
}


class Cell(Value):
    """One pair: what came of it, or that there was nobody to do it to."""

    point: str
    fault: Fault
    hit: bool
    rolled: Rolled | None = None

    @property
    def text(self) -> str:
        """As it stands in the matrix."""
        if not self.hit or self.rolled is None:
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
        operations = sum(cell.rolled.operations for cell in hit if cell.rolled is not None)
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


def sweep_faults(
    toolbox: Toolbox,
    strategy: Strategy,
    seed: int,
    say: Say,
    *,
    points: Mapping[str, Pin] = POINTS,
    faults: Sequence[Fault] = tuple(Fault),
) -> Matrix:
    """One rollout for each pair; a line for each that was not simply held."""
    cells: list[Cell] = []
    with rehearsal(toolbox, "faults", seed) as stage:
        for fault in faults:
            for point, pin in points.items():
                cells.append(_try(stage, strategy, point, pin, fault))
                if cells[-1].hit and cells[-1].text != "held":
                    say(_tell(cells[-1]))
    late = stage.finish()
    name = str(strategy.__struct_config__.tag)
    if late:
        say(f"found when all was read back: {late[-1].why}")
        last = cells[-1]
        assert last.rolled is not None  # noqa: S101 -- every cell has its rollout
        broken = msgspec.structs.replace(last.rolled, findings=tuple(late))
        cells[-1] = msgspec.structs.replace(last, rolled=broken, hit=True)
    return Matrix(strategy=name, seed=seed, cells=tuple(cells))


def run_fault_sweep(toolbox: Toolbox, strategy: Strategy, seed: int, say: Say) -> int:
    """The sweep as a command: prints the matrix, writes it into runs/, ends with one line of counts."""
    matrix = sweep_faults(toolbox, strategy, seed, say)
    rows = matrix.table()
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        say("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    folder = toolbox.places.runs / f"sweep-{SYSTEM_CLOCK.wall():%Y%m%d-%H%M%S}"
    write_report(folder, matrix)
    say(f"report {folder}/sweep.md")
    say(matrix.line)
    return matrix.exit_code


def write_report(folder: Path, matrix: Matrix) -> None:
    """sweep.json for machines, sweep.md for people."""
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_bytes(msgspec.json.format(msgspec.json.encode(matrix), indent=2) + b"\n")
    head, *rows = matrix.table()
    lines = [f"# {matrix.line}", "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    told = [_tell(cell) for cell in matrix.cells if cell.hit and cell.text != "held"]
    lines += ["", *(f"- {one}" for one in told)]
    lines += ["", "held: no user's first try failed. saved: so many operations needed a second try. -: nobody to hurt."]
    (folder / "sweep.md").write_text("\n".join(lines) + "\n")


def _try(stage: Rehearsal, strategy: Strategy, point: str, pin: Pin, fault: Fault) -> Cell:
    crew = stage.crew
    assert crew is not None  # noqa: S101 -- the rehearsal has one while it lasts
    pinned = Pinned(Ground(live=stage.live, target=stage.target, desk=stage.desk, crew=crew), pin, fault)
    stage.on_boundary = pinned
    try:
        rolled = stage.roll(strategy)
    finally:
        stage.on_boundary = None
        pinned.end()
    return Cell(point=point, fault=fault, hit=pinned.hit, rolled=rolled)


def _verdict(cell: Cell) -> str:
    return cell.rolled.verdict if cell.hit and cell.rolled is not None else ""


def _tell(cell: Cell) -> str:
    rolled = cell.rolled
    if rolled is None:
        return f"{cell.fault}, {cell.point}: not tried"
    why = rolled.wrong or (rolled.findings[0].why if rolled.findings else "")
    tries = f"{rolled.retried} of {rolled.operations} operations needed another try, {rolled.failed} failed"
    return f"{cell.fault}, {cell.point}: {cell.text}; {why or tries}"
