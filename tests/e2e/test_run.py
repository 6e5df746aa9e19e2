"""Whole runs: what is promised is held by the healthy shop, and broken, by name, by one that deserves it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.machine.setup import Toolbox
from lab.record import ContainerEvent, RolloutMoved, Serving, Strike, StrikeProved
from tests.e2e.runs import first_tries_failed, is_gone, lab, scenario

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time]


@pytest.fixture(scope="module", autouse=True)
def images(toolbox: Toolbox) -> None:
    """The images are there before a run is timed."""


def test_the_demo_holds(toolbox: Toolbox) -> None:
    """Upgrade and kills together: nobody loses anything, and the record proves that it was not for want of trying."""
    ended = lab("run", "demo", "--seed", "7")
    assert ended.code == 0, ended.out + ended.err
    assert "HELD   60 of 60 users kept their state" in ended.out
    assert first_tries_failed(ended.history()) == []
    events = ended.events()
    struck = [event for event in events if isinstance(event, Strike)]
    assert sum(event.hit for event in events if isinstance(event, StrikeProved)) >= 4
    died = {event.container for event in events if isinstance(event, ContainerEvent) and event.action == "die"}
    assert {event.container for event in struck} <= died
    before = min(serving.total for serving in events if isinstance(serving, Serving) and serving.at > struck[0].at)
    assert before >= 5
    for name in ("environment.json", "scenario.json", "verdict.json", "events.jsonl", "history.jsonl"):
        assert (ended.folder / name).stat().st_size > 0
    assert is_gone(toolbox, ended.project)


@pytest.mark.prove
def test_sessions_in_memory_turn_the_run_red_by_name() -> None:
    """The demo with sessions inside the replicas breaks `logged_in`, tells a hurt user's story, and exits 1."""
    ended = lab("run", "demo-broken", "--seed", "7")
    assert ended.code == 1, ended.out + ended.err
    broken = {one["promise"] for one in ended.verdict["promises"] if one["verdict"] == "broken"}
    assert broken == {"logged_in"}
    assert "BROKEN logged_in" in ended.out
    assert "likely: sessions" in ended.out


@pytest.mark.prove
def test_a_release_that_never_gets_ready_leaves_the_old_one_serving(toolbox: Toolbox, tmp_path: Path) -> None:
    """The new release is given up, the old one serves all the while, the users are unharmed: exit 3."""
    ended = lab(
        "run",
        scenario(
            tmp_path,
            promises="{serving_at_least: 3}",
            steps='[{roll: {to: "shop:v2-never-ready", ready_within: 4}}, {settle: {for: 1}}]',
        ),
    )
    assert ended.code == 3, ended.out + ended.err
    assert first_tries_failed(ended.history()) == []
    assert {one.tries[0].release for one in ended.history()} == {"v1"}
    [*_, last] = [event for event in ended.events() if isinstance(event, RolloutMoved)]
    assert last.ending == "rolled back"
    assert is_gone(toolbox, ended.project)


@pytest.mark.prove  # in this process: tests/unit/run/test_whole_runs.py
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"time_limit": "1"}, 4),
        ({"enough": "{operations: 100, checks: 100, users_served_by_new: 1}"}, 5),
    ],
    ids=["time limit", "no new release"],
)
def test_a_run_that_proves_nothing_is_never_green(
    toolbox: Toolbox, tmp_path: Path, changes: dict[str, str], code: int
) -> None:
    """Cut short: 4; nobody served by a new release: 5."""
    ended = lab("run", scenario(tmp_path, **changes))
    assert ended.code == code, ended.out + ended.err
    assert "HELD" not in ended.out
    assert is_gone(toolbox, ended.project)
