"""The scenario file: YAML in, frozen values out, and every mistake told with its key path.

Times are seconds. `lab/scenarios/demo.yaml` documents every key by using it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import yaml

from lab.balancer.config import Affinity
from lab.chaos.schedule import MonkeySettings
from lab.errors import ScenarioError
from lab.model import Slot, Value

LIBRARY = Path(__file__).resolve().parents[1] / "scenarios"


class ClusterWish(Value):
    """What the cluster is made of."""

    release: str
    zones: dict[str, int] = msgspec.field(default_factory=lambda: {"a": 2, "b": 2, "c": 2})
    affinity: Affinity = Affinity.NONE

    @property
    def slots(self) -> tuple[Slot, ...]:
        """One slot for each replica, zones in turn, so that a rolling upgrade goes round them."""
        deepest = max(self.zones.values(), default=0)
        return tuple(
            Slot(name=f"{zone}{number}", zone=zone)
            for number in range(1, deepest + 1)
            for zone, count in self.zones.items()
            if number <= count
        )


class UsersWish(Value):
    """Who uses it."""

    count: int = 60
    on_two_devices: int = 20
    think: float = 0.4
    """Mean seconds between what one device does and what it does next."""
    tries: int = 3
    answer_timeout: float = 10.0


class Settle(Value, rename={"seconds": "for"}):
    """Let the users shop for a while, and go on only when every slot serves."""

    seconds: float


class Roll(Value):
    """A rolling upgrade."""

    to: str
    batch: int = 1
    pause: float = 0.0
    ready_within: float = 30.0
    grace: float = 10.0


class StepWish(Value):
    """One step; exactly one of its keys is given."""

    settle: Settle | None = None
    roll: Roll | None = None
    monkey: MonkeySettings | None = None
    together: tuple[StepWish, ...] | None = None


class Promises(Value):
    """What is asserted beside what is always asserted: that users keep their state."""

    serving_at_least: int = 5
    """Replicas serving at any time but after a strike."""


class Enough(Value):
    """Below any of these the verdict is "could not tell": a green run always means something."""

    operations: int = 1000
    checks: int = 1000
    strikes_that_hit: int = 0
    users_served_by_new: int = 0


class Scenario(Value):
    """A whole scenario file."""

    lab: int
    name: str
    title: str
    cluster: ClusterWish
    steps: tuple[StepWish, ...]
    about: str = ""
    users: UsersWish = UsersWish()
    promises: Promises = Promises()
    enough: Enough = Enough()
    seed: int | None = None
    longer_than: float = 300.0
    """Seconds after which the run is stopped and nothing can be told."""


def rolled_to(steps: Sequence[StepWish]) -> list[str]:
    """The images that the steps upgrade to, in order."""
    found = []
    for step in steps:
        if step.roll is not None:
            found.append(step.roll.to)
        found += rolled_to(step.together or ())
    return found


def find_scenario(named: str) -> Path:
    """The file of a scenario: a path, or the name of one that comes with the lab."""
    path = Path(named)
    if path.suffix in {".yaml", ".yml"} or path.exists():
        return path
    known = sorted(one.stem for one in LIBRARY.glob("*.yaml"))
    if named not in known:
        raise ScenarioError("there is no such scenario", at=named, way_out=f"lab run {' | '.join(known)} | FILE.yaml")
    return LIBRARY / f"{named}.yaml"


def read_scenario(path: Path) -> Scenario:
    """Read and check a scenario. Raises ScenarioError naming the file and the key path; nothing is ever guessed."""
    try:
        text = path.read_text(encoding="utf-8")
        asked = yaml.safe_load(text)
    except UnicodeDecodeError as exc:
        raise ScenarioError("the file is not UTF-8 text", at=str(path), way_out=f"file {path}") from exc
    except OSError as exc:
        raise ScenarioError(f"can't be read: {exc.strerror}", at=str(path), way_out=f"ls -l {path}") from exc
    except yaml.YAMLError as exc:
        raise ScenarioError(f"is not YAML: {_where_yaml_broke(exc)}", at=str(path), way_out="mend that line") from exc
    try:
        scenario = msgspec.convert(asked, Scenario)
    except msgspec.ValidationError as exc:
        what, _, key_path = str(exc).partition(" - at ")
        key = key_path.strip("`").removeprefix("$").lstrip(".") or "the file as a whole"
        raise ScenarioError(what, at=f"{path}: {key}", way_out=f"compare with {LIBRARY / 'demo.yaml'}") from exc
    _check(scenario, path)
    return scenario


def _check(scenario: Scenario, path: Path) -> None:
    """What types alone can't say."""

    def refuse(key: str, what: str, way_out: str) -> None:
        raise ScenarioError(what, at=f"{path}: {key}", way_out=way_out)

    if scenario.lab != 1:
        refuse("lab", f"format {scenario.lab} is not known", "lab: 1")
    slots = len(scenario.cluster.slots)
    if not slots or any(count < 0 for count in scenario.cluster.zones.values()):
        refuse("cluster.zones", "no replica is asked for", "zones: {a: 2, b: 2, c: 2}")
    users = scenario.users
    if users.count < 1 or not 0 <= users.on_two_devices <= users.count:
        refuse("users.on_two_devices", f"must be from 0 to users.count ({users.count})", "on_two_devices: 0")
    if users.think <= 0 or users.tries < 1:
        refuse("users", "think must be over 0 and tries at least 1", "think: 0.4")
    for key, step in _walk(scenario.steps, "steps"):
        given = [name for name in step.__struct_fields__ if getattr(step, name) is not None]
        if len(given) != 1:
            refuse(
                key,
                f"a step is exactly one of {', '.join(step.__struct_fields__)}; here: {given or 'none'}",
                "- settle: {for: 5}",
            )
        if step.monkey is not None and step.monkey.least_serving >= slots:
            refuse(
                f"{key}.monkey.least_serving",
                f"{step.monkey.least_serving} of {slots} replicas must serve, so nothing could ever be struck",
                f"least_serving: {slots - 1}",
            )


def _walk(steps: tuple[StepWish, ...], at: str) -> list[tuple[str, StepWish]]:
    found = []
    for number, step in enumerate(steps):
        key = f"{at}[{number}]"
        found.append((key, step))
        found += _walk(step.together or (), f"{key}.together")
    return found


def _where_yaml_broke(exc: yaml.YAMLError) -> str:
    mark = getattr(exc, "problem_mark", None)
    problem = getattr(exc, "problem", None) or str(exc)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark is not None else problem
