"""Recorded runs as a list, as JSON, as a page and two by two: from the records alone, whatever state they are in."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import msgspec
import pytest

from lab.errors import ExitCode, RecordError, UsageError
from lab.machine.places import Places
from lab.operate import records
from lab.operate.compare import compare_runs
from lab.operate.records import find_runs, list_runs, run_filter, write_runs_page
from lab.record import ReadRecord
from lab.report.runs_page import RunFigures
from lab.run.judge import judge_run
from tests import golden


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def places() -> Places:
        return Places(root=tmp_path, sources=tmp_path)

    monkeypatch.setattr(records, "find_places", places)
    monkeypatch.setattr("lab.console.reports.find_places", places)
    (tmp_path / "runs").mkdir()
    return tmp_path


@pytest.fixture
def two(root: Path) -> Path:
    """A run that held and one that broke, as they were on real containers, with their verdicts."""
    for name, run in (("demo-held", "20260101-120000-aaaa"), ("memory", "20260103-120000-bbbb")):
        folder = golden.unpack(name, root / "runs").rename(root / "runs" / run)
        verdict = msgspec.json.encode(judge_run(ReadRecord(folder)).judgement)
        (folder / "verdict.json").write_bytes(verdict)
    return root / "runs"


def listed(**given: object) -> list[str]:
    said: list[str] = []
    assert list_runs(run_filter(**given), say=said.append) == ExitCode.HELD  # type: ignore[arg-type]
    return said


def test_a_run_is_listed_with_when_how_long_what_and_how_it_ended(two: Path) -> None:
    """In the order of time, beside whatever else lies there."""
    (two / "duel-20260101-000000.svg").write_text("<svg/>")
    held, broken = listed()
    assert held.startswith("2026-01-01 12:00  ")
    assert " demo " in held
    assert "shop:v1 → shop:v2" in held
    assert " held " in held
    assert held.endswith("20260101-120000-aaaa")
    assert "broken: logged_in" in broken
    assert broken.endswith("20260103-120000-bbbb")


def test_runs_are_filtered(two: Path) -> None:
    """By scenario, verdict and time; the newest few."""
    assert len(listed(verdict="held")) == 1
    assert listed(verdict="could-not-tell") == ["no such run", "  try: lab runs"]
    assert listed(last=1)[0].endswith("bbbb")
    assert listed(since="2026-01-02")[0].endswith("bbbb")
    assert [one.run[-4:] for one in find_runs(run_filter(since="30000d"))] == ["aaaa", "bbbb"]
    assert [one.run[-4:] for one in find_runs(run_filter(scenario="DEMO", verdict="held"))] == ["aaaa"]
    assert find_runs(run_filter(scenario="red-black")) == []


@pytest.mark.parametrize("given", [{"verdict": "green"}, {"since": "yesterday"}, {"since": "9999999999d"}, {"last": 0}])
def test_what_is_no_filter_is_refused(given: dict[str, object]) -> None:
    """With what would be one."""
    with pytest.raises(UsageError):
        run_filter(**given)  # type: ignore[arg-type]


def test_programs_get_a_line_of_json_for_each_run(two: Path) -> None:
    """With the figures that a list has no room for."""
    said: list[str] = []
    list_runs(as_json=True, say=said.append)
    held, broken = (json.loads(line) for line in said)
    assert (held["verdict"], held["exit_code"], held["broken"]) == ("held", 0, [])
    assert (broken["verdict"], broken["exit_code"]) == ("broken", 1)
    history = list(ReadRecord(two / held["run"]).history())
    assert held["figures"]["requests"] == len(history)
    assert held["figures"]["repeated"] == sum(len(one.tries) > 1 for one in history)
    assert 0 < held["figures"]["p50"] < held["figures"]["p99"]
    assert held["figures"]["rollout_seconds"] > 1
    assert held["seconds"] > 10


@pytest.mark.parametrize("document", ['{"verdict": "he', "[1]", '{"verdict": 3}', '{"verdict": ["held"]}', "\xff"])
def test_a_record_that_cant_be_read_does_not_hide_the_others(root: Path, document: str) -> None:
    """It has a line like any other, in a list and on the page, and the next one follows."""
    runs = root / "runs"
    for name, text in (("20260101-000000-aaaa", document), ("20260102-000000-aaaa", '{"verdict": "held"}')):
        (runs / name).mkdir(parents=True)
        (runs / name / "verdict.json").write_text(text, encoding="latin-1")
        (runs / name / "scenario.json").write_text('{"name": "mine"}')
        (runs / name / "history.jsonl").write_text("nonsense\n")
    (runs / "20260102-000000-aaaa" / "scenario.json").write_text("[]")
    (runs / "not-begun").mkdir()
    os.utime(runs / "not-begun", (1, 1))
    empty, one, other = listed()
    assert empty.startswith("1970-01-01")
    assert "not judged" in empty
    assert one.split() == ["2026-01-01", "00:00", "mine", "unreadable", "20260101-000000-aaaa"]
    assert other.split() == ["2026-01-02", "00:00", "unreadable", "held", "20260102-000000-aaaa"]
    assert write_runs_page(records.ALL, None, say=lambda _: None) == ExitCode.HELD


def test_a_page_that_the_disk_refuses_is_no_half_of_one(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was there stays."""
    page = two / "page.html"
    page.write_text("of yesterday")

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(Path, "write_text", lambda path, text, encoding: full(path, text.encode(encoding)))
    with pytest.raises(RecordError, match="No space left on device"):
        write_runs_page(records.ALL, page, say=lambda _: None)
    assert page.read_text() == "of yesterday"
    assert not [one for one in two.iterdir() if one.name.endswith(".part")]


def test_without_any_run_it_says_what_to_do(root: Path) -> None:
    """Whether or not there is a folder for them."""
    assert listed() == ["no runs yet", "  try: lab run demo"]
    (root / "runs").rmdir()
    assert listed() == ["no runs yet", "  try: lab run demo"]


def test_two_runs_are_compared(two: Path) -> None:
    """Promises that fare otherwise and every figure; exit 1 only where something is newly broken."""
    held, broken = "20260101-120000-aaaa", "20260103-120000-bbbb"
    said: list[str] = []
    assert compare_runs(held, broken, say=said.append) == ExitCode.BROKEN
    text = "\n".join(said)
    assert "✕ Users stay logged in: held → broken " in text
    assert "p99" in text
    assert " %" in text
    said.clear()
    assert compare_runs(broken, held, as_json=True, say=said.append) == ExitCode.HELD
    told = json.loads(said[0])
    assert told["newly_broken"] == []
    logged_in = next(one for one in told["promises"] if one["promise"] == "logged_in")
    assert (logged_in["before"], logged_in["after"]) == ("broken", "held")
    said.clear()
    compare_runs(held, held, say=said.append)
    assert "   every promise fares as before" in said
    assert "%" not in "".join(said)


def test_the_page_links_to_reports_only_where_it_lies_beside_them(two: Path, tmp_path: Path) -> None:
    """And is one file that loads nothing."""
    (two / "20260101-120000-aaaa" / "report.html").write_text("")
    write_runs_page(records.ALL, None, say=lambda _: None)
    beside = (two / "index.html").read_text()
    assert 'href="20260101-120000-aaaa/report.html"' in beside
    assert 'href="20260103' not in beside
    assert "default-src &#39;none&#39;; script-src" in beside
    write_runs_page(records.ALL, tmp_path / "elsewhere" / "all.html", say=lambda _: None)
    assert "report.html" not in (tmp_path / "elsewhere" / "all.html").read_text()


def test_figures_are_read_from_a_record_once(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And again where the record has changed, or what was kept can't be read."""
    read: list[Path] = []
    real = records.figures_of

    def counted(folder: Path) -> RunFigures:
        read.append(folder)
        return real(folder)

    monkeypatch.setattr(records, "figures_of", counted)
    first = [records._figures_or_none(folder) for folder in sorted(two.iterdir()) if folder.is_dir()]
    assert first == [records._figures_or_none(folder) for folder in sorted(two.iterdir()) if folder.is_dir()]
    assert len(read) == 2
    one = read[0]
    with (one / "events.jsonl").open("ab") as events:
        events.write(b"\n")
    (read[1] / records.KEPT).write_text("nonsense")
    assert records._figures_or_none(one) == first[0]
    assert records._figures_or_none(read[1]) == first[1]
    assert len(read) == 4
