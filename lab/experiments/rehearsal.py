"""A small cluster with users at work, on which rollout after rollout is rehearsed while something goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from random import Random

from lab import record
from lab.backends.protocol import Backend, ClusterOrder, OpenProject
from lab.clock import NS, SYSTEM_CLOCK
from lab.deploy.desk import Desk
from lab.deploy.rollout import Ending, Phase, RolloutRequest, Strategy, first_desired
from lab.errors import EngineError
from lab.machine.projects import run_identity
from lab.model import Finding, Operation, Release, Value
from lab.oracle import Oracle
from lab.oracle.service import is_proper
from lab.retry import wait_until
from lab.run.deployer_processes import Crew, DeployerProcess
from lab.scenario.spec import ClusterSpec
from lab.users import Crowd, CrowdSize, Door, Tries

CLUSTER = ClusterSpec(release="shop:v1", zones=dict.fromkeys("abc", 1))
SLOTS = CLUSTER.slots
USERS = 24
THINK = 0.15
PATIENT = Tries(most=8, first=0.2, factor=2.0, timeout=10.0)
"""Enough to outlast a balancer that is killed and started again, however the pauses are drawn."""
SETTLED_WITHIN = 90.0
DEPLOYERS = 2
"""One leads, one stands by."""


class Rolled(Value):
    """What came of one rehearsed rollout."""

    release: str
    ending: str
    wrong: str
    """What is wrong with how it ended, if anything is."""
    floor: int
    """Replicas below which the strategy by itself never goes."""
    fewest_running: int
    most_running: int
    operations: int
    retried: int
    """Operations whose first try failed and a later one did not."""
    failed: int
    """Operations without any good answer."""
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def verdict(self) -> str:
        """held; saved by retry; not served: some got no good answer, and lost nothing; broken: somebody did, or the
        rollout ended wrong."""
        if self.wrong or self.findings:
            return "broken"
        if self.failed:
            return "not served"
        return "saved by retry" if self.retried else "held"


OnBoundary = Callable[[DeployerProcess, str, record.Step], None]


class Rehearsal:
    """Rolls one cluster back and forth between two releases. `on_boundary` may be changed from rollout to rollout."""

    def __init__(self, live: OpenProject, desk: Desk, releases: Sequence[Release], seed: int) -> None:
        self.live, self.desk = live, desk
        self.random = Random(seed)
        self.on_boundary: OnBoundary | None = None
        self.on_step: Callable[[record.Step], None] | None = None
        self.releases = tuple(releases)
        self._lock = threading.Lock()
        self._oracle = Oracle()
        self._running: set[str] = set()
        self._fewest = self._most = 0
        self._operations = self._retried = self._failed = 0
        self.crew: Crew | None = None
        self.troubles: list[str] = []
        self.left: list[str] = []
        """What could not be removed when the rehearsal was over, in words."""
        self.refused: list[str] = []
        """What was said whenever a deployer that leads no more was refused."""

    def roll(self, strategy: Strategy, *, is_reversed: bool = False) -> Rolled:
        """One rollout to the other release, seen through; never raises for how it went.

        `is_reversed`: somebody wants the old release back as soon as the old group stands by.
        """
        now = self.desk.read().desired.release
        to = next(one for one in self.releases if one.name == self.other_than(now.name))
        began = SYSTEM_CLOCK.now()
        with self._lock:
            self._fewest = self._most = len(self._running)
            before = (self._operations, self._retried, self._failed, len(self._oracle.findings))
        self.desk.roll(to, strategy, id=f"{self.random.getrandbits(32):08x}", by="the rehearsal")
        wrong = self._see_through(is_reversed=is_reversed)
        rollout = self.desk.read().desired.rollout
        ending = str(rollout.ending) if rollout is not None else ""
        wrong = wrong or self.find_wrong(to if ending == Ending.DONE else now)
        with self._lock:
            return Rolled(
                release=to.name,
                ending=ending,
                wrong=wrong,
                floor=len(SLOTS) - strategy.in_place,
                fewest_running=self._fewest,
                most_running=self._most,
                operations=self._operations - before[0],
                retried=self._retried - before[1],
                failed=self._failed - before[2],
                findings=tuple(self._oracle.findings[before[3] :]),
                seconds=(SYSTEM_CLOCK.now() - began) / NS,
            )

    def other_than(self, release: str) -> str:
        """The release that the next rollout goes to from this one."""
        return next(one.name for one in self.releases if one.name != release)

    def _see_through(self, *, is_reversed: bool) -> str:
        def look() -> bool:
            if self.crew is not None:
                self.crew.check()
            rollout = self.desk.read().desired.under_way if is_reversed else None
            if rollout is not None and rollout.phase is Phase.KEEP and rollout.asked is None:
                self.desk.ask(RolloutRequest.REVERSE)
            return self.desk.is_settled()

        try:
            wait_until("the rollout is over", look, within=SETTLED_WITHIN, every=0.02)
        except Exception as exc:  # noqa: BLE001 -- how it went wrong is the result
            return str(exc).replace("\n", " ")
        return ""

    def find_wrong(self, release: Release) -> str:
        """What the engine itself says of the end: one replica of one release in each slot, and nothing else."""
        there = self.live.cluster.replicas()
        if sorted(one.slot for one in there) != sorted(slot.name for slot in SLOTS):
            return f"replicas left: {' '.join(f'{one.name} {one.state}' for one in there)}"
        if {one.release for one in there} != {release.name}:
            return f"releases left: {' '.join(f'{one.name} {one.release}' for one in there)}"
        holders = self.live.balancer.holders([slot.name for slot in SLOTS])
        if {answer.replica for answer in holders.values()} != {one.name for one in there}:
            return f"requests go to {' '.join(answer.replica for answer in holders.values())}"
        return ""

    # what happens, from several threads

    def note_operation(self, operation: Operation) -> None:
        """An operation of the users ended."""
        with self._lock:
            self._oracle.feed(operation)
            self._operations += 1
            good = is_proper(operation.answered, operation)
            self._failed += not good
            self._retried += good and len(operation.tries) - operation.repeats > 1  # not those on purpose

    def note_event(self, event: record.AnyEvent) -> None:
        """The engine or a deployer said something."""
        if isinstance(event, record.Trouble):
            self.troubles.append(event.what)
        if isinstance(event, record.Office) and event.action == "fenced":
            self.refused.append(event.text)
        if isinstance(event, record.Step) and self.on_step is not None:
            self.on_step(event)
        if isinstance(event, record.ContainerEvent) and event.role == "app":
            with self._lock:
                if event.action == "start":
                    self._running.add(event.container)
                elif event.action == "die":
                    self._running.discard(event.container)
                self._fewest = min(self._fewest, len(self._running))
                self._most = max(self._most, len(self._running))

    def reach(self, deployer: DeployerProcess, moment: str, step: record.Step) -> None:
        """A deployer is at a boundary: whatever the rehearsal wants to happen there happens now."""
        if self.on_boundary is not None:
            self.on_boundary(deployer, moment, step)

    def finish(self) -> Sequence[Finding]:
        """The users are quiet and have read everything back: all that was found."""
        with self._lock:
            return self._oracle.finish()


@contextmanager
def _left_over(cluster: AbstractContextManager[OpenProject], left: list[str]) -> Iterator[OpenProject]:
    """The cluster; what its clean-up can't remove goes into `left`, so that it takes no result's place."""
    is_over = False
    try:
        with cluster as live:
            yield live
            is_over = True
    except EngineError as exc:
        if not is_over:
            raise
        left.append(str(exc))


@contextmanager
def rehearsal(backend: Backend, name: str, seed: int) -> Iterator[Rehearsal]:
    """A cluster of three slots with users who shop until the block ends, and who read everything back then."""
    releases = [backend.release(image) for image in ("shop:v1", "shop:v2")]
    identity = run_identity(f"{name}-{seed}-{Random().getrandbits(24):06x}")
    with ExitStack() as stack:
        left: list[str] = []
        live = stack.enter_context(_left_over(backend.bring_up(ClusterOrder(identity=identity, spec=CLUSTER)), left))
        state = stack.enter_context(backend.state())
        desk = Desk(state, live.project, clock=SYSTEM_CLOCK)
        desk.begin(first_desired(releases[0], SLOTS))
        stage = Rehearsal(live, desk, releases, seed)
        stage.left = left
        stack.enter_context(backend.events(live.project, stage.note_event))
        crew = Crew(live.project, DEPLOYERS, stage.note_event, on_boundary=stage.reach)
        stage.crew = stack.enter_context(crew)
        wait_until("every slot serves", lambda: desk.exists() and desk.is_settled(), within=SETTLED_WITHIN)
        crowd = stack.enter_context(
            Crowd(
                [Door(host=host, port=port) for host, port in live.doors],
                CrowdSize(users=USERS, two_devices=1 / 3, think=THINK),
                chance=Random(seed),
                on_operation=stage.note_operation,
                policy=PATIENT,
            )
        )
        crowd.log_in(60.0)
        crowd.shop()
        yield stage
        crowd.check()
        crowd.settle(30.0)
        unread = crowd.read_back(60.0)
        if unread:
            stage.troubles.append(unread)
