"""What each slot is to have right now: follows from the desired state alone, and is the same for every deployer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.deploy.rollout import Desired, Phase, Rollout, ordered, share_of
from lab.model import Slot, Value


class SlotTarget(Value):
    """One slot: who is to serve, and who may or must stand beside."""

    serve: str
    stand_by: str | None = None
    """A release of which a ready replica must stand by."""
    keep: str | None = None
    """A release whose replica may stay without serving; one that dies is not replaced."""


class SlotTargets(Value):
    """All slots, in the order in which they are taken, and the pace."""

    slots: Mapping[str, SlotTarget]
    fallback: str | None = None
    """The release that fills gaps until the new one has proven that it gets ready at all."""
    unproven: str | None = None
    """The new release."""
    in_place: bool = False
    at_once: int = 1
    pause: float = 0.0
    ready_within: float = 30.0
    grace: float = 10.0


def target_of(
    desired: Desired, slots: Sequence[Slot], *, grace: float = 10.0, ready_within: float = 30.0
) -> SlotTargets:
    """The target of a cluster with these slots.

    `grace` is what whoever leaves has where the strategy says nothing, `ready_within` what whoever starts has where
    there is no rollout.
    """
    active = tuple(slot for slot in slots if slot.name in desired.active)
    rollout = desired.under_way
    if rollout is None:
        steady = {slot.name: SlotTarget(serve=desired.release.name) for slot in active}
        return SlotTargets(slots=steady, at_once=max(1, len(active)), grace=grace, ready_within=ready_within)
    strategy = rollout.strategy
    taken = ordered(active, strategy.order)
    moved = moved_slots(rollout, len(taken))
    goes_back = rollout.phase is Phase.BACK
    # Scaled in meanwhile there may be fewer slots than the strategy was checked for: one serves at all times.
    in_place = strategy.in_place and len(taken) > 1
    at_once = strategy.at_once(len(taken))
    return SlotTargets(
        slots={slot.name: _slot_target(rollout, is_moved=rank < moved) for rank, slot in enumerate(taken)},
        fallback=rollout.before.name,
        unproven=rollout.to.name,
        in_place=in_place,
        at_once=min(at_once, len(taken) - 1) if in_place else at_once,
        pause=0.0 if goes_back else strategy.pause,
        ready_within=strategy.ready_within,
        grace=grace if strategy.grace is None else strategy.grace,
    )


def moved_slots(rollout: Rollout, slots: int) -> int:
    """How many slots the new release is to serve in this phase."""
    if rollout.phase in {Phase.PREPARE, Phase.BACK}:
        return 0
    if rollout.phase is Phase.KEEP:
        return slots
    return share_of(slots, rollout.strategy.stages[rollout.stage])


def _slot_target(rollout: Rollout, *, is_moved: bool) -> SlotTarget:
    to, before = rollout.to.name, rollout.before.name
    if not rollout.strategy.has_two_groups:
        return SlotTarget(serve=to if is_moved else before)
    if rollout.phase is Phase.BACK:
        # The new group stays until the old one serves everywhere: disabling comes only after enabling worked.
        return SlotTarget(serve=before, keep=to)
    if is_moved:
        return SlotTarget(serve=to, keep=before)
    return SlotTarget(serve=before, stand_by=to)
