"""Recorded runs on real containers come to the verdicts that they are known to deserve."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pytest

from lab.model import Operation, Verdict
from lab.oracle.verdict import STATE_PROMISES
from lab.record import ReadRecord
from lab.run.judge import JudgedRun, judge_run
from tests.golden import deserved, names, told, unpack
from tests.unit.oracle.mutations import PLANTED, plant

HELD = [name for name in names() if deserved(name).verdict == Verdict.HELD]
RED = [name for name in names() if deserved(name).verdict == Verdict.BROKEN]


def judged(folder: Path) -> JudgedRun:
    return judge_run(ReadRecord(folder))


def rewrite(folder: Path, operations: list[Operation]) -> None:
    encoder = msgspec.json.Encoder()
    (folder / "history.jsonl").write_bytes(encoder.encode_lines(operations))


def test_there_are_runs_of_both_kinds() -> None:
    """Green ones with kills and rollouts, and red ones by many different promises."""
    assert len(HELD) >= 3
    assert len({promise for name in RED for promise in deserved(name).broken}) >= 5


@pytest.mark.parametrize("name", names())
def test_a_recorded_run_is_judged_as_it_deserves(name: str, tmp_path: Path) -> None:
    """Verdict, breaches of each promise, what was checked, and the likely cause: all to the last count."""
    what = deserved(name)
    assert told(judged(unpack(name, tmp_path)).judgement, what.about) == what


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "rolling-held" else pytest.mark.prove) for name in HELD]
)
@pytest.mark.slow
def test_an_anomaly_planted_into_a_recorded_run_turns_it_red(name: str, tmp_path: Path) -> None:
    """By its own promise; so what holds, holds because it was looked at."""
    folder = unpack(name, tmp_path)
    history = list(ReadRecord(folder).history())
    tried = 0
    for planted in PLANTED:
        promise = PLANTED[planted][1]
        made = plant(planted, history, Random(1)) if promise in STATE_PROMISES else None
        if made is None:
            continue
        tried += 1
        rewrite(folder, made[1])
        judgement = judged(folder).judgement
        assert judgement.verdict is Verdict.BROKEN, planted
        assert promise in {one.promise for one in judgement.findings}, planted
        assert {one.user for one in judgement.findings} == {made[0]}, planted
    assert tried >= 15


def test_a_torn_or_emptied_record_tells_nothing(tmp_path: Path) -> None:
    """A line that was cut off, and no line at all."""
    folder = unpack(HELD[0], tmp_path)
    history = folder / "history.jsonl"
    history.write_bytes(history.read_bytes()[:-20])
    assert judged(folder).judgement.verdict is Verdict.COULD_NOT_TELL
    history.write_bytes(b"")
    assert judged(folder).judgement.verdict is Verdict.COULD_NOT_TELL
