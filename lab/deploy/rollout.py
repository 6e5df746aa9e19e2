"""What a cluster should become, as durable values: the wanted release, a rollout's strategy and how far it got.

Only what cannot be seen on the engine is kept: progress within a stage is read from the replicas' labels. Times
are wall-clock nanoseconds since the epoch, since they must mean the same to the next deployer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from lab.deploy.gate import JudgeSettings
from lab.errors import UsageError
from lab.model import Release, Slot, Value

NEVER_READY_LIMIT = 3
"""Replicas of a new release that may die before they are ready; then it is given up."""
HISTORY_KEPT = 60


class Order(StrEnum):
    """In which order slots are taken."""

    SPREAD = "spread"  # a1 b1 c1 a2 b2 c2: every zone in turn
    ZONE = "zone"  # a1 a2 b1 b2 c1 c2: one zone after the other


class Phase(StrEnum):
    """How far a rollout is."""

    PREPARE = "prepare"  # red/black: the new group is made, nobody is sent to it
    MOVE = "move"  # slots go to the new release, up to the stage's share
    WATCH = "watch"  # the stage's share is reached: hold, judge, wait for a person
    KEEP = "keep"  # all moved; the old group stands by
    BACK = "back"  # everything goes back to the old release; the old is enabled before the new is disabled
    ENDED = "ended"


class StrategyName(StrEnum):
    """The strategies as a scenario names them."""

    ROLLING = "rolling"
    DRAIN_THEN_MOVE = "drain-then-move"
    CANARY = "canary"
    RED_BLACK = "red-black"


class _Strategy(Value, tag_field="strategy"):
    """What all strategies have, and what each may do otherwise. Times in seconds.

    Whoever carries one out asks these properties, and never which one it is.
    """

    batch: int | str = 1
    """How many slots may be under change at once: a number, or a percentage of the slots ("25%", rounded up)."""
    pause: float = 0.0
    """Between the end of one slot's upgrade and the begin of the next."""
    ready_within: float = 30.0
    """A new replica that is not ready by then has failed, and the release with it."""
    grace: float | None = None
    """That a draining replica may take before it is killed; as long as its cluster says if not given."""
    order: Order = Order.SPREAD
    judge: JudgeSettings | None = None
    """Compare what users got from the new release and the old one, and roll back where the new one is worse."""
    approve: bool = False
    """Whether a person must say `lab approve` after each stage."""

    @property
    def stages(self) -> tuple[float, ...]:
        """The shares of the slots that serve the new release, one after the other; the last is 1."""
        return (1.0,)

    @property
    def in_place(self) -> bool:
        """Whether a slot's old replica leaves before its new one is made."""
        return False

    @property
    def keeps_old(self) -> float:
        """Seconds that the old group stands by, disabled, after all slots serve the new release."""
        return 0.0

    @property
    def least_hold(self) -> float:
        """Seconds that every stage lasts at least."""
        return 0.0

    @property
    def first_phase(self) -> Phase:
        """The phase in which a rollout begins."""
        return Phase.MOVE

    @property
    def has_two_groups(self) -> bool:
        """Whether a whole new group stands beside the old one, of which one serves and the other stands by."""
        return False

    @property
    def is_slot_by_slot(self) -> bool:
        """Whether it replaces one slot after another and no more: a script, or Swarm, may then say which is next."""
        return False

    def peak(self, slots: int) -> int:
        """How many replicas there may be at once beside one for each slot."""
        return 0 if self.in_place else self.at_once(slots)

    def at_once(self, slots: int) -> int:
        """How many slots may be under change at once. Raises UsageError where `batch` makes no sense."""
        if isinstance(self.batch, int):
            count = self.batch
        else:
            number = self.batch.removesuffix("%")
            if not self.batch.endswith("%") or not number.isdecimal() or len(number) > len("100"):
                raise UsageError("is neither a number nor a percentage", at=f"batch: {self.batch}", hint="25%")
            count = math.ceil(slots * int(number) / 100)
        if not count >= 1:
            raise UsageError("at least one slot must be taken at a time", at=f"batch: {self.batch}", hint="1")
        return min(count, max(slots, 1))


class Rolling(_Strategy, tag=StrategyName.ROLLING.value):
    """Slot by slot: the new replica stands beside the old, takes its slot, and the old one drains.

    With `surge` 0 the old one leaves first, so that there are never more replicas than slots.
    """

    surge: int | None = None
    """Replicas more than slots at the peak; as many as the batch if not given."""

    @property
    def in_place(self) -> bool:
        return self.surge == 0

    @property
    def is_slot_by_slot(self) -> bool:
        return True

    def at_once(self, slots: int) -> int:
        count = super().at_once(slots)
        return min(count, self.surge) if self.surge else count


class DrainThenMove(_Strategy, tag=StrategyName.DRAIN_THEN_MOVE.value):
    """One replica leaves the balancer, finishes its requests and ends; the new one is made in its place."""

    @property
    def in_place(self) -> bool:
        return True


class Canary(_Strategy, tag=StrategyName.CANARY.value):
    """A few slots serve the new release and are judged, then more. Shares are rounded up to whole slots."""

    shares: tuple[float, ...] = (0.1, 0.5, 1.0)
    hold: float = 5.0
    """Seconds that every stage lasts at least."""

    @property
    def stages(self) -> tuple[float, ...]:
        return self.shares

    @property
    def least_hold(self) -> float:
        return self.hold


class RedBlack(_Strategy, tag=StrategyName.RED_BLACK.value):
    """A whole new group beside the old; traffic moves at once or in shares; the old group stands by for a time."""

    batch: int | str = 2
    """How many new replicas may be starting at once: a group that starts all at once starves those that serve."""
    shares: tuple[float, ...] = (1.0,)
    hold: float = 0.0
    keep: float = 20.0
    """Seconds that the old group stands by for an instant reverse."""

    @property
    def stages(self) -> tuple[float, ...]:
        return self.shares

    @property
    def keeps_old(self) -> float:
        return self.keep

    @property
    def least_hold(self) -> float:
        return self.hold

    @property
    def first_phase(self) -> Phase:
        return Phase.PREPARE

    @property
    def has_two_groups(self) -> bool:
        return True

    def peak(self, slots: int) -> int:
        return slots


Strategy = Rolling | DrainThenMove | Canary | RedBlack


def check_strategy(strategy: Strategy, slots: int) -> None:
    """Raise UsageError for a strategy that makes no sense on so many slots."""
    _check_numbers(strategy)
    if strategy.judge is not None:
        _check_numbers(strategy.judge, "judge.")
        strategy.judge.failed_share  # noqa: B018 -- raises where it is no share
    strategy.at_once(slots)
    shares = strategy.stages
    if not shares or any(not 0 < one <= 1 for one in shares) or list(shares) != sorted(set(shares)) or shares[-1] != 1:
        raise UsageError("shares must grow, from over 0 to 1", at=f"shares: {list(shares)}", hint="[0.1, 0.5, 1]")
    if strategy.in_place and slots < 2:
        raise UsageError(
            "with a single slot, nothing serves while it is changed in place", at="cluster.zones", hint="surge: 1"
        )
    if strategy.in_place and strategy.at_once(slots) >= slots:
        raise UsageError(
            f"with all {slots} slots changed in place at once, nothing serves",
            at=f"batch: {strategy.batch}",
            hint=f"batch: {slots - 1}, or surge: 1",
        )


def _check_numbers(given: Value, under: str = "") -> None:
    """Raise UsageError for a number that no state can hold, or that is below nothing."""
    for key in given.__struct_fields__:
        number = getattr(given, key)
        if isinstance(number, (int, float)) and not 0 <= number < math.inf:
            raise UsageError("must be 0 or more", at=f"{under}{key}: {number}", hint=f"{under}{key}: 10")


def strategy_from(name: str, given: Mapping[str, object]) -> Strategy:
    """The strategy of that name with these settings. Raises UsageError for one that it does not have."""
    try:
        strategy: Strategy = msgspec.convert({"strategy": str(name), **given}, Strategy)
    except msgspec.ValidationError as exc:
        what, _, key = str(exc).partition(" - at ")
        raise UsageError(
            what, at=key.strip("`").removeprefix("$.") or f"strategy: {name}", hint="lab roll --help"
        ) from exc
    return strategy


class Ending(StrEnum):
    """How a rollout ended."""

    DONE = "done"
    ROLLED_BACK = "rolled back"  # the release failed, or was judged worse
    REVERSED = "reversed"  # a person wanted the old one back
    ABORTED = "aborted"


class RolloutRequest(StrEnum):
    """What a person asked of a rollout that is under way."""

    REVERSE = "reverse"
    ABORT = "abort"


class Note(Value):
    """One line of a rollout's history."""

    at: int
    holder: str
    phase: Phase
    stage: int
    why: str


class Rollout(Value):
    """One deployment: durable, so that any deployer can go on with it."""

    id: str
    to: Release
    before: Release
    strategy: Strategy
    began: int
    phase: Phase
    since: int
    """When the phase began."""
    stage: int = 0
    approved: int = 0
    """How many stages a person has approved."""
    asked: RolloutRequest | None = None
    never_ready: int = 0
    """Replicas of the new release that died before they were ready."""
    ending: Ending | None = None
    why: str = ""
    history: tuple[Note, ...] = ()

    @property
    def is_under_way(self) -> bool:
        return self.phase is not Phase.ENDED


class Desired(Value):
    """The one thing that rollout, scaling and replacement all go by."""

    release: Release
    """What every slot serves, but for a rollout that is under way."""
    slots: tuple[Slot, ...]
    """Every slot that the balancer knows."""
    active: tuple[str, ...]
    """The slots that are to have a replica; others drain."""
    rollout: Rollout | None = None
    """The one under way, or the last."""

    @property
    def under_way(self) -> Rollout | None:
        return self.rollout if self.rollout is not None and self.rollout.is_under_way else None

    @property
    def releases(self) -> dict[str, Release]:
        """Every release that may be needed, by name."""
        named = {self.release.name: self.release}
        if self.rollout is not None:
            named |= {one.name: one for one in (self.rollout.before, self.rollout.to)}
        return named


def first_desired(release: Release, slots: tuple[Slot, ...], active: tuple[str, ...] | None = None) -> Desired:
    """A cluster that serves one release, in every slot if not said otherwise."""
    return Desired(release=release, slots=slots, active=active or tuple(slot.name for slot in slots))


def begin_rollout(desired: Desired, to: Release, strategy: Strategy, *, id: str, now: int, by: str) -> Desired:  # noqa: A002 -- the field's own name
    """Want a rollout. Raises UsageError while another is under way, or where a release of this name already serves."""
    if desired.under_way is not None:
        raise UsageError(
            f"a rollout to {desired.under_way.to.name} is in progress ({desired.under_way.phase})",
            at=desired.under_way.id,
            hint="lab status, then lab abort or lab resume",
        )
    if to == desired.release:
        raise UsageError("every slot already serves this release", at=to.name, hint="lab status")
    if to.name == desired.release.name:
        raise UsageError(
            f"releases are identified by their tags, and {to.name} serves already, from {desired.release.image}",
            at=to.image,
            hint="give the image its own tag",
        )
    check_strategy(strategy, len(desired.active))
    phase = strategy.first_phase
    note = Note(at=now, holder=by, phase=phase, stage=0, why=f"{desired.release.name} to {to.name}")
    rollout = Rollout(
        id=id, to=to, before=desired.release, strategy=strategy, began=now, phase=phase, since=now, history=(note,)
    )
    return msgspec.structs.replace(desired, rollout=rollout)


def ordered(slots: tuple[Slot, ...], order: Order) -> tuple[Slot, ...]:
    """Slots in the order in which a rollout takes them."""
    if order is Order.ZONE:
        return tuple(sorted(slots, key=lambda one: (one.zone, one.name)))
    within: dict[str, int] = {}
    ranked = []
    for slot in sorted(slots, key=lambda one: (one.zone, one.name)):
        rank = within.get(slot.zone, 0)
        within[slot.zone] = rank + 1
        ranked.append((rank, slot.zone, slot))
    return tuple(slot for _, _, slot in sorted(ranked, key=lambda one: one[:2]))


def pick_slots(desired: Desired, counts: Mapping[str, int]) -> tuple[str, ...]:
    """The active slots if each of these zones is to have so many: its first ones. Other zones keep what they have.

    Raises UsageError for a zone that there isn't, or that has fewer slots.
    """
    zones = sorted({slot.zone for slot in desired.slots})
    picked: list[str] = []
    for zone in sorted(counts.keys() - set(zones)):
        raise UsageError(f"there is no zone {zone}", at=zone, hint=f"one of {', '.join(zones)}")
    for zone in zones:
        here = [slot.name for slot in desired.slots if slot.zone == zone]
        count = counts.get(zone)
        if count is None:
            picked += [name for name in here if name in desired.active]
        elif 0 <= count <= len(here):
            picked += here[:count]
        else:
            what = f"zone {zone} has {len(here)} slots, not {count}"
            raise UsageError(what, at=f"{zone}={count}", hint=f"lab scale {zone}={len(here)}")
    if not picked:
        raise UsageError("at least one replica must serve", at="every zone is 0", hint=f"lab scale {zones[0]}=1")
    return tuple(picked)


def share_of(slots: int, share: float) -> int:
    """How many slots a share is: rounded up, so that a stage never means none."""
    return min(slots, max(1, math.ceil(share * slots - 1e-9)))
