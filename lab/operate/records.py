"""`lab runs`: the recorded runs, when they were, how long they took, how they ended; as a list, as JSON, as a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec

from lab.clock import NS, SYSTEM_CLOCK
from lab.console.reports import short
from lab.errors import ExitCode, LabError, RecordError, UsageError
from lab.machine.places import find_places
from lab.model import Value
from lab.oracle.closing import takes_a_place
from lab.oracle.latency import Latencies
from lab.oracle.service import is_proper
from lab.record import ReadRecord, RolloutMoved, Step, Strike, write_whole
from lab.report.runs_page import RunFigures, RunSummary, runs_page, summaries_text
from lab.report.write import FILES, Format
from lab.run.judge import scenario_of
from lab.scenario.spec import Scenario, images_of

Say = Callable[[str], None]
NOT_JUDGED, UNREADABLE = "not judged", "unreadable"
VERDICTS = ("held", "broken", "could not tell", NOT_JUDGED)
PAGE = "index.html"
MS = 1000
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


class RunFilter(Value):
    """Which runs are wanted; what is not given does not matter."""

    scenario: str = ""
    """Its name, or a part of its name or title."""
    verdict: str = ""
    """One of VERDICTS."""
    since: datetime | None = None
    last: int | None = None
    """Only so many, the newest."""

    def fits(self, run: RunSummary) -> bool:
        """By all but `last`."""
        words = f"{run.scenario} {run.title}".lower()
        return (
            self.scenario.lower() in words
            and self.verdict in {"", run.verdict}
            and (self.since is None or datetime.fromisoformat(run.began) >= self.since)
        )


ALL = RunFilter()


def run_filter(scenario: str = "", verdict: str = "", since: str = "", last: int | None = None) -> RunFilter:
    """A filter as a command line gives it; `since` is a date, or how long ago (7d, 12h, 30m).

    Raises UsageError for a verdict or a time that is none.
    """
    verdict = verdict.replace("-", " ").lower()
    if verdict and verdict not in VERDICTS:
        raise UsageError("is not a verdict", at=f"--verdict {verdict}", hint=" | ".join(VERDICTS))
    if last is not None and last < 1:
        raise UsageError("must be 1 or more", at=f"--last {last}", hint="lab runs --last 10")
    return RunFilter(scenario=scenario, verdict=verdict, since=_since(since) if since else None, last=last)


def find_runs(wanted: RunFilter, *, runs: Path | None = None, with_figures: bool = False) -> list[RunSummary]:
    """The runs that fit, oldest first. Figures take a reading of each record, about a second for 10 MB.

    A record that can't be read is told as such: one of them must not hide the others.
    """
    folder = runs or find_places().runs
    folders = [one for one in folder.iterdir() if one.is_dir()] if folder.is_dir() else []
    found = sorted((summary_of(one) for one in folders), key=lambda one: (one.began, one.run))
    found = [one for one in found if wanted.fits(one)]
    found = found[-wanted.last :] if wanted.last is not None else found
    if with_figures:
        found = [msgspec.structs.replace(one, figures=_figures_or_none(folder / one.run)) for one in found]
    return found


def list_runs(wanted: RunFilter = ALL, *, as_json: bool = False, say: Say) -> int:
    """A line for each run, or with `as_json` a JSON object for each, on a line of its own."""
    found = find_runs(wanted, with_figures=as_json)
    for line in (msgspec.json.encode(one).decode() for one in found) if as_json else summaries_text(found):
        say(line)
    if not found and not as_json:
        say("no such run" if wanted != ALL else "no runs yet")
        say("  try: lab runs" if wanted != ALL else "  try: lab run demo")
    return ExitCode.HELD


def write_runs_page(wanted: RunFilter, out: Path | None, *, say: Say) -> int:
    """Write the page of all runs that fit, beside them if no file is given. Raises RecordError if the disk refuses."""
    folder = find_places().runs
    found = find_runs(wanted, with_figures=True)
    path = out or folder / PAGE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = folder.is_dir() and path.parent.samefile(folder)
        write_whole(path, runs_page(found, beside=beside).encode())
    except OSError as exc:
        hint = f"df -h {path.parent}"
        raise RecordError(f"the page can't be written: {exc.strerror}", at=str(path), hint=hint) from exc
    say(short(path))
    return ExitCode.HELD


def summary_of(folder: Path) -> RunSummary:
    """One run, without reading its history."""
    scenario, about = _scenario_of(folder)
    environment = _document(folder, "environment.json", _Environment) or _Environment()
    verdict = _document(folder, "verdict.json", _Verdict) or _Verdict(verdict=NOT_JUDGED)
    return RunSummary(
        run=folder.name,
        began=_began(folder, environment.began),
        seconds=_seconds(folder),
        scenario=about.name,
        title=about.title,
        images=tuple(images_of(scenario)) if scenario is not None else (),
        verdict=verdict.verdict,
        exit_code=verdict.exit_code,
        broken=tuple(one.promise for one in verdict.promises if one.verdict == "broken"),
        seed=environment.seed,
        has_report=(folder / FILES[Format.HTML]).is_file(),
    )


def figures_of(folder: Path) -> RunFigures:
    """What can be compared of a run, from its whole record. Raises RecordError where it can't be read."""
    seen, latencies = ReadRecord(folder), Latencies()
    requests = failed = repeated = replacements = strikes = 0
    for operation in seen.history():
        if operation.is_conclusion:
            continue
        requests += 1
        repeated += len(operation.tries) > 1
        failed += not operation.tries or not is_proper(operation.answered, operation)
        latencies.add(operation.end - operation.begin)
    entered = set[str]()
    rolled, begun = 0, None  # the record says when a rollout's phase changes, and its first step comes before that
    for event in seen.events():
        replacements += takes_a_place(event, entered)
        strikes += isinstance(event, Strike)
        if begun is None and (isinstance(event, RolloutMoved) or (isinstance(event, Step) and event.why == "upgrade")):
            begun = event.at
        if isinstance(event, RolloutMoved) and event.ending:
            rolled, begun = rolled + event.at - (begun or event.at), None
    took = latencies.summary()
    return RunFigures(
        requests=requests,
        failed=failed,
        repeated=repeated,
        p50=round(took.half * MS, 1),
        p95=round(took.p95 * MS, 1),
        p99=round(took.p99 * MS, 1),
        rollout_seconds=round(rolled / NS, 1),
        replacements=replacements,
        strikes=strikes,
    )


KEPT = ".figures.json"
FIGURES = 1
"""Counts up when figures come to mean something else."""


class _KeptFigures(Value):
    """Figures with what they were made from: another record of other sizes has others."""

    sizes: tuple[int, int]
    figures: RunFigures
    made_by: int = FIGURES


def _figures_or_none(folder: Path) -> RunFigures | None:
    """From the record, or what was kept of it before: a page of many runs reads each record once."""
    try:
        sizes = (_size(folder / "history.jsonl"), _size(folder / "events.jsonl"))
        kept = _kept_figures(folder)
        if kept is not None and (kept.sizes, kept.made_by) == (sizes, FIGURES):
            return kept.figures
        figures = figures_of(folder)
    except (LabError, OSError):
        return None
    if (folder / "verdict.json").exists():  # else it may go on
        with suppress(OSError):  # a record that can't be written to is read again
            write_whole(folder / KEPT, msgspec.json.encode(_KeptFigures(sizes=sizes, figures=figures)))
    return figures


def _kept_figures(folder: Path) -> _KeptFigures | None:
    try:
        return msgspec.json.decode((folder / KEPT).read_bytes(), type=_KeptFigures)
    except (OSError, msgspec.DecodeError):
        return None


def _size(path: Path) -> int:
    return path.stat().st_size


class _Promise(Value, forbid_unknown_fields=False):
    promise: str
    verdict: str


class _Verdict(Value, forbid_unknown_fields=False):
    verdict: str = UNREADABLE
    exit_code: int | None = None
    promises: tuple[_Promise, ...] = ()


class _Environment(Value, forbid_unknown_fields=False):
    began: str = ""
    seed: int | None = None


class _About(Value, forbid_unknown_fields=False):
    name: str = UNREADABLE
    title: str = ""


_Document = TypeVar("_Document", _Verdict, _Environment, _About)


def _document(folder: Path, name: str, kind: type[_Document]) -> _Document | None:
    """A document of a record, as far as a list needs it: as by default if it can't be read, None if there is none."""
    try:
        document = ReadRecord(folder).document(name)
        return None if document is None else msgspec.convert(document, kind)
    except (OSError, RecordError, msgspec.ValidationError):
        return kind()


def _scenario_of(folder: Path) -> tuple[Scenario | None, _About]:
    """The scenario, if it is one of this lab's, and what of its document can be read if not."""
    about = _document(folder, "scenario.json", _About) or _About(name="")
    try:
        return scenario_of(ReadRecord(folder)), about
    except LabError:
        return None, about


def _began(folder: Path, said: str) -> str:
    """As the record says, else by its name, else by its files."""
    try:
        return datetime.fromisoformat(said).isoformat(timespec="seconds")
    except ValueError:
        pass
    zone = SYSTEM_CLOCK.wall().tzinfo
    try:
        return datetime.strptime(folder.name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=zone).isoformat(timespec="seconds")
    except ValueError:
        return datetime.fromtimestamp(folder.stat().st_mtime, tz=zone).isoformat(timespec="seconds")


class _At(Value, forbid_unknown_fields=False):
    at: int


def _seconds(folder: Path) -> float | None:
    """By the first and the last event alone, however many lie between."""
    try:
        with (folder / "events.jsonl").open("rb") as file:
            first = file.readline()
            file.seek(max(file.seek(0, 2) - (1 << 14), 0))
            whole = [line for line in file.read().splitlines(keepends=True) if line.endswith(b"\n")]
        decoder = msgspec.json.Decoder(_At)
        return round((decoder.decode(whole[-1]).at - decoder.decode(first).at) / NS, 1)
    except (OSError, IndexError, msgspec.DecodeError):
        return None


def _since(text: str) -> datetime:
    now = SYSTEM_CLOCK.wall()
    ago = re.fullmatch(r"(\d+)([dhm])", text)
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        given = datetime.fromisoformat(text)
        return given if given.tzinfo else given.replace(tzinfo=now.tzinfo)
    except (ValueError, OverflowError):
        hint = "--since 2026-11-30, or --since 7d, 12h, 30m"
        raise UsageError("is not a date or a time ago", at=f"--since {text}", hint=hint) from None


def sequence_of(figures: RunFigures) -> Sequence[tuple[str, float, str]]:
    """Each figure with its name and unit, in the order in which they are shown."""
    return (
        ("requests", figures.requests, ""),
        ("failed after all tries", figures.failed, ""),
        ("took more than one try", figures.repeated, ""),
        ("p50", figures.p50, "ms"),
        ("p95", figures.p95, "ms"),
        ("p99", figures.p99, "ms"),
        ("rollout", figures.rollout_seconds, "s"),
        ("replacements", figures.replacements, ""),
        ("strikes", figures.strikes, ""),
    )


def changes(before: RunFigures, after: RunFigures) -> Iterator[tuple[str, float, float, str]]:
    """Name, both values and unit of each figure."""
    for (name, one, unit), (_, other, _) in zip(sequence_of(before), sequence_of(after), strict=True):
        yield name, one, other, unit
