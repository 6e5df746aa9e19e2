"""What types alone can't say of a scenario: whether its parts make sense together. Nothing here reads a file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec

from lab.balancer.config import BalancerSettings
from lab.chaos.faults import find_fault
from lab.chaos.schedule import check_monkey
from lab.cluster.own_app import ServiceRole
from lab.cluster.stores import MEMBERS, OrdersPlace, StoreName
from lab.deploy.rollout import Phase, check_strategy
from lab.errors import ScenarioError, UsageError
from lab.model import is_image_name
from lab.oracle.promises import OCCASIONS
from lab.scale.policy import bounds_of_all, check_scale, choose_slots
from lab.scenario.bounds import MOST_SLOTS, Refuse, check_bounds
from lab.scenario.check_rolls import check_reverses, check_rolls
from lab.scenario.check_watch import check_watch
from lab.scenario.named_services import has_role, places_of
from lab.scenario.one_off_spec import OneOffSpec, check_one_off
from lab.scenario.pin_spec import OF_DEPLOYERS, PinnedFault
from lab.scenario.spec import (
    NO_CLUSTER,
    ClusterSpec,
    Edges,
    PinnedFaultSpec,
    Roll,
    Scenario,
    StepSpec,
    UsersSpec,
    walk_steps,
)
from lab.scenario.strike_spec import (
    BALANCER,
    ORDERS,
    SENTINEL,
    STORE,
    WORKER,
    StrikeTargets,
    check_strike,
    check_zone,
    role_of,
)
from lab.scenario.target_spec import check_command
from lab.users.steps import check_journey

_ZONE = re.compile(r"[a-z0-9][a-z0-9-]*")
"""Names of slots begin with it, and those the balancer's doors, sockets and containers go by."""
_SERVICE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
"""What Compose takes for the name of a service."""
_PATH = re.compile(r"/(?:[a-zA-Z0-9/._~?=&:@+,!*-]|%[0-9a-fA-F]{2})*")
_SIZE = re.compile(r"(?P<number>[0-9]+)(?P<unit>[kmg]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
LARGEST_BODY = 16 * 2**30
"""Bytes."""
USUAL_PATIENCE = BalancerSettings().answer_timeout
"""Users may always have been less patient than that on purpose: it is whoever asks for more that must mean it."""


def check_scenario(scenario: Scenario, place: Callable[[str], str]) -> None:
    """What types alone can't say. Raises ScenarioError; `place` tells where a key stands."""
    refuse = _refuse_at(place)
    check_bounds(scenario, refuse)
    if scenario.target is not None:
        check_watch(scenario, scenario.target, refuse)
    else:
        _check_whole(scenario, refuse)
    _check_users(scenario, refuse)
    for name in scenario.enough.occasions:
        if name not in OCCASIONS:
            refuse(f"enough.occasions.{name}", "there is no such occasion", f"one of {', '.join(OCCASIONS)}")
    for key, step in walk_steps(scenario.steps):
        _check_step(scenario, key, step, refuse)
    if scenario.target is not None:
        return
    check_rolls(scenario, refuse)
    check_reverses(scenario, refuse)
    _check_scales(scenario, refuse)


def check_cluster(cluster: ClusterSpec, place: Callable[[str], str]) -> None:
    """The same of a cluster alone, whoever uses it; `place` tells where one of its keys stands."""
    refuse = _refuse_at(place)
    check_bounds(cluster, refuse)
    _check_cluster(cluster, lambda key, *told: refuse(key.removeprefix("cluster").lstrip("."), *told))


def check_settings(settings: msgspec.Struct, place: Callable[[str], str]) -> None:
    """The same of the numbers and texts of any part of a scenario."""
    check_bounds(settings, _refuse_at(place))


def _refuse_at(place: Callable[[str], str]) -> Refuse:
    def refuse(key: str, what: str, hint: str) -> None:
        raise ScenarioError(what, at=place(key), hint=hint)

    return refuse


def _check_whole(scenario: Scenario, refuse: Refuse) -> None:
    if scenario.cluster == NO_CLUSTER:
        refuse("cluster", "there is neither a cluster nor a target", 'cluster: {release: "shop:v1"}')
    _check_cluster(scenario.cluster, refuse)
    slots = len(scenario.cluster.slots)
    begin_with = scenario.cluster.begin_with
    if scenario.autoscale is not None:
        try:
            check_scale(scenario.autoscale, scenario.cluster.zones)
        except UsageError as exc:
            refuse(f"autoscale.{exc.at}", exc.what, exc.hint)
        least, most = bounds_of_all(scenario.autoscale, scenario.cluster.zones)
        if begin_with is not None and not least <= begin_with <= most:
            what = f"the zones of autoscale have from {least} to {most} replicas"
            refuse("cluster.begin_with", what, f"begin_with: {least}")
    if scenario.script is not None and not scenario.deployers:
        refuse("script", "is run by deployers that are processes of their own", "deployers: 2")
    _check_patience(scenario, refuse)
    promises = scenario.promises
    own = scenario.cluster.compose is not None
    if promises.loses_at_most is not None and own and not has_role(scenario.cluster, ServiceRole.STORE):
        what = "no service is called a store, so nobody knows whose loss it is"
        refuse("promises.loses_at_most", what, "cluster: {services: {redis: store}}")
    if promises.serving_at_least is not None and promises.serving_at_least > slots:
        what = f"there are only {slots} slots, so this promise is broken from the start"
        refuse("promises.serving_at_least", what, f"serving_at_least: {max(1, slots - 1)}")


def _check_cluster(cluster: ClusterSpec, refuse: Refuse) -> None:
    _check_zones(cluster, refuse)
    slots = len(cluster.slots)
    if cluster.begin_with is not None and not 1 <= cluster.begin_with <= slots:
        refuse("cluster.begin_with", f"must be from 1 to {slots}", f"begin_with: {slots}")
    if not is_image_name(cluster.release):
        refuse("cluster.release", f"{cluster.release!r} is not a valid image name", 'release: "shop:v1"')
    if cluster.stores.tier.is_replicated and len(cluster.zones) < MEMBERS:
        refuse("cluster.store", f"{cluster.store} needs {MEMBERS} zones", "zones: {a: 2, b: 2, c: 2}")
    _check_own_app(cluster, refuse)
    if not _PATH.fullmatch(cluster.ready):
        refuse("cluster.ready", f"{cluster.ready!r} is not a valid path", "ready: /healthz")
    size = _SIZE.fullmatch(cluster.largest_body)
    if size is None or int(size["number"]) * _UNITS[size["unit"].lower()] > LARGEST_BODY:
        what = f"{cluster.largest_body!r} is not a valid size (at most {LARGEST_BODY // 2**30}g)"
        refuse("cluster.largest_body", what, "largest_body: 8m")


def _check_zones(cluster: ClusterSpec, refuse: Refuse) -> None:
    slots = sum(cluster.zones.values())
    if not 1 <= slots <= MOST_SLOTS:
        refuse("cluster.zones", f"must be from 1 to {MOST_SLOTS} replicas, not {slots}", "zones: {a: 2, b: 2, c: 2}")
    for zone in cluster.zones:
        if not _ZONE.fullmatch(zone):
            refuse(f"cluster.zones.{zone}", "a zone's name is of a-z, 0-9 and -", "zones: {a: 2, eu-west-1: 2}")
    twice = [name for name, count in Counter(slot.name for slot in cluster.slots).items() if count > 1]
    if twice:
        what = f"two slots would be {twice[0]}: a slot is called by its zone and its number"
        refuse("cluster.zones", what, "zones: {a: 11, b: 1}")


def _check_own_app(cluster: ClusterSpec, refuse: Refuse) -> None:
    front = None if cluster.front is None else cluster.front.service
    for key, service in (("service", cluster.service), ("front.service", front)):
        if service is not None and not _SERVICE.fullmatch(service):
            refuse(f"cluster.{key}", f"{service!r} is not a valid service name", "as the compose file calls it")
    if cluster.compose is None:
        if cluster.service is not None or cluster.port is not None or cluster.front is not None or cluster.services:
            what = "service, port, front and services are those of a compose file"
            refuse("cluster.compose", what, "compose: compose.yaml")
    elif not cluster.compose_files:
        refuse("cluster.compose", "names no file", "compose: compose.yaml")
    elif cluster.store is not StoreName.REDIS or cluster.orders is not OrdersPlace.REDIS:
        refuse("cluster.store", "an app of your own brings its own store", "leave store and orders out")
    elif cluster.edges is not Edges.ONE:
        refuse("cluster.edges", "an app of your own has one balancer", "edges: one")
    elif cluster.service is None or cluster.port is None:
        refuse("cluster", "an app of your own needs service and port", "service: web, port: 8000")


def _check_patience(scenario: Scenario, refuse: Refuse) -> None:
    """Of users with the balancer, where that waits for a replica longer than it usually does."""
    patience = scenario.cluster.answer_timeout
    if scenario.users.answer_timeout <= patience and patience > USUAL_PATIENCE:
        what = f"must be over cluster.answer_timeout ({patience:g} s), or users give up before the balancer does"
        refuse("users.answer_timeout", what, f"answer_timeout: {2.5 * patience:g}")


def _check_users(scenario: Scenario, refuse: Refuse) -> None:
    users = scenario.users
    _check_one_off(scenario, "cluster.first", scenario.cluster.first, refuse)
    if (scenario.cluster.compose is not None or scenario.target is not None) and not users.are_of_own_app:
        refuse("users", "the shop's users can't use another app", "journey: my_journey.py:Shopper")
    if users.doubled > users.count:
        refuse("users.on_two_devices", f"must be from 0 to users.count ({users.count})", "on_two_devices: 0")
    _check_own_users(users, refuse)


def _check_own_users(users: UsersSpec, refuse: Refuse) -> None:
    if users.journey is not None and not re.fullmatch(r".+\.py:\w+", users.journey):
        refuse("users.journey", "is not FILE.py:CLASS", "journey: my_journey.py:Shopper")
    if users.http is not None:
        if users.journey is not None:
            refuse("users.http", "there is a journey in Python already", "either journey or http")
        try:
            check_journey(users.http)
        except UsageError as exc:
            refuse(f"users.http.{exc.at}", exc.what, exc.hint)


def _check_step(scenario: Scenario, key: str, step: StepSpec, refuse: Refuse) -> None:
    slots = len(scenario.cluster.slots)
    given = [name for name in step.__struct_fields__ if getattr(step, name) is not None]
    if len(given) != 1:
        refuse(
            key,
            f"a step is exactly one of {', '.join(step.__struct_fields__)}; here: {given or 'none'}",
            "- settle: {for: 5}",
        )
    if step.roll is not None:
        _check_roll(scenario, f"{key}.roll", step.roll, refuse)
    _check_breaking(scenario, key, step, refuse)
    if step.fault is not None:
        _check_fault(scenario, f"{key}.fault", step.fault, refuse)
    zones = scenario.cluster.zones
    for zone, count in (step.scale.to if step.scale is not None else {}).items():
        if not 0 <= count <= zones.get(zone, -1):
            refuse(f"{key}.scale.to.{zone}", f"has {zones.get(zone, 0)} slots, not {count}", "scale: {to: {a: 1}}")
    if step.repeat is not None and not step.repeat.steps:
        refuse(f"{key}.repeat.steps", "needs at least one step", "repeat: {for: 60, steps: [...]}")
    if step.together is not None and not step.together:
        refuse(f"{key}.together", "needs at least one step", "together: [...]")
    for strike in step.schedule.strikes if step.schedule is not None else ():
        slots_named = {strike.slot, strike.after or strike.slot}
        known = {*_places(scenario.cluster), *(slot.name for slot in scenario.cluster.slots)}
        if not slots_named <= known or strike.at < 0:
            told = " and ".join(sorted(slots_named))
            refuse(f"{key}.schedule.strikes", f"there is no slot {told} at {strike.at:g} s", "{slot: a1, at: 2}")
        try:
            find_fault(strike.do, role_of(strike.slot))
        except UsageError as exc:
            refuse(f"{key}.schedule.strikes", exc.what, exc.hint)
    if step.monkey is not None and step.monkey.least_serving >= slots:
        refuse(
            f"{key}.monkey.least_serving",
            f"{step.monkey.least_serving} of {slots} replicas must serve, so nothing could ever be struck",
            f"least_serving: {slots - 1}",
        )


def _check_one_off(scenario: Scenario, key: str, spec: OneOffSpec | None, refuse: Refuse) -> None:
    if spec is None:
        return
    if not scenario.users.are_of_own_app:
        refuse(key, "nothing is run once in the lab's own shop", "an app of your own")
    cluster = scenario.cluster
    named = [name for name, role in cluster.services.items() if role is not ServiceRole.LEFT_OUT]
    services = [*filter(None, (cluster.service,)), *named]
    check_one_off(spec, services, lambda at, *why: refuse(f"{key}.{at}", *why))


def _check_roll(scenario: Scenario, key: str, roll: Roll, refuse: Refuse) -> None:
    _check_one_off(scenario, f"{key}.before", roll.before, refuse)
    try:
        check_strategy(roll.wanted_strategy, len(scenario.cluster.slots))
    except UsageError as exc:
        refuse(f"{key}.{exc.at}", exc.what, exc.hint)
    for name in roll.along:
        if scenario.cluster.services.get(name) is not ServiceRole.WORKER:
            what = f"{name!r} is no worker of cluster.services"
            refuse(f"{key}.with", what, f"cluster: {{services: {{{name}: worker}}}}")


def _places(cluster: ClusterSpec) -> Iterator[str]:
    """What strikes that are told one by one may name beside slots: one container each."""
    yield BALANCER
    if cluster.edges is Edges.ZONES:
        yield from (f"{BALANCER}/{zone}" for zone in cluster.zones)
    if cluster.compose is not None:
        yield from places_of(cluster)
    else:
        stores = cluster.stores
        yield from (f"{tier}/{zone}" for tier in (STORE, SENTINEL) for zone in stores.zones)
        yield from [] if stores.tier.is_replicated else [STORE]
        yield from [ORDERS] if stores.has_orders else []


def _check_fault(scenario: Scenario, key: str, fault: PinnedFaultSpec, refuse: Refuse) -> None:
    """A moment that never comes would be waited for until the run's time is over."""
    if fault.do in OF_DEPLOYERS and scenario.deployers < 2:
        refuse(f"{key}.do", "somebody must stand by for a deployer that dies", "deployers: 2")
    own = scenario.cluster.compose is not None
    if fault.do is PinnedFault.FREEZE_STORE and own and STORE not in places_of(scenario.cluster):
        what = "the store is the one service that cluster.services calls so, and there is none, or more than one"
        refuse(f"{key}.do", what, "cluster: {services: {redis: store}}")
    slots = [slot.name for slot in scenario.cluster.slots]
    if fault.at.slot not in {None, *slots}:
        refuse(f"{key}.at.slot", f"there is no slot {fault.at.slot}", f"one of {', '.join(slots)}")
    strategies = [step.roll.wanted_strategy for _, step in walk_steps(scenario.steps) if step.roll is not None]
    if not strategies:
        refuse(key, "its moment is one of a rollout, and there is none", "beside a `roll`, in `together`")
    if fault.at.phase in {Phase.PREPARE, Phase.KEEP} and not any(one.has_two_groups for one in strategies):
        refuse(f"{key}.at.phase", f"only a red-black rollout is ever at {fault.at.phase}", "strategy: red-black")


def _check_scales(scenario: Scenario, refuse: Refuse) -> None:
    """Somebody must serve after each."""
    cluster, counts = scenario.cluster, dict(scenario.cluster.zones)
    if cluster.begin_with is not None and scenario.autoscale is None:
        begun = choose_slots(cluster.slots, (), cluster.begin_with)
        counts = dict(Counter(slot.zone for slot in cluster.slots if slot.name in begun))
    for key, step in walk_steps(scenario.steps):
        counts |= step.scale.to if step.scale is not None else {}
        if not any(counts.values()):
            refuse(f"{key}.scale.to", "no replica would serve", f"scale: {{to: {{{next(iter(cluster.zones))}: 1}}}}")


def _check_breaking(scenario: Scenario, key: str, step: StepSpec, refuse: Refuse) -> None:
    """What a step runs or breaks on purpose must be there, and within the blast radius."""
    if step.command is not None:
        check_command(step.command, lambda at, *why: refuse(f"{key}.command.{at}", *why))
    there = StrikeTargets(
        zones=scenario.cluster.zones,
        slots=tuple(slot.name for slot in scenario.cluster.slots),
        has_edges=scenario.cluster.edges is Edges.ZONES,
        deployers=scenario.deployers,
        stores=scenario.cluster.stores if scenario.cluster.compose is None else None,
        services=tuple(places_of(scenario.cluster)),
        radius=scenario.blast_radius,
    )
    if step.strike is not None and scenario.target is None:
        check_strike(step.strike, there, lambda at, *told: refuse(f"{key}.strike.{at}", *told))
    if step.lose_zone is not None:
        check_zone(step.lose_zone, there, lambda at, *told: refuse(f"{key}.lose_zone.{at}", *told))
    if step.monkey is not None:
        try:
            check_monkey(step.monkey)
        except UsageError as exc:
            refuse(f"{key}.monkey.{exc.at}", exc.what, exc.hint)
        _check_groups(scenario.cluster, f"{key}.monkey.groups", step.monkey.groups, refuse)


def _check_groups(cluster: ClusterSpec, key: str, groups: tuple[str, ...], refuse: Refuse) -> None:
    """Of an app of one's own only those services have opted in that have a role."""
    places = places_of(cluster)
    for group in groups:
        tier, _, part = group.partition("/")
        if tier == WORKER and cluster.compose is None:
            refuse(key, "the shop has no worker", "groups: [app]")
        if cluster.compose is None or tier not in {STORE, SENTINEL, ORDERS, WORKER}:
            continue
        is_there = group in places or (not part and any(one.startswith(f"{tier}/") for one in places))
        if not is_there:
            hint = "cluster: {services: {redis: store}}, and groups: [redis]"
            refuse(key, f"no service of cluster.services is {group!r}: nobody else is struck", hint)
