"""Whole runs whose users are divided among workers: plain processes here, on a cluster in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from lab.clock import NS
from lab.errors import ExitCode
from lab.model import Operation
from lab.record import PhaseBegan, ReadRecord, RunBegan, RunEnded, WorkerBegan, WorkerEnded
from lab.run.judge import judge_run
from tests.in_process import Ended, InProcessLab, small

pytestmark = pytest.mark.slow

SPOILT = Path(__file__).with_name("spoilt.py")
UNTIL = "[{settle: {for: 0.2, until: 0.02}}]"
"""Until so much was done, on however busy a machine."""
USERS = "{count: 8, on_two_devices: 3, think: 0.03, tries: 3}"


def lab_of(folder: Path, *spoilt: str) -> InProcessLab:
    if not spoilt:
        return InProcessLab(folder)
    return InProcessLab(folder, worker=(sys.executable, str(SPOILT), *spoilt))


def operations(ended: Ended) -> list[Operation]:
    return list(ReadRecord(ended.folder).history())


def test_a_run_with_workers_is_a_run_like_any_other(tmp_path: Path) -> None:
    """One record in order, without a gap; an upgrade is seen by its users; and nobody is left."""
    steps = '[{settle: {for: 0.2, until: 0.03}}, {roll: {to: "shop:v2"}}, {settle: {for: 0.2, until: 0.01}}]'
    enough = "{operations: 60, checks: 30, users_served_by_new: 8}"
    ended = lab_of(tmp_path).run(small(users=USERS, steps=steps, enough=enough), workers=2)
    assert ended.code == ExitCode.HELD, ended.lines
    done = operations(ended)
    assert [one.id for one in done] == list(range(len(done)))
    assert {one.user for one in done} == {f"user-{number:03}" for number in range(1, 9)}
    began = [event for event in ended.events() if isinstance(event, WorkerBegan)]
    over = [event for event in ended.events() if isinstance(event, WorkerEnded)]
    assert [(one.users, one.offset) for one in began] == [(4, 0), (4, 0)]
    assert sum(one.operations for one in over) == len(done)
    assert not any(one.lost for one in over)
    assert not any(psutil.pid_exists(int(one.where.removeprefix("process "))) for one in began)


def test_they_are_the_users_that_one_crowd_has(tmp_path: Path) -> None:
    """The same seed gives the same accounts on the same devices, each account in one worker."""
    lab = lab_of(tmp_path)
    alone, shared = (lab.run(small(users=USERS, steps=UNTIL), workers=number) for number in (0, 3))
    assert {one.device for one in operations(alone)} == {one.device for one in operations(shared)}
    first = [[one.kind for one in operations(run) if one.device == "user-001.1"][:3] for run in (alone, shared)]
    assert first[0] == first[1]


def test_the_merged_record_is_judged_again_in_any_way(tmp_path: Path) -> None:
    """From the folder alone, in one process and in two."""
    ended = lab_of(tmp_path).run(small(users=USERS, steps=UNTIL), workers=2)
    for processes in (1, 2):
        again = judge_run(ReadRecord(ended.folder), processes=processes).judgement
        assert (again.exit_code, again.evidence) == (ExitCode.HELD, ended.judged.judgement.evidence)


def test_state_in_the_replicas_memory_breaks_the_promise(tmp_path: Path) -> None:
    """Workers find what one crowd finds."""
    cluster = '{release: "shop:v1-memory", zones: {a: 1, b: 1, c: 1}, affinity: cookie}'
    ended = lab_of(tmp_path).run(small(users=USERS, cluster=cluster), workers=2)
    assert ended.code == ExitCode.BROKEN
    assert "logged_in" in ended.broken


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("dies", "ended before its users did: out of memory"),
        ("tears", "in the middle of a word"),
        ("babbles", "stream is torn"),
        ("forgets", "is missing"),
    ],
)
def test_what_a_worker_did_not_tell_makes_the_run_could_not_tell(how: str, told: str, tmp_path: Path) -> None:
    """Whoever of two is lost, and however: the reason says which and why, and it is never green."""
    ended = lab_of(tmp_path, how, "1").run(small(users=USERS, steps="[{settle: {for: 20}}]"), workers=2)
    assert ended.code == ExitCode.COULD_NOT_TELL, ended.lines
    lost = [event for event in ended.events() if isinstance(event, WorkerEnded) and event.lost]
    assert [one.worker for one in lost] == [2]
    assert told in lost[0].lost
    assert any("worker 2" in reason and told in reason for reason in ended.judged.judgement.reasons)
    assert judge_run(ReadRecord(ended.folder)).judgement.exit_code == ExitCode.COULD_NOT_TELL
    took = ended.events()[-1].at - ended.events()[0].at
    assert took < 15 * NS  # it does not wait for the step's end


def test_times_are_by_the_conductors_clock(tmp_path: Path) -> None:
    """A worker's clock that is five seconds behind puts nothing before the run, and its offset is in the record."""
    ended = lab_of(tmp_path, "behind", "0").run(small(users=USERS, steps=UNTIL), workers=2)
    assert ended.code == ExitCode.HELD, ended.lines
    events, done = ended.events(), operations(ended)
    began = [event for event in events if isinstance(event, WorkerBegan)]
    assert all(abs(one.offset - 5 * NS) <= one.uncertainty for one in began)
    log_in = next(event.at for event in events if isinstance(event, PhaseBegan) and event.name == "log in")
    most = max(one.uncertainty for one in began)
    assert all(log_in - most <= one.begin <= one.end <= events[-1].at for one in done)
    assert isinstance(events[0], RunBegan)
    assert isinstance(events[-1], RunEnded)
