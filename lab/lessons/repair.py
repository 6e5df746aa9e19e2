"""`lab lesson repair`: something is wrong with a cluster that runs, under users, and is mended by hand, graded live.

Nothing is built and nothing is edited: the participant has the verbs of the lab, the containers and the page. What
was done to the cluster is said nowhere; what users get of it is. It is mended when every slot serves what is wanted,
nothing is open or under way, and all that users asked for a while was answered.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from random import Random

from lab import record
from lab.backends.choose import make_backend
from lab.backends.protocol import Backend, ClusterOrder, OpenProject
from lab.chaos.guard import BlastRadius
from lab.chaos.opened import OpenFaults
from lab.clock import NS, SYSTEM_CLOCK
from lab.deploy.desk import Desk
from lab.deploy.rollout import StrategyName, first_desired, strategy_from
from lab.errors import ExitCode, LabError, UsageError
from lab.machine.labels import this_process
from lab.machine.projects import run_identity
from lab.model import Kind, Operation, Slot, Value
from lab.operate.faults import StrikeRequest, strike
from lab.oracle.service import is_proper
from lab.retry import wait_until
from lab.run.crowds import make_crowd
from lab.run.deployed import deployed, wait_settled
from lab.scenario.spec import ClusterSpec, UsersSpec
from lab.users import Door

Say = Callable[[str], None]
CLUSTER = ClusterSpec(release="shop:v1", zones={"a": 1, "b": 1, "c": 1})
USERS = UsersSpec(count=20, on_two_devices=0, think=0.4)
IMAGES = ("shop:v1", "shop:v2", "shop:v2-memory")
STEADY = 8.0
"""Seconds in which all must have been well."""
SHOWS_WITHIN = 20.0
"""Seconds in which a fault that is still there has shown."""
LEAST = 20
"""Requests in that time, at least, that say so."""
LOG_IN_WITHIN, SERVES_WITHIN = 60.0, 180.0
LOOK_EVERY, SAID_EVERY = 0.5, 5


class RepairFault(Value):
    """Something that is wrong with a cluster. `mends` are the commands that mend it, for whoever gives up."""

    name: str
    told: str
    """What it is, once it is over."""
    mends: tuple[str, ...]


FAULTS = (
    RepairFault(name="frozen", told="a replica was frozen: it is there, and never answers", mends=("lab heal",)),
    RepairFault(name="dead", told="two replicas were killed, and nobody led who replaces them", mends=("lab resume",)),
    RepairFault(name="cut", told="a replica was cut off from the store", mends=("lab heal",)),
    RepairFault(name="half-way", told="whoever rolled out shop:v2 died at the first slot", mends=("lab resume",)),
    RepairFault(
        name="release",
        told="the release that is out keeps sessions in each replica's memory",
        mends=("lab roll shop:v2",),
    ),
)


class RepairSpec(Value):
    """What was asked for."""

    fault: str | None = None
    """For a trainer; else one is drawn."""
    seed: int | None = None
    within: float = 900.0
    port: int | None = None


class Condition(Value):
    """How a cluster stands, as far as a grade needs it."""

    serving: int
    slots: int
    asked: int
    """Requests of users that ended in the last seconds."""
    failed: int
    rejected: int
    """Of these, for a session that was good and counted for nothing."""
    is_open: bool = False
    """Whether something that was done to it is not undone."""
    under_way: str = ""


def find_repair(named: str | None, seed: int) -> RepairFault:
    """The fault of this name, or the one that a seed stands for. Raises UsageError for a name of none."""
    if named is None:
        return Random(f"repair {seed}").choice(FAULTS)
    for one in FAULTS:
        if one.name == named:
            return one
    raise UsageError(f"unknown fault {named!r}", at="lab lesson repair", hint=" | ".join(one.name for one in FAULTS))


def what_is_wrong(now: Condition) -> tuple[str, ...]:
    """What a person can see of it, each a few words; nothing where all is well."""
    found = []
    if now.serving < now.slots:
        found.append(f"{now.serving} of {now.slots} slots serve")
    if now.failed:
        found.append(f"{now.failed} of {now.asked} requests in {STEADY:g} s failed")
    if now.rejected:
        found.append(f"{now.rejected} were told to log in again, and nobody had logged out")
    if now.under_way:
        found.append(f"an upgrade is under way ({now.under_way})")
    if now.is_open and not found:
        found.append("users get on, but not all is as it was")
    if not found and now.asked < LEAST:
        found.append(f"only {now.asked} requests in {STEADY:g} s")
    return tuple(found)


class LatelyAsked:
    """What users got in the last seconds. Noted in the crowd's thread, counted from any other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: deque[tuple[int, bool, bool]] = deque()
        self._logged_out: set[str] = set()
        """Sessions that users ended themselves, and show on purpose afterwards."""

    def note(self, operation: Operation) -> None:
        if operation.is_conclusion:
            return
        if operation.kind is Kind.LOGOUT and operation.session is not None:
            self._logged_out.add(operation.session)
        good = is_proper(operation.answered, operation)
        rejected = operation.session_rejected and operation.session not in self._logged_out
        with self._lock:
            self._ended.append((operation.end, not good, rejected))

    def counts(self, now: int) -> tuple[int, int, int]:
        """How many ended, failed, and were turned away with a session that had been good."""
        since = now - int(STEADY * NS)
        with self._lock:
            while self._ended and self._ended[0][0] < since:
                self._ended.popleft()
            return len(self._ended), sum(one[1] for one in self._ended), sum(one[2] for one in self._ended)


def repair(spec: RepairSpec, *, say: Say) -> int:
    """Bring a cluster up, let users in, break it, and grade until it is mended: exit 0, or 1 if it was not in time."""
    seed = secrets.randbelow(10**6) if spec.seed is None else spec.seed
    fault = find_repair(spec.fault, seed)
    backend = make_backend(say, IMAGES)
    backend.sweep_abandoned(say)
    identity = run_identity(f"repair-{secrets.token_hex(3)}")
    project, lately = identity.project, LatelyAsked()
    with ExitStack() as stack:
        say("a cluster comes up")
        live = stack.enter_context(backend.bring_up(ClusterOrder(identity=identity, spec=CLUSTER, port=spec.port)))
        broken = _Breaking(backend, live, project)
        broken.begin(is_memory=fault.name == "release")
        crowd = stack.enter_context(
            make_crowd(
                [Door(host=host, port=port) for host, port in live.doors],
                USERS,
                own_user=None,
                first_user=1,
                random=Random(seed),
                on_operation=lately.note,
                clock=SYSTEM_CLOCK,
            )
        )
        crowd.log_in(LOG_IN_WITHIN)
        crowd.shop()
        broken.break_it(fault)
        say(f"{len(crowd.users)} users are at work at {live.url}, and something is wrong. Mend it while they are.")
        say(f"  look   lab status -p {project} --watch    lab logs a1 -p {project}    lab ui -p {project}")
        say(f"  mend   lab heal, resume, abort, reverse, roll, kill, deployer ... -p {project}    docker ps")
        return _grade(broken, lately, crowd.check, fault, spec, say)


def _grade(
    broken: _Breaking, lately: LatelyAsked, check: Callable[[], None], fault: RepairFault, spec: RepairSpec, say: Say
) -> int:
    began, was_seen, said_at = SYSTEM_CLOCK.now(), False, 0
    before = ""
    well_since: int | None = None
    while True:
        check()
        now = SYSTEM_CLOCK.now()
        seconds = (now - began) / NS
        wrong = what_is_wrong(broken.condition(lately.counts(now)))
        was_seen |= bool(wrong)
        shape = "".join(one for one in "; ".join(wrong) if not one.isdigit())  # figures alone are told now and then
        if (shape != before or now - said_at >= SAID_EVERY * NS) and was_seen:
            say(f"{seconds:6.1f} s  {'✕ ' + '; '.join(wrong) if wrong else '· all is well; is it to stay?'}")
            said_at = now
        before = shape
        well_since = None if wrong else well_since or now
        has_shown = was_seen or seconds >= SHOWS_WITHIN  # whoever was quick mended it before anybody felt it
        if has_shown and well_since is not None and now - well_since >= STEADY * NS:
            say(f"✓ mended after {seconds:.0f} s: {fault.told}")
            return ExitCode.HELD
        if seconds >= spec.within:
            say(f"✕ not mended within {spec.within:g} s: {fault.told}")
            say(f"  what mends it: {' or '.join(f'{one} -p {broken.project}' for one in fault.mends)}")
            return ExitCode.BROKEN
        SYSTEM_CLOCK.sleep(LOOK_EVERY)


class _Breaking:
    """What is done to a cluster before somebody mends it, and how it stands."""

    def __init__(self, backend: Backend, live: OpenProject, project: str) -> None:
        self._backend, self._live, self.project = backend, live, project
        self._slots: tuple[Slot, ...] = live.cluster.slots

    def begin(self, *, is_memory: bool) -> None:
        """Let every slot serve; nobody leads afterwards."""
        release = self._backend.release("shop:v2-memory" if is_memory else CLUSTER.release)
        with self._backend.state() as state:
            first = first_desired(release, self._slots)
            with deployed(self._live, state, lambda _: None, first=first) as (desk, deployer):
                wait_settled(desk, deployer, within=SERVES_WITHIN)

    def break_it(self, fault: RepairFault) -> None:
        """Do it. Raises LabError where that could not be done."""
        radius = BlastRadius(replicas=2, least_serving=1)
        match fault.name:
            case "frozen":
                strikes = [StrikeRequest(do="freeze", to="a1")]
            case "cut":
                strikes = [StrikeRequest(do="cut", to="b1", off="store")]
            case "dead":
                strikes = [StrikeRequest(do="kill", to="a1"), StrikeRequest(do="kill", to="c1")]
            case "half-way":
                strikes = []
                self._die_half_way()
            case _:
                strikes = []
        for one in strikes:
            strike(one, radius, project=self.project, say=lambda _: None)

    def condition(self, lately: tuple[int, int, int]) -> Condition:
        """How it stands now. What can't be asked counts as not serving."""
        asked, failed, rejected = lately
        serving, is_open, under_way = 0, False, ""
        try:
            names = {one.name for one in self._slots}
            serving = sum(answer.is_ready for answer in self._live.balancer.holders(names).values())
            with self._backend.state() as state:
                opened = OpenFaults(state, self.project).read()
                is_open = bool(opened.faults or opened.zones)
                rollout = Desk(state, self.project, clock=SYSTEM_CLOCK).read().desired.under_way
                under_way = "" if rollout is None else f"to {rollout.to.name}, in phase {rollout.phase}"
        except LabError:
            pass
        return Condition(
            serving=serving,
            slots=len(self._slots),
            asked=asked,
            failed=failed,
            rejected=rejected,
            is_open=is_open,
            under_way=under_way,
        )

    def _die_half_way(self) -> None:
        """Begin an upgrade, and leave it as soon as the first slot has its new replica."""
        moved = threading.Event()

        def heard(event: record.AnyEvent) -> None:
            if isinstance(event, record.Step) and (event.action, event.why) == ("enter", "upgrade"):
                moved.set()

        to, strategy = self._backend.release("shop:v2"), strategy_from(StrategyName.ROLLING, {"pause": 5.0})
        with self._backend.state() as state, deployed(self._live, state, heard) as (desk, deployer):
            desk.roll(to, strategy, id=secrets.token_hex(4), by=this_process())
            deployer.wake()
            wait_until("the first slot is upgraded", moved.is_set, within=SERVES_WITHIN, next_step="lab status")


def repair_lines() -> Iterator[str]:
    """The faults for a trainer, each with what mends it."""
    for one in FAULTS:
        yield f"{one.name:<10} {one.told}; {' or '.join(one.mends)}"
