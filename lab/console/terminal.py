"""What a person sees while a run goes on: a live board on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lab.clock import NS
from lab.errors import printable
from lab.report.board import Board, SlotView
from lab.run.view import Moment, View
from lab.users.counts import CrowdCounts

# Colour means release and nothing else; red means a broken promise and nothing else. State is told by shape.
RELEASE_COLOURS = ("dodger_blue2", "cyan", "magenta", "green")
SHAPES = {"serving": "●", "starting": "○", "killed": "✕", "empty": "·"}
PLAIN_EVERY = 5 * NS
NEWS_SHOWN = 5


def choose_view(title: str, out: TextIO = sys.stdout) -> View:
    """The live board where `out` is a terminal, plain lines where it is not."""
    return LiveView(title, Console(file=out)) if out.isatty() else PlainView(out)


class PlainView:
    """A line whenever something happens, and the figures every few seconds."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._told = 0
        self._figures_due = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, line: str) -> None:
        print(printable(line, keep=""), file=self._out, flush=True)

    def show(self, moment: Moment) -> None:
        board = moment.board
        fresh = board.told - self._told
        for line in board.news[-fresh:] if fresh else ():
            self.say(line)
        self._told = board.told
        if moment.counts is not None and moment.now >= self._figures_due:
            self._figures_due = moment.now + PLAIN_EVERY
            self.say(f"{(moment.now - board.began) / NS:6.1f} s  {_figures(moment, moment.counts)}")


class LiveView:
    """The board, drawn again a few times a second."""

    def __init__(self, title: str, console: Console) -> None:
        self._title, self._console = title, console
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._colours: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def say(self, line: str) -> None:
        self._live.console.print(printable(line, keep=""), markup=False, emoji=False, highlight=False)

    def show(self, moment: Moment) -> None:
        self._live.update(self._draw(moment), refresh=True)

    def _draw(self, moment: Moment) -> RenderableType:
        board = moment.board
        head = Text.assemble(
            (f"{(moment.now - board.began) / NS:5.1f} s  ", "dim"), (board.phase, "bold"), "  ", board.text
        )
        zones = Table.grid(padding=(0, 3))
        columns: dict[str, list[Text]] = {}
        for view in board.slots.values():
            columns.setdefault(view.zone, []).append(self._draw_slot(view))
        for zone in columns:
            zones.add_column(f"zone {zone}", min_width=20)
        zones.add_row(*(Text(f"zone {zone}", style="dim") for zone in columns))
        for row in zip_longest(*columns.values(), fillvalue=Text("")):
            zones.add_row(*row)
        parts: list[RenderableType] = [head, Text(""), zones, Text("")]
        if moment.counts is not None:
            parts += [self._draw_users(moment, moment.counts), *self._draw_rates(board, moment.counts)]
        parts += [Text(""), *(Text(printable(line, keep=""), style="dim") for line in board.news[-NEWS_SHOWN:])]
        if board.trouble:
            parts.append(Text(f"trouble: {printable(board.trouble)}", style="bold"))
        return Panel(Group(*parts), title=Text(printable(self._title, keep="")), title_align="left", border_style="dim")

    def _draw_slot(self, view: SlotView) -> Text:
        colour = self._colour(view.release) if view.release else "dim"
        drawn = Text.assemble(f"{view.slot} ", (f"{SHAPES.get(view.state, '?')} {view.release:<9}", colour))
        if view.incoming:
            drawn.append(f" ○ {view.incoming}", self._colour(view.incoming))
        elif view.state in {"starting", "killed"}:
            drawn.append(f" {view.state}", "dim")
        return drawn

    def _draw_users(self, moment: Moment, counts: CrowdCounts) -> Text:
        kept = counts.users - moment.users_hurt
        style = "bold red" if moment.users_hurt else "bold"
        return Text.assemble(
            (f"{kept} of {counts.users} users kept their state", style),
            f"   {moment.checks} comparisons   {counts.logged_in} of {counts.devices} devices logged in",
        )

    def _draw_rates(self, board: Board, counts: CrowdCounts) -> Iterator[Text]:
        drawn = Text(f"{sum(counts.by_release_last_second.values())} answers/s  ")
        for release, count in sorted(counts.by_release_last_second.items()):
            drawn.append(f"{release} {count}  ", self._colour(release))
        drawn.append(f" {board.hits} strikes   {board.upgraded} upgraded   {board.replaced} replaced")
        yield drawn
        yield Text(
            f"{counts.tries} tries: {counts.first_tries_failed} failed at first, {counts.saved_by_retry} saved by a"
            f" retry, {counts.lost} lost; {counts.repeated_at_edge} repeated by the balancer unnoticed"
        )

    def _colour(self, release: str) -> str:
        if release not in self._colours:
            self._colours[release] = RELEASE_COLOURS[len(self._colours) % len(RELEASE_COLOURS)]
        return self._colours[release]


def _figures(moment: Moment, counts: CrowdCounts) -> str:
    board = moment.board
    return (
        f"{counts.users - moment.users_hurt} of {counts.users} users kept, {board.serving} serving"
        f" ({_releases(board.by_release)}), {sum(counts.by_release_last_second.values())} answers/s,"
        f" {counts.operations} operations, {moment.checks} comparisons, {counts.first_tries_failed} first tries failed,"
        f" {board.hits} strikes"
    )


def _releases(by_release: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {release}" for release, count in sorted(by_release.items())) or "none"
