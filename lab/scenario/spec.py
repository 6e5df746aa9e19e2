"""The scenario file: YAML in, frozen values out, and every mistake told with its key path.

Times are seconds. `lab/scenarios/demo.yaml` documents every key by using it.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from lab.balancer.config import Affinity
from lab.chaos.faults import FaultName, Signal, find_fault
from lab.chaos.guard import BlastRadius, StopWhen
from lab.chaos.schedule import MonkeySettings, check_monkey
from lab.cluster.stores import MEMBERS, OrdersPlace, StoreName, Stores, stores_of
from lab.deploy.gate import JudgeSettings
from lab.deploy.rollout import Order, Phase, Strategy, check_strategy, strategy_from
from lab.errors import ScenarioError, UsageError
from lab.machine.images import POSTGRES
from lab.model import Front, Slot, Value, release_name
from lab.oracle.verdict import Enough
from lab.scale.policy import ScaleSettings, bounds_of_all, check_scale, choose_slots
from lab.scenario.pin_spec import OF_DEPLOYERS, Pin, PinnedFault
from lab.scenario.strike_spec import (
    BALANCER,
    ORDERS,
    SENTINEL,
    STORE,
    LoseZone,
    Strikable,
    StrikeWish,
    check_strike,
    check_zone,
    role_of,
)
from lab.scenario.yaml_paths import did_you_mean, keys_of, line_of, numbers_in, put_at, unknown_field
from lab.users.steps import HttpJourney, check_journey

_ZONE = re.compile(r"[a-z0-9][a-z0-9-]*")
"""Names of slots begin with it, and those the balancer's doors, sockets and containers go by."""
_PATH = frozenset(f"{string.ascii_letters}{string.digits}/-._~%?=&")
LIBRARY = Path(__file__).resolve().parents[1] / "scenarios"
LARGEST = 1e8
"""No number with a fraction may be larger: of seconds it is three years."""


_Refuse = Callable[[str, str, str], None]


class Edges(StrEnum):
    """How many balancers there are."""

    ONE = "one"
    ZONES = "zones"
    """One in each zone, each with an address of its own; users know all of them."""


class ClusterWish(Value):
    """What the cluster is made of."""

    release: str
    """The image of the app at first: one of the lab's ("shop:v1") or one that the engine has."""
    zones: dict[str, int] = msgspec.field(default_factory=lambda: {"a": 2, "b": 2, "c": 2})
    """Replicas, or slots for them, in each zone."""
    edges: Edges = Edges.ONE
    """How many balancers there are."""
    store: StoreName = StoreName.REDIS
    """What keeps the users' state; see the table of stores for what each may lose."""
    orders: OrdersPlace = OrdersPlace.REDIS
    """What keeps the orders: the store, or a PostgreSQL of their own."""
    affinity: Affinity = Affinity.NONE
    """Where a browser is sent: to any replica, back to its slot (cookie), or all devices of an account to one."""
    repeat_writes: bool | None = None
    """Whether the balancer may repeat a write elsewhere: only where each carries an idempotency key, as the shop's do;
    not if not given for an app of your own."""
    begin_with: int | None = None
    """How many replicas there are at first, over all zones; one in every slot if not given."""
    compose: str | None = None
    """The compose file of an app of your own, beside this file; without it the lab's own shop is meant."""
    service: str | None = None
    """The service there that is multiplied, upgraded and killed."""
    port: int | None = None
    """Where it listens, inside its container."""
    front: Front | None = None
    """A balancer of your own in that file that users come through; the lab's own stands between it and the app."""
    ready: str = "/healthz"
    """The path that answers 2xx once it is ready."""
    largest_body: str = "8m"
    """What users may send it at most, as nginx writes sizes."""

    @property
    def repeats_writes(self) -> bool:
        return self.compose is None if self.repeat_writes is None else self.repeat_writes

    @property
    def stores(self) -> Stores:
        """What keeps its state."""
        return stores_of(self.store, self.orders, tuple(self.zones))

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
    """Accounts."""
    on_two_devices: int | None = None
    """20 if not given; none for an app of your own, whose model is one device's."""
    think: float = 0.4
    """Mean seconds between what one device does and what it does next."""
    tries: int = 3
    """How often an operation is tried at most, with the same idempotency key."""
    answer_timeout: float = 10.0
    """Seconds for one try; longer than the balancer is patient with one replica."""
    journey: str | None = None
    """What they do in an app of your own: "my_journey.py:Shopper", beside this file."""
    http: HttpJourney | None = None
    """The same without Python, as requests."""

    @property
    def are_of_own_app(self) -> bool:
        return self.journey is not None or self.http is not None

    @property
    def doubled(self) -> int:
        """How many of them are on two devices."""
        if self.on_two_devices is None:
            return 0 if self.are_of_own_app else 20
        return self.on_two_devices


class Settle(Value, rename={"seconds": "for"}):
    """Let the users shop for a while, and go on only when every slot serves."""

    seconds: float
    """At least so many seconds."""


class Roll(Value):
    """An upgrade. Which of the keys mean something is the strategy's business, which refuses the others."""

    to: str
    """The new release's image."""
    strategy: Literal["rolling", "drain-then-move", "canary", "red-black"] = "rolling"
    """How; see the table of strategies."""
    batch: int | str | None = None
    """Slots under change at once: a number, or a percentage of the slots ("25%", rounded up)."""
    surge: int | None = None
    """Rolling: replicas more than slots at the peak; 0: the old one leaves first."""
    pause: float | None = None
    """Seconds between the end of one slot's upgrade and the begin of the next."""
    order: Order | None = None
    """In which order slots are taken: round the zones (spread), or zone by zone (zone)."""
    shares: tuple[float, ...] | None = None
    """Canary, red-black: the shares of the slots that serve the new release, growing to 1."""
    hold: float | None = None
    """Canary, red-black: seconds that each share lasts at least."""
    keep: float | None = None
    """Red-black: seconds that the old group stands by for an instant reverse."""
    ready_within: float | None = None
    """Seconds in which a new replica must be ready; else the release is given up."""
    grace: float | None = None
    """Seconds that a draining replica may take before it is killed."""
    judge: JudgeSettings | None = None
    """Compare what users got from the new release and the old one, and go back where the new one is worse."""
    approve: bool | None = None
    """Whether a person must say `lab approve` after each share."""

    @property
    def wanted_strategy(self) -> Strategy:
        """Raises UsageError for a key that this strategy does not know."""
        asked = msgspec.to_builtins(self)
        given = {key: value for key, value in asked.items() if key not in {"to", "strategy"} and value is not None}
        return strategy_from(self.strategy, given)


class Reverse(Value):
    """Send everybody back to the old release once the rollout is in this phase."""

    at: Literal["prepare", "move", "watch", "keep"] = "keep"
    """The phase of the rollout in which it is reversed."""


class FaultWish(Value, rename={"seconds": "for"}):
    """Something that goes wrong at a moment of a rollout; beside the `roll` that it belongs to, in `together`."""

    do: PinnedFault
    """What goes wrong; see the table of faults."""
    at: Pin
    """The moment of the rollout."""
    seconds: float = 1.5
    """How long a freeze lasts."""


class Pace(Value):
    """How often every device acts from now on."""

    think: float
    """Mean seconds between two actions of a device."""


class Scale(Value):
    """How many replicas each zone is to have from now on."""

    to: dict[str, int]
    """Replicas by zone; zones that are not named keep theirs."""


class Repeat(Value, rename={"seconds": "for"}):
    """Do these steps again and again; the round in which the time runs out is the last, and is finished."""

    seconds: float
    """Seconds after which no other round begins; `--duration` sets it."""
    steps: tuple[StepWish, ...]
    """One round."""


class ScheduledStrike(Value, rename={"seconds": "for"}):
    """Which slot's replica is struck, and when."""

    slot: str
    """Whose replica is struck: the one that serves the slot then; or balancer, or balancer/a, store/a, sentinel/a,
    orders."""
    at: float
    """Seconds after the step began; later where the slot serves nobody by then."""
    after: str | None = None
    """Count the seconds from when this slot's upgrade is done, instead."""
    do: FaultName = "kill"
    """Which fault."""
    seconds: float = 2.0
    """How long it lasts, if it does not end its victim; and how long a balancer or a store stays down."""


class Schedule(Value):
    """Strikes told one by one, as `lab repeat` and `lab shrink` write them."""

    strikes: tuple[ScheduledStrike, ...]
    """One after another, as they stand here."""
    signal: Signal = "SIGKILL"
    """What each replica gets."""
    patience: float = 30.0
    """Seconds after its time in which a strike must find its slot serving; then the lab gives up."""


class StepWish(Value):
    """One step; exactly one of its keys is given."""

    settle: Settle | None = None
    roll: Roll | None = None
    reverse: Reverse | None = None
    fault: FaultWish | None = None
    scale: Scale | None = None
    pace: Pace | None = None
    monkey: MonkeySettings | None = None
    schedule: Schedule | None = None
    repeat: Repeat | None = None
    strike: StrikeWish | None = None
    lose_zone: LoseZone | None = None
    together: tuple[StepWish, ...] | None = None


class OnStop(StrEnum):
    """What happens when a run's chaos is stopped; no further step begins either way."""

    ROLL_BACK = "roll_back"
    """What is open is undone, and a rollout under way goes back."""
    FREEZE = "freeze"
    """What strikes and lost zones have opened stays open while users read back, to be looked at in the record; a fault
    that is pinned to a moment of a rollout is undone."""
    LEAVE = "leave"
    """What is open is undone; a rollout goes on to its end."""


class Promises(Value):
    """What is asserted beside what is always asserted: that users keep their state."""

    serving_at_least: int = 5
    """Replicas serving at any time but after a strike."""
    recovers_within: float = 0.0
    """Seconds after a strike until as many serve as before and nobody's tries fail; 0: told, not judged."""
    available: float = 0.0
    """The share of first tries that must be answered, from 0 to 1."""
    p99_within: float = 0.0
    """Seconds within which 99 % of the operations must end; 0: told, not judged."""
    loses_at_most: float | None = None
    """Seconds before a strike on the store: what was acknowledged earlier may never be lost. What is lost within them
    is told, and breaks nothing. The store tier's own bound if not given; 0: nothing may be lost."""
    rollout_within: float = 0.0
    """Seconds within which a rollout must end, no slot moved twice; then the next step begins. 0: told, not judged."""


class Scenario(Value):
    """A whole scenario file."""

    lab: int
    """The format of the file: 1."""
    name: str
    """What the scenario is called in lists."""
    title: str
    """One line for people."""
    cluster: ClusterWish
    """What the cluster is made of."""
    steps: tuple[StepWish, ...]
    """What is done, one after another."""
    about: str = ""
    """A few sentences for people."""
    users: UsersWish = UsersWish()
    """Who uses it."""
    deployers: int = 0
    """0: one inside the lab itself. More: processes of their own, of which one leads; then they can be killed."""
    script: str | None = None
    """How those upgrade, as a Python file beside this one, instead of the lab's own way: see lesson 13."""
    autoscale: ScaleSettings | None = None
    """Change the number of replicas with the load."""
    promises: Promises = Promises()
    """What is asserted beside what is always asserted."""
    blast_radius: BlastRadius = BlastRadius()
    """How far strikes and lost zones may go."""
    stop_when: StopWhen = StopWhen()
    """Conditions that end the run's chaos at once."""
    on_stop: OnStop = OnStop.ROLL_BACK
    """What happens then."""
    enough: Enough = Enough()
    """Below any of these the verdict is "could not tell" (exit 5)."""
    seed: int | None = None
    """Of users and strikes; drawn and told at the start if not given here or by `--seed`."""
    longer_than: float = 300.0
    """Seconds after which the run is stopped and nothing can be told."""


def may_be_empty(scenario: Scenario) -> int:
    """How many slots may stand empty for long: all but the fewest replicas that are ever wanted."""
    slots = len(scenario.cluster.slots)
    fewest = [slots, scenario.cluster.begin_with or slots]
    if scenario.autoscale is not None:
        fewest.append(scenario.autoscale.least)
    if any(step.scale is not None for _, step in walk_steps(scenario.steps)):
        fewest.append(1)
    return slots - min(fewest)


def name_of(step: StepWish) -> str:
    """Which of its keys is given."""
    return next(key for key in step.__struct_fields__ if getattr(step, key) is not None)


def inner_steps(step: StepWish) -> tuple[StepWish, ...]:
    """The steps that a step is made of."""
    return step.repeat.steps if step.repeat is not None else step.together or ()


def rolled_to(steps: Sequence[StepWish]) -> list[str]:
    """The images that the steps upgrade to, in order."""
    found = []
    for step in steps:
        if step.roll is not None:
            found.append(step.roll.to)
        found += rolled_to(inner_steps(step))
    return found


def images_of(scenario: Scenario) -> list[str]:
    """The app's images that a scenario needs."""
    return list(dict.fromkeys((scenario.cluster.release, *rolled_to(scenario.steps))))


def all_images_of(scenario: Scenario) -> list[str]:
    """The app's images that a scenario needs, and what its stores need beside the usual."""
    return [*images_of(scenario), *((POSTGRES,) if scenario.cluster.stores.has_orders else ())]


def find_scenario(named: str) -> Path:
    """The file of a scenario: a path, or the name of one that comes with the lab."""
    path = Path(named)
    if path.suffix in {".yaml", ".yml"} or path.exists():
        return path
    known = sorted(one.stem for one in LIBRARY.glob("*.yaml"))
    if named not in known:
        raise ScenarioError("there is no such scenario", at=named, way_out=f"lab run {' | '.join(known)} | FILE.yaml")
    return LIBRARY / f"{named}.yaml"


def read_scenario(path: Path, changes: Sequence[tuple[str, Any]] = ()) -> Scenario:
    """Read and check a scenario. Raises ScenarioError naming the file and the key path; nothing is ever guessed.

    `changes` are key paths and what is to stand there instead of what the file says.
    """
    try:
        text = path.read_text(encoding="utf-8")
        asked = yaml.safe_load(text)
    except UnicodeDecodeError as exc:
        raise ScenarioError("the file is not UTF-8 text", at=str(path), way_out=f"file {path}") from exc
    except OSError as exc:
        raise ScenarioError(f"can't be read: {exc.strerror}", at=str(path), way_out=f"ls -l {path}") from exc
    except yaml.YAMLError as exc:
        raise ScenarioError(f"is not YAML: {_where_yaml_broke(exc)}", at=str(path), way_out="mend that line") from exc
    except ValueError as exc:
        raise ScenarioError(f"has a value that is none: {exc}", at=str(path), way_out="put it in quotes") from exc
    except RecursionError as exc:
        raise _endless(path) from exc
    for key, value in changes:
        asked = put_at(asked, key, value)
    place = partial(_place, path, text, [key for key, _ in changes])
    try:
        scenario = msgspec.convert(asked, Scenario)
    except msgspec.ValidationError as exc:
        raise _misshapen(exc, place) from exc
    except RecursionError as exc:
        raise _endless(path) from exc
    check_scenario(scenario, place)
    return _with_own_files(scenario, path)


def _with_own_files(scenario: Scenario, path: Path) -> Scenario:
    """The files that a scenario names lie beside it; from here on they are named in full."""
    cluster, users = scenario.cluster, scenario.users
    if cluster.compose is not None:
        cluster = msgspec.structs.replace(cluster, compose=_beside(path, cluster.compose, "cluster.compose"))
    if users.journey is not None:
        file, _, name = users.journey.rpartition(":")
        users = msgspec.structs.replace(users, journey=f"{_beside(path, file, 'users.journey')}:{name}")
    script = None if scenario.script is None else _beside(path, scenario.script, "script")
    return msgspec.structs.replace(scenario, cluster=cluster, users=users, script=script)


def _beside(path: Path, named: str, key: str) -> str:
    found = (path.parent / named).resolve()
    if not found.is_file():
        raise ScenarioError(f"there is no file {named}", at=f"{path}: {key}", way_out=f"ls {found.parent}")
    return str(found)


def _endless(path: Path) -> ScenarioError:
    return ScenarioError("goes deeper without an end", at=str(path), way_out="no alias (*name) within its own &name")


def _misshapen(exc: msgspec.ValidationError, place: Callable[[str], str]) -> ScenarioError:
    """What msgspec says, with the line and, for an unknown key, the one that was meant."""
    what, _, key_path = str(exc).partition(" - at ")
    key = key_path.strip("`").removeprefix("$").lstrip(".")
    unknown = unknown_field(what)
    way_out = f"compare with {LIBRARY / 'demo.yaml'}"
    if unknown is not None:
        key = f"{key}.{unknown}".lstrip(".")
        what = f"there is no key {unknown!r} here"
        meant = did_you_mean(unknown, keys_of(Scenario))
        way_out = f"did you mean {meant!r}?" if meant else way_out
    return ScenarioError(what, at=place(key), way_out=way_out)


def _place(path: Path, text: str, changed: Sequence[str], key: str) -> str:
    """Where a key stands: on the command line, or in which line of the file."""
    if any(key == one or key.startswith((f"{one}.", f"{one}[", f"{one}:")) for one in changed):
        return f"--set {key}"
    line = line_of(text, key)
    return f"{path}{'' if line is None else f', line {line}'}: {key or 'the file as a whole'}"


def check_scenario(scenario: Scenario, place: Callable[[str], str]) -> None:
    """What types alone can't say. Raises ScenarioError; `place` tells where a key stands."""

    def refuse(key: str, what: str, way_out: str) -> None:
        raise ScenarioError(what, at=place(key), way_out=way_out)

    if scenario.lab != 1:
        refuse("lab", f"format {scenario.lab} is not known", "lab: 1")
    _check_whole(scenario, refuse)
    for key, step in walk_steps(scenario.steps):
        _check_step(scenario, key, step, refuse)
    _check_reverses(scenario, refuse)
    _check_scales(scenario, refuse)
    for key, number in numbers_in(scenario):
        if not 0 <= number <= LARGEST:  # nor what is no number at all, which is neither smaller nor larger
            refuse(key, f"must be from 0 to {LARGEST:g}, not {number:g}", "a number of that range")


def _check_whole(scenario: Scenario, refuse: _Refuse) -> None:
    _check_zones(scenario.cluster, refuse)
    slots = len(scenario.cluster.slots)
    begin_with = scenario.cluster.begin_with
    if begin_with is not None and not 1 <= begin_with <= slots:
        refuse("cluster.begin_with", f"must be from 1 to {slots}", f"begin_with: {slots}")
    if scenario.autoscale is not None:
        try:
            check_scale(scenario.autoscale, scenario.cluster.zones)
        except UsageError as exc:
            refuse(f"autoscale.{exc.at}", exc.what, exc.way_out)
        least, most = bounds_of_all(scenario.autoscale, scenario.cluster.zones)
        if begin_with is not None and not least <= begin_with <= most:
            what = f"the zones of autoscale have from {least} to {most} replicas"
            refuse("cluster.begin_with", what, f"begin_with: {least}")
    if scenario.script is not None and not scenario.deployers:
        refuse("script", "is run by deployers that are processes of their own", "deployers: 2")
    _check_own_app(scenario, refuse)
    _check_stores(scenario, refuse)
    users = scenario.users
    if users.count < 1:
        refuse("users.count", "must be at least 1", "count: 60")
    if not 0 <= users.doubled <= users.count:
        refuse("users.on_two_devices", f"must be from 0 to users.count ({users.count})", "on_two_devices: 0")
    if users.think <= 0 or users.tries < 1:
        refuse("users", "think must be over 0 and tries at least 1", "think: 0.4")
    if users.answer_timeout <= 0:
        refuse("users.answer_timeout", "must be over 0", "answer_timeout: 10")
    if scenario.promises.available > 1:
        refuse("promises.available", "is a share, from 0 to 1", "available: 0.99")
    if scenario.longer_than <= 0:
        refuse("longer_than", "must be over 0", "longer_than: 300")


def _check_zones(cluster: ClusterWish, refuse: _Refuse) -> None:
    if not cluster.slots or any(count < 0 for count in cluster.zones.values()):
        refuse("cluster.zones", "no replica is asked for", "zones: {a: 2, b: 2, c: 2}")
    for zone in cluster.zones:
        if not _ZONE.fullmatch(zone):
            refuse(f"cluster.zones.{zone}", "a zone's name is of a-z, 0-9 and -", "zones: {a: 2, eu-west-1: 2}")
    twice = [name for name, count in Counter(slot.name for slot in cluster.slots).items() if count > 1]
    if twice:
        what = f"two slots would be {twice[0]}: a slot is called by its zone and its number"
        refuse("cluster.zones", what, "zones: {a: 11, b: 1}")


def _check_stores(scenario: Scenario, refuse: _Refuse) -> None:
    cluster, most = scenario.cluster, scenario.promises.loses_at_most
    if cluster.stores.tier.is_replicated and len(cluster.zones) < MEMBERS:
        refuse("cluster.store", f"{cluster.store} needs {MEMBERS} zones", "zones: {a: 2, b: 2, c: 2}")
    if most is not None and (most < 0 or cluster.compose is not None):
        what = "is under 0" if most < 0 else "what an app's own store loses is not measured"
        refuse("promises.loses_at_most", what, "loses_at_most: 0")


def _check_own_app(scenario: Scenario, refuse: _Refuse) -> None:
    cluster, users = scenario.cluster, scenario.users
    if cluster.compose is None:
        if cluster.service is not None or cluster.port is not None or cluster.front is not None:
            refuse("cluster.compose", "service, port and front are those of a compose file", "compose: compose.yaml")
    elif cluster.store is not StoreName.REDIS or cluster.orders is not OrdersPlace.REDIS:
        refuse("cluster.store", "an app of your own brings its own store", "leave store and orders out")
    elif cluster.edges is not Edges.ONE:
        refuse("cluster.edges", "an app of your own has one balancer", "edges: one")
    elif cluster.service is None or cluster.port is None:
        refuse("cluster", "an app of your own needs service and port", "service: web, port: 8000")
    elif not users.are_of_own_app:
        refuse("users", "the shop's users can't use another app", "journey: my_journey.py:Shopper")
    if not cluster.ready.startswith("/") or not set(cluster.ready) <= _PATH:
        refuse("cluster.ready", "is not a path", "ready: /healthz")
    if not re.fullmatch(r"[0-9]+[kKmMgG]?", cluster.largest_body):
        refuse("cluster.largest_body", "is not a size", "largest_body: 8m")
    _check_own_users(users, refuse)
    named = images_of(scenario)
    if len({release_name(image) for image in named}) < len(named):
        refuse(
            "steps", f"releases are told apart by their tags: {', '.join(named)}", "give each image a tag of its own"
        )


def _check_own_users(users: UsersWish, refuse: _Refuse) -> None:
    if users.journey is not None and not re.fullmatch(r".+\.py:\w+", users.journey):
        refuse("users.journey", "is not FILE.py:CLASS", "journey: my_journey.py:Shopper")
    if users.http is not None:
        if users.journey is not None:
            refuse("users.http", "there is a journey in Python already", "either journey or http")
        try:
            check_journey(users.http)
        except UsageError as exc:
            refuse(f"users.http.{exc.at}", exc.what, exc.way_out)
    if users.are_of_own_app and users.doubled:
        refuse("users.on_two_devices", "a model is one device's own", "on_two_devices: 0")


def _check_step(scenario: Scenario, key: str, step: StepWish, refuse: _Refuse) -> None:
    slots = len(scenario.cluster.slots)
    given = [name for name in step.__struct_fields__ if getattr(step, name) is not None]
    if len(given) != 1:
        refuse(
            key,
            f"a step is exactly one of {', '.join(step.__struct_fields__)}; here: {given or 'none'}",
            "- settle: {for: 5}",
        )
    if step.roll is not None:
        try:
            check_strategy(step.roll.wanted_strategy, slots)
        except UsageError as exc:
            refuse(f"{key}.roll.{exc.at}", exc.what, exc.way_out)
    _check_breaking(scenario, key, step, refuse)
    if step.fault is not None:
        _check_fault(scenario, f"{key}.fault", step.fault, refuse)
    zones = scenario.cluster.zones
    for zone, count in (step.scale.to if step.scale is not None else {}).items():
        if not 0 <= count <= zones.get(zone, -1):
            refuse(f"{key}.scale.to.{zone}", f"has {zones.get(zone, 0)} slots, not {count}", "scale: {to: {a: 1}}")
    if step.pace is not None and step.pace.think <= 0:
        refuse(f"{key}.pace.think", "must be over 0", "pace: {think: 0.4}")
    if step.repeat is not None and (step.repeat.seconds <= 0 or not step.repeat.steps):
        refuse(f"{key}.repeat", "needs a time over 0 and a step at least", "repeat: {for: 60, steps: [...]}")
    for strike in step.schedule.strikes if step.schedule is not None else ():
        slots_named = {strike.slot, strike.after or strike.slot}
        known = {*_places(scenario.cluster), *(slot.name for slot in scenario.cluster.slots)}
        if not slots_named <= known or strike.at < 0:
            told = " and ".join(sorted(slots_named))
            refuse(f"{key}.schedule.strikes", f"there is no slot {told} at {strike.at:g} s", "{slot: a1, at: 2}")
        try:
            find_fault(strike.do, role_of(strike.slot))
        except UsageError as exc:
            refuse(f"{key}.schedule.strikes", exc.what, exc.way_out)
    if step.monkey is not None and step.monkey.least_serving >= slots:
        refuse(
            f"{key}.monkey.least_serving",
            f"{step.monkey.least_serving} of {slots} replicas must serve, so nothing could ever be struck",
            f"least_serving: {slots - 1}",
        )


def _places(cluster: ClusterWish) -> Iterator[str]:
    """What strikes that are told one by one may name beside slots: one container each."""
    yield BALANCER
    if cluster.edges is Edges.ZONES:
        yield from (f"{BALANCER}/{zone}" for zone in cluster.zones)
    if cluster.compose is None:
        stores = cluster.stores
        yield from (f"{tier}/{zone}" for tier in (STORE, SENTINEL) for zone in stores.zones)
        yield from [] if stores.tier.is_replicated else [STORE]
        yield from [ORDERS] if stores.has_orders else []


def _check_fault(scenario: Scenario, key: str, fault: FaultWish, refuse: _Refuse) -> None:
    """A moment that never comes would be waited for until the run's time is over."""
    if fault.do in OF_DEPLOYERS and scenario.deployers < 2:
        refuse(f"{key}.do", "somebody must stand by for a deployer that dies", "deployers: 2")
    slots = [slot.name for slot in scenario.cluster.slots]
    if fault.at.slot not in {None, *slots}:
        refuse(f"{key}.at.slot", f"there is no slot {fault.at.slot}", f"one of {', '.join(slots)}")
    strategies = {step.roll.strategy for _, step in walk_steps(scenario.steps) if step.roll is not None}
    if not strategies:
        refuse(key, "its moment is one of a rollout, and there is none", "beside a `roll`, in `together`")
    if fault.at.phase in {Phase.PREPARE, Phase.KEEP} and "red-black" not in strategies:
        refuse(f"{key}.at.phase", f"only a red-black rollout is ever at {fault.at.phase}", "strategy: red-black")


def _check_reverses(scenario: Scenario, refuse: _Refuse) -> None:
    """As above: a phase that never comes would be waited for. Only what goes on beside a rollout finds it under way."""
    walked = walk_steps(scenario.steps)
    besides = [(key, [one.roll for _, one in walk_steps(step.together)]) for key, step in walked if step.together]
    for key, step in walked:
        if step.reverse is None:
            continue
        rolls = [one for at, inside in besides if key.startswith(f"{at}.") for one in inside if one is not None]
        if not rolls:
            refuse(f"{key}.reverse", "there is no rollout to be reversed", "beside a `roll`, in `together`")
        phase = step.reverse.at
        if (phase == "prepare" and all(one.strategy != "red-black" for one in rolls)) or (
            phase == "keep" and not any(one.wanted_strategy.keeps_old for one in rolls)
        ):
            what = f"only a red-black rollout that keeps its old group is ever at {phase}"
            refuse(f"{key}.reverse.at", what, "reverse: {at: move}, or strategy: red-black")


def _check_scales(scenario: Scenario, refuse: _Refuse) -> None:
    """Somebody must serve after each."""
    cluster, counts = scenario.cluster, dict(scenario.cluster.zones)
    if cluster.begin_with is not None and scenario.autoscale is None:
        begun = choose_slots(cluster.slots, (), cluster.begin_with)
        counts = dict(Counter(slot.zone for slot in cluster.slots if slot.name in begun))
    for key, step in walk_steps(scenario.steps):
        counts |= step.scale.to if step.scale is not None else {}
        if not any(counts.values()):
            refuse(f"{key}.scale.to", "nobody would serve", f"scale: {{to: {{{next(iter(cluster.zones))}: 1}}}}")


def _check_breaking(scenario: Scenario, key: str, step: StepWish, refuse: _Refuse) -> None:
    """What a step breaks on purpose must be there, and within the blast radius."""
    there = Strikable(
        zones=scenario.cluster.zones,
        slots=tuple(slot.name for slot in scenario.cluster.slots),
        has_edges=scenario.cluster.edges is Edges.ZONES,
        deployers=scenario.deployers,
        stores=scenario.cluster.stores if scenario.cluster.compose is None else None,
        radius=scenario.blast_radius,
    )
    if step.strike is not None:
        check_strike(step.strike, there, lambda at, *told: refuse(f"{key}.strike.{at}", *told))
    if step.lose_zone is not None:
        check_zone(step.lose_zone, there, lambda at, *told: refuse(f"{key}.lose_zone.{at}", *told))
    if step.monkey is not None:
        try:
            check_monkey(step.monkey)
        except UsageError as exc:
            refuse(f"{key}.monkey.{exc.at}", exc.what, exc.way_out)


def walk_steps(steps: tuple[StepWish, ...], at: str = "steps") -> list[tuple[str, StepWish]]:
    """Every step with its key path, and what it is made of after it."""
    found = []
    for number, step in enumerate(steps):
        key = f"{at}[{number}]"
        found.append((key, step))
        inside = "repeat.steps" if step.repeat is not None else "together"
        found += walk_steps(inner_steps(step), f"{key}.{inside}")
    return found


def _where_yaml_broke(exc: yaml.YAMLError) -> str:
    mark = getattr(exc, "problem_mark", None)
    problem = getattr(exc, "problem", None) or str(exc)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark is not None else problem
