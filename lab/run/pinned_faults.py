"""Faults pinned to a moment of a rollout: done once, when a deployer gets there, and undone afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from lab import record
from lab.backends.protocol import OpenProject
from lab.chaos.faults import FAULTS
from lab.clock import SYSTEM_CLOCK, Clock
from lab.deploy.desk import Desk
from lab.deploy.rollout import Phase
from lab.errors import LabError, LabFault
from lab.model import Replica, ReplicaState, Role, Value
from lab.retry import wait_until
from lab.run.deployer_processes import Crew, DeployerProcess
from lab.scenario.pin_spec import Pin, PinnedFault
from lab.scenario.spec import PinnedFaultSpec

PINNED_FROM = 1001
"""Numbers of pinned strikes, apart from all others."""
DEPLOYER_STOPPED_WITHIN = 20.0
"""Seconds after which a stopped deployer is woken up even if nobody took over."""


class PinnedFaultParts(Value):
    """What a pinned fault may act on."""

    live: OpenProject
    desk: Desk
    crew: Crew | None = None


class Pinned:
    """Does one fault the first time that a deployer reaches the pin. `end` undoes what is not undone by then."""

    def __init__(
        self,
        ground: PinnedFaultParts,
        pin: Pin,
        fault: PinnedFault,
        *,
        seconds: float = 1.5,
        report: Callable[[record.AnyEvent], None] = lambda _: None,
        number: int = 0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._ground, self._pin, self._fault, self._seconds = ground, pin, fault, seconds
        self._report, self._number, self._clock = report, number, clock
        self._lock = threading.Lock()
        self._open: list[Callable[[], object]] = []
        """What undoes what is not undone yet."""
        self._timers: list[threading.Timer] = []
        self._victim_name = ""
        self.is_done = False
        self.hit = False

    def __call__(self, deployer: DeployerProcess | None, moment: str, step: record.Step) -> None:
        """A deployer is at a boundary: do it if this is the place."""
        if self.is_done or not self._pin.is_at(moment, step, self._phase) or self._ground.live.halted():
            return
        self.is_done = True
        self.hit = self._do(deployer, step.slot or self._pin.slot)

    def end(self) -> None:
        """Undo whatever is not undone yet."""
        for timer in self._timers:
            timer.cancel()
        self._undo()

    def _phase(self) -> Phase | None:
        rollout = self._ground.desk.read().desired.under_way
        return rollout.phase if rollout is not None else None

    def _do(self, deployer: DeployerProcess | None, slot: str | None) -> bool:
        act = self._strike
        match self._fault:
            case PinnedFault.KILL_NEW | PinnedFault.KILL_OLD | PinnedFault.FREEZE_NEW | PinnedFault.FREEZE_OLD:
                return self._on_victim(slot, lambda victim: self._harm(victim.container))
            case PinnedFault.KILL_BALANCER:
                return act(Role.BALANCER, "balancer", lambda: self._harm(self._find(Role.BALANCER)))
            case PinnedFault.FREEZE_STORE:
                return act(Role.STORE, "store", lambda: self._harm(self._find(Role.STORE)))
            case _:
                if deployer is None or self._ground.crew is None:
                    return False
                kill = self._fault is PinnedFault.KILL_DEPLOYER
                name = f"deployer {deployer.pid}"
                return act(Role.DEPLOYER, name, lambda: self._kill(deployer) if kill else self._stop(deployer))

    def _strike(self, role: Role, victim: Replica | str, act: Callable[[], bool]) -> bool:
        """In the record before it is done, and proved by the engine's answer afterwards."""
        status = self._ground.desk.status()
        replica = victim if isinstance(victim, Replica) else None
        self._victim_name = replica.name if replica is not None else str(victim)
        fault = FAULTS[self._fault.does]
        self._report(
            record.Strike(
                at=self._clock.now(),
                strike=self._number,
                fault=str(self._fault),
                victim=self._victim_name,
                container=replica.container if replica is not None else "",
                slot=replica.slot if replica is not None else "",
                zone=replica.zone if replica is not None else "",
                release=replica.release if replica is not None else "",
                serving=len(status.serving) if status is not None else 0,
                role=role,
                fault_kind=fault.name,
                lasts=fault.lasts,
                signal="SIGKILL" if fault.name == "kill" else "",
                source=record.StrikeSource.PIN,
            )
        )
        hit = act()
        why = "it ran" if hit else "it no longer ran"
        self._report(record.StrikeProved(at=self._clock.now(), strike=self._number, hit=hit, why=why))
        if hit and not fault.lasts:
            self._undo()  # what is not multiplied is restarted at once
        return hit

    def _on_victim(self, slot: str | None, act: Callable[[Replica], bool]) -> bool:
        victim = self._victim(slot)
        return victim is not None and self._strike(Role.APP, victim, lambda: act(victim))

    def _victim(self, slot: str | None) -> Replica | None:
        rollout = self._ground.desk.read().desired.rollout
        if rollout is None:
            return None
        is_new = self._fault in {PinnedFault.KILL_NEW, PinnedFault.FREEZE_NEW}
        release = rollout.to.name if is_new else rollout.before.name
        there = [one for one in self._ground.live.cluster.replicas() if one.release == release]
        there = [one for one in there if one.state is ReplicaState.RUNNING and slot in {None, one.slot}]
        return min(there, key=lambda one: one.slot, default=None)

    def _find(self, role: Role) -> str:
        found = [one.container for one in self._ground.live.strikable.victims() if one.role is role]
        if not found:
            raise LabFault(f"there is no {role}", at=self._ground.live.project, hint="lab status")
        return found[0]

    def _harm(self, container: str) -> bool:
        """Do it, and see to it that what lasts is undone after its time."""
        fault, target = FAULTS[self._fault.does], self._ground.live.strikable
        victim = target.read(container)
        if victim is None or not target.do(container, fault.do(victim, "SIGKILL")):
            return False
        self._open += [partial(target.do, container, harm) for harm in fault.undo(victim)]
        if fault.lasts:
            timer = threading.Timer(self._seconds, self._undo)
            self._timers.append(timer)
            timer.start()
        return True

    def _undo(self) -> None:
        """Take back what is still open, and say so in the record; nothing where it was undone before."""
        with self._lock:
            if not self._open:
                return
            for undo in self._open:
                undo()
            self._open.clear()
        fault = str(self._fault)
        self._report(
            record.StrikeUndone(at=self._clock.now(), strike=self._number, fault=fault, victim=self._victim_name)
        )

    def _kill(self, deployer: DeployerProcess) -> bool:
        assert self._ground.crew is not None  # noqa: S101 -- `_do` looked
        self._ground.crew.kill(deployer)
        return True

    def _stop(self, deployer: DeployerProcess) -> bool:
        """Stopped in the middle, woken up when another one leads: what it still meant to do must be refused."""
        lease = self._ground.desk.lease()
        token = lease.token if lease is not None else 0
        deployer.freeze()
        self._open.append(deployer.thaw)

        def wake() -> None:
            with suppress(LabError):  # that nobody took over shows in the rollout's end, which is judged by itself
                wait_until("another deployer leads", lambda: self._leads_after(token), within=DEPLOYER_STOPPED_WITHIN)
            self._undo()

        threading.Thread(target=wake, daemon=True).start()
        return True

    def _leads_after(self, token: int) -> bool:
        lease = self._ground.desk.lease()
        return lease is not None and lease.token > token


class PinnedFaults:
    """All pinned faults of one run."""

    def __init__(self, report: Callable[[record.AnyEvent], None], clock: Clock = SYSTEM_CLOCK) -> None:
        self._report, self._clock = report, clock
        self._pinned: list[Pinned] = []

    def pin(self, parts: PinnedFaultParts, spec: PinnedFaultSpec) -> Pinned:
        """Be ready to do this when a deployer gets there."""
        number = PINNED_FROM + len(self._pinned)
        pinned = Pinned(
            parts, spec.at, spec.do, seconds=spec.seconds, report=self._report, number=number, clock=self._clock
        )
        self._pinned.append(pinned)
        return pinned

    def reach(self, deployer: DeployerProcess | None, moment: str, step: record.Step) -> None:
        """A deployer is just before or after an act."""
        for pinned in tuple(self._pinned):
            pinned(deployer, moment, step)
