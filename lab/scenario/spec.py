"""What a scenario file may say, as frozen values, each key documented where it stands. Times are seconds."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

import msgspec

from lab.balancer.config import Affinity
from lab.chaos.faults import FaultName, Signal
from lab.chaos.guard import BlastRadius, StopWhen
from lab.chaos.schedule import MonkeySettings
from lab.cluster.own_app import ServiceRole
from lab.cluster.protocol import StopWay
from lab.cluster.stores import OrdersPlace, StoreName, Stores, stores_of
from lab.deploy.gate import JudgeSettings
from lab.deploy.rollout import Order, Strategy, StrategyName, strategy_from
from lab.machine.images import POSTGRES, is_own_image
from lab.model import Front, Slot, Value, release_name
from lab.oracle.verdict import Enough
from lab.scale.policy import ScaleSettings
from lab.scenario.one_off_spec import OneOffSpec
from lab.scenario.pin_spec import Pin, PinnedFault
from lab.scenario.strike_spec import LoseZone, StrikeSpec
from lab.scenario.target_spec import CommandSpec, TargetSpec
from lab.users.steps import HttpJourney


class Edges(StrEnum):
    """How many balancers there are."""

    ONE = "one"
    ZONES = "zones"
    """One in each zone, each with an address of its own; users know all of them."""


class ClusterSpec(Value):
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
    compose: str | tuple[str, ...] | None = None
    """The compose file of an app of your own, beside this file, or several; without it the lab's own shop is meant. One
    of the usual names (compose.yaml) stands for all that `docker compose` takes there: its override file, or what
    COMPOSE_FILE lists."""
    service: str | None = None
    """The service there that is multiplied, upgraded and killed."""
    services: dict[str, ServiceRole] = msgspec.field(default_factory=dict)
    """What services beside it are for: store, worker or left_out. Only stores and workers may be struck."""
    port: int | None = None
    """Where it listens, inside its container."""
    front: Front | None = None
    """A balancer of your own in that file that users come through; the lab's own stands between it and the app."""
    ready: str = "/healthz"
    """The path that answers 2xx once it is ready."""
    largest_body: str = "8m"
    """What users may send it at most, as nginx writes sizes."""
    answer_timeout: float = 4.0
    """Seconds that one replica may take to answer before the balancer gives it up; less than `users.answer_timeout`."""
    ready_within: float = 30.0
    """Seconds in which a replica of an app of your own must be ready, wherever a roll says nothing else."""
    stop: StopWay = StopWay.AT_ONCE
    """When a replica that leaves gets its stop signal: at_once, while requests are in it, or after_answers."""
    keep_alive: bool = True
    """Whether connections to an app of your own are kept between requests, as proxies do."""
    first: OneOffSpec | None = None
    """Run once before the first replica starts, from the first release: a migration, seed data, accounts."""

    @property
    def compose_files(self) -> tuple[str, ...]:
        """The compose files of an app of one's own, as named; none for the shop."""
        named = () if self.compose is None else self.compose
        return (named,) if isinstance(named, str) else named

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


NO_CLUSTER = ClusterSpec(release="", zones={})
"""What stands in the place of a cluster where a target is watched."""


class UsersSpec(Value):
    """Who uses it."""

    count: int = 60
    """Accounts."""
    on_two_devices: int | None = None
    """How many of them use two devices at once; 20 if not given, none for an app of your own. Its model is then the
    account's."""
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
    until: float = 0.0
    """Longer, until it is shown with 95 % confidence that a smaller share of the actions than this fails (3 / actions,
    none of which failed), or a user is hurt; 0: the seconds alone. `--until` sets it."""


_NO_WAY = frozenset({"to", "strategy", "with", "env", "before"})
"""Keys of a roll that say what is rolled out, and not how."""


class Roll(Value, rename={"along": "with"}):
    """An upgrade. Which of the keys mean something is the strategy's business, which refuses the others."""

    to: str
    """The new release's image."""
    strategy: StrategyName = StrategyName.ROLLING
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
    along: tuple[str, ...] = ()
    """Workers of an app of your own, by their services, that are made anew from the same image once it serves."""
    env: dict[str, str] = msgspec.field(default_factory=dict)
    """Variables of the new release beside those of the compose file: the same image with others is another release."""
    before: OneOffSpec | None = None
    """Run once from the new release before any of its replicas starts, such as a migration. Where it fails the release
    is given up (exit code 3 if no user was hurt)."""

    @property
    def name(self) -> str:
        """What the new release is called."""
        return release_name(self.to, self.env)

    @property
    def wanted_strategy(self) -> Strategy:
        """Raises UsageError for a key that this strategy does not know."""
        asked = msgspec.to_builtins(self)
        given = {key: value for key, value in asked.items() if key not in _NO_WAY and value is not None}
        return strategy_from(self.strategy, given)


class Reverse(Value):
    """Send everybody back to the old release once the rollout is in this phase."""

    at: Literal["prepare", "move", "watch", "keep"] = "keep"
    """The phase of the rollout in which it is reversed."""


class PinnedFaultSpec(Value, rename={"seconds": "for"}):
    """Something that goes wrong at a moment of a rollout; beside the `roll` that it belongs to, in `together`."""

    do: PinnedFault
    """What goes wrong; see the table of faults."""
    at: Pin
    """The moment of the rollout."""
    seconds: float = 1.5
    """How long a freeze lasts."""


class PaceSpec(Value):
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
    steps: tuple[StepSpec, ...]
    """One round."""
    until: float = 0.0
    """Further rounds until it is shown with 95 % confidence that a smaller share of the actions than this fails, or a
    user is hurt; 0: the seconds alone. `--until` sets it."""


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


class StepSpec(Value):
    """One step; exactly one of its keys is given."""

    settle: Settle | None = None
    roll: Roll | None = None
    reverse: Reverse | None = None
    fault: PinnedFaultSpec | None = None
    scale: Scale | None = None
    pace: PaceSpec | None = None
    monkey: MonkeySettings | None = None
    schedule: Schedule | None = None
    repeat: Repeat | None = None
    strike: StrikeSpec | None = None
    lose_zone: LoseZone | None = None
    command: CommandSpec | None = None
    together: tuple[StepSpec, ...] | None = None


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

    serving_at_least: int | None = None
    """Replicas serving at any time but after a strike. If not given: one fewer than the fewest that are ever wanted,
    which is all slots unless `begin_with`, `scale` or `autoscale` say otherwise; at least one."""
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
    tries_through_kills: bool = False
    """Whether a write of an app of your own that may not be repeated must be answered even if its replica was killed
    meanwhile; if not, such writes are counted and told, and both outcomes are allowed."""


class Scenario(Value):
    """A whole scenario file."""

    lab: int
    """The format of the file: 1."""
    name: str
    """What the scenario is called in lists."""
    title: str
    """One line for people."""
    steps: tuple[StepSpec, ...]
    """What is done, one after another."""
    cluster: ClusterSpec = NO_CLUSTER
    """What the cluster is made of; needed unless there is a `target`."""
    target: TargetSpec | None = None
    """A deployment of your own that stands already, instead of a cluster."""
    about: str = ""
    """A few sentences for people."""
    users: UsersSpec = UsersSpec()
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
    time_limit: float = 300.0
    """Seconds after which the run is stopped and nothing can be told."""

    @property
    def serving_floor(self) -> int:
        """How many replicas must serve at any time but after a strike; 0: nobody knows of a target's."""
        if self.target is not None:
            return 0
        given = self.promises.serving_at_least
        return max(1, len(self.cluster.slots) - may_be_empty(self) - 1) if given is None else given


def may_be_empty(scenario: Scenario) -> int:
    """How many slots may stand empty for long: all but the fewest replicas that are ever wanted."""
    slots = len(scenario.cluster.slots)
    fewest = [slots, scenario.cluster.begin_with or slots]
    if scenario.autoscale is not None:
        fewest.append(scenario.autoscale.least)
    if any(step.scale is not None for _, step in walk_steps(scenario.steps)):
        fewest.append(1)
    return slots - min(fewest)


def name_of(step: StepSpec) -> str:
    """Which of its keys is given."""
    return next(key for key in step.__struct_fields__ if getattr(step, key) is not None)


def inner_steps(step: StepSpec) -> tuple[StepSpec, ...]:
    """The steps that a step is made of."""
    return step.repeat.steps if step.repeat is not None else step.together or ()


def rolls_of(steps: Sequence[StepSpec]) -> list[Roll]:
    """The steps' upgrades, in order."""
    found = []
    for step in steps:
        if step.roll is not None:
            found.append(step.roll)
        found += rolls_of(inner_steps(step))
    return found


def rolled_to(steps: Sequence[StepSpec]) -> list[str]:
    """The images that the steps upgrade to, in order."""
    return [roll.to for roll in rolls_of(steps)]


def releases_of(scenario: Scenario) -> dict[str, str]:
    """The image of each release that a scenario has, by the release's name; none of a target."""
    if scenario.target is not None:
        return {}
    first = scenario.cluster.release
    return {release_name(first): first, **{roll.name: roll.to for roll in rolls_of(scenario.steps)}}


def images_of(scenario: Scenario) -> list[str]:
    """The app's images that a scenario needs; none of a target."""
    if scenario.target is not None:
        return []
    return list(dict.fromkeys((scenario.cluster.release, *rolled_to(scenario.steps))))


def all_images_of(scenario: Scenario) -> list[str]:
    """The app's images that a scenario needs, and what its stores need beside the usual."""
    return [*images_of(scenario), *((POSTGRES,) if scenario.cluster.stores.has_orders else ())]


def lab_images_of(scenario: Scenario) -> list[str]:
    """What the lab must make for a scenario; the images of an app of one's own are its owner's to make."""
    if scenario.cluster.compose is None:
        return all_images_of(scenario)
    return [image for image in images_of(scenario) if is_own_image(image)]


def walk_steps(steps: tuple[StepSpec, ...], at: str = "steps") -> list[tuple[str, StepSpec]]:
    """Every step with its key path, and what it is made of after it."""
    found = []
    for number, step in enumerate(steps):
        key = f"{at}[{number}]"
        found.append((key, step))
        inside = "repeat.steps" if step.repeat is not None else "together"
        found += walk_steps(inner_steps(step), f"{key}.{inside}")
    return found
