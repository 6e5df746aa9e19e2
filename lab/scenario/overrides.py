"""What a command line changes of a scenario: keys by their paths, and how many users, how busy, for how long."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lab.errors import UsageError
from lab.model import Value
from lab.scenario.bounds import LARGEST
from lab.scenario.read import read_scenario
from lab.scenario.spec import Scenario, walk_steps
from lab.scenario.yaml_paths import DuplicateKey, load_yaml

_KEY = re.compile(r"\w[\w-]*(?:\[\d+\])*(?:\.\w[\w-]*(?:\[\d+\])*)*")


class Overrides(Value):
    """What is asked for beside the file. Times in seconds."""

    changes: tuple[tuple[str, Any], ...] = ()
    """Key paths ("steps[1].roll.batch") and what is to stand there, in order."""
    users: int | None = None
    think: float | None = None
    duration: float | None = None
    """How long each `repeat` goes on."""


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
    more = (*_changes_of_users(base, overrides), *_changes_of_duration(base, overrides))
    return read_scenario(path, (*overrides.changes, *more)) if more else base


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
    changes: list[tuple[str, Any]] = [
        ("users.count", count),
        ("users.think", think),
        ("enough.operations", max(1, int(enough.operations * acts))),
        ("enough.checks", max(1, int(enough.checks * acts))),
        ("enough.users_served_by_new", min(count, round(enough.users_served_by_new * more))),
    ]
    if users.doubled:
        changes.append(("users.on_two_devices", round(users.doubled * more)))
    return changes


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
