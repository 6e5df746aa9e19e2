"""`lab ui`: which run is shown, and what is said where there is nothing that could be shown."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from lab.console import page as watched
from lab.errors import RecordError
from lab.machine.places import Places
from lab.record import PhaseBegan, RunRecord
from lab.report.events import AnyPageEvent, Ended, Planned, Said
from lab.scenario.read import LIBRARY, read_scenario
from lab.web import Feed, Follower

DECODER: msgspec.json.Decoder[AnyPageEvent] = msgspec.json.Decoder(AnyPageEvent)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(watched, "find_places", lambda: Places(root=tmp_path, sources=tmp_path))
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def test_without_a_name_the_newest_run_is_shown(runs: Path) -> None:
    """By its time and not by its name: a test's run has no time in its name."""
    with pytest.raises(RecordError, match="there is no run yet"):
        watched._find_run(None)
    for name, begun in (("8dac0847-main-2-run1", 1000), ("20260102-000000-aaaa", 3000), ("20260103-000000-aaaa", 2000)):
        (runs / name).mkdir()
        (runs / name / "scenario.json").write_text("{}")
        os.utime(runs / name / "scenario.json", (begun, begun))
    (runs / "not-begun").mkdir()
    assert watched._find_run(None).name == "20260102-000000-aaaa"


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The record of a lab that was killed long ago."""
    folder = tmp_path / "run"
    with RunRecord(folder) as record:
        record.write("scenario.json", read_scenario(LIBRARY / "demo.yaml"))
        record.write("environment.json", {"seed": 7})
        record.event(PhaseBegan(at=1, name="up", text="it begins"))
        record.event(PhaseBegan(at=2, name="down"))
    for name in ("events.jsonl", "history.jsonl"):
        os.utime(folder / name, (1000, 1000))
    return folder


def followed(folder: Path) -> tuple[list[AnyPageEvent], list[str]]:
    """What its page shows in the end, and what its terminal does."""
    recorded, feed, said = watched._Recorded(folder), Feed(), list[str]()
    with Follower(folder, recorded.fold, recorded.ending, feed, say=said.append) as follower:
        assert follower.wait(10)
    return [DECODER.decode(line) for line in feed.after(0, wait=0)[0]], said


@pytest.mark.parametrize("lost", [[], ["environment.json"], ["history.jsonl"], ["environment.json", "history.jsonl"]])
def test_a_record_that_lacks_something_is_shown_as_far_as_it_goes(killed: Path, lost: list[str]) -> None:
    """And judged: nothing is waited for that will not come."""
    for name in lost:
        (killed / name).unlink()
    events, said = followed(killed)
    assert isinstance(events[0], Planned)
    assert isinstance(events[-1], Ended)
    assert said == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("events.jsonl", None),
        ("events.jsonl", b"{}\n"),
        ("history.jsonl", b"nonsense\n"),
        ("environment.json", b"{"),
        ("environment.json", b"[1]"),
        ("scenario.json", b"[1]"),
    ],
)
def test_a_record_that_cant_be_read_is_told_on_the_page_and_beside_it(
    killed: Path, name: str, content: bytes | None
) -> None:
    """With the file that can't be read."""
    if content is None:
        (killed / name).unlink()
    else:
        (killed / name).write_bytes(content)
        os.utime(killed / name, (1000, 1000))
    events, [said] = followed(killed)
    assert isinstance(events[-1], Said)
    assert events[-1].text == said
    assert said.startswith("the page stopped: ")
    assert name in said
