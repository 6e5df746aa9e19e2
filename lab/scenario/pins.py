"""Faults pinned to a moment of a rollout: done once, when a deployer gets there, and undone afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from functools import partial
from typing import Literal

from lab import record
from lab.chaos.faults import FAULTS, FaultName
from lab.clock import SYSTEM_CLOCK, Clock
from lab.cluster.engine_harm import EngineHarm
from lab.cluster.halt import halted_by
from lab.cluster.harm import AnyHarm, Victim
from lab.deploy.deployer import ADVANCE
from lab.deploy.desk import Desk
from lab.deploy.rollout import Phase
from lab.errors import LabError, LabFault
from lab.model import Replica, ReplicaState, Role, Value
from lab.retry import wait_until
from lab.scenario.crew import Crew, DeployerProcess
from lab.scenario.wiring import LiveCluster

DEPLOYER_STOPPED_WITHIN = 20.0
"""Seconds after which a stopped deployer is woken up even if nobody took over."""


class Fault(StrEnum):
    """What goes wrong, once."""

    KILL_NEW = "kill the new replica"
    KILL_OLD = "kill the old replica"
    FREEZE_NEW = "freeze the new replica"
    FREEZE_OLD = "freeze the old replica"
    KILL_BALANCER = "kill the balancer"
    FREEZE_STORE = "freeze the store"
    KILL_DEPLOYER = "kill the deployer"
    STOP_DEPLOYER = "stop the deployer"


OF_DEPLOYERS = frozenset({Fault.KILL_DEPLOYER, Fault.STOP_DEPLOYER})


PinnedTo = Literal["create", "start", "enter", "drain", "stop", "remove", "advance"]


class Pin(Value):
    """A moment of a rollout: just before or after a deployer does something, in one slot or in the first that comes."""

    action: PinnedTo
    """What the deployer does; advance: it writes down that the rollout's next phase begins."""
    moment: Literal["before", "after"] = "after"
    """Just before it, or just after."""
    slot: str | None = None
    """In this slot; in the first that comes if not given. Where the rollout advances: whose replica is meant."""
    phase: Phase | None = None
    """While the rollout is in this phase, in any if not given; where it advances: the phase that begins."""

    def is_at(self, moment: str, step: record.Step, phase: Callable[[], Phase | None]) -> bool:
        """Whether a deployer at this boundary is there; `phase` says which one the rollout is in."""
        if (moment, step.action) != (self.moment, self.action):
            return False
        if step.action == ADVANCE:
            return self.phase in {None, step.why}
        return self.slot in {None, step.slot} and (self.phase is None or self.phase == phase())


class Ground(Value):
    """What a pinned fault may act on."""

    live: LiveCluster
    target: EngineHarm
    desk: Desk
    crew: Crew | None = None


class Pinned:
    """Does one fault the first time that a deployer reaches the pin. `end` undoes what is not undone by then."""

    def __init__(
        self,
        ground: Ground,
        pin: Pin,
        fault: Fault,
        *,
        seconds: float = 1.5,
        report: Callable[[record.AnyEvent], None] = lambda _: None,
        number: int = 0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._ground, self._pin, self._fault, self._seconds = ground, pin, fault, seconds
        self._report, self._number, self._clock = report, number, clock
        self._undo: list[Callable[[], object]] = []
        self._timers: list[threading.Timer] = []
        self.is_done = False
        self.hit = False

    def __call__(self, deployer: DeployerProcess | None, moment: str, step: record.Step) -> None:
        """A deployer is at a boundary: do it if this is the place."""
        if self.is_done or not self._pin.is_at(moment, step, self._phase) or halted_by(self._ground.live.engine):
            return
        self.is_done = True
        self.hit = self._do(deployer, step.slot or self._pin.slot)

    def end(self) -> None:
        """Undo whatever is not undone yet."""
        for timer in self._timers:
            timer.cancel()
        for undo in self._undo:
            undo()

    def _phase(self) -> Phase | None:
        rollout = self._ground.desk.read().desired.under_way
        return rollout.phase if rollout is not None else None

    def _do(self, deployer: DeployerProcess | None, slot: str | None) -> bool:
        act = self._strike
        match self._fault:
            case Fault.KILL_NEW | Fault.KILL_OLD:
                return self._on_victim(slot, lambda victim: self._harm("kill", victim.container, 0.0))
            case Fault.FREEZE_NEW | Fault.FREEZE_OLD:
                return self._on_victim(slot, lambda victim: self._harm("freeze", victim.container, self._seconds))
            case Fault.KILL_BALANCER:
                return act(Role.BALANCER, "balancer", lambda: self._harm("kill", self._find(Role.BALANCER), 0.0))
            case Fault.FREEZE_STORE:
                return act(Role.STORE, "store", lambda: self._harm("freeze", self._find(Role.STORE), self._seconds))
            case _:
                if deployer is None or self._ground.crew is None:
                    return False
                kill = self._fault is Fault.KILL_DEPLOYER
                name = f"deployer {deployer.pid}"
                return act(Role.DEPLOYER, name, lambda: self._kill(deployer) if kill else self._stop(deployer))

    def _strike(self, role: Role, victim: Replica | str, act: Callable[[], bool]) -> bool:
        """In the record before it is done, and proved by the engine's answer afterwards."""
        status = self._ground.desk.status()
        replica = victim if isinstance(victim, Replica) else None
        self._report(
            record.Strike(
                at=self._clock.now(),
                strike=self._number,
                fault=str(self._fault),
                victim=replica.name if replica is not None else str(victim),
                container=replica.container if replica is not None else "",
                slot=replica.slot if replica is not None else "",
                zone=replica.zone if replica is not None else "",
                release=replica.release if replica is not None else "",
                serving=len(status.serving) if status is not None else 0,
                role=role,
            )
        )
        hit = act()
        why = "it ran" if hit else "it no longer ran"
        self._report(record.StrikeProved(at=self._clock.now(), strike=self._number, hit=hit, why=why))
        return hit

    def _on_victim(self, slot: str | None, act: Callable[[Replica], bool]) -> bool:
        victim = self._victim(slot)
        return victim is not None and self._strike(Role.APP, victim, lambda: act(victim))

    def _victim(self, slot: str | None) -> Replica | None:
        rollout = self._ground.desk.read().desired.rollout
        if rollout is None:
            return None
        is_new = self._fault in {Fault.KILL_NEW, Fault.FREEZE_NEW}
        release = rollout.to.name if is_new else rollout.before.name
        there = [one for one in self._ground.live.cluster.replicas() if one.release == release]
        there = [one for one in there if one.state is ReplicaState.RUNNING and slot in {None, one.slot}]
        return min(there, key=lambda one: one.slot, default=None)

    def _find(self, role: Role) -> str:
        found = [one.container for one in self._ground.target.victims() if one.role is role]
        if not found:
            raise LabFault(f"there is no {role}", at=self._ground.live.project, way_out="lab status")
        return found[0]

    def _harm(self, name: FaultName, container: str, seconds: float) -> bool:
        """A fault of the table, undone after so many seconds."""
        fault, target = FAULTS[name], self._ground.target
        victim = target.read(container)
        if victim is None or not target.do(container, fault.do(victim, "SIGKILL")):
            return False
        for harm in fault.undo(victim):
            self._undo_after(seconds, victim, harm)
        return True

    def _undo_after(self, seconds: float, victim: Victim, harm: AnyHarm) -> None:
        undo = partial(self._ground.target.do, victim.container, harm)
        if not seconds:
            undo()
            return
        self._undo.append(undo)
        timer = threading.Timer(seconds, undo)
        self._timers.append(timer)
        timer.start()

    def _kill(self, deployer: DeployerProcess) -> bool:
        assert self._ground.crew is not None  # noqa: S101 -- `_do` looked
        self._ground.crew.kill(deployer)
        return True

    def _stop(self, deployer: DeployerProcess) -> bool:
        """Stopped in the middle, woken up when another one leads: what it still meant to do must be refused."""
        lease = self._ground.desk.lease()
        token = lease.token if lease is not None else 0
        deployer.freeze()
        self._undo.append(deployer.thaw)

        def wake() -> None:
            with suppress(LabError):  # that nobody took over shows in the rollout's end, which is judged by itself
                wait_until("another deployer leads", lambda: self._leads_after(token), within=DEPLOYER_STOPPED_WITHIN)
            deployer.thaw()

        threading.Thread(target=wake, daemon=True).start()
        return True

    def _leads_after(self, token: int) -> bool:
        lease = self._ground.desk.lease()
        return lease is not None and lease.token > token
