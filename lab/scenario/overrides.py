"""What a command line changes of a scenario: keys by their paths, and how many users, how busy, for how long."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lab.errors import UsageError
from lab.model import Value
from lab.oracle.confidence import trials_for
from lab.scenario.bounds import LARGEST
from lab.scenario.read import read_scenario
from lab.scenario.spec import Scenario, walk_steps
from lab.scenario.yaml_paths import DuplicateKey, load_yaml

LEAST_SHARE = 1e-7
"""Of actions that fail: less would take tens of millions of them."""
AN_ACTION = 0.2
"""Seconds that one may take on a busy machine, beside the time in which its user thinks."""
PATIENCE = 3.0
"""So many times as long as they should need, actions may take to show what is asked for."""
_KEY = re.compile(r"\w[\w-]*(?:\[\d+\])*(?:\.\w[\w-]*(?:\[\d+\])*)*")


class Overrides(Value):
    """What is asked for beside the file. Times in seconds."""

    changes: tuple[tuple[str, Any], ...] = ()
    """Key paths ("steps[1].roll.batch") and what is to stand there, in order."""
    users: int | None = None
    think: float | None = None
    duration: float | None = None
    """How long each `repeat` goes on."""
    until: float | None = None
    """The share of actions below which failures are to be shown to lie, at 95 % confidence."""


def parse_change(text: str) -> tuple[str, Any]:
    """A key path and a value from "users.count=20"; the value is read as YAML. Raises UsageError."""
    key, equals, value = text.partition("=")
    if not equals or not _KEY.fullmatch(key.strip()):
        raise UsageError("is not KEY.PATH=VALUE", at=f"--set {text}", hint="--set users.count=20")
    try:
        return key.strip(), load_yaml(value)
    except DuplicateKey as exc:
        raise UsageError(f"its value has a key twice: {exc.problem}", at=f"--set {text}", hint="keep one") from exc
    except yaml.YAMLError as exc:
        raise UsageError("its value is not YAML", at=f"--set {text}", hint='--set title="a text"') from exc
    except ValueError as exc:
        raise UsageError(f"contains an invalid value: {exc}", at=f"--set {text}", hint="put it in quotes") from exc
    except RecursionError as exc:
        raise UsageError("its value is nested too deeply", at=f"--set {text}", hint="write it into the file") from exc


def read_changed(path: Path, overrides: Overrides, *, notice: Callable[[str], None] = lambda _: None) -> Scenario:
    """Read a scenario as the command line wants it. Raises ScenarioError or UsageError; nothing is ever guessed."""
    base = read_scenario(path, overrides.changes, notice=notice)
    changed, users = base, _changes_of_users(base, overrides)
    if users:
        changed = read_scenario(path, (*overrides.changes, *users))
    length = _changes_of_length(changed, overrides)
    return read_scenario(path, (*overrides.changes, *users, *length)) if length else changed


def _changes_of_users(base: Scenario, overrides: Overrides) -> list[tuple[str, Any]]:
    """Other users; what is asked of the run to mean something follows in proportion."""
    users, enough = base.users, base.enough
    count = users.count if overrides.users is None else overrides.users
    think = users.think if overrides.think is None else overrides.think
    if count < 1:
        raise UsageError("must be at least 1", at=f"--users {count}", hint="--users 20")
    if not 0 < think <= LARGEST:
        raise UsageError(f"must be over 0, at most {LARGEST:g}", at=f"--think {think:g}", hint="--think 0.4")
    if (count, think) == (users.count, users.think):
        return []
    more = count / users.count
    acts = more * users.think / think
    occasions = {name: int(least * acts) for name, least in enough.occasions.items()}
    changes: list[tuple[str, Any]] = [
        ("users.count", count),
        ("users.think", think),
        ("enough.operations", max(1, int(enough.operations * acts))),
        ("enough.checks", max(1, int(enough.checks * acts))),
        ("enough.users_served_by_new", min(count, round(enough.users_served_by_new * more))),
    ]
    if occasions:
        changes.append(("enough.occasions", occasions))
    if users.doubled:
        changes.append(("users.on_two_devices", round(users.doubled * more)))
    return changes


def _changes_of_length(base: Scenario, overrides: Overrides) -> list[tuple[str, Any]]:
    """Of how long it goes on: by seconds, by what it is to show, or by whichever takes longer."""
    changes = [*_changes_of_duration(base, overrides), *_changes_of_until(base, overrides)]
    limits = [value for key, value in changes if key == "time_limit"]
    others = [one for one in changes if one[0] != "time_limit"]
    return [*others, ("time_limit", max(limits))] if limits else others


def _changes_of_until(base: Scenario, overrides: Overrides) -> list[tuple[str, Any]]:
    """Rounds, or the last settling, go on for so long; fewer actions than it takes are not enough."""
    share = overrides.until
    if share is None:
        return []
    if not LEAST_SHARE <= share < 1:
        at = f"--until {share:g}"
        raise UsageError(f"must be from {LEAST_SHARE:g} to under 1", at=at, hint="--until 1e-4")
    repeats = [f"{key}.repeat.until" for key, step in walk_steps(base.steps) if step.repeat is not None]
    settles = [f"{key}.settle.until" for key, step in walk_steps(base.steps) if step.settle is not None]
    if not repeats and not settles:
        what = f"{base.name} has no `repeat` and no `settle` step to go on"
        raise UsageError(what, at=f"--until {share:g}", hint="add one: - settle: {for: 3}")
    actions = trials_for(share)
    return [
        *((key, share) for key in repeats or settles[-1:]),
        ("enough.operations", max(base.enough.operations, actions)),
        (
            "time_limit",
            min(LARGEST, base.time_limit + PATIENCE * actions * (base.users.think + AN_ACTION) / base.users.count),
        ),
    ]


def _changes_of_duration(base: Scenario, overrides: Overrides) -> list[tuple[str, Any]]:
    if overrides.duration is None:
        return []
    if not 0 < overrides.duration <= LARGEST:
        raise UsageError(
            f"must be over 0, at most {LARGEST:g}", at=f"--duration {overrides.duration:g}", hint="--duration 3600"
        )
    repeats = [(key, step.repeat) for key, step in walk_steps(base.steps) if step.repeat is not None]
    if not repeats:
        raise UsageError(
            f"{base.name} has no `repeat` step to go on for longer or shorter",
            at=f"--duration {overrides.duration:g}",
            hint="lab run soak --duration 3600",
        )
    longer = sum(overrides.duration - repeat.seconds for _, repeat in repeats)
    return [
        *((f"{key}.repeat.for", overrides.duration) for key, _ in repeats),
        ("time_limit", max(base.time_limit + longer, overrides.duration)),
    ]
