"""What a run would do and could touch, told before anything is done: no engine is asked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from lab.cluster.own_images import OwnParts
from lab.cluster.stores import Stores
from lab.machine.images import is_own_image
from lab.model import Value
from lab.scenario.spec import Edges, Scenario, StepSpec, all_images_of, inner_steps, may_be_empty, name_of, walk_steps
from lab.scenario.target_spec import TargetSpec


class PlannedReach(Value):
    """How much may be touched at once and in all."""

    replicas: int
    """Slots of the app."""
    at_the_peak: int
    """Containers of the app at once, at most."""
    beside: tuple[str, ...]
    """The other containers."""
    strikes: int | None
    """In all; None: as many as fit into the time."""
    at_once: int
    """Replicas that may be struck at the same time."""
    least_serving: int
    """Replicas that a strike at random must leave serving."""
    lost_zones: tuple[str, ...]
    """Zones that are lost as a whole at some time."""
    bounds: str
    """What the guard refuses to go beyond, whatever the steps say."""


def blast_radius(scenario: Scenario, own: OwnParts | None = None) -> PlannedReach:
    """How much this scenario may touch, by its own words and what an app of one's own brings along: pure."""
    slots = len(scenario.cluster.slots)
    steps = [step for _, step in walk_steps(scenario.steps)]
    monkeys = [step.monkey for step in steps if step.monkey is not None]
    schedules = [step.schedule for step in steps if step.schedule is not None]
    faults = [step.fault for step in steps if step.fault is not None]
    strikes = [step.strike for step in steps if step.strike is not None]
    once = sum(spec.at_most for spec in monkeys) + sum(len(spec.strikes) for spec in schedules)
    once += len(faults) + len(strikes)
    again = any(step.repeat is not None and _strikers(step) for step in steps)
    return PlannedReach(
        replicas=slots,
        at_the_peak=slots + max((_extra(step, slots) for step in steps), default=0),
        beside=_beside(scenario, own),
        strikes=None if again else once,
        at_once=max((_strikers(step) for step in scenario.steps), default=0),
        least_serving=min((spec.least_serving for spec in monkeys), default=0),
        lost_zones=tuple(step.lose_zone.zone for step in steps if step.lose_zone is not None),
        bounds=scenario.blast_radius.text,
    )


def plan_lines(scenario: Scenario, *, seed: int | None, runs: Path, own: OwnParts | None = None) -> Iterator[str]:
    """The plan of a run as a person reads it; its record will be in `runs`, `own` is what an app of one's own brings
    along.
    """
    cluster, users, enough = scenario.cluster, scenario.users, scenario.enough
    yield scenario.title
    yield f"  seed        {'drawn at the start' if seed is None else seed}"
    if scenario.target is not None:
        yield from _target_lines(scenario, scenario.target, runs)
        return
    zones = ", ".join(f"{count} in zone {zone}" for zone, count in cluster.zones.items())
    yield f"  cluster     {len(cluster.slots)} slots ({zones}), {cluster.release} at first"
    if cluster.first is not None:
        yield f"  first       {_compact(cluster.first)}"
    if cluster.compose is None:
        yield f"  store       {cluster.stores.text}; may lose {cluster.stores.tier.bound}"
    app = f", app {cluster.service} of {', '.join(cluster.compose_files)}" if cluster.compose else ""
    yield f"  users       {users.count}, {users.doubled} on two devices, one action every {users.think:g} s{app}"
    yield "  steps"
    yield from _step_lines(scenario.steps, "    ")
    yield f"  promised    {_compact(scenario.promises)}"
    yield f"  enough      {_compact(enough)}"
    yield f"  at most     {scenario.time_limit:g} s"
    yield "  images"
    for image in all_images_of(scenario):
        whose = "made here from images/ where it is missing" if is_own_image(image) else "taken as the engine has it"
        yield f"    {image:<20} {whose}"
    yield from _radius_lines(blast_radius(scenario, own), may_be_empty(scenario), runs)
    for note in () if own is None else own.notes:
        yield f"  note        {note}"


def _target_lines(scenario: Scenario, target: TargetSpec, runs: Path) -> Iterator[str]:
    users = scenario.users
    yield f"  target      {', '.join(target.urls)}"
    most = "as fast as they think" if target.rate is None else f"at most {target.rate:g} requests a second in all"
    yield f"  users       {users.count}, {users.doubled} on two devices, one action every {users.think:g} s, {most}"
    yield "  steps"
    yield from _step_lines(scenario.steps, "    ")
    yield f"  promised    {_compact(scenario.promises)}"
    yield f"  enough      {_compact(scenario.enough)}"
    yield f"  at most     {scenario.time_limit:g} s"
    yield "  blast radius: requests of the users, and what your own commands do"
    yield f"    written     one folder in {runs}"


def _radius_lines(radius: PlannedReach, empty: int, runs: Path) -> Iterator[str]:
    yield "  blast radius: containers, networks and volumes of this run's own label, and nothing else"
    yield f"    made        at most {radius.at_the_peak} replicas at once for {radius.replicas} slots, beside them"
    yield f"                {', '.join(radius.beside)}"
    if radius.strikes == 0:
        yield "    struck      nothing"
    else:
        most = "in every round" if radius.strikes is None else f"{radius.strikes} in all"
        yield f"    struck      {most}, at most {radius.at_once} at the same time"
    if radius.least_serving:
        yield f"                at random only what leaves {radius.least_serving} of {radius.replicas} serving"
    if radius.lost_zones:
        yield f"    lost        zone {', then zone '.join(radius.lost_zones)}, with everything in it"
    if radius.strikes != 0 or radius.lost_zones:
        yield f"    guarded     {radius.bounds}"
    if empty:
        yield f"    empty       {empty} slots may stand empty for long: that is wanted"
    yield "    ports       on 127.0.0.1 alone"
    yield f"    written     one folder in {runs}, and .lab/ beside it while the cluster lives"


def _step_lines(steps: tuple[StepSpec, ...], indent: str) -> Iterator[str]:
    for step in steps:
        name = name_of(step)
        if step.together is not None:
            yield f"{indent}together"
        elif step.repeat is not None:
            until = f", until fewer than {step.repeat.until:g} can fail" if step.repeat.until else ""
            yield f"{indent}repeat      for {step.repeat.seconds:g} s{until}"
        else:
            yield f"{indent}{name:<11} {_compact(getattr(step, name))}".rstrip()
        yield from _step_lines(inner_steps(step), f"{indent}  ")


def _compact(spec: msgspec.Struct) -> str:
    """As it would stand in a scenario, in one line, with what is so by default."""
    text = yaml.safe_dump(_told(spec), default_flow_style=True, width=math.inf, sort_keys=False).strip()
    return text.removeprefix("{").removesuffix("}")


def _told(spec: Any) -> Any:
    if isinstance(spec, msgspec.Struct):
        fields = {one.encode_name: getattr(spec, one.name) for one in msgspec.structs.fields(spec)}
        return {key: _told(value) for key, value in fields.items() if value is not None}
    if isinstance(spec, tuple):
        return [_told(one) for one in spec]
    return msgspec.to_builtins(spec)


def _extra(step: StepSpec, slots: int) -> int:
    """Containers of the app that a step may have beside one for each slot."""
    if step.roll is None:
        return 0
    return step.roll.wanted_strategy.peak(slots)


def _strikers(step: StepSpec) -> int:
    """How many strike at the same time: each strikes one replica after another."""
    inside = [_strikers(one) for one in inner_steps(step)]
    if inside:
        return max(inside) if step.repeat is not None else sum(inside)
    return int(any(one is not None for one in (step.monkey, step.schedule, step.fault, step.strike)))


def _stores(stores: Stores) -> tuple[str, ...]:
    members = len(stores.zones)
    kept = (f"{members} stores", f"{members} Sentinels") if stores.tier.is_replicated else ("1 store",)
    return (*kept, *(("1 database for the orders",) if stores.has_orders else ()))


def _beside(scenario: Scenario, own: OwnParts | None) -> tuple[str, ...]:
    cluster = scenario.cluster
    edges = len(cluster.zones) if cluster.edges is Edges.ZONES else 1
    balancers = "1 balancer" if edges == 1 else f"{edges} balancers"
    deployers = (f"{scenario.deployers} deployers (processes)",) if scenario.deployers else ()
    if cluster.compose is None:
        return (balancers, *_stores(cluster.stores), *deployers)
    others = () if own is None else own.services
    return (balancers, "1 gate for each replica", *(f"service {name}" for name in others), *deployers)
