"""Somebody else's Compose project on real containers, watched and struck: only what its owner offers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.errors import ExitCode
from lab.machine.projects import run_identity
from lab.machine.setup import Toolbox
from lab.operate.runs import ChosenRun, watch_one
from lab.operate.watch_checks import opted_of
from lab.record import CommandSaid, Observed, ReadRecord, Strike, StrikeProved, StrikeUndone, Trouble
from lab.run.judge import JudgedRun
from tests.duel.watching import scenario
from tests.duel.yard import Yard, command_for, variables, yard

pytestmark = [pytest.mark.e2e, pytest.mark.prove]
STRIKE = {"strike": {"do": "kill", "after": 1}}
HEAL = command_for("heal")


@contextmanager
def project(toolbox: Toolbox, folder: Path, *, may_be_struck: bool) -> Iterator[Yard]:
    identity = run_identity(f"watch-{secrets.token_hex(3)}")
    with (
        yard(toolbox, identity, "nginx", "shop:v1", folder, may_be_struck=may_be_struck) as one,
        variables(one.variables("shop:v1")),
    ):
        yield one


def struck(one: Yard, folder: Path, *steps: dict[str, Any]) -> tuple[JudgedRun, ReadRecord]:
    told = scenario(
        one.address_url,
        {"compose": one.identity.project},
        HEAL,
        folder,
        steps=[{"settle": {"for": 3}}, *steps, {"settle": {"for": 3}}],
        target={
            "urls": [one.address_url],
            "replica": {"header": "X-Replica"},
            "evidence": {"compose": one.identity.project},
        },
        enough={"operations": 200, "checks": 20, "strikes_that_hit": 1},
    )
    with opted_of(told) as opted:
        judged, run = watch_one(
            ChosenRun(scenario=told, seed=5), folder / "runs", say=print, is_shown=False, opted=opted
        )
    return judged, ReadRecord(run)


def test_who_is_offered_is_killed_and_its_owner_brings_it_back(toolbox: Toolbox, tmp_path: Path) -> None:
    """The lab kills one of the app's, the engine says that it ended, the platform makes another, nobody loses state."""
    with project(toolbox, tmp_path, may_be_struck=True) as one:
        before = set(one.apps())
        judged, seen = struck(one, tmp_path, {"together": [STRIKE, {"command": {"run": HEAL, "within": 120}}]})
        after = set(one.apps())
    events = list(seen.events())
    assert judged.judgement.exit_code == ExitCode.HELD, judged.judgement.reasons
    [strike] = [event for event in events if isinstance(event, Strike)]
    assert strike.container in before
    assert len(after) == one.REPLICAS  # Compose starts it again: it never leaves the project by being killed
    assert [event.hit for event in events if isinstance(event, StrikeProved)] == [True]
    [back] = [event for event in events if isinstance(event, StrikeUndone)]
    assert "until as many ran as before" in back.fault
    observed = [event for event in events if isinstance(event, Observed)]
    assert any(event.who == strike.victim and event.what == "ended" for event in observed)
    assert any(event.what == "ready" and event.at > strike.at for event in observed)
    assert any("5 of 6 run" in event.line for event in events if isinstance(event, CommandSaid))


def test_who_is_not_offered_is_never_struck(toolbox: Toolbox, tmp_path: Path) -> None:
    """Not even where it is asked for: the run can't tell, with the label that is missing."""
    with project(toolbox, tmp_path, may_be_struck=False) as one:
        before = one.apps()
        judged, seen = struck(one, tmp_path, STRIKE)
        assert set(one.apps()) == set(before)
    events = list(seen.events())
    assert judged.judgement.exit_code == ExitCode.COULD_NOT_TELL
    assert not [event for event in events if isinstance(event, Strike)]
    assert any("lab.may-be-struck=true" in event.what for event in events if isinstance(event, Trouble))
