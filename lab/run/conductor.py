"""Runs a scenario on a cluster and writes its record; judging is the oracle's business.

The order is always the same: cluster, users logged in, the scenario's steps, no more actions, everybody reads
back all that is theirs, cluster gone. Whatever ends it early, what was started is removed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random

from lab import record
from lab.backends.protocol import Backend, OpenProject, order_of
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.deploy.deployer import Deployer
from lab.deploy.desk import Desk
from lab.deploy.plan import Why
from lab.deploy.rollout import RolloutRequest, first_desired
from lab.errors import ClusterError, LabFault, UsageError
from lab.machine.labels import Identity
from lab.machine.projects import run_identity
from lab.model import Release, Replica
from lab.oracle import Oracle
from lab.report.fold import CLEAN_UP
from lab.run.at_work import at_work
from lab.run.command_process import CommandProcess
from lab.run.controls import Reach, RunControls
from lab.run.crowds import make_crowd, own_user_of, share_crowd
from lab.run.deployed import deployed
from lab.run.deployer_processes import Crew, DeployerProcess
from lab.run.environment import environment_of
from lab.run.first_try import FirstTry, first_try_of
from lab.run.log_keeper import LogKeeper
from lab.run.one_off import OneOff
from lab.run.pinned_faults import PinnedFaultParts, PinnedFaults
from lab.run.plain_steps import RunStep
from lab.run.run_state import RunState
from lab.run.steps import Stage, make_step
from lab.run.stop_monitor import Stopped
from lab.run.strikable_deployers import StrikableDeployers
from lab.run.strikers import ServingView, make_monkey, make_scheduled_striker, make_striker
from lab.run.supervisor import Supervisor
from lab.run.view import View
from lab.scale.autoscaler import Autoscaler, Load
from lab.scale.policy import ScaleSettings, choose_slots
from lab.scenario.one_off_spec import OneOffSpec
from lab.scenario.spec import OnStop, Scenario, StepSpec, name_of
from lab.scenario.target_spec import CommandSpec
from lab.state.protocol import State
from lab.users import CrowdControls, Door
from lab.users.loading import MakeUser

SERVES_WITHIN = 90.0
"""Seconds in which every slot of a new cluster must serve, at least."""
SLOWER = 0.05
"""Seconds more for each phase around the steps that each device of a crowd has which is divided among workers."""
BACK_WITHIN = 90.0
"""Seconds for a rollout that is turned back because the run was stopped, and at least for one that goes on."""


class Conductor:
    """One run, or several one after another on one cluster; the record of each holds everything that was seen.

    `run` does all of a scenario. Whoever tells the steps one by one enters `cluster`, then for each run calls
    `begin`, enters `users` and does `do` as often as wanted; a run is over when its `users` block has ended.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        backend: Backend,
        run_record: record.RunRecord,
        view: View,
        *,
        port: int | None = None,
        repeat: str = "",
        hands: RunControls | None = None,
        workers: int = 0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """With `workers` its users are divided among so many, where the backend has some."""
        self._backend, self._port, self._workers, self._clock = backend, port, workers, clock
        self._repeat, self._hands = repeat, hands
        self._deployers: Deployer | Crew | None = None
        self._desk: Desk | None = None
        self._state: State | None = None
        self._logs = LogKeeper()
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
        self._scenario, self._seed, self._record = scenario, seed, run_record
        self._own_user = own_user or own_user_of(scenario.users)
        self._first_user = first_user
        self._random = Random(seed)
        self._crowd: CrowdControls | None = None
        self._first_try: FirstTry | None = None
        self._scaler: Autoscaler | None = None
        self._commands = 0
        self._pins = PinnedFaults(self._report, self._clock)
        self._seen = RunState(scenario, run_record, self._clock)
        self._supervisor = Supervisor(
            self._seen,
            run_record,
            view,
            check=self._check_parts,
            serving=lambda: len(self._serving()),
            halted=self._backend.halted,
            clock=self._clock,
        )

    @property
    def oracle(self) -> Oracle:
        """What looks on while the run goes on; it is judged from its record all the same."""
        return self._seen.oracle

    @property
    def desk(self) -> Desk:
        """Where the cluster is told what to become. Raises LabFault before it stands."""
        if self._desk is None:
            raise LabFault("the cluster has no desired state yet")
        return self._desk

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
        run, seed = self._record.folder.name, self._seed
        told = environment_of(self._backend, scenario, run=run, seed=seed, repeat=self._repeat, clock=self._clock)
        self._record.write("environment.json", {**told, **({"workers": self._workers} if self._workers else {})})

    # the phases

    @contextmanager
    def cluster(
        self, identity: Identity | None = None, *, is_kept: Callable[[], bool] = lambda: False
    ) -> Iterator[OpenProject]:
        """A cluster of which every slot serves; it is gone afterwards, however the block ends, unless `is_kept`."""
        scenario, identity = self._scenario, identity or run_identity(self._record.folder.name, self._clock)
        first = self._backend.release(scenario.cluster.release)
        with self._phase_end(), ExitStack() as stack:
            slots = len(scenario.cluster.slots)
            self._begin_phase("up", f"balancer, store and {slots} replicas of {first.name}")
            stack.enter_context(self._backend.events(identity.project, self._on_engine_event, clock=self._clock))
            order = order_of(scenario, identity, port=self._port)
            live = stack.enter_context(self._backend.bring_up(order, is_kept=is_kept))
            self._prepare(live, first)
            self._state = stack.enter_context(self._backend.state())
            self._enter_deployers(live, self._state, stack)
            stack.callback(self._begin_phase, CLEAN_UP, "users have stopped; removing the cluster")
            self._logs.begin(live)
            stack.callback(lambda: self._logs.end(self._record.folder))
            within = max(SERVES_WITHIN, 3 * scenario.cluster.ready_within)
            self._supervisor.wait(
                "every slot serves", self.desk.is_settled, within=within, seen=self._seen.why_not_ready
            )
            live.start_later()
            yield live

    def _enter_deployers(self, live: OpenProject, state: State, stack: ExitStack) -> None:
        """Whoever makes the cluster what it should be, until `stack` ends: in this process or as processes."""
        scenario, cluster = self._scenario, self._scenario.cluster
        bounds = scenario.autoscale.zones if scenario.autoscale is not None else {}
        count = cluster.begin_with
        active = None if count is None else choose_slots(cluster.slots, (), count, bounds)
        wanted = first_desired(self._backend.release(cluster.release), cluster.slots, active)
        if scenario.deployers and not self._backend.is_shared:
            raise UsageError(
                f"no other process finds a cluster {self._backend.name}", at="deployers", hint="deployers: 0"
            )
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

    @contextmanager
    def users(self, live: OpenProject) -> Iterator[Stage]:
        """Users who are logged in and act while the block runs; then everybody reads back, unless it raised."""
        with ExitStack() as stack:
            self._report_serving()
            crowd = self._crowd = stack.enter_context(self._make_crowd(live, stack))
            stack.callback(self._forget_crowd)
            if self._scenario.autoscale is not None:
                self._scaler = stack.enter_context(self._make_scaler(live, self._scenario.autoscale))
            with (
                at_work(
                    crowd,
                    self._seen,
                    self._supervisor,
                    self._clock,
                    where=live.url,
                    slower=SLOWER * self._devices if self._workers else 0.0,
                    first_try=self._make_first_try(live),
                ),
                self._in_hand(self._make_stage(live, crowd, stack)) as stage,
            ):
                yield stage

    def do(self, spec: StepSpec, stage: Stage) -> None:
        """Do one step to its end."""
        with self.doing(spec, stage) as step:
            limit = self._scenario.time_limit
            self._supervisor.wait_step(name_of(spec), step, deadline=stage.deadline, time_limit=limit)

    @contextmanager
    def doing(self, spec: StepSpec, stage: Stage) -> Iterator[RunStep]:
        """One step, under way while the block runs, and ended however that ends."""
        step = make_step(spec, stage)
        self._begin_phase(name_of(spec), step.text)
        self._supervisor.may_stop = True
        try:
            step.begin()
            yield step
        except Stopped:
            if self._scenario.on_stop is OnStop.FREEZE:
                stage.striker.freeze()
            raise
        finally:
            self._supervisor.may_stop = False
            step.end()

    def _stop(self, why: Stopped, stage: Stage) -> None:
        """No further step; users come to rest and read back all the same, so that the harm done is known."""
        self._report(record.Trouble(at=self._clock.now(), what=why.what))
        on_stop, desk = self._scenario.on_stop, stage.desk
        if on_stop is OnStop.FREEZE:
            return
        goes = "goes back" if on_stop is OnStop.ROLL_BACK else "goes on to its end"
        self._begin_phase("stop", f"open faults are undone, a rollout in progress {goes}")
        stage.striker.heal()
        if on_stop is OnStop.ROLL_BACK and desk.read().desired.under_way is not None:
            desk.ask(RolloutRequest.ABORT)
        left = 0.0 if on_stop is OnStop.ROLL_BACK else (stage.deadline - self._clock.now()) / NS
        self._supervisor.wait(f"the rollout {goes}", desk.is_settled, within=max(BACK_WITHIN, left))

    def _begin_phase(self, name: str, text: str) -> None:
        self._report(record.PhaseBegan(at=self._clock.now(), name=name, text=text))
        self._supervisor.show()

    @contextmanager
    def _phase_end(self) -> Iterator[None]:
        """Say that the cluster goes, then that it is gone, however the run ended."""
        try:
            yield
        finally:
            self._begin_phase("down", "the cluster is gone")

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

    def _report_serving(self) -> None:
        """From here on the record says who serves, also where they did so before it began."""
        those = self._serving()
        for one in those:
            if one.name not in self._seen.entered:
                step = record.Step(
                    at=self._clock.now(),
                    action="enter",
                    slot=one.slot,
                    replica=one.name,
                    release=one.release,
                    why=Why.FIRST,
                )
                self._report(step)
        serving = Counter(one.release for one in those)
        self._report(record.Serving(at=self._clock.now(), by_release=dict(serving), total=serving.total()))

    def _forget_crowd(self) -> None:
        self._crowd = None

    # its parts

    def _make_crowd(self, live: OpenProject, stack: ExitStack) -> CrowdControls:
        if self._workers:
            if live.workers is None:
                raise UsageError("no worker can be started there", at="--workers", hint="lab run --on swarm")
            return share_crowd(
                live.workers.doors,
                stack.enter_context(live.workers.start(self._workers)),
                self._scenario.users,
                first_user=self._first_user,
                random=self._random,
                on_operation=self._seen.operation,
                report=self._report,
                clock=self._clock,
            )
        return make_crowd(
            [Door(host=host, port=port) for host, port in live.doors],
            self._scenario.users,
            own_user=self._own_user,
            first_user=self._first_user,
            random=self._random,
            on_operation=self._seen.operation,
            clock=self._clock,
        )

    @property
    def _devices(self) -> int:
        return self._scenario.users.count + self._scenario.users.doubled

    def _make_first_try(self, live: OpenProject) -> FirstTry | None:
        slots, users = [one.slot for one in self._serving()], self._scenario.users
        made = first_try_of(self._own_user, live.to_slot, slots, users, first_user=self._first_user, seed=self._seed)
        self._first_try = made
        return made

    def _make_scaler(self, live: OpenProject, settings: ScaleSettings) -> Autoscaler:
        def load() -> Load | None:
            seen = live.balancer.requests()
            return None if seen is None else Load(requests=seen[0], in_flight=seen[1])

        desk, slots = self.desk, live.cluster.slots
        active = partial(_active_of, desk)
        return Autoscaler(settings, slots, load, active, desk.scale, self._report, clock=self._clock)

    def _make_command(self, stack: ExitStack, spec: CommandSpec) -> CommandProcess:
        """Ended, with all that it started, when `stack` is."""
        self._commands += 1
        command = CommandProcess(spec.run, self._report, number=self._commands, clock=self._clock)
        stack.callback(command.end)
        return command

    def _make_one_off(self, live: OpenProject, spec: OneOffSpec) -> OneOff:
        self._commands += 1
        service = spec.service or self._scenario.cluster.service or ""
        return OneOff(spec, service, live.run_once, self._report, number=self._commands, clock=self._clock)

    def _prepare(self, live: OpenProject, first: Release) -> None:
        """What is to be run before the first replica starts. Raises ClusterError where it fails."""
        spec = self._scenario.cluster.first
        if spec is None:
            return
        one = self._make_one_off(live, spec)
        if not self._supervisor.in_background(spec.text, lambda: one.run(first), within=spec.within + BACK_WITHIN):
            said = f"; its last line: {one.last_line}" if one.last_line else ""
            raise ClusterError(
                f"{spec.text} failed{said}", at="cluster.first", hint="see events.jsonl for all its lines"
            )

    def _make_stage(self, live: OpenProject, crowd: CrowdControls, stack: ExitStack) -> Stage:
        assert self._state is not None  # noqa: S101 -- opened with the desk
        scenario, clock = self._scenario, self._clock
        crew = self._deployers if isinstance(self._deployers, Crew) else None
        view = ServingView(self.desk, self._seen.answers, live.cluster.slots, clock=clock)
        struck = StrikableDeployers(crew, self.desk) if crew is not None else None
        striker = make_striker(live, self._state, view, scenario.blast_radius, self._report, crew=struck, clock=clock)
        parts = PinnedFaultParts(live=live, desk=self.desk, crew=crew)
        slots = len(scenario.cluster.slots)
        return Stage(
            desk=self.desk,
            make_command=partial(self._make_command, stack),
            release=self._backend.release,
            hurry=crowd.hurry,
            pin=partial(self._pins.pin, parts),
            make_monkey=partial(make_monkey, striker, view, slots, self._report, clock=clock),
            make_scheduled_striker=partial(
                make_scheduled_striker, striker, view, self._seen.upgraded, self._report, clock=clock
            ),
            striker=striker,
            report=self._report,
            random=self._random,
            clock=clock,
            deadline=clock.now() + int(scenario.time_limit * NS),
            make_one_off=partial(self._make_one_off, live),
            recreate=live.recreate,
            is_shown=self._seen.is_shown,
            rollout_within=scenario.promises.rollout_within,
        )

    def _check_parts(self) -> None:
        """Raise what ended a part of the lab, if anything did; and pass on what users got."""
        if self._crowd is not None:
            try:
                self._crowd.check()
            except UsageError as exc:
                if self._first_try is not None:
                    self._first_try.note_broken(exc)
                raise
            self._seen.counts = self._crowd.counts()
            if self._first_try is not None:
                self._first_try.check(self._seen.oracle, self._scenario.users.count)
        if self._deployers is not None:
            self._deployers.check()
        if self._scaler is not None:
            self._scaler.check()
        if self._desk is not None:
            self._seen.write_results(self._desk)

    def _serving(self) -> list[Replica]:
        """The replicas that are ready and have their slots, by the deployer's last word."""
        status = self.desk.status()
        return list(status.serving) if status is not None else []

    # what happens, from whichever thread

    def _report(self, event: record.AnyEvent) -> None:
        self._seen.report(event)

    def _reach(self, deployer: DeployerProcess | None, moment: str, step: record.Step) -> None:
        """A deployer is just before or after an act."""
        self._pins.reach(deployer, moment, step)

    def _on_engine_event(self, event: record.AnyEvent) -> None:
        self._logs.note(self._record.folder, event)
        self._report(event)
        if self._deployers is not None and isinstance(event, record.ContainerEvent) and event.action == "die":
            self._deployers.wake()


def _active_of(desk: Desk) -> tuple[str, ...]:
    return desk.read().desired.active
