"""Decides, from what is seen and what each slot is to have, the next acts: pure, and the same after any crash.

Level-triggered: nothing is remembered between rounds but what the engine's labels say and when something was
first seen, so a deployer that dies, or a replica that does, is the same thing as a round that saw it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from lab.clock import NS
from lab.deploy.target import SlotTarget, SlotTargets
from lab.model import Replica, ReplicaState, Value


class Act(StrEnum):
    CREATE = "create"
    START = "start"
    ENTER = "enter"  # SIGUSR1: take the slot; whoever had it keeps answering what it has begun
    DRAIN = "drain"  # SIGTERM: answer what has begun, then leave
    STOP = "stop"  # SIGKILL: it did not leave in time, or never got ready
    REMOVE = "remove"


class Why(StrEnum):
    FIRST = "first"
    UPGRADE = "upgrade"
    REPLACEMENT = "replacement"
    ROLLBACK = "rollback"
    SCALE = "scale"


class ClusterLook(Value):
    """One look at the cluster, times in monotonic nanoseconds."""

    at: int
    replicas: tuple[Replica, ...]
    ready: frozenset[str]
    """The replicas that say they are ready, whether or not anybody is sent to them."""
    holders: Mapping[str, str]
    """By slot, the replica that the balancer sends to."""
    frozen: frozenset[str] = frozenset()
    """Containers that run and have not answered for so long that they are replaced."""
    started_at: Mapping[str, int] = {}
    """By container, when the deployer first saw it running or paused, or started it."""
    drained_at: Mapping[str, int] = {}
    """By container, when it was told to drain."""
    upgraded_at: int | None = None
    """When the last upgrade of a slot ended."""
    held: frozenset[str] = frozenset()
    """The slots that have been served before, so that a new replica there is a replacement."""
    not_before: Mapping[str, int] = {}
    """By slot, when a replica may be made there again, where the last ones died before they were ready."""
    lost: frozenset[str] = frozenset()
    """The slots of zones that are lost: nothing can be done there until they are back."""


class PlannedAct(Value):
    """One act to be done now."""

    act: Act
    slot: str
    why: Why
    replica: Replica | None = None
    """Whom to act on; None for a creation."""
    release: str = ""


class Decision(Value):
    """What to do now."""

    steps: tuple[PlannedAct, ...] = ()
    failed: Replica | None = None
    """A replica of the new release that did not get ready in time."""
    settled: frozenset[str] = frozenset()
    """The slots that have exactly what they are to have."""
    is_settled: bool = False
    """All slots have, and nothing else is there."""


class _Slot(Value):
    """What one slot needs. `begin` is what would start a change of it that may wait for its turn."""

    steps: tuple[PlannedAct, ...] = ()
    begin: PlannedAct | None = None
    is_settled: bool = False
    failed: Replica | None = None


def decide(seen: ClusterLook, target: SlotTargets) -> Decision:
    """The next acts. Doing none of them, some of them or all of them and deciding again is always right.

    Guarantees: unless the target is in place, a serving replica is drained only once another one has its slot;
    no more than `at_once` slots are under change for an upgrade; dead replicas are removed and empty slots filled
    before anything more is upgraded.
    """
    steps: list[PlannedAct] = []
    here: dict[str, list[Replica]] = {name: [] for name in target.slots}
    for replica in sorted(seen.replicas, key=lambda one: -one.generation):
        if replica.state is ReplicaState.DEAD:
            why = Why.UPGRADE if replica.container in seen.drained_at else Why.REPLACEMENT
            why = why if replica.slot in here else Why.SCALE
            steps.append(PlannedAct(act=Act.REMOVE, slot=replica.slot, why=why, replica=replica))
        elif replica.slot in here:
            here[replica.slot].append(replica)
        else:
            steps += _retire(seen, target, replica, Why.SCALE)
    leaving = sum(len(replicas) for replicas in here.values()) < len(seen.replicas)  # some may have been told before

    proven = any(one.release == target.unproven and one.name in seen.ready for one in seen.replicas)
    slots: dict[str, _Slot] = {}
    trying = {name: any(one.release == target.unproven for one in replicas) for name, replicas in here.items()}
    for name, spec in target.slots.items():
        others_try = any(tries for other, tries in trying.items() if other != name)
        gap_release = spec.serve
        if spec.serve == target.unproven and not proven and not (target.in_place and not others_try):
            gap_release = target.fallback or spec.serve
        is_lost = name in seen.lost
        slots[name] = _Slot() if is_lost else _plan_slot(seen, target, name, here[name], gap_release)
        trying[name] = trying[name] or any(step.release == target.unproven for step in slots[name].steps)

    steps += [step for one in slots.values() for step in one.steps]
    failed = next((one.failed for one in slots.values() if one.failed is not None), None)
    waiting = [one.begin for one in slots.values() if one.begin is not None]
    under_change = sum(not one.is_settled and one.begin is None for one in slots.values())
    rests = seen.upgraded_at is not None and seen.at - seen.upgraded_at < target.pause * NS
    has_gap = any(step.act is Act.CREATE for step in steps)
    if failed is None and not rests and not has_gap:
        steps += waiting[: max(0, target.at_once - under_change)]
    settled = frozenset(name for name, one in slots.items() if one.is_settled)
    return Decision(
        steps=tuple(steps), failed=failed, settled=settled, is_settled=not leaving and len(settled) == len(slots)
    )


def _plan_slot(seen: ClusterLook, target: SlotTargets, name: str, here: Sequence[Replica], gap_release: str) -> _Slot:
    """One slot's needs; `here` are its live replicas, newest first."""
    spec = target.slots[name]
    live = [one for one in here if one.container not in seen.frozen]
    staying = [one for one in live if one.container not in seen.drained_at]
    holder = next((one for one in live if one.name == seen.holders.get(name)), None)
    best = next((one for one in staying if one.release == spec.serve), None)
    why = Why.UPGRADE if holder is not None else Why.REPLACEMENT if name in seen.held else Why.FIRST

    if best is None and holder is not None:
        return _begin_change(seen, target, spec, holder, here)
    if best is None:
        # Something that fills the gap until the right one is ready; but nobody is sent to a group that stands by.
        best = next((one for one in staying if one.release != spec.stand_by), None)
        if best is None:
            leaving = tuple(_clear(seen, target, spec, here, set(), Why.REPLACEMENT))
            waits_for_leaver = target.in_place and bool(live)
            if waits_for_leaver or seen.at < seen.not_before.get(name, 0):
                return _Slot(steps=leaving)
            create = PlannedAct(act=Act.CREATE, slot=name, why=why, release=gap_release)
            return _Slot(steps=(create, *leaving))

    if best is not holder:
        steps, failed = _bring_up(seen, target, best, why, enters=True)
        keeps = {best.container} | ({holder.container} if holder is not None else set())
        return _Slot(steps=(*steps, *_clear(seen, target, spec, here, keeps, why)), failed=failed)
    return _beside(seen, target, spec, here, best)


def _begin_change(
    seen: ClusterLook, target: SlotTargets, spec: SlotTarget, holder: Replica, here: Sequence[Replica]
) -> _Slot:
    """Another release serves here: begin to change that, when it is this slot's turn."""
    if holder.container in seen.drained_at:
        return _Slot(steps=tuple(_retire(seen, target, holder, Why.UPGRADE)))
    act = Act.DRAIN if target.in_place else Act.CREATE
    begin = PlannedAct(
        act=act,
        slot=holder.slot,
        why=Why.UPGRADE,
        replica=holder if target.in_place else None,
        release="" if target.in_place else spec.serve,
    )
    steps = tuple(_clear(seen, target, spec, here, {holder.container}, Why.UPGRADE))
    return _Slot(steps=steps, begin=begin if seen.at >= seen.not_before.get(holder.slot, 0) else None)


def _beside(seen: ClusterLook, target: SlotTargets, spec: SlotTarget, here: Sequence[Replica], best: Replica) -> _Slot:
    """The right one serves: see to those that stand by, and let the others go."""
    keeps = {best.container}
    steps: list[PlannedAct] = []
    begin, failed, waits = None, None, False
    if spec.keep is not None:
        keeps |= {one.container for one in here if one.release == spec.keep}
    if spec.stand_by is not None:
        beside = next((one for one in here if one.release == spec.stand_by and _may_stay(seen, one)), None)
        if beside is None:
            begin = PlannedAct(act=Act.CREATE, slot=best.slot, why=Why.UPGRADE, release=spec.stand_by)
        else:
            keeps.add(beside.container)
            steps, failed = _bring_up(seen, target, beside, Why.UPGRADE, enters=False)
            waits = beside.name not in seen.ready
    steps += _clear(seen, target, spec, here, keeps, Why.UPGRADE)
    retiring = any(one.container not in keeps for one in here)
    return _Slot(
        steps=tuple(steps), begin=begin, failed=failed, is_settled=begin is None and not waits and not retiring
    )


def _may_stay(seen: ClusterLook, one: Replica) -> bool:
    return one.container not in seen.drained_at and one.container not in seen.frozen


def _bring_up(
    seen: ClusterLook, target: SlotTargets, one: Replica, why: Why, *, enters: bool
) -> tuple[list[PlannedAct], Replica | None]:
    """Start, wait, enter; or stop what did not get ready in time and say whether the new release failed by it."""
    if one.state is ReplicaState.CREATED:
        return [PlannedAct(act=Act.START, slot=one.slot, why=why, replica=one, release=one.release)], None
    if one.name in seen.ready:
        return ([PlannedAct(act=Act.ENTER, slot=one.slot, why=why, replica=one)] if enters else []), None
    if seen.at - seen.started_at.get(one.container, seen.at) > target.ready_within * NS:
        if one.state is ReplicaState.PAUSED:  # which is no failure of its release
            return [PlannedAct(act=Act.REMOVE, slot=one.slot, why=Why.REPLACEMENT, replica=one)], None
        stop = PlannedAct(act=Act.STOP, slot=one.slot, why=why, replica=one)
        return [stop], one if one.release == target.unproven else None
    return [], None


def _clear(
    seen: ClusterLook, target: SlotTargets, spec: SlotTarget, here: Sequence[Replica], keeps: set[str], why: Why
) -> list[PlannedAct]:
    """Let everything go that neither serves nor stands by; a kept release stays while it may be needed."""
    staying = {spec.keep, spec.stand_by}
    go = [one for one in here if one.container not in keeps]
    go = [one for one in go if one.release not in staying or not _may_stay(seen, one) or _has_newer(one, here)]
    return [step for one in go for step in _retire(seen, target, one, why)]


def _has_newer(one: Replica, here: Sequence[Replica]) -> bool:
    return any(other.release == one.release and other.generation > one.generation for other in here)


def _retire(seen: ClusterLook, target: SlotTargets, old: Replica, why: Why) -> list[PlannedAct]:
    """Let a replica drain; kill it only when its grace is over, or where it could not hear."""
    told = seen.drained_at.get(old.container)
    if old.container in seen.frozen or old.state is ReplicaState.PAUSED:
        return [PlannedAct(act=Act.REMOVE, slot=old.slot, why=Why.REPLACEMENT, replica=old)]
    if old.state is ReplicaState.CREATED:
        return [PlannedAct(act=Act.REMOVE, slot=old.slot, why=why, replica=old)]
    if told is None:
        return [PlannedAct(act=Act.DRAIN, slot=old.slot, why=why, replica=old)]
    if seen.at - told > target.grace * NS:
        return [PlannedAct(act=Act.STOP, slot=old.slot, why=why, replica=old)]
    return []
