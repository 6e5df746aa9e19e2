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
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random
from typing import TypeVar

from lab import record
from lab.backends.docker import (
    LiveCluster,
    deployed,
    open_state,
    release_of,
    run_identity,
    temporary_cluster,
)
from lab.chaos.marksman import Aim, ScheduledStriker
from lab.chaos.monkey import Monkey
from lab.chaos.schedule import MonkeySettings
from lab.chaos.striker import Striker
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.cluster.engine_harm import EngineHarm
from lab.cluster.events import EngineWatch
from lab.deploy.bearing import borne
from lab.deploy.deployer import Deployer
from lab.deploy.desk import Desk
from lab.deploy.results import ResultWindow
from lab.deploy.rollout import RolloutRequest, first_desired
from lab.errors import LabFault, RecordError, WaitTimeout
from lab.machine.engine import describe
from lab.machine.halt import halted_by
from lab.machine.labels import Identity
from lab.machine.setup import Toolbox
from lab.model import Operation, Release, Replica, release_name
from lab.oracle import Oracle
from lab.report.board import Board, SlotView, fold
from lab.report.fold import CLEAN_UP
from lab.report.sentences import tell_event
from lab.retry import wait_until
from lab.run.controls import Reach, RunControls
from lab.run.deployer_processes import Crew, DeployerProcess
from lab.run.own_app import balancer_settings, digest_of, own_app, own_files
from lab.run.pinned_faults import Pinned, PinnedFaultParts
from lab.run.recent_answers import RecentAnswers
from lab.run.steps import RunStep, Stage, make_step
from lab.run.stop_monitor import StopMonitor, Stopped
from lab.run.strikable_deployers import StrikableDeployers
from lab.run.strikers import ServingView, make_striker
from lab.run.view import Moment, QuietView, View
from lab.scale.autoscaler import Autoscaler, Load
from lab.scale.policy import ScaleSettings, choose_slots
from lab.scenario.spec import (
    Edges,
    OnStop,
    PinnedFaultSpec,
    Scenario,
    Schedule,
    StepSpec,
    UsersSpec,
    all_images_of,
    images_of,
    name_of,
)
from lab.state.protocol import State
from lab.users import Crowd, CrowdCounts, CrowdSize, Device, Door, Journey, Shopper, Tries
from lab.users.driven import Driven, MakeUser, load_journey, maker_of
from lab.users.steps import StepsJourney

T = TypeVar("T")

LOOK_EVERY = 0.1
LEAST_FREE_MB = 200
LOG_IN_WITHIN = 60.0
UP_WITHIN = 90.0
"""Seconds for a new cluster to serve in every slot, at least."""
SETTLE_WITHIN = 30.0
READ_BACK_WITHIN = 60.0
HALT_ASKED_EVERY = 1.0
"""Seconds between two looks whether somebody has pulled the safety lever."""
PINNED_FROM = 1001
"""Numbers of pinned strikes, apart from all others."""
BACK_WITHIN = 90.0
"""Seconds for a rollout that is turned back because the run was stopped, and at least for one that goes on."""


def _own_user(users: UsersSpec) -> MakeUser | None:
    """Who uses an app of one's own; None: it is the shop."""
    if users.http is not None:
        return partial(StepsJourney, users.http)
    return load_journey(users.journey) if users.journey is not None else None


class Conductor:
    """One run, or several one after another on one cluster; the record of each holds everything that was seen.

    `run` does all of a scenario. Whoever tells the steps one by one enters `cluster`, then for each run calls
    `begin`, enters `users` and does `do` as often as wanted; a run is over when its `users` block has ended.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        toolbox: Toolbox,
        run_record: record.RunRecord,
        view: View,
        *,
        port: int | None = None,
        repeat: str = "",
        hands: RunControls | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._toolbox, self._port, self._clock = toolbox, port, clock
        self._repeat, self._hands = repeat, hands
        self._lock = threading.Lock()
        self._deployers: Deployer | Crew | None = None
        self._desk: Desk | None = None
        self._state: State | None = None
        self.begin(scenario, seed, run_record, view)

    def begin(
        self,
        scenario: Scenario,
        seed: int,
        run_record: record.RunRecord,
        view: View,
        *,
        own_user: MakeUser | None = None,
        first_user: int = 1,
    ) -> None:
        """From now on it is this run: nothing of an earlier one is left but the cluster and its deployer.

        `own_user` takes the place of the journey that the scenario names; numbers of users begin with `first_user`.
        """
        with self._lock:
            self._scenario, self._seed = scenario, seed
            self._own_user = own_user or _own_user(scenario.users)
            self._first_user = first_user
            self._record, self._view = run_record, view
            self._random = Random(seed)
            self._board = Board(
                began=self._clock.now(),
                slots={slot.name: SlotView(slot=slot.name, zone=slot.zone) for slot in scenario.cluster.slots},
            )
            self._served = RecentAnswers()
            self._crowd: Crowd | None = None
            self._counts: CrowdCounts | None = None
            self._pins: list[Pinned] = []
            self._upgraded: dict[str, int] = {}
            self._watchman = StopMonitor(scenario.stop_when)
            self._may_stop = False
            self._trouble = self._halted = ""
            self._halt_asked_at = 0
            self._scaler: Autoscaler | None = None
            self.oracle = Oracle()
            self._is_watched = True
            self._results = ResultWindow()
            self._results_at = self._findings_noted = 0
            self._rolling_to = ""
            self._not_ready: dict[str, record.NotReady] = {}

    def run(self) -> None:
        """Do the scenario. Raises LabFault for whatever is the lab's own trouble; the cluster is gone either way."""
        self.write_scenario(self._scenario)
        with self.cluster() as live, self.users(live) as stage:
            try:
                for spec in self._scenario.steps:
                    self.do(spec, stage)
            except Stopped as exc:
                self._stop(exc, stage)

    def write_scenario(self, scenario: Scenario) -> None:
        """Make what is asked for, and on what machine, part of the record."""
        self._record.write("scenario.json", scenario)
        releases = {release_name(image): release_of(self._toolbox, image) for image in images_of(scenario)}
        self._record.write("environment.json", self._environment(scenario, releases))

    @contextmanager
    def cluster(
        self, identity: Identity | None = None, *, is_kept: Callable[[], bool] = lambda: False
    ) -> Iterator[LiveCluster]:
        """A cluster of which every slot serves; it is gone afterwards, however the block ends, unless `is_kept`."""
        scenario, identity = self._scenario, identity or run_identity(self._record.folder.name, self._clock)
        first = release_of(self._toolbox, scenario.cluster.release)
        with self._phase_end(), ExitStack() as stack:
            self._begin_phase("up", f"balancer, store and {len(scenario.cluster.slots)} replicas of {first.name}")
            watch = EngineWatch(identity.project, self._on_engine_event, clock=self._clock)
            stack.enter_context(watch)
            live = stack.enter_context(
                temporary_cluster(
                    self._toolbox,
                    identity,
                    scenario.cluster.slots,
                    first.image,
                    balancer_settings(scenario),
                    port=self._port,
                    edges=tuple(scenario.cluster.zones) if scenario.cluster.edges is Edges.ZONES else ("",),
                    stores=scenario.cluster.stores,
                    own=own_app(scenario.cluster),
                    is_kept=is_kept,
                )
            )
            state = self._state = stack.enter_context(open_state(self._toolbox.places))
            slots, count = scenario.cluster.slots, scenario.cluster.begin_with
            bounds = scenario.autoscale.zones if scenario.autoscale is not None else {}
            wanted = first_desired(first, slots, None if count is None else choose_slots(slots, (), count, bounds))
            if scenario.deployers:
                self._desk = Desk(state, live.project, clock=self._clock)
                self._desk.begin(wanted)
                crew = Crew(
                    live.project,
                    scenario.deployers,
                    self._report,
                    on_boundary=self._reach,
                    script=scenario.script,
                    clock=self._clock,
                )
                self._deployers = stack.enter_context(crew)
            else:
                boundary = partial(self._reach, None)
                self._desk, self._deployers = stack.enter_context(
                    deployed(live, state, self._report, first=wanted, boundary=boundary, clock=self._clock)
                )
            stack.callback(self._begin_phase, CLEAN_UP, "nobody acts any more, the cluster goes")
            within = max(UP_WITHIN, 3 * scenario.cluster.ready_within)
            self._watch_until("every slot serves", self._desk.is_settled, within=within, shows=self._why_not_ready)
            live.start_later()
            yield live

    # the phases

    @contextmanager
    def users(self, live: LiveCluster) -> Iterator[Stage]:
        """Users who are logged in and act while the block runs; then everybody reads back, unless it raised."""
        with ExitStack() as stack:
            self._tell_serving()
            crowd = self._crowd = stack.enter_context(self._make_crowd(live, stack))
            stack.callback(self._forget_crowd)
            if self._scenario.autoscale is not None:
                self._scaler = stack.enter_context(self._make_scaler(live, self._scenario.autoscale))
            self._begin_phase("log in", f"{self._scenario.users.count} users log in at {live.url}")
            self._in_background("everybody logs in", lambda: crowd.log_in(LOG_IN_WITHIN))
            crowd.shop()
            with self._in_hand(self._make_stage(live, crowd)) as stage:
                yield stage
            self._begin_phase("settle", "no new actions; what is in flight ends")
            self._in_background("everybody settles", lambda: crowd.settle(SETTLE_WITHIN))
            self._begin_phase("read back", "every device reads back all that is its user's")
            unread = self._in_background("everybody reads back", lambda: crowd.read_back(READ_BACK_WITHIN))
            for what in filter(None, (unread, crowd.counts().late)):
                self._report(record.Trouble(at=self._clock.now(), what=what))

    @contextmanager
    def _in_hand(self, stage: Stage) -> Iterator[Stage]:
        """A person at the run's page, if there is one, may act on it too, until users come to rest."""
        if self._hands is None:
            yield stage
            return
        reach = Reach(desk=stage.desk, striker=stage.striker, serving=self._serving, release=stage.release)
        self._hands.take_hold(reach)
        try:
            yield stage
        finally:
            self._hands.let_go()

    def _tell_serving(self) -> None:
        """From here on the record says how many serve, also where they did so before it began."""
        serving = Counter(one.release for one in self._serving())
        self._report(record.Serving(at=self._clock.now(), by_release=dict(serving), total=serving.total()))

    def _forget_crowd(self) -> None:
        self._crowd = None

    def _make_stage(self, live: LiveCluster, crowd: Crowd) -> Stage:
        desk, state = self._desk_open(), self._state
        assert state is not None  # noqa: S101 -- opened with the desk
        watched = ServingView(desk, self._served, live.cluster.slots, clock=self._clock)
        crew = StrikableDeployers(self._deployers, desk) if isinstance(self._deployers, Crew) else None
        radius = self._scenario.blast_radius
        striker = make_striker(live, state, watched, radius, self._report, crew=crew, clock=self._clock)
        return Stage(
            desk=desk,
            release=lambda image: release_of(self._toolbox, image),
            hurry=crowd.hurry,
            pin=lambda spec: self._pin(live, spec),
            make_monkey=lambda spec, random: self._make_monkey(striker, watched, spec, random),
            make_marksman=lambda spec: self._make_marksman(striker, watched, spec),
            striker=striker,
            report=self._report,
            random=self._random,
            clock=self._clock,
            deadline=self._clock.now() + int(self._scenario.longer_than * NS),
            rollout_within=self._scenario.promises.rollout_within,
            recreate=live.recreate,
        )

    @property
    def desk(self) -> Desk:
        """Where the cluster is told what to become. Raises LabFault before it stands."""
        return self._desk_open()

    def do(self, spec: StepSpec, stage: Stage) -> None:
        """Do one step to its end."""
        with self.doing(spec, stage) as step:
            within = (stage.deadline - self._clock.now()) / NS
            try:
                self._watch_until(f"the step {name_of(spec)!r} is over", step.is_over, within=max(within, 0))
            except WaitTimeout as exc:
                if self._clock.now() < stage.deadline:  # the step's own wait, which says more
                    raise
                over = f"the run's time (longer_than: {self._scenario.longer_than:g} s) was over"
                raise WaitTimeout(f"{over} in the step {name_of(spec)!r}", hint="a larger longer_than") from exc

    @contextmanager
    def doing(self, spec: StepSpec, stage: Stage) -> Iterator[RunStep]:
        """One step, under way while the block runs, and ended however that ends."""
        step = make_step(spec, stage)
        self._begin_phase(name_of(spec), step.text)
        self._may_stop = True
        try:
            step.begin()
            yield step
        except Stopped:
            if self._scenario.on_stop is OnStop.FREEZE:
                stage.striker.freeze()
            raise
        finally:
            self._may_stop = False
            step.end()

    def _stop(self, why: Stopped, stage: Stage) -> None:
        """No further step; users come to rest and read back all the same, so that the harm done is known."""
        self._report(record.Trouble(at=self._clock.now(), what=why.what))
        on_stop, desk = self._scenario.on_stop, stage.desk
        if on_stop is OnStop.FREEZE:
            return
        goes = "goes back" if on_stop is OnStop.ROLL_BACK else "goes on to its end"
        self._begin_phase("stop", f"what is open is undone, a rollout under way {goes}")
        stage.striker.heal()
        if on_stop is OnStop.ROLL_BACK and desk.read().desired.under_way is not None:
            desk.ask(RolloutRequest.ABORT)
        left = 0.0 if on_stop is OnStop.ROLL_BACK else (stage.deadline - self._clock.now()) / NS
        self._watch_until(f"the rollout {goes}", desk.is_settled, within=max(BACK_WITHIN, left))

    def _begin_phase(self, name: str, text: str) -> None:
        self._report(record.PhaseBegan(at=self._clock.now(), name=name, text=text))
        self._show()

    @contextmanager
    def _phase_end(self) -> Iterator[None]:
        """Say that the cluster goes, then that it is gone, however the run ended."""
        try:
            yield
        finally:
            self._begin_phase("down", "the cluster is gone")

    # waiting, watched

    def _why_not_ready(self) -> str:
        """What replicas that never got ready answered last."""
        return "; ".join(tell_event(event) for event in self._not_ready.values())

    def _watch_until(
        self, what: str, is_so: Callable[[], bool], *, within: float, shows: Callable[[], str] = lambda: ""
    ) -> None:
        def look() -> bool:
            try:
                self._show()
                self._check_self()
            except OSError as exc:  # of the lab's own parts, where it means "not yet" of what is waited for
                raise LabFault(
                    f"a part of the lab ended: {type(exc).__name__}: {exc}", hint="see events.jsonl"
                ) from exc
            if self._may_stop:
                self._check_stop()
            return is_so()

        looked = borne(look, clock=self._clock)  # a state that is away for a moment ends no run
        hint = "see events.jsonl"
        wait_until(what, looked, within=within, every=LOOK_EVERY, next_step=hint, shows=shows, clock=self._clock)

    def _check_stop(self) -> None:
        """Raises Stopped where the run's chaos must end now."""
        now = self._clock.now()
        if now - self._halt_asked_at > HALT_ASKED_EVERY * NS:
            self._halt_asked_at, self._halted = now, halted_by(self._toolbox.engine)
        late = self._counts.late if self._counts is not None else ""
        self._watchman.check(
            now,
            users_lost=len(self.oracle.users_hurt),
            serving=len(self._serving()),
            unwell=self._trouble or late,
            halted=self._halted,
        )

    def _in_background(self, what: str, act: Callable[[], T]) -> T:
        """Do something that blocks while the view goes on; gives what it gave, or raises what it raised."""
        given: list[T] = []
        raised: list[BaseException] = []

        def do() -> None:
            try:
                given.append(act())
            except BaseException as exc:  # noqa: BLE001 -- raised again below, in the thread that waits
                raised.append(exc)

        thread = threading.Thread(target=do, name=what, daemon=True)
        thread.start()
        self._watch_until(what, lambda: not thread.is_alive(), within=LOG_IN_WITHIN + READ_BACK_WITHIN)
        if raised:
            raise raised[0]
        return given[0]

    def _check_self(self) -> None:
        """Raise where the lab itself is unwell: then nothing that was seen means anything."""
        if self._crowd is not None:
            self._crowd.check()
        if self._deployers is not None:
            self._deployers.check()
        if self._scaler is not None:
            self._scaler.check()
        self._tell_results()
        free = shutil.disk_usage(self._record.folder).free // 2**20
        if free < LEAST_FREE_MB:
            raise RecordError(f"only {free} MB of disk are left", at=str(self._record.folder), hint="lab clean --all")

    def _tell_results(self) -> None:
        """What users got goes to the gate of whichever deployer leads, once a second while a rollout is under way."""
        now = self._clock.now()
        if self._desk is None or now - self._results_at < NS:
            return
        self._results_at = now
        if self._desk.exists() and self._desk.read().desired.under_way is not None:
            self._desk.write_results(self._results.figures(now))

    # parts

    def _make_crowd(self, live: LiveCluster, stack: ExitStack) -> Crowd:
        users = self._scenario.users
        journey: Callable[[Device], Journey] = Shopper
        if self._own_user is not None:
            threads = stack.enter_context(ThreadPoolExecutor(users.count, thread_name_prefix="user"))
            journey = partial(Driven, make=maker_of(self._own_user), threads=threads, origin=live.url)
        return Crowd(
            [Door(host=host, port=port) for host, port in live.doors],
            CrowdSize(
                users=users.count,
                two_devices=users.doubled / users.count,
                think=users.think,
                first=self._first_user,
            ),
            chance=Random(self._random.getrandbits(64)),
            on_operation=self._on_operation,
            journey=journey,
            policy=Tries(most=users.tries, timeout=users.answer_timeout),
            clock=self._clock,
        )

    def _make_scaler(self, live: LiveCluster, settings: ScaleSettings) -> Autoscaler:
        def load() -> Load | None:
            seen = live.balancer.requests()
            return None if seen is None else Load(requests=seen[0], in_flight=seen[1])

        desk = self._desk_open()
        return Autoscaler(
            settings,
            live.cluster.slots,
            load,
            lambda: desk.read().desired.active,
            desk.scale,
            self._report,
            clock=self._clock,
        )

    def _pin(self, live: LiveCluster, spec: PinnedFaultSpec) -> Pinned:
        """Be ready to do this when a deployer gets there."""
        crew = self._deployers if isinstance(self._deployers, Crew) else None
        target = EngineHarm(live.engine, project=live.project)
        ground = PinnedFaultParts(live=live, target=target, desk=self._desk_open(), crew=crew)
        number = PINNED_FROM + len(self._pins)
        pinned = Pinned(
            ground, spec.at, spec.do, seconds=spec.seconds, report=self._report, number=number, clock=self._clock
        )
        self._pins.append(pinned)
        return pinned

    def _reach(self, deployer: DeployerProcess | None, moment: str, step: record.Step) -> None:
        """A deployer is just before or after an act."""
        for pinned in tuple(self._pins):
            pinned(deployer, moment, step)

    def _make_monkey(self, striker: Striker, watched: ServingView, spec: MonkeySettings, random: Random) -> Monkey:
        slots, seeded = len(self._scenario.cluster.slots), Random(random.getrandbits(64))
        return Monkey(striker, watched.answering, slots, spec, seeded, self._report, clock=self._clock)

    def _make_marksman(self, striker: Striker, watched: ServingView, spec: Schedule) -> ScheduledStriker:
        aims = [Aim(strike.slot, strike.at, strike.after, strike.do, strike.seconds) for strike in spec.strikes]
        return ScheduledStriker(
            striker,
            watched.answering,
            aims,
            self._report,
            upgraded=self._upgraded.get,
            signal=spec.signal,
            patience=spec.patience,
            clock=self._clock,
        )

    def _desk_open(self) -> Desk:
        if self._desk is None:
            raise LabFault("nothing is wanted of the cluster yet")
        return self._desk

    def _serving(self) -> list[Replica]:
        """The replicas that are ready and have their slots, by the deployer's last word."""
        status = self._desk_open().status()
        return list(status.serving) if status is not None else []

    # what happens, from whichever thread

    def _report(self, event: record.AnyEvent) -> None:
        with self._lock:
            self._record.event(event)
            self._board = fold(self._board, event)
            if isinstance(event, record.NotReady):
                self._not_ready[event.slot] = event
            if isinstance(event, record.Step) and event.action == "ready":
                self._not_ready.pop(event.slot, None)
            if isinstance(event, record.Trouble):
                self._trouble = self._trouble or event.what
            if isinstance(event, record.Step) and (event.action, event.why) == ("enter", "upgrade"):
                self._upgraded[event.slot] = event.at
            if isinstance(event, record.RolloutMoved):
                self._rolling_to = "" if event.ending else event.to

    def _on_engine_event(self, event: record.AnyEvent) -> None:
        self._report(event)
        if self._deployers is not None and isinstance(event, record.ContainerEvent) and event.action == "die":
            self._deployers.wake()

    def _on_operation(self, operation: Operation) -> None:
        self._record.operation(operation)
        self._served.note(operation)
        self._results.note(operation)
        self._watchman.note(operation)
        self._watch(operation)

    def _watch(self, operation: Operation) -> None:
        """Let the oracle look on. One that dies must not end the run: what it missed is judged from the record."""
        if self._is_watched:
            try:
                self.oracle.feed(operation)
                self._note_findings()
            except Exception as exc:  # noqa: BLE001 -- it goes into the record, and the verdict is could not tell
                self._is_watched = False
                self._report(record.Trouble(at=self._clock.now(), what=f"a check died: {type(exc).__name__}: {exc}"))

    def _note_findings(self) -> None:
        """What is newly found counts against a release, for whoever judges a rollout by what its users got.

        That is the new one if it answered the user who was hurt since the proof began: what it wrote may be what the
        old one can't read, or it may have dropped what the old one had written, and both ends of the proof are the old
        one's.
        """
        fresh = self.oracle.findings[self._findings_noted :]
        if not fresh:
            return
        self._findings_noted += len(fresh)
        for finding in fresh:
            seen = [one.release for operation in finding.witness for one in operation.tries if one.release is not None]
            if seen:
                since, to = finding.witness[0].begin, self._rolling_to
                is_new = to in seen or self._results.has_met(to, finding.user, since=since)
                self._results.note_broken(to if is_new else seen[-1], finding.at)

    def _show(self) -> None:
        self._record.flush_due()
        with self._lock:
            board = self._board
        if self._crowd is not None:
            self._counts = self._crowd.counts()
        moment = Moment(
            now=self._clock.now(),
            board=board,
            counts=self._counts,
            users_hurt=len(self.oracle.users_hurt),
            checks=self.oracle.comparisons,
        )
        try:
            self._view.show(moment)
        except OSError as exc:
            self._view = QuietView()  # nobody sees any more how the cluster goes
            raise LabFault(f"nobody looks on any more: {exc.strerror}", hint="lab run ... >FILE") from exc

    def _environment(self, scenario: Scenario, releases: dict[str, Release]) -> dict[str, object]:
        return {
            "run": self._record.folder.name,
            "seed": self._seed,
            "repeat": self._repeat,
            "began": self._clock.wall().isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "python": platform.python_version(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "engine": describe(self._toolbox.engine),
            "compose": list(self._toolbox.compose),
            "images": self._toolbox.images.ids(all_images_of(scenario)),
            "files": {path: digest_of(path) for path in own_files(scenario)},
            "releases": {name: release.image for name, release in releases.items()},
        }
