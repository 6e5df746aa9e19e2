"""How far chaos may go: pure decisions on what may be struck now and when everything must stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.cluster.harm import Victim
from lab.model import Role, Value


class BlastRadius(Value):
    """What may be away at once, the next strike included."""

    replicas: int = 1
    """Replicas; those of a lost zone are not counted here."""
    zones: int = 1
    """Zones that are lost as a whole."""
    tiers: int = 1
    """Kinds of containers: replicas, balancers, deployers. A lost zone is not counted here."""
    least_serving: int = 1
    """Replicas that must go on serving."""
    stores: int = 1
    """Members of a store, its Sentinels and the orders' database. 1: all must be whole before one is struck."""

    @property
    def text(self) -> str:
        """For a person."""
        return (
            f"at most {_many(self.replicas, 'replica')}, {_many(self.zones, 'zone')}, {_many(self.tiers, 'tier')} and"
            f" {_many(self.stores, 'store')} at once; {self.least_serving} must go on serving"
        )


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


class Capacity(Value):
    """How the cluster stands just before a strike."""

    zone_of: Mapping[str, str]
    """The slots that are to serve, with their zones."""
    serving: Mapping[str, str]
    """The slots that do, with the full container ids of their replicas: names may come again."""
    lost_zones: tuple[str, ...] = ()
    hurt: tuple[Role, ...] = ()
    """The tiers of which something is struck and not yet made good."""

    @property
    def missing(self) -> set[str]:
        """Slots that ought to serve and don't, though their zone is there."""
        return {slot for slot, zone in self.zone_of.items() if slot not in self.serving and zone not in self.lost_zones}

    @property
    def is_steady(self) -> bool:
        """Whether nothing is wrong: only then may the first strike fall."""
        return not (self.missing or self.lost_zones or self.hurt)

    @property
    def text(self) -> str:
        """What is wrong, for a person."""
        wrong = [f"{slot} does not serve" for slot in sorted(self.missing)]
        wrong += [f"zone {zone} is lost" for zone in self.lost_zones]
        wrong += [f"a {role} is struck" for role in self.hurt if role is not Role.APP or not self.missing]
        return ", ".join(wrong) or "nothing is wrong"


def refuse_strike(radius: BlastRadius, standing: Capacity, victims: Sequence[Victim], *, zone: str = "") -> str:
    """Why these must not be struck together now, or "". `zone` says that they are a whole zone."""
    slots = {one.slot for one in victims if one.role is Role.APP}
    left = len(set(standing.serving) - slots)
    if left < radius.least_serving:
        return f"{_many(left, 'replica')} would go on serving, {radius.least_serving} must"
    lost = {*standing.lost_zones, zone} - {""}
    if len(lost) > radius.zones:
        return f"{_many(len(lost), 'zone')} would be lost at once, at most {radius.zones} may be"
    if zone:
        return ""
    away = standing.missing | slots
    if slots and len(away) > radius.replicas:
        return f"{_many(len(away), 'replica')} would be away at once, at most {radius.replicas} may be"
    tiers = {*standing.hurt, *(one.role for one in victims)}
    if len(tiers) > radius.tiers:
        names = ", ".join(sorted(tiers))
        return f"{_many(len(tiers), 'tier')} would be hurt at once ({names}), at most {radius.tiers} may be"
    return ""


class StopWhen(Value):
    """When a run's chaos stops, whatever was still to come. 0: never for this reason."""

    users_lost: int = 0
    """Users who lost state."""
    failed_share: float = 0.0
    """The share of operations without a proper answer, from 0 to 1, over `failed_for` seconds."""
    failed_for: float = 3.0
    """The seconds over which `failed_share` is taken."""
    serving_below: int = 0
    """Replicas serving, a lost zone's and a struck one's included."""
    unwell: bool = True
    """The lab itself is unwell, so that nobody would see what its strikes do: the engine's events have ended, a check
    has died, the users' driver is behind its own schedule."""


class GuardView(Value):
    """What the guard sees at a moment."""

    users_lost: int = 0
    operations: int = 0
    """Operations that ended in the last `failed_for` seconds."""
    failed: int = 0
    """Those of them without a proper answer."""
    serving: int = 0
    unwell: str = ""
    """What is wrong with the lab itself."""
    halted: str = ""
    """Who has halted all strikes on this engine."""


LEAST_TO_JUDGE = 20
"""Operations from which a share means something."""


def reason_to_stop(rules: StopWhen, seen: GuardView) -> str:
    """Why everything must stop now, or "". A halt by a person is no matter of rules."""
    if seen.halted:
        return f"strikes on this engine are halted: {seen.halted}"
    if rules.unwell and seen.unwell:
        return f"the lab itself is in trouble: {seen.unwell} (stop_when.unwell)"
    if rules.users_lost and seen.users_lost >= rules.users_lost:
        return f"{seen.users_lost} users lost state (stop_when.users_lost: {rules.users_lost})"
    if rules.failed_share and seen.operations >= LEAST_TO_JUDGE:
        share = seen.failed / seen.operations
        if share > rules.failed_share:
            return (
                f"{seen.failed} of {seen.operations} operations in {rules.failed_for:g} s got no proper answer"
                f" (stop_when.failed_share: {rules.failed_share:g})"
            )
    if rules.serving_below and seen.serving < rules.serving_below:
        return f"{seen.serving} replicas served (stop_when.serving_below: {rules.serving_below})"
    return ""
