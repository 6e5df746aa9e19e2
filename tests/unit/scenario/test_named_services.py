"""Services of somebody's own with roles: only those may be struck, by steps, monkeys, schedules and pins alike."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from lab.chaos.monkey import is_opted_in
from lab.cluster.harm import Victim
from lab.errors import ScenarioError, UsageError
from lab.model import Role
from lab.run.strike_steps import pick_victims
from lab.scenario.read import read_scenario
from lab.scenario.spec import Scenario

OWN = """
lab: 1
name: own
title: own
cluster:
  {compose: compose.yaml, service: web, port: 8000, release: "web:v1",
   services: {redis: store, db: store, worker: worker, mail: left_out}}
users: {count: 5, journey: "journey.py:Visitor"}
steps: [STEP]
"""


def read(folder: Path, step: str, text: str = OWN) -> Scenario:
    for name in ("compose.yaml", "journey.py"):
        (folder / name).touch()
    (folder / "lab.yaml").write_text(text.replace("STEP", step))
    return read_scenario(folder / "lab.yaml")


ALLOWED = [
    "{strike: {do: kill, to: redis}}",
    "{strike: {do: freeze, to: store/db}}",
    "{strike: {do: cut, to: a1, from: redis}}",
    "{strike: {do: kill, to: worker}}",
    "{strike: {do: cut, to: worker, from: db}}",
    "{monkey: {groups: [redis, worker], do: [kill]}}",
    "{monkey: {groups: [store]}}",
    "{schedule: {strikes: [{slot: redis, at: 1}, {slot: worker, at: 2}]}}",
    "{roll: {to: 'web:v2', with: [worker]}}",
]
REFUSED = [
    ("{strike: {do: kill, to: mail}}", "strike.to"),
    ("{strike: {do: kill, to: web}}", "strike.to"),
    ("{strike: {do: kill, to: cache}}", "strike.to"),
    ("{strike: {do: kill, to: store}}", "strike.to"),  # there are two
    ("{strike: {do: cut, to: a1, from: store}}", "strike.from"),
    ("{strike: {do: cut, to: a1, from: mail}}", "strike.from"),
    ("{monkey: {groups: [mail]}}", "monkey.groups"),
    ("{monkey: {groups: [orders]}}", "monkey.groups"),
    ("{monkey: {groups: [store/cache]}}", "monkey.groups"),
    ("{schedule: {strikes: [{slot: mail, at: 1}]}}", "schedule.strikes"),
    ("{schedule: {strikes: [{slot: store, at: 1}]}}", "schedule.strikes"),
    ("{together: [{roll: {to: 'web:v2'}}, {fault: {do: freeze the store, at: {action: enter}}}]}", "fault.do"),
    ("{roll: {to: 'web:v2', with: [redis]}}", "roll.with"),
]


@pytest.mark.parametrize("step", ALLOWED)
def test_what_has_a_role_may_be_named(step: str, tmp_path: Path) -> None:
    """By its name alone, or with its role."""
    read(tmp_path, step)


@pytest.mark.parametrize(("step", "key"), REFUSED)
def test_nobody_else_is_ever_struck(step: str, key: str, tmp_path: Path) -> None:
    """Whoever strikes; told by its key."""
    with pytest.raises(ScenarioError) as raised:
        read(tmp_path, step)
    assert key in raised.value.at


@pytest.mark.parametrize(("name", "is_slot"), [("a1", True), ("a2", False), ("a01", False), ("b1", True)])
def test_a_slot_goes_before_a_service_of_the_same_name(name: str, is_slot: bool, tmp_path: Path) -> None:
    """The steps' own words first; whoever means the service says its role."""
    text = OWN.replace("redis: store", f"{name}: store").replace("port: 8000", "port: 8000, zones: {a: 1, b: 2}")
    [step] = read(tmp_path, f"{{strike: {{do: kill, to: {name}}}}}", text).steps
    assert step.strike is not None
    assert step.strike.to == (name if is_slot else f"store/{name}")


def test_zones_without_end_are_not_counted_out(tmp_path: Path) -> None:
    """They are refused for what they are, before any name is looked up among their slots."""
    text = OWN.replace("port: 8000", "port: 8000, zones: {a: 1000000000}")
    with pytest.raises(ScenarioError, match=r"cluster\.zones"):
        read(tmp_path, "{strike: {do: kill, to: redis}}", text)


NOBODY = OWN.replace("services: {redis: store, db: store, worker: worker, mail: left_out}", "services: {}")


@pytest.mark.parametrize(
    "step",
    [
        "{strike: {do: kill, to: redis}}",
        "{strike: {do: cut, to: a1, from: store}}",
        "{monkey: {groups: [store]}}",
        "{together: [{roll: {to: 'web:v2'}}, {fault: {do: freeze the store, at: {action: enter}}}]}",
    ],
)
def test_without_roles_there_is_no_store(step: str, tmp_path: Path) -> None:
    """And the way to name one is told."""
    with pytest.raises(ScenarioError) as raised:
        read(tmp_path, step, NOBODY)
    if "from" not in step:
        assert "services: {" in raised.value.hint


def test_one_store_may_be_called_by_its_role(tmp_path: Path) -> None:
    """Then a pinned fault knows which is meant, too."""
    text = OWN.replace("db: store, ", "")
    read(tmp_path, "{strike: {do: kill, to: store}}", text)
    read(tmp_path, "{together: [{roll: {to: 'web:v2'}}, {fault: {do: freeze the store, at: {action: enter}}}]}", text)


def test_a_bound_for_losses_needs_a_store(tmp_path: Path) -> None:
    """Whose loss would it be?"""
    read(tmp_path, "{settle: {for: 1}}", OWN + "promises: {loses_at_most: 1}\n")
    with pytest.raises(ScenarioError, match="loses_at_most: no service is called a store"):
        read(tmp_path, "{settle: {for: 1}}", NOBODY + "promises: {loses_at_most: 1}\n")


def victim(name: str, role: Role) -> Victim:
    return Victim(container=name * 9, name=name, role=role)


THERE = [victim("redis", Role.STORE), victim("db", Role.STORE), victim("worker", Role.WORKER)]


@pytest.mark.parametrize(("to", "name"), [("store/redis", "redis"), ("store/db", "db"), ("worker/worker", "worker")])
def test_the_named_one_is_struck(to: str, name: str) -> None:
    """And it alone has opted in where a monkey's group names it."""
    assert [one.name for one in pick_victims(THERE, to, Random(1))] == [name]
    assert [one.name for one in THERE if is_opted_in(one, [to])] == [name]


def test_one_that_does_not_run_is_not_struck() -> None:
    """It is told who runs."""
    with pytest.raises(UsageError, match="redis, db"):
        pick_victims(THERE[:2], "worker/worker", Random(1))
