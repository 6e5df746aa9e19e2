"""What is written of a run beside its record: the reports, and a CI's summary."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.errors import ExitCode, LabError, UsageError
from lab.machine.places import find_places
from lab.record import ReadRecord
from lab.report.markdown import MOST_BYTES, markdown
from lab.report.sentences import tell_event
from lab.report.write import FILES, Format, RunReports, tell_run
from lab.run.judge import JudgedRun, judge_run, plan_of, run_seconds
from lab.scenario.yaml_paths import did_you_mean

Say = Callable[[str], None]


def recorded_runs() -> list[str]:
    """The names of the runs in runs/, oldest first."""
    runs = find_places().runs
    return sorted(one.name for one in runs.iterdir() if one.is_dir()) if runs.is_dir() else []  # pictures lie there too


def folder_of(named: str) -> Path:
    """A run's folder: a path, or the name of a run in runs/. Raises UsageError where there is no such run."""
    found = find_places().runs / named
    try:
        if Path(named).is_dir():
            if not any((Path(named) / one).exists() for one in ("scenario.json", "events.jsonl")):
                raise UsageError("holds no record of a run", at=named, hint="lab runs")
            return Path(named)
        if named and found.is_dir():
            return found
    except (OSError, ValueError):  # a name that no file may have
        pass
    meant = did_you_mean(named, recorded_runs())
    raise UsageError("no such run", at=str(found), hint=f"did you mean {meant}?" if meant else "lab runs")


def report_run(named: str, wanted: Sequence[Format], out: Path | None, *, say: Say) -> int:
    """Write reports of a recorded run, from its record alone; nothing asked for means the HTML one."""
    folder = folder_of(named)
    seen = ReadRecord(folder)
    judged = judge_run(seen)
    wanted = wanted or (Format.HTML,)
    closing = judged.closing(seconds=run_seconds(seen), report="", repeat=plan_of(seen).repeat)
    for path in _tell(seen, judged, closing).write(wanted, out or folder):
        say(short(path))
    return ExitCode.HELD


def leave_report(folder: Path, judged: JudgedRun, closing: tuple[str, ...], *, say: Say) -> None:
    """Write report.html beside the record, and the summary where a CI asks for one.

    Never raises for its own faults: whether users kept their state has been told by then.
    """
    try:
        told = _tell(ReadRecord(folder), judged, closing)
        list(told.write((Format.HTML,), folder))
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            append_summary(told, Path(summary))
    except LabError as exc:
        say(f"no report was written: {exc}")
    except Exception as exc:  # noqa: BLE001 -- a fault of the report must not look like one of the run
        say(f"no report was written: internal error: {type(exc).__name__}: {exc}")


def append_summary(told: RunReports, path: Path) -> None:
    """Add the Markdown report to a CI's summary, as far as there is room in it."""
    try:
        room = MOST_BYTES - (path.stat().st_size if path.exists() else 0)
        if room > 0:
            with path.open("a", encoding="utf-8") as file:
                file.write(markdown(told.report, most=room))
    except OSError as exc:
        raise LabError(f"the summary can't be written: {exc}", at=str(path), hint="unset GITHUB_STEP_SUMMARY") from exc


def report_path(folder: Path) -> str:
    """Where a run's report is, as a person would type it."""
    return short(folder / FILES[Format.HTML])


def short(path: Path) -> str:
    """A path from here, where it is below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _tell(seen: ReadRecord, judged: JudgedRun, closing: tuple[str, ...]) -> RunReports:
    return tell_run(seen, plan_of(seen), judged.judgement, judged.service, closing, tell_event)
