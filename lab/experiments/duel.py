"""`lab duel`: several ways of upgrading, one seed, the same users: a table and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from lab.backends.choose import backend_on
from lab.clock import SYSTEM_CLOCK
from lab.console.reports import short
from lab.errors import ExitCode, UsageError
from lab.experiments.upgrades import BEFORE, BIN, OURS, WAYS, UpgradeFigures, UserLoad, upgrade_by
from lab.machine.places import find_places
from lab.machine.setup import make_ready
from lab.operate.runs import Say
from lab.scenario.bounds import BOUNDS
from lab.scenario.spec import UsersSpec

WIDTH, LEFT, ROW, BAR, TOP = 960, 150, 84, 56, 64
"""Of the picture, in pixels: whole width, the names' part, a row, the tallest bar, the heading."""
PALE, INK, AMBER, RED = "#9fb7c9", "#1d2b36", "#e0912f", "#c0262d"
"""Answered at once; text; saved by a retry; lost."""


def run_duel(ways: Sequence[str], load: UserLoad, *, before: str, to: str, picture: str | None, say: Say) -> int:
    """Upgrade by each way on a cluster of its own, one after another.

    Exit 1 if one of the lab's own ways lost an operation; what others' ways lose is what the duel is there to show.
    """
    for unknown in [way for way in ways if way not in WAYS]:
        raise UsageError("no such method", at=unknown, hint=f"lab duel {' '.join(WAYS)}")
    for name, number, bounds in (
        ("users", load.users, BOUNDS[UsersSpec, "count"]),
        ("think", load.think, BOUNDS[UsersSpec, "think"]),
        ("tries", load.tries, BOUNDS[UsersSpec, "tries"]),
    ):
        if not bounds.holds(number):
            raise UsageError(f"must be {bounds.text}", at=f"--{name} {number:g}", hint="lab duel --users 60")
    places = find_places()
    toolbox = make_ready(places, say, [before, to])
    backend_on(toolbox).sweep_abandoned(say)
    say(f"{before} to {to}, {load.users} users with {load.tries} tries each, seed {load.seed}")
    fought = []
    for way in ways or WAYS:
        fought.append(upgrade_by(way, toolbox, load, before, to))
        say(f"  {way}: {fought[-1].seconds:.1f} s")
    for line in table(fought):
        say(line)
    path = Path(picture) if picture else places.runs / f"duel-{SYSTEM_CLOCK.wall():%Y%m%d-%H%M%S}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg(fought, f"{before} to {to}, {load.users} users, seed {load.seed}"), encoding="utf-8")
    say(f"picture  {short(path)}")
    return ExitCode.BROKEN if any(one.lost for one in fought if one.way in OURS) else ExitCode.HELD


def table(fought: Sequence[UpgradeFigures]) -> Iterator[str]:
    """One line a way."""
    heads = (
        ("operations", 10),
        ("failed at first", 16),
        ("saved by retry", 15),
        ("lost", 6),
        ("seconds", 8),
        ("peak", 5),
    )
    yield f"{'way':<16} " + " ".join(f"{head:>{width}}" for head, width in heads)
    for one in fought:
        yield (
            f"{one.way:<16} {one.requests:>10} {one.failed:>16} {one.saved:>15} {one.lost:>6} {one.seconds:>8.1f}"
            f" {one.peak:>5}"
        )


def svg(fought: Sequence[UpgradeFigures], title: str) -> str:
    """A row for each way: how the operations fared, half second by half second; all rows on one scale."""
    longest = max((len(one.bins) for one in fought), default=1)
    tallest = max((bin_.clean + bin_.saved + bin_.lost for one in fought for bin_ in one.bins), default=1) or 1
    step = (WIDTH - LEFT - 20) / longest
    height = TOP + ROW * len(fought) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
        f' font-size="13" fill="{INK}" role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="20" y="26" font-size="17">{escape(title)}</text>',
        *_legend(),
    ]
    begins = LEFT + BEFORE / BIN * step
    for number, one in enumerate(fought):
        parts += _row(one, TOP + ROW * number, step, tallest)
    foot = TOP + ROW * len(fought)
    parts.append(
        f'<line x1="{begins:.1f}" y1="{TOP}" x2="{begins:.1f}" y2="{foot}" stroke="{INK}" stroke-dasharray="3 3"/>'
    )
    parts.append(f'<text x="{begins + 4:.1f}" y="{foot + 14}">the upgrade begins; a bar is {BIN:g} s</text>')
    return "\n".join([*parts, "</svg>", ""])


def _legend() -> Iterator[str]:
    for place, (colour, told) in enumerate(((PALE, "answered at once"), (AMBER, "saved by a retry"), (RED, "lost"))):
        x = LEFT + 160 * place
        yield f'<rect x="{x}" y="38" width="12" height="12" fill="{colour}"/><text x="{x + 18}" y="49">{told}</text>'


def _row(one: UpgradeFigures, top: float, step: float, tallest: int) -> Iterator[str]:
    ground = top + BAR + 14
    yield f'<text x="20" y="{ground - 28}" font-size="15">{escape(one.way)}</text>'
    yield f'<text x="20" y="{ground - 10}">{one.seconds:.1f} s, {one.peak} at peak</text>'
    yield f'<line x1="{LEFT}" y1="{ground}" x2="{WIDTH - 20}" y2="{ground}" stroke="{PALE}"/>'
    for place, fared in enumerate(one.bins):
        below = 0.0
        for colour, count in ((PALE, fared.clean), (AMBER, fared.saved), (RED, fared.lost)):
            tall = BAR * count / tallest
            if count:
                yield (
                    f'<rect x="{LEFT + place * step:.1f}" y="{ground - below - tall:.1f}" width="{step * 0.86:.1f}"'
                    f' height="{tall:.1f}" fill="{colour}"/>'
                )
            below += tall
