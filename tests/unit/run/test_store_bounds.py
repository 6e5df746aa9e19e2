"""A recorded run is judged by what its store states, or by what its scenario states instead."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lab.clock import NS
from lab.cluster.stores import StoreName
from lab.errors import ExitCode
from lab.model import PromiseResult, Verdict
from lab.oracle.promises import LOSS_BOUND
from lab.oracle.verdict import Enough
from lab.record import PhaseBegan, ReadRecord, RunRecord, Serving
from lab.run.judge import JudgedRun, judge_run
from lab.scenario.spec import ClusterSpec, Promises, Scenario, Settle, StepSpec, UsersSpec
from lab.scenario.strike_spec import LoseZone, StrikeSpec
from tests.unit.oracle.losing import history, strike_of

KILL = StepSpec(strike=StrikeSpec(do="kill", to="store"))


def judged(
    folder: Path,
    store: StoreName,
    *,
    loses: float,
    states: float | None = None,
    step: StepSpec = KILL,
    hit: bool = True,
) -> JudgedRun:
    """A run on this store, which lost so many seconds when it was struck."""
    scenario = Scenario(
        lab=1,
        name="x",
        title="x",
        cluster=ClusterSpec(release="shop:v1", store=store),
        users=UsersSpec(count=6, on_two_devices=6),
        steps=(step,),
        promises=Promises(loses_at_most=states),
        enough=Enough(operations=100, checks=100),
    )
    with RunRecord(folder / "run") as run_record:
        run_record.write("scenario.json", scenario)
        run_record.event(Serving(at=1, by_release={"v1": 6}, total=6))
        for event in strike_of(hit=hit):
            run_record.event(event)
        done = [msgspec.structs.replace(one, id=number) for number, one in enumerate(history(4, loses=loses))]
        run_record.event(PhaseBegan(at=done[-1].begin - NS, name="read back"))
        for one in done:
            run_record.operation(one)
    return judge_run(ReadRecord(folder / "run"), is_over=True)


def bound_of(run: JudgedRun) -> PromiseResult | None:
    return next((one for one in run.judgement.promises if one.promise == LOSS_BOUND), None)


@pytest.mark.parametrize(
    ("store", "loses", "states", "exit_code", "bound"),
    [
        pytest.param(StoreName.REDIS, 0.0, None, ExitCode.HELD, Verdict.HELD, id="nothing lost"),
        pytest.param(StoreName.REDIS, 1.0, None, ExitCode.BROKEN, Verdict.BROKEN, id="the default states nothing"),
        pytest.param(StoreName.REDIS_HA, 0.5, None, ExitCode.BROKEN, Verdict.BROKEN, id="nor does one that waits"),
        pytest.param(StoreName.REDIS_EVERYSEC, 1.5, None, ExitCode.HELD, Verdict.HELD, id="within the tier's bound"),
        pytest.param(StoreName.REDIS_EVERYSEC, 4.0, None, ExitCode.BROKEN, Verdict.BROKEN, id="beyond it"),
        pytest.param(StoreName.REDIS_EVERYSEC, 1.5, 0.0, ExitCode.BROKEN, Verdict.BROKEN, id="a stricter word"),
        pytest.param(StoreName.REDIS_NO_DISK, 3.0, 4.0, ExitCode.HELD, Verdict.HELD, id="a bound of the scenario's"),
        pytest.param(StoreName.REDIS_NO_DISK, 30.0, 0.0, ExitCode.BROKEN, Verdict.BROKEN, id="all lost, none allowed"),
        pytest.param(StoreName.REDIS_NO_DISK, 30.0, None, ExitCode.BROKEN, None, id="no bound, no excuse"),
    ],
)
def test_what_is_lost_is_held_against_what_is_stated(
    tmp_path: Path, store: StoreName, loses: float, states: float | None, exit_code: ExitCode, bound: Verdict | None
) -> None:
    """The scenario's own bound comes before its tier's, and a tier without one excuses nothing."""
    run = judged(tmp_path, store, loses=loses, states=states)
    told = bound_of(run)
    assert run.judgement.exit_code == exit_code, run.judgement.reasons
    assert (told.verdict if told is not None else None) == bound
    assert any(f"the store, {store}, may lose" in line for line in run.judgement.not_checked)


def test_a_loss_within_the_bound_is_told_in_the_closing_line(tmp_path: Path) -> None:
    """Nobody takes a green run for one in which nothing was lost."""
    run = judged(tmp_path, StoreName.REDIS_EVERYSEC, loses=1.5)
    first, *_ = run.closing(seconds=30, report="", repeat="")
    assert first.startswith("HELD")
    assert "the store lost: " in first
    assert "2 s are stated" in first


def test_a_bound_that_no_strike_tested_is_not_held(tmp_path: Path) -> None:
    """The strike hit nothing: nothing was checked, and the run can't tell."""
    run = judged(tmp_path, StoreName.REDIS, loses=0.0, hit=False)
    told = bound_of(run)
    assert told is not None
    assert (told.verdict, told.note) == (Verdict.COULD_NOT_TELL, "nothing was checked")
    assert run.judgement.exit_code == ExitCode.TOO_LITTLE_CHECKED


@pytest.mark.parametrize(
    ("step", "store", "is_asked"),
    [
        (StepSpec(settle=Settle(seconds=1)), StoreName.REDIS, False),
        (StepSpec(strike=StrikeSpec(do="kill", to="a1")), StoreName.REDIS_HA, False),
        (StepSpec(strike=StrikeSpec(do="freeze", to="store/b")), StoreName.REDIS_HA, True),
        (StepSpec(lose_zone=LoseZone(zone="a")), StoreName.REDIS_HA, True),
        (StepSpec(lose_zone=LoseZone(zone="a")), StoreName.REDIS, False),
    ],
)
def test_the_bound_is_asked_for_where_a_store_is_struck(
    tmp_path: Path, step: StepSpec, store: StoreName, is_asked: bool
) -> None:
    """By a step of its own, or with its zone."""
    assert (bound_of(judged(tmp_path, store, loses=0.0, step=step)) is not None) is is_asked
