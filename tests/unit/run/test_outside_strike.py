"""Strikes on somebody else's deployment: only where its owner offered it, and what came of them is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from lab.backends import compose_witness
from lab.backends.compose_witness import OptedContainers
from lab.clock import NS, FakeClock
from lab.cluster.harm import Victim
from lab.errors import LabFault, UsageError
from lab.model import Role
from lab.operate.runs import ChosenRun, RunRequest, run_scenarios, watch_one
from lab.record import AnyEvent, ReadRecord, Strike, StrikeProved, StrikeUndone, Trouble
from lab.run.outside_strike import BACK_WITHIN, OutsideStrikeStep
from lab.scenario.read import read_scenario
from lab.scenario.spec import StepSpec
from lab.scenario.strike_spec import StrikeSpec
from tests.unit.run.watched import WATCHED, Deployment, deployment, written

STRIKES = WATCHED.replace("steps: [", "steps: [{strike: {do: kill}}, ").replace(
    'urls: ["URL"]', 'urls: ["URL"], evidence: {compose: shop}'
)


class Yard:
    """Containers that may be struck; a killed one comes back when it is told to."""

    def __init__(self, *names: str) -> None:
        self.there = [Victim(container=f"id-{name}", name=name, role=Role.APP, release="v1") for name in names]
        self.signals: list[tuple[str, str]] = []
        self.dies = True

    def victims(self) -> list[Victim]:
        return list(self.there)

    def kill(self, victim: Victim, signal: str) -> None:
        self.signals.append((victim.name, signal))
        if self.dies:
            self.there.remove(victim)


def step_on(yard: Yard, told: list[AnyEvent], clock: FakeClock, **spec: Any) -> OutsideStrikeStep:
    step = OutsideStrikeStep(StrikeSpec(do="kill", **spec), yard, told.append, Random(1), clock, number=1)
    step.begin()
    return step


def test_one_is_killed_and_how_long_the_platform_takes_is_told() -> None:
    """Written down before it is done; a hit only once it is gone."""
    yard, told, clock = Yard("web-1", "web-2"), list[AnyEvent](), FakeClock()
    step = step_on(yard, told, clock, signal="SIGTERM")
    assert not step.is_over()
    [(name, signal)] = yard.signals
    assert signal == "SIGTERM"
    assert isinstance(told[0], Strike)
    assert (told[0].victim, told[0].serving) == (name, 2)
    assert not step.is_over()
    assert told[1] == StrikeProved(at=clock.now(), strike=1, hit=True)
    clock.sleep(3)
    yard.there.append(Victim(container="id-new", name=name, role=Role.APP))
    assert step.is_over()
    assert isinstance(told[-1], StrikeUndone)
    assert "3.0 s until as many ran as before" in told[-1].fault
    assert step.is_over(), "as whoever stands beside others is asked until they are over, too"
    assert len([one for one in told if isinstance(one, StrikeUndone)]) == 1


def test_one_that_lives_on_was_not_hit() -> None:
    """And one that nobody brings back is waited for no longer than a while."""
    yard, told, clock = Yard("web-1"), list[AnyEvent](), FakeClock()
    yard.dies = False
    step = step_on(yard, told, clock)
    step.is_over()
    clock.sleep(6)
    assert step.is_over()
    assert isinstance(told[1], StrikeProved)
    assert not told[1].hit
    gone, told = Yard("web-1"), []
    step = step_on(gone, told, clock)
    step.is_over()
    assert not step.is_over()
    clock.sleep(BACK_WITHIN / NS + 1)
    assert step.is_over()
    assert not any(isinstance(one, StrikeUndone) for one in told)


def test_where_nobody_is_offered_nobody_is_struck() -> None:
    """With the label that would offer one."""
    step = step_on(Yard(), [], FakeClock())
    with pytest.raises(LabFault, match="nobody may be struck") as raised:
        step.is_over()
    assert "lab.may-be-struck" in raised.value.hint


def test_containers_are_chosen_by_both_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's and its owner's word; those that do not run are left alone."""
    asked: list[Any] = []

    class Engine:
        def containers(self, filters: dict[str, Any]) -> list[dict[str, Any]]:
            asked.append(filters)
            return [
                {"Id": "1", "Names": ["/web-1"], "Image": "web:v1", "State": "running"},
                {"Id": "2", "Names": ["/web-2"], "Image": "web:v1", "State": "restarting"},
            ]

    monkeypatch.setattr(compose_witness, "connect", Engine)
    assert [one.name for one in OptedContainers("shop").victims()] == ["web-1"]
    assert asked == [{"label": ["com.docker.compose.project=shop", "lab.may-be-struck=true"]}]


# ---------------------------------------------------------------- in a run


@pytest.fixture
def app() -> Iterator[Deployment]:
    with deployment() as app:
        yield app


def test_a_scenario_that_strikes_needs_to_be_told_so(app: Deployment, tmp_path: Path) -> None:
    """`--strike`, each time; before any door is asked."""
    path = written(tmp_path, STRIKES.replace("DEPLOY", "['true']").replace("URL", app.url))
    with pytest.raises(UsageError, match="strikes somebody else's deployment") as raised:
        run_scenarios(RunRequest(scenarios=(str(path),)), print)
    assert raised.value.hint == "lab watch --strike"
    assert app.asked == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: text.replace(", evidence: {compose: shop}", ""), "unless its owner offers it"),
        (lambda text: text.replace("do: kill", "do: freeze"), "only any of those that are offered"),
        (lambda text: text.replace("do: kill", "do: kill, to: a1"), "only any of those that are offered"),
        (
            lambda text: text.replace("{strike: {do: kill}}, ", "").replace("checks: 6", "strikes_that_hit: 1"),
            "no step",
        ),
    ],
)
def test_what_may_not_be_struck_is_refused(change: Callable[[str], str], what: str, tmp_path: Path) -> None:
    """By its key, when it is read."""
    text = (
        change(STRIKES.replace("checks: 6", "strikes_that_hit: 1"))
        .replace("DEPLOY", "['true']")
        .replace("URL", "http://127.0.0.1:1")
    )
    with pytest.raises(UsageError, match=what):
        read_scenario(written(tmp_path, text))


def test_without_anybody_who_is_offered_the_run_can_not_tell(app: Deployment, tmp_path: Path) -> None:
    """A run that is not given those who may be struck strikes nothing at all."""
    scenario = read_scenario(written(tmp_path, WATCHED.replace("DEPLOY", "['true']").replace("URL", app.url)))
    scenario = msgspec.structs.replace(scenario, steps=(StepSpec(strike=StrikeSpec(do="kill")),))
    judged, folder = watch_one(ChosenRun(scenario=scenario, seed=1), tmp_path / "runs", say=print, is_shown=False)
    assert judged.judgement.exit_code == 4
    events = list(ReadRecord(folder).events())
    assert any(isinstance(one, Trouble) and "nothing of a target may be struck" in one.what for one in events)
    assert not any(isinstance(one, Strike) for one in events)
