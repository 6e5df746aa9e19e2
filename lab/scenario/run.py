"""Runs a scenario on a real cluster and writes its record; judging is the oracle's business.

The order is always the same: cluster, users logged in, the scenario's steps, no more actions, everybody reads
back all that is theirs, cluster gone. Whatever ends it early, what was started is removed.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from random import Random

from lab import record
from lab.chaos.monkey import Monkey
from lab.chaos.schedule import MonkeySettings
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.cluster.engine import describe
from lab.cluster.events import EngineWatch
from lab.cluster.setup import Toolbox
from lab.deploy.deployer import Deployer
from lab.deploy.plan import Wanted
from lab.errors import LabFault, RecordError
from lab.model import Operation, Release
from lab.oracle import Oracle
from lab.retry import wait_until
from lab.scenario.board import Board, SlotView, fold
from lab.scenario.file import Scenario, StepWish, rolled_to
from lab.scenario.served import Served
from lab.scenario.show import Moment, View
from lab.scenario.steps import Stage, make_step
from lab.scenario.wiring import LiveCluster, release_of, run_identity, temporary_cluster
from lab.users import Counts, Crowd, CrowdSize, Target, Tries

LOOK_EVERY = 0.1
LEAST_FREE_MB = 200
LOG_IN_WITHIN = 60.0
SETTLE_WITHIN = 30.0
READ_BACK_WITHIN = 60.0
DRIVER_MAY_LAG = 1.0
"""Seconds the users' own driver may be behind before what it measured means nothing."""


class Conductor:
    """One run. `run` does all of it; the record in `record_folder` holds everything that was seen."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        toolbox: Toolbox,
        run_record: record.RunRecord,
        view: View,
        *,
        port: int | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._scenario, self._seed, self._toolbox = scenario, seed, toolbox
        self._record, self._view, self._port, self._clock = run_record, view, port, clock
        self._random = Random(seed)
        self._lock = threading.Lock()
        self._board = Board(
            began=clock.now(),
            slots={slot.name: SlotView(slot=slot.name, zone=slot.zone) for slot in scenario.cluster.slots},
        )
        self._served = Served()
        self._crowd: Crowd | None = None
        self._counts: Counts | None = None
        self._deployer: Deployer | None = None
        self.oracle = Oracle()
        self._is_watched = True
        self.rolled_back = False
        """Whether a release was given up and the previous one put back."""

    def run(self) -> None:
        """Do the scenario. Raises LabFault for whatever is the lab's own trouble; the cluster is gone either way."""
        scenario, run = self._scenario, self._record.folder.name
        self._record.write("scenario.json", scenario)
        releases = {one.name: one for one in self._releases()}
        self._record.write("environment.json", self._environment(releases))
        first = release_of(self._toolbox, scenario.cluster.release)
        with self._phase_end(), ExitStack() as stack:
            identity = run_identity(run, self._clock)
            self._begin_phase("up", f"balancer, store and {len(scenario.cluster.slots)} replicas of {first.name}")
            watch = EngineWatch(identity.project, self._on_engine_event, clock=self._clock)
            stack.enter_context(watch)
            live = stack.enter_context(
                temporary_cluster(
                    self._toolbox,
                    identity,
                    scenario.cluster.slots,
                    first.image,
                    affinity=scenario.cluster.affinity,
                    port=self._port,
                )
            )
            self._deployer = stack.enter_context(
                Deployer(
                    live.cluster,
                    live.balancer,
                    releases,
                    Wanted(release=first.name),
                    self._report,
                    clock=self._clock,
                )
            )
            self._watch_until("every slot serves", lambda: self._deployed().is_settled, within=90)
            self._crowd = stack.enter_context(self._make_crowd(live))
            self._do_users(live)

    # the phases

    def _do_users(self, live: LiveCluster) -> None:
        crowd = self._crowd
        assert crowd is not None  # noqa: S101 -- run() made it just before
        self._begin_phase("log in", f"{self._scenario.users.count} users log in at {live.url}")
        self._in_background("everybody logs in", lambda: crowd.log_in(LOG_IN_WITHIN))
        crowd.shop()
        deadline = self._clock.now() + int(self._scenario.longer_than * NS)
        stage = Stage(
            deployer=self._deployed(),
            make_monkey=lambda wish, random: self._make_monkey(live, wish, random),
            report=self._report,
            random=self._random,
            clock=self._clock,
        )
        for wish in self._scenario.steps:
            self._do_step(wish, stage, deadline)
        self.rolled_back = self._deployed().failed is not None
        self._begin_phase("settle", "no new actions; what is in flight ends")
        self._in_background("everybody settles", lambda: crowd.settle(SETTLE_WITHIN))
        self._begin_phase("read back", "every device reads back all that is its user's")
        self._in_background("everybody reads back", lambda: crowd.read_back(READ_BACK_WITHIN))
        lag = crowd.counts().worst_lag
        if lag > DRIVER_MAY_LAG:
            self._report(record.Trouble(at=self._clock.now(), what=f"the users' driver was {lag:.1f} s behind itself"))

    def _do_step(self, wish: StepWish, stage: Stage, deadline: int) -> None:
        step = make_step(wish, stage)
        name = next(key for key in wish.__struct_fields__ if getattr(wish, key) is not None)
        self._begin_phase(name, step.text)
        try:
            step.begin()
            within = (deadline - self._clock.now()) / NS
            self._watch_until(f"the step {name!r} is over", step.is_over, within=max(within, 0))
        finally:
            step.end()

    def _begin_phase(self, name: str, text: str) -> None:
        self._report(record.PhaseBegan(at=self._clock.now(), name=name, text=text))
        self._show()

    @contextmanager
    def _phase_end(self) -> Iterator[None]:
        """Say that the cluster goes, then that it is gone, however the run ended."""
        try:
            yield
        finally:
            self._crowd = None
            self._begin_phase("down", "the cluster is gone")

    # waiting, watched

    def _watch_until(self, what: str, is_so: Callable[[], bool], *, within: float) -> None:
        def look() -> bool:
            self._show()
            self._check_self()
            return is_so()

        wait_until(what, look, within=within, every=LOOK_EVERY, next_step="see events.jsonl", clock=self._clock)

    def _in_background(self, what: str, act: Callable[[], None]) -> None:
        """Do something that blocks while the view goes on; raises what it raised."""
        raised: list[BaseException] = []

        def do() -> None:
            try:
                act()
            except BaseException as exc:  # noqa: BLE001 -- raised again below, in the thread that waits
                raised.append(exc)

        thread = threading.Thread(target=do, name=what, daemon=True)
        thread.start()
        self._watch_until(what, lambda: not thread.is_alive(), within=LOG_IN_WITHIN + READ_BACK_WITHIN)
        if raised:
            raise raised[0]

    def _check_self(self) -> None:
        """Raise where the lab itself is unwell: then nothing that was seen means anything."""
        if self._crowd is not None:
            self._crowd.check()
        free = shutil.disk_usage(self._record.folder).free // 2**20
        if free < LEAST_FREE_MB:
            raise RecordError(
                f"only {free} MB of disk are left", at=str(self._record.folder), way_out="lab clean --all"
            )

    # parts

    def _make_crowd(self, live: LiveCluster) -> Crowd:
        users = self._scenario.users
        return Crowd(
            [Target(host=live.host, port=live.port)],
            CrowdSize(users=users.count, two_devices=users.on_two_devices / users.count, think=users.think),
            chance=Random(self._random.getrandbits(64)),
            on_operation=self._on_operation,
            on_quiet=lambda user: self._watch(lambda: self.oracle.quiet(user)),
            policy=Tries(most=users.tries, timeout=users.answer_timeout),
            clock=self._clock,
        )

    def _make_monkey(self, live: LiveCluster, wish: MonkeySettings, random: Random) -> Monkey:
        return Monkey(
            live.cluster,
            self._deployed().serving,
            self._served.answered_since,
            wish,
            Random(random.getrandbits(64)),
            self._report,
            clock=self._clock,
        )

    def _deployed(self) -> Deployer:
        if self._deployer is None:
            raise LabFault("no deployer yet")
        return self._deployer

    def _releases(self) -> list[Release]:
        asked = [self._scenario.cluster.release, *rolled_to(self._scenario.steps)]
        return [release_of(self._toolbox, image) for image in asked]

    # what happens, from whichever thread

    def _report(self, event: record.AnyEvent) -> None:
        self._record.event(event)
        with self._lock:
            self._board = fold(self._board, event)

    def _on_engine_event(self, event: record.AnyEvent) -> None:
        self._report(event)
        if self._deployer is not None and isinstance(event, record.ContainerEvent) and event.action == "die":
            self._deployer.wake()

    def _on_operation(self, operation: Operation) -> None:
        self._record.operation(operation)
        self._served.note(operation)
        self._watch(lambda: self.oracle.feed(operation))

    def _watch(self, judge: Callable[[], None]) -> None:
        """Let the oracle look on. One that dies must not end the run: what it missed is judged from the record."""
        if self._is_watched:
            try:
                judge()
            except Exception as exc:  # noqa: BLE001 -- it goes into the record, and the verdict is could not tell
                self._is_watched = False
                self._report(record.Trouble(at=self._clock.now(), what=f"a check died: {type(exc).__name__}: {exc}"))

    def _show(self) -> None:
        with self._lock:
            board = self._board
        if self._crowd is not None:
            self._counts = self._crowd.counts()
        self._view.show(
            Moment(
                now=self._clock.now(),
                board=board,
                counts=self._counts,
                users_hurt=len(self.oracle.users_hurt),
                checks=self.oracle.comparisons,
            )
        )

    def _environment(self, releases: dict[str, Release]) -> dict[str, object]:
        return {
            "run": self._record.folder.name,
            "seed": self._seed,
            "began": self._clock.wall().isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "python": platform.python_version(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "engine": describe(self._toolbox.engine),
            "compose": list(self._toolbox.compose),
            "images": self._toolbox.images.ids(),
            "releases": {name: release.image for name, release in releases.items()},
        }
