"""Services of somebody's own that a scenario gives a role: strikes name them, and nobody else there is struck."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from lab.cluster.own_app import ServiceRole
from lab.scenario.spec import ClusterSpec, Scenario, StepSpec

STRUCK = (ServiceRole.STORE, ServiceRole.WORKER)
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def places_of(cluster: ClusterSpec) -> list[str]:
    """How those that may be struck are named in full ("store/redis"), and by their role alone where it is only one."""
    found = list(_in_full(cluster))
    for role in STRUCK:
        if sum(one is role for one in cluster.services.values()) == 1:
            found.insert(0, role.value)
    return found


def with_own_limits(scenario: Scenario) -> Scenario:
    """The scenario with its rolls as patient with an app of one's own as the cluster is, where they say nothing."""
    if scenario.cluster.compose is None:
        return scenario
    limit = scenario.cluster.ready_within

    def step_of(step: StepSpec) -> StepSpec:
        if step.roll is not None and step.roll.ready_within is None:
            return replace(step, roll=replace(step.roll, ready_within=limit))
        if step.repeat is not None:
            return replace(step, repeat=replace(step.repeat, steps=tuple(map(step_of, step.repeat.steps))))
        if step.together is not None:
            return replace(step, together=tuple(map(step_of, step.together)))
        return step

    return replace(scenario, steps=tuple(map(step_of, scenario.steps)))


def has_role(cluster: ClusterSpec, role: ServiceRole) -> bool:
    """Whether any service has it."""
    return role in cluster.services.values()


def named_in_full(scenario: Scenario) -> Scenario:
    """The scenario with every service that a strike, a monkey or a schedule names told with its role: pure.

    What has no role keeps its name, which the checks then refuse.
    """
    known = {place.partition("/")[2]: place for place in _in_full(scenario.cluster)}
    zones = scenario.cluster.zones

    def full(name: str) -> str:
        return name if name in zones or _is_slot(name, zones) else known.get(name, name)

    def step_of(step: StepSpec) -> StepSpec:
        if step.strike is not None:
            return replace(step, strike=replace(step.strike, to=full(step.strike.to), off=full(step.strike.off)))
        if step.monkey is not None:
            return replace(step, monkey=replace(step.monkey, groups=tuple(map(full, step.monkey.groups))))
        if step.schedule is not None:
            strikes = tuple(replace(one, slot=full(one.slot)) for one in step.schedule.strikes)
            return replace(step, schedule=replace(step.schedule, strikes=strikes))
        if step.repeat is not None:
            return replace(step, repeat=replace(step.repeat, steps=tuple(map(step_of, step.repeat.steps))))
        if step.together is not None:
            return replace(step, together=tuple(map(step_of, step.together)))
        return step

    return replace(scenario, steps=tuple(map(step_of, scenario.steps))) if known else scenario


def _is_slot(name: str, zones: Mapping[str, int]) -> bool:
    """Whether it names a slot. Nothing has bounded the zones yet, so their slots are not listed."""
    return any(
        name.startswith(zone) and _NUMBER.fullmatch(number := name[len(zone) :]) and int(number) <= count
        for zone, count in zones.items()
    )


def _in_full(cluster: ClusterSpec) -> Iterator[str]:
    yield from (f"{role.value}/{name}" for name, role in cluster.services.items() if role in STRUCK)
