"""What a person sees while a run goes on: a live board on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lab.clock import NS
from lab.errors import printable
from lab.oracle.closing import through
from lab.oracle.promises import PROMISES, STATE_KEPT
from lab.oracle.telling import story
from lab.report.board import Board, SlotView
from lab.run.view import Moment, View
from lab.users.counts import CrowdCounts

# Colour means release and nothing else; red means a broken promise and nothing else. State is told by shape.
RELEASE_COLOURS = ("dodger_blue2", "cyan", "magenta", "green")
SHAPES = {"serving": "●", "starting": "○", "killed": "✕", "empty": "·"}
BROKEN = "bold red"
VERDICTS = {"HELD": "bold reverse", "BROKEN": "bold white on red", "COULD NOT TELL": "bold underline"}
"""How the word of each verdict is written; the word itself says it where there is no colour."""
PLAIN_EVERY = 5 * NS
LEAST_NEWS = 3
STORY_LINES = 6
BAR = 24
"""Columns of the bar that shows how far a run is."""
FRAME = 4
"""Columns and rows that the frame around the board takes, with the row below it."""


def choose_view(title: str, out: TextIO = sys.stdout) -> View:
    """The live board where `out` is a terminal, plain lines where it is not."""
    return LiveView(title, Console(file=out)) if out.isatty() else PlainView(out)


def closing_text(lines: Sequence[str]) -> Iterator[Text]:
    """A run's last lines for a terminal: the verdict stands out, and what is likely has a line of its own."""
    for line in lines:
        word = next((word for word in VERDICTS if line.startswith(word)), "")
        likely, gap, pointers = (
            line.partition("      report  ") if line.strip().startswith("likely: ") else (line, "", "")
        )
        yield Text.assemble((word, VERDICTS[word]), likely[len(word) :]) if word else Text(likely)
        if gap:
            yield Text(f"       report  {pointers}")


def say_closing(lines: Sequence[str], out: TextIO | None, *, say: Callable[[str], None]) -> None:
    """Tell a run's last lines: with the verdict made to stand out where `out` is a terminal, else as they are.

    No line is broken, so that what it names can be copied.
    """
    if out is not None and out.isatty():
        console = Console(file=out)
        for text in closing_text(lines):
            console.print(text, soft_wrap=True)
    else:
        for text in closing_text(lines):
            say(text.plain)


@contextmanager
def redrawn(out: TextIO | None = None) -> Iterator[Callable[[Sequence[str]], None] | None]:
    """What shows lines in the place of those before; None where `out`, standard output if not given, is no terminal."""
    console = Console(file=out or sys.stdout)
    if not console.is_terminal:
        yield None
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda lines: live.update(Text(printable("\n".join(lines))), refresh=True)


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
    """The board, drawn again a few times a second, with as much as the terminal has room for."""

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
        width, height = max(self._console.width - FRAME, 20), self._console.height - FRAME
        lines = self._draw_head(moment, width)
        zones = self._draw_zones(moment.board)
        below = [Text("")]
        if moment.counts is not None:
            below += self._draw_counts(moment, moment.counts, width)
        room = height - len(lines) - zones.row_count - len(below) - 1
        trouble = (
            [Text(fitted(f"trouble: {printable(moment.board.trouble, keep='')}", width), style="bold")]
            if moment.board.trouble
            else []
        )
        room -= len(trouble) + LEAST_NEWS
        for part in (_draw_story(moment, width), _draw_promises(moment, width)):
            if 0 < len(part) <= room:
                below += part
                room -= len(part)
        news = moment.board.news[-(LEAST_NEWS + max(room, 0)) :]
        below += [Text(""), *(Text(fitted(printable(line, keep=""), width), style="dim") for line in news), *trouble]
        return Panel(
            Group(*lines, zones, *below),
            title=Text(printable(self._title, keep="")),
            title_align="left",
            border_style="dim",
            expand=True,
        )

    def _draw_head(self, moment: Moment, width: int) -> list[Text]:
        board = moment.board
        seconds = f"{(moment.now - board.began) / NS:5.1f} s  "
        text = fitted(board.text, width - len(seconds) - len(board.phase) - 2)
        lines = [Text.assemble((seconds, "dim"), (board.phase, "bold"), "  ", text)]
        if board.to_come or board.phases:
            lines.append(_draw_progress(moment, width))
        return [*lines, Text("")]

    def _draw_zones(self, board: Board) -> Table:
        zones = Table.grid(padding=(0, 3))
        columns: dict[str, list[Text]] = {}
        for view in board.slots.values():
            columns.setdefault(view.zone, []).append(self._draw_slot(view))
        for zone in columns:
            zones.add_column(f"zone {zone}", min_width=20, no_wrap=True)
        zones.add_row(*(Text(f"zone {zone}", style="dim") for zone in columns))
        for row in zip_longest(*columns.values(), fillvalue=Text("")):
            zones.add_row(*row)
        return zones

    def _draw_slot(self, view: SlotView) -> Text:
        colour = self._colour(view.release) if view.release else "dim"
        drawn = Text.assemble(f"{view.slot} ", (f"{SHAPES.get(view.state, '?')} {view.release:<9}", colour))
        if view.incoming:
            drawn.append(f" ○ {view.incoming}", self._colour(view.incoming))
        elif view.state in {"starting", "killed"}:
            drawn.append(f" {view.state}", "dim")
        return drawn

    def _draw_counts(self, moment: Moment, counts: CrowdCounts, width: int) -> list[Text]:
        style = BROKEN if moment.users_hurt else "bold"
        answers = Text(f"{sum(counts.by_release_last_second.values())} answers/s")
        for release, count in sorted(counts.by_release_last_second.items()):
            answers.append(f"  {release} {count}", self._colour(release))
        return [
            *_flow(
                width,
                Text(_kept(moment, counts, "users kept their state"), style),
                Text(f"{moment.checks.get(STATE_KEPT, 0)} reads compared"),
                Text(f"{counts.logged_in} of {counts.devices} devices logged in"),
            ),
            *_flow(width, answers, Text(through(moment.board.done))),
            *_flow(
                width,
                Text(f"{counts.tries} tries: {counts.first_tries_failed} failed at first"),
                Text(f"{counts.saved_by_retry} saved by a retry"),
                Text(f"{counts.lost} lost"),
                Text(f"{counts.repeated_at_edge} repeated by the balancer unnoticed"),
            ),
        ]

    def _colour(self, release: str) -> str:
        if release not in self._colours:
            self._colours[release] = RELEASE_COLOURS[len(self._colours) % len(RELEASE_COLOURS)]
        return self._colours[release]


def fitted(text: str, width: int) -> str:
    """As many whole words of a line as there is room for, with a sign that some are missing."""
    if len(text) <= width:
        return text
    whole = text[: max(width - 1, 1)]
    words = whole if text[len(whole)].isspace() else whole.rpartition(" ")[0]
    return f"{(words if words.strip() else whole).rstrip(' ,;:')}…"


def _flow(width: int, *parts: Text) -> list[Text]:
    """Parts side by side as far as they have room, then on the next line; none is cut in the middle."""
    lines: list[Text] = []
    for part in (one for one in parts if one.plain):
        if lines and len(lines[-1]) + 3 + len(part) <= width:
            lines[-1] = Text.assemble(lines[-1], "   ", part)
        else:
            lines.append(part)
    return [Text(fitted(one.plain, width), one.style) if len(one) > width else one for one in lines]


def _draw_progress(moment: Moment, width: int) -> Text:
    """Which of the phases this is, and those that are still to begin."""
    board, steps = moment.board, moment.board.phases + len(moment.board.to_come)
    done = BAR * board.phases // steps
    left = f"then {', '.join(board.to_come)}" if board.to_come else "the last one"
    stop = f"; stopped at {moment.within:g} s" if moment.within else ""
    bar = "━" * done + "╌" * (BAR - done)
    return Text(fitted(f"{bar}  phase {board.phases} of {steps}: {left}{stop}", width), style="dim")


def _draw_promises(moment: Moment, width: int) -> list[Text]:
    """Each promise with what was compared for it: only the words and the sign say how it stands."""
    broken = Counter(one.promise for one in moment.findings)
    lines = []
    for name in (one for one in PROMISES if moment.checks.get(one) or broken[one]):
        promise, count = PROMISES[name], moment.checks.get(name, 0)
        if broken[name]:
            lines.append(Text(fitted(f"✕ {promise.title}: broken {broken[name]} times", width), style=BROKEN))
        else:
            lines.append(Text(fitted(f"✓ {promise.title}: {count} {promise.checks}", width)))
    return [Text(""), *lines] if lines else []


def _draw_story(moment: Moment, width: int) -> list[Text]:
    """The first counter-example, as far as it goes into a few lines."""
    if not moment.findings:
        return []
    first, *rest = story(moment.findings[0], began=moment.board.began)
    shown = [Text(fitted(line, width)) for line in rest[: STORY_LINES - 1]]
    return [Text(""), Text(fitted(f"first: {first}", width), style=BROKEN), *shown]


def _kept(moment: Moment, counts: CrowdCounts, what: str) -> str:
    """How many users kept their state, once there is something to say it by: nobody who never got in has kept it."""
    if not (moment.users_hurt or any(moment.checks.values())):
        return "nothing compared yet" if counts.logged_in else "nobody is logged in yet"
    return f"{counts.users - moment.users_hurt} of {counts.users} {what}"


def _figures(moment: Moment, counts: CrowdCounts) -> str:
    board = moment.board
    done = through(board.done)
    return (
        f"{_kept(moment, counts, 'users kept')}, "
        + (f"{board.serving} serving ({_releases(board.by_release)}), " if board.slots else "")
        + f"{sum(counts.by_release_last_second.values())} answers/s,"
        f" {counts.operations} operations, {moment.checks.get(STATE_KEPT, 0)} reads compared,"
        f" {counts.first_tries_failed} first tries failed" + (f"; {done}" if done else "")
    )


def _releases(by_release: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {release}" for release, count in sorted(by_release.items())) or "none"
