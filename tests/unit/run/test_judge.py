"""What a judged run tells of what it did not do: an upgrade to the same image, chaos that struck nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lab.errors import ExitCode
from lab.record import ReadRecord, Strike, StrikeProved, WouldStrike
from lab.run.judge import judge_run
from tests.golden import unpack


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return unpack("demo-held", tmp_path)


def write_environment(folder: Path, **contents: str) -> None:
    images = {f"cluster-lab/shop:{name}-0": content for name, content in contents.items()}
    releases = {name: f"cluster-lab/shop:{name}-0" for name in contents}
    document = {"run": "r", "images": images, "releases": releases}
    (folder / "environment.json").write_bytes(msgspec.json.encode(document))


def keep_events(folder: Path, *without: type) -> None:
    events = [event for event in ReadRecord(folder).events() if not isinstance(event, without)]
    if WouldStrike not in without:
        events.append(WouldStrike(at=events[-1].at, fault="SIGKILL", victim="a1-1"))
    (folder / "events.jsonl").write_bytes(msgspec.json.Encoder().encode_lines(events))


def test_an_upgrade_to_another_image_counts(demo: Path) -> None:
    """Told apart by what it is; a record that does not say is believed."""
    told = judge_run(ReadRecord(demo))
    write_environment(demo, v1="sha256:1", v2="sha256:2")
    assert judge_run(ReadRecord(demo)).replacements == told.replacements > 0
    assert told.judgement.evidence.users_served_by_new > 0


def test_two_tags_of_one_image_are_no_upgrade(demo: Path) -> None:
    """Nobody was served by anything new, and the run is not enough by its own words."""
    write_environment(demo, v1="sha256:1", v2="sha256:1")
    judged = judge_run(ReadRecord(demo))
    assert judged.judgement.evidence.users_served_by_new == 0
    assert judged.judgement.exit_code is ExitCode.TOO_LITTLE_CHECKED
    assert any("v1, v2 are tags of one image" in line for line in judged.judgement.not_checked)


def test_chaos_that_struck_nothing_is_told(demo: Path) -> None:
    """With what a leashed monkey would have done; and it is no kill."""
    before = judge_run(ReadRecord(demo))
    assert before.kills == 4
    assert not any("no strike was made" in line for line in before.judgement.not_checked)
    keep_events(demo, Strike, StrikeProved)
    judged = judge_run(ReadRecord(demo))
    assert (judged.kills, judged.judgement.exit_code) == (0, ExitCode.TOO_LITTLE_CHECKED)
    assert any("a monkey on a leash would have made 1" in line for line in judged.judgement.not_checked)


def test_an_old_record_tells_what_nothing_tried(demo: Path) -> None:
    """Its users sent nothing again on purpose: keys are not called kept, and the run is held as it was."""
    judged = judge_run(ReadRecord(demo)).judgement
    once = next(one for one in judged.promises if one.promise == "applied_once")
    assert (judged.exit_code, str(once.verdict)) == (ExitCode.HELD, "could not tell")
    assert "not put to the test" in once.note
    assert any(line.startswith("applied_once: not put to the test") for line in judged.not_checked)
