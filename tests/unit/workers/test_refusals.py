"""Whose users can't be divided is said before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.backends.swarm_fit import check_workers
from lab.backends.worker_fit import check_has_no_workers
from lab.cli import run_command_line
from lab.errors import UsageError
from lab.scenario.read import read_scenario
from tests.in_process import small

WATCHED = """
lab: 1
name: watched
title: somebody else's
target: {urls: ["http://127.0.0.1:9"]}
users: {count: 3, http: {log_in: [{get: /}], act: [{post: /x, adds: "{new}"}], state: {get: /}}}
steps: [{settle: {for: 1}}]
"""


def refused(folder: Path, count: int = 3, **changes: str) -> UsageError:
    path = folder / "scenario.yaml"
    path.write_text(small(**changes))
    with pytest.raises(UsageError) as caught:
        check_workers(read_scenario(path), count)
    assert caught.value.hint
    return caught.value


def test_a_journey_of_ones_own_is_not_in_a_worker(tmp_path: Path) -> None:
    """Neither in Python nor as requests."""
    (tmp_path / "mine.py").write_text("")
    refusal = refused(tmp_path, users='{count: 9, journey: "mine.py:Mine"}')
    assert refusal.at == "users.journey"


def test_nobody_lives_on_a_node_that_is_struck(tmp_path: Path) -> None:
    """Its workers would go with it, and the run could tell nothing."""
    assert refused(tmp_path, steps="[{lose_zone: {zone: a, for: 5}}]").at == "steps[0]"
    steps = "[{settle: {for: 1}}, {strike: {do: drain, to: node/b, for: 5}}]"
    assert refused(tmp_path, steps=steps).at == "steps[1]"


def test_there_are_no_more_workers_than_users(tmp_path: Path) -> None:
    """Each has one at least."""
    assert refused(tmp_path, count=9).at == "--workers"


def test_one_engine_has_no_workers() -> None:
    """Nor has a target that somebody else deployed."""
    with pytest.raises(UsageError, match="on one engine"):
        check_has_no_workers("on one engine")


def test_a_target_is_refused_with_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the command line, before anything is asked."""
    path = tmp_path / "watched.yaml"
    path.write_text(WATCHED)
    assert run_command_line(["run", str(path), "--workers", "2"]) == 2
    assert "--workers" in capsys.readouterr().err
