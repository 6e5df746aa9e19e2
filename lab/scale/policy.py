"""Decides how many replicas the load wants, and in which slots: pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from lab.clock import NS
from lab.errors import UsageError
from lab.model import Slot, Value


class ZoneBounds(Value):
    """How many replicas one zone may have."""

    least: int = 0
    """Replicas in this zone, at least."""
    most: int | None = None
    """Replicas in this zone; as many as it has slots if not given."""


class ScaleSettings(Value):
    """When to scale. Only the app's slots ever are: a store has state, and two of it are not twice the same."""

    target: float
    """What one replica is to carry."""
    least: int
    """Replicas of the whole cluster, at least."""
    most: int
    """Replicas of the whole cluster."""
    measure: Literal["requests per second", "in flight"] = "requests per second"
    """What the load is."""
    cool_down_out: float = 3.0
    """Seconds after any change before replicas are added."""
    cool_down_in: float = 10.0
    """Seconds after any change before replicas are taken away: longer, since that costs more if it was wrong."""
    tolerance: float = 0.1
    """How far the load per replica may be from the target, as a share of it, before anything changes."""
    zones: Mapping[str, ZoneBounds] = {}
    """Bounds of single zones; the others share what is left, as evenly as may be."""


def check_scale(settings: ScaleSettings, zones: Mapping[str, int]) -> None:
    """Raise UsageError for settings that make no sense on zones with so many slots."""
    slots = sum(zones.values())
    if not 1 <= settings.least <= settings.most <= slots:
        what = f"must be 1 <= least <= most <= {slots} slots, not {settings.least} and {settings.most}"
        raise UsageError(what, at="least, most", hint=f"least: 1, most: {slots}")
    for zone, bounds in settings.zones.items():
        most = zones.get(zone, 0) if bounds.most is None else bounds.most
        if zone not in zones or not 0 <= bounds.least <= most <= zones[zone]:
            what = f"must be 0 <= least <= most <= {zones.get(zone, 0)} slots of zone {zone}"
            raise UsageError(what, at=f"zones.{zone}", hint=f"one of {', '.join(sorted(zones))}")
    least, most = bounds_of_all(settings, zones)
    if settings.least < least or settings.most > most:
        what = f"the zones by themselves may have from {least} to {most} replicas"
        raise UsageError(what, at="zones", hint=f"least: {least}, most: {most}")
    if settings.target <= 0 or not 0 <= settings.tolerance < 1:
        raise UsageError("target must be over 0, tolerance from 0 to 1", at="target", hint="target: 50")


def bounds_of_all(settings: ScaleSettings, zones: Mapping[str, int]) -> tuple[int, int]:
    """The fewest and most replicas that the bounds of zones with so many slots leave, all zones together."""
    bounds = _bounds(settings.zones, zones).values()
    return sum(least for least, _ in bounds), sum(most for _, most in bounds)


def decide_scale(load: float, active: int, settings: ScaleSettings, *, now: int, changed_at: int | None) -> int:
    """How many replicas are wanted at monotonic nanosecond `now`; `active` where nothing is to change.

    Guarantees: never outside least and most; no change within its cool-down; none while the load per replica is
    within the tolerance, so that a constant load settles. Source: the Kubernetes horizontal pod autoscaler's rule,
    wanted = ceil(active * measured / target), with its tolerance and its slower way in.
    """
    bounded = max(settings.least, min(settings.most, active))
    if bounded != active:
        return bounded
    wanted = max(settings.least, min(settings.most, math.ceil(load / settings.target - 1e-9)))
    ratio = load / (active * settings.target)
    if wanted == active or abs(ratio - 1) <= settings.tolerance:
        return active
    since = math.inf if changed_at is None else (now - changed_at) / NS
    if wanted > active:
        return wanted if since >= settings.cool_down_out else active
    # One fewer must still carry the load with room to spare, or the next look would take the step back.
    wanted = max(wanted, math.ceil(load / (settings.target * (1 - settings.tolerance)) - 1e-9))
    return min(wanted, active) if since >= settings.cool_down_in else active


def choose_slots(
    slots: Sequence[Slot], active: Collection[str], count: int, bounds: Mapping[str, ZoneBounds] | None = None
) -> tuple[str, ...]:
    """Which `count` slots are to serve: those that do, if they may, spread so that zones differ by one at most.

    Where zones have bounds of their own, these come first.
    """
    room: dict[str, list[str]] = {}
    for slot in sorted(slots, key=lambda one: (one.zone, one.name)):
        room.setdefault(slot.zone, []).append(slot.name)
    within = _bounds(bounds or {}, {zone: len(names) for zone, names in room.items()})
    serving = Counter(slot.zone for slot in slots if slot.name in active)
    shares = {zone: least for zone, (least, _) in within.items()}
    while sum(shares.values()) < count and any(shares[zone] < most for zone, (_, most) in within.items()):
        open_zones = [zone for zone, (_, most) in within.items() if shares[zone] < most]
        shares[min(open_zones, key=lambda one: (shares[one], -serving[one], one))] += 1
    picked: set[str] = set()
    for zone, names in room.items():
        picked |= set(sorted(names, key=lambda name: (name not in active, name))[: shares[zone]])
    return tuple(slot.name for slot in slots if slot.name in picked)


def _bounds(bounds: Mapping[str, ZoneBounds], slots: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """The fewest and most replicas of each zone that has so many slots."""
    told = {zone: bounds.get(zone, ZoneBounds()) for zone in slots}
    return {zone: (one.least, slots[zone] if one.most is None else one.most) for zone, one in told.items()}
