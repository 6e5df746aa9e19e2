"""What the verbs on recorded runs say, from the records alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lab.errors import LabFault, RecordError
from lab.experiments.replay import read_recorded
from lab.operate import runs as command
from lab.record import ReadRecord, RunRecord
from lab.run.judge import judge_run, plan_of


@pytest.mark.parametrize("document", ["[1]", "{}", "3", '{"lab": 1, "name": 7}'])
@pytest.mark.parametrize(
    "read", [judge_run, plan_of, lambda seen: read_recorded(seen.folder)], ids=["judge", "plan", "again"]
)
def test_a_record_of_what_is_no_scenario_is_told_as_such(
    tmp_path: Path, document: str, read: Callable[[ReadRecord], object]
) -> None:
    """It is the record that is unfit, and no fault of the lab."""
    (tmp_path / "scenario.json").write_text(document)
    (tmp_path / "environment.json").write_text("{}")
    with pytest.raises(RecordError, match=r"scenario\.json: is not a scenario that this lab can read: "):
        read(ReadRecord(tmp_path))


def test_a_listener_that_left_is_told_of_once() -> None:
    """Then the run ends in order, and nothing of its end stumbles over that again."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as out:
        heard = command._heard_on(out)
        with pytest.raises(LabFault, match="output closed: Broken pipe"):
            heard(b"{}\n")
        heard(b"{}\n")


SCENARIO = '{"lab": 1, "name": "x", "title": "x", "cluster": {"release": "shop:v1"}, "steps": []}'


@pytest.mark.parametrize("environment", ["{}", '{"seed": "x", "images": {}}', '{"seed": 1, "images": [1]}', "[]"])
def test_a_record_that_does_not_say_how_it_was_run_can_not_be_repeated(tmp_path: Path, environment: str) -> None:
    """It used to be a KeyError."""
    (tmp_path / "scenario.json").write_text(SCENARIO)
    (tmp_path / "environment.json").write_text(environment)
    (tmp_path / "events.jsonl").write_text("")
    with pytest.raises(RecordError, match=r"environment\.json: does not say how it was run"):
        read_recorded(tmp_path)


def test_whoever_sees_a_verdict_finds_a_record_that_has_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`lab ui` in another window judges again as soon as the verdict is there; without the end that could not tell."""
    with RunRecord(tmp_path / "run") as run_record:
        run_record.write("scenario.json", msgspec.json.decode(SCENARIO))
        seen: list[list[str]] = []
        write = run_record.write

        def look(name: str, content: object) -> None:
            seen.append([type(event).__name__ for event in ReadRecord(run_record.folder).events()])
            write(name, content)

        monkeypatch.setattr(run_record, "write", look)
        command.judge_and_write(run_record)
    assert seen == [["RunEnded"]]
    assert (tmp_path / "run" / "verdict.json").exists()
