"""Decides how many replicas the load wants, and in which slots: pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Literal

from lab.clock import NS
from lab.errors import UsageError
from lab.model import Slot, Value


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


def check_scale(settings: ScaleSettings, slots: int) -> None:
    """Raise UsageError for settings that make no sense on so many slots."""
    if not 1 <= settings.least <= settings.most <= slots:
        what = f"must be 1 <= least <= most <= {slots} slots, not {settings.least} and {settings.most}"
        raise UsageError(what, at="least, most", way_out=f"least: 1, most: {slots}")
    if settings.target <= 0 or not 0 <= settings.tolerance < 1:
        raise UsageError("target must be over 0, tolerance from 0 to 1", at="target", way_out="target: 50")


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


def choose_slots(slots: Sequence[Slot], active: Collection[str], count: int) -> tuple[str, ...]:
    """Which `count` slots are to serve: those that do, if they may, spread so that zones differ by one at most."""
    zones = sorted({slot.zone for slot in slots})
    room = {zone: [slot.name for slot in slots if slot.zone == zone] for zone in zones}
    shares = dict.fromkeys(zones, 0)
    for _ in range(min(count, len(slots))):
        open_zones = [zone for zone in zones if shares[zone] < len(room[zone])]
        serving = {zone: sum(name in active for name in room[zone]) for zone in zones}
        zone = min(open_zones, key=lambda one: (shares[one], -serving[one], one))
        shares[zone] += 1
    picked: set[str] = set()
    for zone in zones:
        picked |= set(sorted(room[zone], key=lambda name: (name not in active, name))[: shares[zone]])
    return tuple(slot.name for slot in slots if slot.name in picked)
