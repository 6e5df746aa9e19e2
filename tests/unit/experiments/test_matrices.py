"""What the sweeps are made of: moments of a rollout, what may be chosen, and how figures become a verdict."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lab import record
from lab.deploy.rollout import Phase, check_strategy
from lab.errors import ExitCode, UsageError
from lab.experiments.deployer_kills import KillSweepResult
from lab.experiments.fault_matrix import COURSES, Cell, Matrix, choose, write_report
from lab.experiments.rehearsal import SLOTS, Rolled
from lab.model import Finding
from lab.scenario.pin_spec import Pin, PinnedFault

HELD = Rolled(
    release="v2",
    ending="done",
    wrong="",
    floor=3,
    fewest_running=3,
    most_running=4,
    operations=500,
    retried=0,
    failed=0,
    findings=(),
    seconds=5.0,
)
LOST = Finding(promise="state_kept", anomaly="lost", user="u1", at=1, why="a line is gone")


def step(action: str, slot: str = "b1", why: str = "upgrade") -> record.Step:
    return record.Step(at=0, action=action, slot=slot, replica="", release="v2", why=why)


@pytest.mark.parametrize(
    ("pin", "moment", "seen", "is_there"),
    [
        (Pin(action="enter", slot="b1"), "after", step("enter"), True),
        (Pin(action="enter", slot="b1"), "before", step("enter"), False),
        (Pin(action="enter", slot="b1"), "after", step("enter", "a1"), False),
        (Pin(action="enter"), "after", step("enter", "a1"), True),
        (Pin(action="enter", phase=Phase.MOVE), "after", step("enter"), True),
        (Pin(action="enter", phase=Phase.BACK), "after", step("enter"), False),
        (Pin(action="advance", phase=Phase.KEEP, slot="b1"), "after", step("advance", "", "keep"), True),
        (Pin(action="advance", phase=Phase.KEEP), "after", step("advance", "", "watch"), False),
        (Pin(action="advance"), "after", step("advance", "", "watch"), True),
    ],
)
def test_a_pin_is_at_its_moment_and_at_no_other(pin: Pin, moment: str, seen: record.Step, is_there: bool) -> None:
    """By what is done, before or after it, in which slot, and in which phase of the rollout."""
    assert pin.is_at(moment, seen, lambda: Phase.MOVE) == is_there


def test_every_strategy_is_swept_at_moments_of_its_own() -> None:
    """All four, and the way back; each fits a cluster of the rehearsal's size."""
    assert {str(course.strategy.__struct_config__.tag) for course in COURSES.values()} == {
        "rolling",
        "drain-then-move",
        "canary",
        "red-black",
    }
    for course in COURSES.values():
        check_strategy(course.strategy, len(SLOTS))
        assert len(course.points) >= 6
        assert len(set(course.points.values())) == len(course.points)


def test_part_of_a_sweep_may_be_chosen_by_name() -> None:
    """All of it if nothing is named; a moment that a strategy has not is left out there."""
    everything, faults = choose([], [], [])
    assert (list(everything), faults) == (list(COURSES), list(PinnedFault))
    some, faults = choose(["rolling", "reverse"], ["freeze the store"], ["old ready", "ready"])
    assert {name: list(course.points) for name, course in some.items()} == {
        "rolling": ["ready"],
        "reverse": ["old ready"],
    }
    assert faults == [PinnedFault.FREEZE_STORE]


@pytest.mark.parametrize(
    ("names", "faults", "points"),
    [(["blue"], [], []), ([], ["a flood"], []), ([], [], ["noon"]), (["rolling"], [], ["old kept"])],
)
def test_what_can_not_be_swept_is_refused(names: list[str], faults: list[str], points: list[str]) -> None:
    """With what there is instead."""
    with pytest.raises(UsageError):
        choose(names, faults, points)


def matrix(*rolled: Rolled, hit: bool = True) -> Matrix:
    cells = tuple(Cell(point=f"p{n}", fault=PinnedFault.KILL_NEW, hit=hit, rolled=one) for n, one in enumerate(rolled))
    return Matrix(strategy="rolling", seed=1, cells=cells)


@pytest.mark.parametrize(
    ("changes", "text", "code"),
    [
        ({}, "held", ExitCode.HELD),
        ({"retried": 4}, "saved 4", ExitCode.HELD),
        ({"retried": 4, "failed": 2}, "not served 2", ExitCode.HELD),
        ({"findings": (LOST,)}, "BROKEN", ExitCode.BROKEN),
        ({"wrong": "releases left: a1-1 v1"}, "BROKEN", ExitCode.BROKEN),
    ],
)
def test_a_cell_says_what_came_of_it(changes: dict[str, object], text: str, code: ExitCode) -> None:
    """And one broken pair breaks the whole sweep."""
    found = matrix(HELD, msgspec.structs.replace(HELD, **changes))
    assert found.table()[1][1:] == ["held", text]
    assert found.exit_code == code


def test_a_sweep_that_hurt_nobody_proves_nothing() -> None:
    """Neither of faults nor of kills."""
    assert matrix(HELD, hit=False).exit_code == ExitCode.TOO_LITTLE_CHECKED
    assert matrix(HELD, hit=False).table()[1][1:] == ["-"]
    assert not swept(kills=0).is_good


def swept(**changes: object) -> KillSweepResult:
    good = KillSweepResult(
        kills=100, rollouts=40, wrong=(), below_floor=0, users_hurt=0, retried=0, failed=0, operations=9000, resumed=()
    )
    return msgspec.structs.replace(good, **changes)


@pytest.mark.parametrize("changes", [{"wrong": ("replicas left: a1-3",)}, {"below_floor": 1}, {"users_hurt": 1}])
def test_kills_are_survived_only_if_every_end_is_right(changes: dict[str, object]) -> None:
    """Of one release, never below the floor, and nobody hurt; the line has the counts."""
    assert swept().is_good
    assert not swept(**changes).is_good
    assert "100 kills of a deployer in 40 rollouts, 0 wrong ends, 0 below the floor" in swept().line


def test_a_report_tells_each_strategys_matrix_and_what_was_not_simply_held(tmp_path: Path) -> None:
    """As a table that people can read, and as JSON."""
    hurt = matrix(HELD, msgspec.structs.replace(HELD, retried=4), msgspec.structs.replace(HELD, findings=(LOST,)))
    write_report(tmp_path, [hurt, matrix(HELD)])
    text = (tmp_path / "sweep.md").read_text()
    assert "| kill the new replica | held | saved 4 | BROKEN |" in text
    assert "kill the new replica, p2: BROKEN; a line is gone" in text
    assert text.count("## rolling") == 2
    assert len(msgspec.json.decode((tmp_path / "sweep.json").read_bytes(), type=list[Matrix])) == 2
