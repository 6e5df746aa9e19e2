"""`lab compare A B`: what changed from one recorded run to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from lab.console.reports import folder_of
from lab.errors import ExitCode
from lab.model import Value, Verdict
from lab.operate.records import changes, figures_of, summary_of
from lab.oracle.verdict import Judgement
from lab.record import ReadRecord
from lab.report.runs_page import RunFigures, RunSummary
from lab.run.judge import judge_run

Say = Callable[[str], None]


class PromiseChange(Value, omit_defaults=False):
    """One promise in two runs; "" where it was not asked for."""

    promise: str
    title: str
    before: str
    after: str
    broken_before: int
    broken_after: int

    @property
    def is_change(self) -> bool:
        return (self.before, self.broken_before) != (self.after, self.broken_after)


class FigureChange(Value, omit_defaults=False):
    """One figure in two runs."""

    name: str
    before: float
    after: float
    unit: str


class Comparison(Value, omit_defaults=False):
    """What changed from one run to another."""

    before: RunSummary
    after: RunSummary
    promises: tuple[PromiseChange, ...]
    figures: tuple[FigureChange, ...]
    newly_broken: tuple[str, ...]
    """Promises that the later run broke and the earlier one did not."""


def compare_runs(before: str, after: str, *, as_json: bool = False, say: Say) -> int:
    """Tell what changed; each run is a folder or the name of a run in runs/, and is judged again from its record.

    Exit code 1 where the second broke a promise that the first did not, else 0. Raises RecordError where there is no
    such run or it can't be read.
    """
    comparison = compared(before, after)
    if as_json:
        say(msgspec.json.encode(comparison).decode())
    else:
        for line in comparison_text(comparison):
            say(line)
    return ExitCode.BROKEN if comparison.newly_broken else ExitCode.HELD


def compared(before: str, after: str) -> Comparison:
    """Both runs, judged by the same lab."""
    (one, one_judged, one_figures), (other, other_judged, other_figures) = (_read(name) for name in (before, after))
    promises = tuple(_promises(one_judged, other_judged))
    return Comparison(
        before=one,
        after=other,
        promises=promises,
        figures=tuple(
            FigureChange(name=name, before=then, after=now, unit=unit)
            for name, then, now, unit in changes(one_figures, other_figures)
        ),
        newly_broken=tuple(
            each.promise for each in promises if each.after == Verdict.BROKEN and each.before != Verdict.BROKEN
        ),
    )


def comparison_text(comparison: Comparison) -> Iterator[str]:
    """For people: both runs, the promises that fare otherwise, every figure with its change."""
    for name, run in (("A", comparison.before), ("B", comparison.after)):
        lasted = "" if run.seconds is None else f", {run.seconds:.1f} s"
        images = " → ".join(run.images[:2])
        yield f"{name}  {run.run}  {run.scenario} ({images})  {run.verdict}{lasted}"
    changed = [one for one in comparison.promises if one.is_change]
    for one in changed:
        then, now = _stood(one.before, one.broken_before), _stood(one.after, one.broken_after)
        yield f"   {_mark(one)} {one.title}: {then} → {now}"
    if not changed:
        yield "   every promise fares as before"
    for figure in comparison.figures:
        then, now = _value(figure.before, figure.unit), _value(figure.after, figure.unit)
        yield f"   {figure.name:<24} {then:>12} → {now:<12}{_change(figure)}".rstrip()


def _read(named: str) -> tuple[RunSummary, Judgement, RunFigures]:
    folder = folder_of(named)
    judgement = judge_run(ReadRecord(folder)).judgement
    return msgspec.structs.replace(summary_of(folder), verdict=str(judgement.verdict)), judgement, figures_of(folder)


def _promises(before: Judgement, after: Judgement) -> Iterator[PromiseChange]:
    then, now = ({one.promise: one for one in judged.promises} for judged in (before, after))
    for name in dict.fromkeys((*then, *now)):
        one, other = then.get(name), now.get(name)
        title = next(each.title for each in (other, one) if each is not None)
        yield PromiseChange(
            promise=name,
            title=title,
            before="" if one is None else str(one.verdict),
            after="" if other is None else str(other.verdict),
            broken_before=0 if one is None else one.broken,
            broken_after=0 if other is None else other.broken,
        )


def _mark(one: PromiseChange) -> str:
    return {Verdict.BROKEN: "✕", Verdict.HELD: "✓"}.get(Verdict(one.after), "?") if one.after else "·"


def _stood(verdict: str, broken: int) -> str:
    return "not asked for" if not verdict else f"broken {broken} times" if broken else verdict


def _value(value: float, unit: str) -> str:
    return f"{value:g} {unit}".rstrip()


def _change(figure: FigureChange) -> str:
    if not figure.before or figure.before == figure.after:
        return "" if figure.before or not figure.after else "  (new)"
    return f"  {100 * (figure.after / figure.before - 1):+.0f} %"
