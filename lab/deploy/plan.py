"""Decides, from what is seen and what is wanted, the next acts on the cluster: pure, and the same after any crash.

Level-triggered: nothing is remembered between rounds but what the engine's labels say and when something was
first seen, so a deployer that dies, or a replica that does, is the same thing as a round that saw it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from lab.clock import NS
from lab.model import Replica, ReplicaState, Slot, Value


class Act(StrEnum):
    CREATE = "create"
    START = "start"
    DRAIN = "drain"  # SIGTERM: answer what has begun, then leave
    STOP = "stop"  # SIGKILL: it did not leave in time, or never got ready
    REMOVE = "remove"


class Why(StrEnum):
    FIRST = "first"
    UPGRADE = "upgrade"
    REPLACEMENT = "replacement"
    ROLLBACK = "rollback"


class Wanted(Value):
    """What the cluster should become. `previous` is what dead replicas are replaced by until the new release
    has proven that it gets ready at all."""

    release: str
    previous: str | None = None
    batch: int = 1
    """How many slots may be under change at once; as many replicas more than slots may exist for a while."""
    pause: float = 0.0
    """Seconds between the end of one slot's upgrade and the begin of the next."""
    ready_within: float = 30.0
    grace: float = 10.0
    """Seconds that a draining replica may take before it is killed."""


class Seen(Value):
    """One look at the cluster, times in monotonic nanoseconds."""

    at: int
    replicas: tuple[Replica, ...]
    answering: Mapping[str, str]
    """By slot, the replica that answers there."""
    started_at: Mapping[str, int] = {}
    """By container, when the deployer first saw it running or started it."""
    drained_at: Mapping[str, int] = {}
    """By container, when it was told to drain."""
    upgraded_at: int | None = None
    """When the last upgrade of a slot ended."""


class Step(Value):
    """One act to be done now."""

    act: Act
    slot: str
    why: Why
    replica: Replica | None = None
    """Whom to act on; None for a creation."""
    release: str = ""


class Decision(Value):
    """What to do now; `failed` names a replica of the wanted release that did not get ready in time."""

    steps: tuple[Step, ...] = ()
    failed: Replica | None = None
    is_settled: bool = False
    """Every slot has exactly one replica, of the wanted release, and it answers."""


def decide(seen: Seen, wanted: Wanted, slots: Sequence[Slot]) -> Decision:
    """The next acts. Doing none of them, some of them or all of them and deciding again is always right.

    Guarantees: a serving replica is drained only once a newer one answers in its slot; never more than
    len(slots) + batch live replicas unless somebody else made them; dead ones are removed first, empty slots
    filled before anything is upgraded.
    """
    steps: list[Step] = []
    live: dict[str, list[Replica]] = {slot.name: [] for slot in slots}
    for replica in sorted(seen.replicas, key=lambda one: -one.generation):
        if replica.state is ReplicaState.DEAD:
            steps.append(Step(act=Act.REMOVE, slot=replica.slot, why=Why.REPLACEMENT, replica=replica))
        elif replica.slot in live:
            live[replica.slot].append(replica)
        else:
            steps.append(Step(act=Act.DRAIN, slot=replica.slot, why=Why.UPGRADE, replica=replica))

    failed: Replica | None = None
    under_change = 0
    candidates: list[Slot] = []
    proven = any(
        replica.release == wanted.release and seen.answering.get(name) == replica.name
        for name, here in live.items()
        for replica in here
    )
    refill = Why.REPLACEMENT if seen.answering or wanted.previous else Why.FIRST
    for slot in slots:
        here = live[slot.name]
        serving = next((one for one in here if seen.answering.get(slot.name) == one.name), None)
        newest = here[0] if here else None
        if newest is None:
            release = wanted.release if proven or wanted.previous is None else wanted.previous
            steps.append(Step(act=Act.CREATE, slot=slot.name, why=refill, release=release))
            continue
        if newest is serving and len(here) == 1:
            if newest.release != wanted.release:
                candidates.append(slot)
            continue
        under_change += 1
        why = Why.UPGRADE if len(here) > 1 else refill
        slot_steps, slot_failed = _settle_slot(seen, wanted, here, serving, why)
        steps += slot_steps
        failed = failed or slot_failed

    has_gap = any(step.act is Act.CREATE for step in steps)
    rests = seen.upgraded_at is not None and seen.at - seen.upgraded_at < wanted.pause * NS
    if not has_gap and failed is None and not rests:
        for slot in candidates[: max(0, wanted.batch - under_change)]:
            why = Why.UPGRADE
            steps.append(Step(act=Act.CREATE, slot=slot.name, why=why, release=wanted.release))
    is_settled = not steps and not under_change and not candidates
    return Decision(steps=tuple(steps), failed=failed, is_settled=is_settled)


def _settle_slot(
    seen: Seen, wanted: Wanted, here: Sequence[Replica], serving: Replica | None, why: Why
) -> tuple[list[Step], Replica | None]:
    """One slot that is under change: start, wait, hand over, or give up on the newcomer. Newest first in `here`."""
    newest = here[0]
    if newest is serving:
        return [step for old in here[1:] for step in _retire(seen, wanted, old, why)], None
    if newest.state is ReplicaState.CREATED:
        return [Step(act=Act.START, slot=newest.slot, why=why, replica=newest)], None
    if newest.container in seen.drained_at:
        return _retire(seen, wanted, newest, why), None
    waited = seen.at - seen.started_at.get(newest.container, seen.at)
    if waited > wanted.ready_within * NS:
        stop = Step(act=Act.STOP, slot=newest.slot, why=why, replica=newest)
        return [stop], newest if newest.release == wanted.release else None
    return [], None


def _retire(seen: Seen, wanted: Wanted, old: Replica, why: Why) -> list[Step]:
    """Let an old replica drain; kill it only when its grace is over."""
    told = seen.drained_at.get(old.container)
    if told is None:
        act = Act.STOP if old.state is not ReplicaState.RUNNING else Act.DRAIN
        return [Step(act=act, slot=old.slot, why=why, replica=old)]
    if seen.at - told > wanted.grace * NS:
        return [Step(act=Act.STOP, slot=old.slot, why=why, replica=old)]
    return []
