"""All recorded runs as one page: a table that can be filtered, and how the figures of each scenario went over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lab.model import Value
from lab.report.html import page_policy, render_page

WIDE, HIGH, EDGE = 640, 120, 8
"""Of a trend's picture, in its own units."""


class RunFigures(Value, omit_defaults=False):
    """What can be compared of two runs; times in milliseconds unless their names say otherwise."""

    requests: int = 0
    failed: int = 0
    """Without a proper answer after all tries."""
    repeated: int = 0
    """That took more than one try."""
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    rollout_seconds: float = 0.0
    """All rollouts together, from the first step of each to its end."""
    replacements: int = 0
    strikes: int = 0


class RunSummary(Value, omit_defaults=False):
    """One recorded run, as a list shows it."""

    run: str
    began: str
    """ISO 8601, to the second."""
    seconds: float | None
    """None: its record holds no event."""
    scenario: str
    title: str
    images: tuple[str, ...]
    """Those that its scenario names, the first one first."""
    verdict: str
    """held, broken, could not tell; "not judged" or "unreadable" where there is none."""
    exit_code: int | None
    broken: tuple[str, ...]
    """The promises that were broken."""
    seed: int | None
    figures: RunFigures | None = None
    """Only where they were asked for: they take a reading of the whole record."""
    has_report: bool = False


class _Trend(Value):
    """One figure of one scenario over its runs, as a picture."""

    name: str
    unit: str
    line: str
    """The points of an SVG polyline."""
    dots: tuple[tuple[float, float, str, str], ...]
    """Where each run is, how it ended, and what it says."""
    least: float
    most: float


def runs_page(runs: Sequence[RunSummary], *, beside: bool) -> str:
    """The page as one file. Only one that lies `beside` the records links to their reports."""
    scenarios: dict[str, list[RunSummary]] = {}
    for one in sorted(runs, key=lambda one: one.began):
        scenarios.setdefault(one.scenario, []).append(one)
    return render_page(
        "runs.html",
        csp=page_policy(("page.css",), ("theme.js", "runs.js")),
        styles=("page.css",),
        scripts=("theme.js", "runs.js"),
        runs=sorted(runs, key=lambda one: one.began, reverse=True),
        trends={name: tuple(_trends(some)) for name, some in scenarios.items()},
        beside=beside,
        wide=WIDE,
        high=HIGH,
        marks={"held": "✓ HELD", "broken": "✕ BROKEN", "could not tell": "? COULD NOT TELL"},
    )


def _trends(runs: Sequence[RunSummary]) -> Iterator[_Trend]:
    told = [one for one in runs if one.figures is not None and one.figures.requests]
    if len(told) < 2:
        return
    for name, unit in (("p99", "ms"), ("p50", "ms"), ("rollout_seconds", "s"), ("repeated", "requests")):
        values = [float(getattr(one.figures, name)) for one in told]
        if any(values):
            yield _trend(name.replace("_", " "), unit, told, values)


def _trend(name: str, unit: str, runs: Sequence[RunSummary], values: Sequence[float]) -> _Trend:
    most = max(values) or 1.0
    step = (WIDE - 2 * EDGE) / (len(values) - 1)
    tall = (HIGH - 2 * EDGE) / most
    points = [(round(EDGE + n * step, 1), round(HIGH - EDGE - tall * value, 1)) for n, value in enumerate(values)]
    dots = tuple(
        (x, y, one.verdict.replace(" ", "-"), f"{one.began} {one.run}: {value:g} {unit}, {one.verdict}")
        for (x, y), one, value in zip(points, runs, values, strict=True)
    )
    line = " ".join(f"{x},{y}" for x, y in points)
    return _Trend(name=name, unit=unit, line=line, dots=dots, least=min(values), most=most)


def summaries_text(runs: Iterable[RunSummary]) -> Iterator[str]:
    """A line for each run: when, how long, which scenario and image, how it ended and what was broken."""
    rows = [
        (
            one.began[:16].replace("T", " "),
            "" if one.seconds is None else f"{one.seconds:.0f} s",
            one.scenario,
            " → ".join(one.images[:2]),
            one.verdict + (f": {', '.join(one.broken)}" if one.broken else ""),
            one.run,
        )
        for one in runs
    ]
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(6)]
    for row in rows:
        date, lasted, *others = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield "  ".join((date, lasted.strip().rjust(widths[1]), *others)).rstrip()
