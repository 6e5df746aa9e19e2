"""Makes a cluster what it should be: look, decide, do, again and again; whoever holds the lease does it.

It may be killed between any two of its acts, or stopped and woken up later: what is wanted is in the state, what is
so is on the engine, and an act that comes too late is refused by the engine, because the container bears another
deployer's name by then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec

from lab import record
from lab.balancer.protocol import Balancer
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.cluster.protocol import Cluster
from lab.deploy.advance import RolloutProgress, advance
from lab.deploy.desk import Desk, Status, StoredDesired
from lab.deploy.gate import GateFinding, GateVerdict, judge
from lab.deploy.look import Lookout
from lab.deploy.news import News, serving_in
from lab.deploy.plan import Act, ClusterLook, Decision, PlannedAct, Why, decide
from lab.deploy.results import ReleaseFigures
from lab.deploy.rollout import Desired, Phase, Rollout
from lab.deploy.target import target_of
from lab.deploy.tenure import LEASE_SECONDS, Tenure
from lab.errors import EngineAway, EngineError, Fenced, LabError, Stale, StateError
from lab.model import Replica, ReplicaState, Slot
from lab.state.protocol import State

Report = Callable[[record.AnyEvent], None]

ENTER_SIGNAL, LEAVE_SIGNAL, KILL_SIGNAL = "SIGUSR1", "SIGTERM", "SIGKILL"
STATE_BACK_WITHIN = 30.0
"""Seconds for which a deployer waits for a state that does not answer, such as a Redis that is restarted."""
ENGINE_BACK_WITHIN = 60.0
"""And for an engine that does not answer, such as one that is restarted."""
ADVANCE = "advance"
"""At a boundary, beside the acts: the rollout's next phase is written down. Its `why` is that phase, it has no slot."""

Boundary = Callable[[str, record.Step], None]
"""Called "before" and "after" every act and every phase that is written down: where a rehearsal lets a deployer die,
or does something to the cluster."""


class Deployer:
    """One thread that keeps a cluster as wanted, while it holds the lease; until then it stands by.

    It never acts on a replica that it did not see in the same round, and never waits inside an act. Upgrades,
    scaling and replacements go through the same loop.
    """

    ROUND = 0.1
    """Seconds between looks while something is under change; an engine event wakes it earlier."""
    IDLE_ROUND = 0.5
    STANDBY_LOOKS = 0.25
    """Seconds between two looks of a deployer that waits for the lease."""

    def __init__(
        self,
        cluster: Cluster,
        balancer: Balancer,
        state: State,
        name: str,
        report: Report,
        *,
        holder: str,
        is_gone: Callable[[str], bool] = lambda _: False,
        boundary: Boundary = lambda _moment, _step: None,
        lost_zones: Callable[[], Collection[str]] = tuple,
        lease_seconds: float = LEASE_SECONDS,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._lease_seconds = lease_seconds
        self._lost_zones = lost_zones
        self._unfenced, self._cluster, self._balancer = cluster, cluster, balancer
        self._state, self._name, self._holder, self._is_gone = state, name, holder, is_gone
        self.desk = Desk(state, name, clock=clock)
        self._report, self._boundary, self._clock = report, boundary, clock
        self._wake, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="deployer", daemon=True)
        self._tenure: Tenure | None = None
        self._lookout = Lookout(balancer, clock)
        self._why: dict[str, Why] = {}
        self._news = News(lambda: self._cluster, lambda: self._lookout, self._say, report, clock)
        self._counted: set[str] = set()
        self._never_started: set[str] = set()
        """Containers of a new release that the engine could not start: they are as good as dead."""
        self._phase: tuple[str, Phase, int, int] | None = None
        self._phase_began = 0
        self._last_status: Status | None = None
        self._last_step = ""
        self._told_to_stop: frozenset[str] = frozenset()
        """By this deployer, or by one that led before it."""
        self._cut_off_since: int | None = None
        self.error: BaseException | None = None
        """What ended the thread, if anything did."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """Look now: the engine said that something changed."""
        self._wake.set()

    def check(self) -> None:
        """Raise what ended the thread, if anything did."""
        if self.error is not None:
            raise self.error

    def run_until(self, is_over: Callable[[], bool]) -> None:
        """Do the work in this thread instead, until `is_over`; raises what goes wrong."""
        try:
            while not (self._ending.is_set() or is_over()):
                self._work()
        finally:
            self._resign()
            self._lookout.close()

    def end(self) -> None:
        """Let `run_until` come to its end after the act that it is at."""
        self._ending.set()
        self._wake.set()

    def _run(self) -> None:
        try:
            self.run_until(lambda: False)
        except BaseException as exc:  # noqa: BLE001 -- it goes into the record and to whoever asks `check`
            self.error = exc
            if not self._ending.is_set():
                self._report(record.Trouble(at=self._clock.now(), what=f"the deployer stopped: {exc}"))

    def _work(self) -> None:
        """One round in office, or one look for the office."""
        try:
            if self._tenure is None and not self._take_office():
                self._cut_off_since = None
                self._pause(self.STANDBY_LOOKS)
                return
            decision = self.round()
        except Fenced as exc:
            self._tenure = None
            self._tell("fenced", str(exc.what))
            return
        except Stale:
            return  # somebody wants something else by now: look again
        except StateError as exc:
            self._bear(exc, STATE_BACK_WITHIN)
            return
        except EngineAway as exc:
            self._bear(exc, ENGINE_BACK_WITHIN)
            return
        self._cut_off_since = None
        if not decision.steps:
            self._pause(self.IDLE_ROUND if decision.is_settled and self._is_idle() else self.ROUND)

    def _bear(self, exc: LabError, seconds: float) -> None:
        """Nothing is done while the state is out of reach, since nobody knows who leads, or the engine, since there is
        nobody to do it; raises if it stays so."""
        now = self._clock.now()
        if self._cut_off_since is None:
            self._cut_off_since = now
            self._tell("cut off", f"{exc.what}; nothing is done until it is back")
        if now - self._cut_off_since > seconds * NS:
            raise exc
        self._pause(self.STANDBY_LOOKS)

    def _is_idle(self) -> bool:
        return self._last_status is not None and self._last_status.is_settled

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    # the office

    def _take_office(self) -> bool:
        tenure = Tenure.begin(
            self._state,
            self._name,
            self._holder,
            is_gone=self._is_gone,
            seconds=self._lease_seconds,
            clock=self._clock,
        )
        if tenure is None:
            return False
        self._tenure = tenure
        # From here on every container bears this tenure's name, so that a call of an earlier deployer finds none.
        self._cluster = self._unfenced.fenced(tenure.lease.token)
        self._lookout.close()
        self._lookout = Lookout(self._balancer, self._clock)
        self._take_over_stops()
        token = tenure.lease.token
        self._tell("in office", f"deployer {self._holder} leads, fencing token {token}", is_first=token == 1)
        return True

    def _take_over_stops(self) -> None:
        """Whose app got its stop signal from an earlier deployer: it has its time from now on, and no second signal."""
        status = self.desk.status()
        self._told_to_stop = frozenset(() if status is None else status.told_to_stop)
        for container in self._told_to_stop:
            self._lookout.drained_at[container] = self._clock.now()

    def _note_stops(self, replicas: Collection[Replica], tenure: Tenure) -> None:
        """Write down at once whose app got its stop signal, for whoever may lead next."""
        told = frozenset(
            one.container
            for one in replicas
            if one.container in self._told_to_stop or self._cluster.stop_of(one) is not None
        )
        if told == self._told_to_stop or self._last_status is None:
            return
        self._told_to_stop = told
        self._last_status = msgspec.structs.replace(self._last_status, told_to_stop=tuple(sorted(told)))
        self.desk.write_status(self._last_status, tenure.lease)

    def _resign(self) -> None:
        if self._tenure is not None:
            with suppress(StateError):  # then the lease ends by itself
                self._tenure.end()
            self._tenure = None

    def _in_office(self) -> Tenure:
        if self._tenure is None:
            raise Fenced("this deployer does not lead", at=self._name, hint="lab lock")
        return self._tenure

    # one round

    def round(self) -> Decision:
        """One look, one decision, and its acts. Raises Fenced where another deployer leads by now."""
        tenure = self._in_office()
        tenure.guard()
        kept = self.desk.read()
        replicas = self._replicas()
        self._note_stops(replicas, tenure)
        lost = self._lost_slots()  # looked up first: what is made in a zone that is lost meanwhile is struck there
        seen = msgspec.structs.replace(self._lookout.look(replicas), lost=lost)
        tenure.guard()  # a look takes as long as the slowest answer, and nothing may follow it to renew the lease
        self._news.tell(seen, self._why)
        decision = self._decide(seen, kept.desired)
        kept, has_moved = self._advance(kept, seen, decision, tenure)
        if has_moved:
            self._write_status(kept, seen, tenure, is_settled=False)
            return msgspec.structs.replace(decision, steps=(), is_settled=False)  # what to do has changed with it
        for step in decision.steps:
            tenure.guard()
            self._do(step, kept.desired)
        self._write_status(kept, seen, tenure, is_settled=decision.is_settled)
        return decision

    def _decide(self, seen: ClusterLook, desired: Desired) -> Decision:
        cluster = self._cluster
        target = target_of(desired, cluster.slots, grace=cluster.grace, ready_within=cluster.ready_within)
        return decide(seen, target)

    def _slots_of(self, desired: Desired) -> tuple[Slot, ...]:
        """The slots that are to be served."""
        return tuple(slot for slot in self._cluster.slots if slot.name in desired.active)

    def _is_of_this_process(self, replica: Replica) -> bool:
        """Whether this very deployer made it, or started it."""
        return replica.name in self._why

    def _replicas(self) -> list[Replica]:
        """What exists; what the engine could not start counts as dead, though it says "created" of it."""
        return [
            msgspec.structs.replace(one, state=ReplicaState.DEAD)
            if one.container in self._never_started and one.state is ReplicaState.CREATED
            else one
            for one in self._cluster.replicas()
        ]

    def _lost_slots(self) -> frozenset[str]:
        zones = set(self._lost_zones())
        return frozenset(slot.name for slot in self._cluster.slots if slot.zone in zones)

    def _advance(
        self, kept: StoredDesired, seen: ClusterLook, decision: Decision, tenure: Tenure
    ) -> tuple[StoredDesired, bool]:
        """Let the rollout enter its next phase, if it is time to."""
        desired = self._count_early_deaths(kept.desired, seen)
        rollout = desired.under_way
        if rollout is None:
            return kept, False
        failed = decision.failed
        in_phase = self._seconds_in_phase(rollout)
        progress = RolloutProgress(
            at=self._wall(),
            in_phase=in_phase,
            is_settled=decision.is_settled,
            failed=f"{failed.name} did not get ready in {rollout.strategy.ready_within:g} s" if failed else "",
            judged=self._judge(rollout, in_phase),
        )
        return self._move_on(kept, desired, progress, tenure)

    def _move_on(
        self, kept: StoredDesired, desired: Desired, progress: RolloutProgress, tenure: Tenure
    ) -> tuple[StoredDesired, bool]:
        """Let a rollout that is under way enter its next phase by how far it got; whether anything was written."""
        rollout, further = desired.under_way, advance(desired, progress, by=self._holder)
        if further is kept.desired or rollout is None:
            return kept, False
        after = further.rollout
        assert after is not None  # noqa: S101 -- `advance` never forgets a rollout
        if after.phase is rollout.phase and after.stage == rollout.stage:
            return self.desk.write(kept, further, tenure.lease), True
        turn = record.Step(
            at=self._clock.now(), action=ADVANCE, slot="", replica="", release=after.to.name, why=str(after.phase)
        )
        self._boundary("before", turn)
        written = self.desk.write(kept, further, tenure.lease)
        self._seconds_in_phase(after)  # its own clock counts from here
        self._tell_rollout(after)
        self._boundary("after", turn)
        return written, True

    def _count_early_deaths(self, desired: Desired, seen: ClusterLook) -> Desired:
        """Replicas that died before they were ready: a release that cannot start is not tried for ever."""
        rollout = desired.under_way
        early = 0
        for one in seen.replicas:
            is_new = one.container not in self._counted  # it may be seen again before it is removed
            if one.state is ReplicaState.DEAD and is_new and one.slot in seen.lost:
                self._counted.add(one.container)  # it died with its zone, which says nothing of its release
            elif one.state is ReplicaState.DEAD and is_new and self._was_told_to_go(one, desired):
                self._counted.add(one.container)  # it was not given the time: scaled in again, or sent back
            elif one.state is ReplicaState.DEAD and is_new and one.name not in self._news.were_ready:
                self._counted.add(one.container)
                self._lookout.note_early_death(one)
                self._news.not_ready(one, self._cluster.trouble_of(one) or "it ended before it was ready")
                early += rollout is not None and one.release == rollout.to.name and one.name in self._why
        if rollout is None or not early:
            return desired
        return msgspec.structs.replace(
            desired, rollout=msgspec.structs.replace(rollout, never_ready=rollout.never_ready + early)
        )

    def _was_told_to_go(self, one: Replica, desired: Desired) -> bool:
        return one.container in self._lookout.drained_at or one.slot not in desired.active

    def _seconds_in_phase(self, rollout: Rollout) -> float:
        """How long the phase has lasted: by the wall clock until this deployer saw it, and by its own clock since.

        A wall clock that is set, or a machine that slept, makes it neither shorter nor longer.
        """
        phase = (rollout.id, rollout.phase, rollout.stage, rollout.since)
        now = self._clock.now()
        if self._phase != phase:
            self._phase, self._phase_began = phase, now - max(0, self._wall() - rollout.since)
        return (now - self._phase_began) / NS

    def _wall(self) -> int:
        return int(self._clock.wall().timestamp() * NS)

    def _judge(self, rollout: Rollout, in_phase: float) -> GateFinding | None:
        settings = rollout.strategy.judge
        if settings is None or rollout.phase not in {Phase.MOVE, Phase.WATCH, Phase.KEEP}:
            return None
        figures = self.desk.results() or ReleaseFigures()
        judged = judge(figures.of(rollout.to.name), figures.of(rollout.before.name), settings, waited=in_phase)
        if (
            rollout.phase is not Phase.WATCH
            and judged.verdict is GateVerdict.ROLL_BACK
            and not figures.of(rollout.to.name).tries
        ):
            return None  # nobody was sent to the new release yet, so that patience has not begun
        return judged

    # acts

    def _do(self, step: PlannedAct, desired: Desired) -> None:
        """One act, in the record before it is done; the boundary is told before and after."""
        if step.act is Act.CREATE:
            self._create(step, desired)
            return
        replica = step.replica
        assert replica is not None  # noqa: S101 -- every act but a creation names its replica
        note = self._note_of(step, replica)
        self._boundary("before", note)
        now = self._clock.now()
        if step.act is Act.START:
            self._lookout.started_at[replica.container] = now
            self._why.setdefault(replica.name, step.why)
        elif step.act is Act.DRAIN:
            self._lookout.drained_at[replica.container] = now
        elif step.act is Act.REMOVE and replica.container in self._lookout.drained_at:
            self._lookout.upgraded_at = now
        self._say(note)
        try:
            self._act(step.act, replica)
        except EngineError as exc:
            # It may have died a moment ago, which the next look will show; if it has not, the engine is unwell.
            if any(one.container == replica.container and one.state is replica.state for one in self._replicas()):
                rollout = desired.under_way
                if step.act is not Act.START or rollout is None or replica.release != rollout.to.name:
                    raise
                # Or its image is: a command that is not there, say, is the new release's failure like any other.
                self._never_started.add(replica.container)
                self._tell("refused", exc.what)
        self._boundary("after", note)

    def _act(self, act: Act, replica: Replica) -> None:
        match act:
            case Act.START:
                self._cluster.start(replica)
            case Act.ENTER:
                self._cluster.signal(replica, ENTER_SIGNAL)
                self._lookout.note_entered(replica)
            case Act.DRAIN:
                self._cluster.signal(replica, LEAVE_SIGNAL)
            case Act.STOP:
                self._cluster.signal(replica, KILL_SIGNAL)
            case _:
                self._cluster.remove(replica)
                self._lookout.note_gone(replica)
                self._why.pop(replica.name, None)

    def _create(self, step: PlannedAct, desired: Desired) -> None:
        slot = next(one for one in self._cluster.slots if one.name == step.slot)
        release = desired.releases[step.release]
        before = record.Step(
            at=self._clock.now(),
            action=Act.CREATE.value,
            slot=step.slot,
            replica="",
            release=release.name,
            why=step.why,
        )
        self._boundary("before", before)
        replica = self._cluster.create(slot, release)
        self._why[replica.name] = step.why
        note = msgspec.structs.replace(before, at=self._clock.now(), replica=replica.name)
        self._say(note)
        self._boundary("after", note)

    # telling

    def _note_of(self, step: PlannedAct, replica: Replica) -> record.Step:
        since = {Act.REMOVE: self._lookout.drained_at.get(replica.container)}.get(step.act)
        why = self._why.get(replica.name, step.why) if step.act in {Act.START, Act.ENTER} else step.why
        now = self._clock.now()
        return record.Step(
            at=now,
            action=step.act.value,
            slot=replica.slot,
            replica=replica.name,
            release=replica.release,
            why=str(why),
            seconds=None if since is None else (now - since) / NS,
        )

    def _say(self, note: record.Step) -> None:
        self._last_step = f"{note.action} {note.replica} ({note.release}), {note.why}"
        self._report(msgspec.structs.replace(note, at=self._clock.now()))

    def _write_status(self, kept: StoredDesired, seen: ClusterLook, tenure: Tenure, *, is_settled: bool) -> None:
        self._write_serving(kept, serving_in(seen), tenure, is_settled=is_settled)

    def _write_serving(
        self, kept: StoredDesired, those: Collection[Replica], tenure: Tenure, *, is_settled: bool
    ) -> None:
        serving = tuple(sorted(those, key=lambda one: one.slot))
        ready = is_settled and len(serving) == len(kept.desired.active)
        status = Status(
            holder=self._holder,
            at=self._wall(),
            desired=kept.version,
            is_settled=ready,
            serving=serving,
            step=self._last_step,
            told_to_stop=tuple(sorted(self._told_to_stop)),
        )
        last = self._last_status
        if last is None or msgspec.structs.replace(last, at=status.at) != status:
            self.desk.write_status(status, tenure.lease)
            self._last_status = status

    def _tell(self, action: str, text: str, *, is_first: bool = False) -> None:
        now = self._clock.now()
        self._report(record.Office(at=now, action=action, holder=self._holder, text=text, is_first=is_first))

    def _tell_rollout(self, rollout: Rollout) -> None:
        self._report(
            record.RolloutMoved(
                at=self._clock.now(),
                rollout=rollout.id,
                to=rollout.to.name,
                before=rollout.before.name,
                phase=str(rollout.phase),
                stage=rollout.stage,
                ending=str(rollout.ending or ""),
                why=rollout.why,
            )
        )
