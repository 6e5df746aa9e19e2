"""What a scenario may ask to have broken: shape and sense of its strikes and lost zones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.chaos.faults import FaultName, Signal, find_fault
from lab.chaos.guard import BlastRadius
from lab.cluster.stores import Stores
from lab.errors import UsageError
from lab.model import Role, Value

ANY, DEPLOYER, BALANCER, ZONE = "any", "deployer", "balancer", "zone"
STORE, SENTINEL, ORDERS, WORKER = "store", "sentinel", "orders", "worker"
PRIMARY, REPLICA = "primary", "replica"
NODE, LEADER = "node", "leader"

Refuse = Callable[[str, str, str], None]
"""Told the key, what is wrong there, and what would be right."""


class StrikeSpec(Value, rename={"seconds": "for", "off": "from"}):
    """One fault of the table, done now."""

    do: FaultName
    """Which fault."""
    to: str = ANY
    """A slot (a1), a zone's replicas (a), balancer or balancer/a, deployer (the one that leads), store (its primary of
    that moment), store/replica, store/a, sentinel/a, orders, a service of your own that has a role (redis), on a swarm
    node/a (the machine in that zone) or node/leader (the manager that leads), or any: a replica drawn by the seed. With
    `from` also zone/a: whatever is in that zone but its balancer."""
    off: str = ""
    """Whom a `cut` is from: store (all of them), store/a and so on, zone/a (whatever is in that zone but its balancer),
    a slot or a zone's replicas; everybody if not given."""
    seconds: float = 2.0
    """How long it lasts, if it does not end its victim; and how long a balancer or a store stays down."""
    signal: Signal = "SIGKILL"
    """What a `kill` sends."""
    after: float = 0.0
    """Seconds that the step waits before it strikes; beside others in `together`."""

    @property
    def role(self) -> Role:
        """What kind of thing is named."""
        return role_of(self.to)


class LoseZone(Value, rename={"seconds": "for"}):
    """Every container of a zone at once; nothing is made there until it is back."""

    zone: str
    """Which one."""
    seconds: float = 8.0
    """How long it is away."""
    cut_off: bool = False
    """Alive, but out of all networks."""


class StrikeTargets(Value):
    """What a scenario's cluster has that may be struck."""

    zones: Mapping[str, int]
    """With how many replicas each."""
    slots: tuple[str, ...]
    has_edges: bool
    """Whether there is a balancer in each zone."""
    deployers: int
    radius: BlastRadius
    stores: Stores | None = None
    """None: the app is somebody's own."""
    services: tuple[str, ...] = ()
    """How the services of somebody's own that have a role may be named."""

    @property
    def named_stores(self) -> list[str]:
        """How its stores may be named."""
        if self.stores is None:
            return list(self.services)
        named = [STORE]
        if self.stores.tier.is_replicated:
            named += [f"{STORE}/{part}" for part in (PRIMARY, REPLICA, *self.stores.zones)]
            named += [SENTINEL, *(f"{SENTINEL}/{zone}" for zone in self.stores.zones)]
        return [*named, *([ORDERS] if self.stores.has_orders else [])]


def zone_of(named: str) -> str:
    """The zone whose containers `zone/a` names; "" for whatever else is named."""
    kind, _, zone = named.partition("/")
    return zone if kind == ZONE else ""


def check_cut(do: str, to: str, off: str) -> None:
    """What may be cut from whom. Raises UsageError with the key."""
    if not off and zone_of(to):
        raise UsageError("a zone is cut off from everything as a lost one", at="to", hint="lose_zone, or cut from")
    if off and do != "cut":
        raise UsageError(f"{do} is done to somebody, not between two", at="from", hint="do: cut")
    if off and BALANCER in {to.partition("/")[0], off.partition("/")[0]}:
        raise UsageError(
            "balancers reach replicas through unix sockets, which no cut of a network comes between",
            at="from",
            hint="cut a balancer from its users (without from), or a replica from the store",
        )
    if off and to == off:
        raise UsageError("nobody is cut off from itself", at="from", hint="from: store")


def role_of(to: str) -> Role:
    """What kind of thing a strike's `to` names."""
    kind = to.partition("/")[0]
    return Role(kind) if kind in {DEPLOYER, BALANCER, STORE, SENTINEL, ORDERS, WORKER, NODE} else Role.APP


def check_strike(spec: StrikeSpec, there: StrikeTargets, refuse: Refuse) -> None:
    """Whom it names exists, the fault can be done to that, and the blast radius allows it at all."""
    try:
        find_fault(spec.do, spec.role)
        check_cut(spec.do, spec.to, spec.off)
    except UsageError as exc:
        refuse(exc.at or "do", exc.what, exc.hint)
    whole = [f"{ZONE}/{zone}" for zone in there.zones]
    peers = [*there.named_stores, *whole, *there.zones, *there.slots]
    if spec.off and spec.off not in peers:
        refuse("from", f"there is no {spec.off!r}", f"from: {' | '.join(peers)}")
    edges = [f"{BALANCER}/{zone}" for zone in there.zones] if there.has_edges else []
    whole = whole if spec.off else []
    nodes = [f"{NODE}/{LEADER}", *(f"{NODE}/{zone}" for zone in there.zones)]
    known = [ANY, BALANCER, DEPLOYER, *nodes, *edges, *there.named_stores, *there.zones, *there.slots, *whole]
    if spec.to not in known:
        role = "; a service must have a role: cluster: {services: {NAME: store}}" if there.stores is None else ""
        refuse("to", f"there is no {spec.to!r} that may be struck", f"to: {' | '.join(known)}{role}")
    if spec.role is Role.DEPLOYER and there.deployers < 2:
        refuse("to", "somebody must stand by for a deployer that dies", "deployers: 2")
    struck = there.zones.get(zone_of(spec.to) or spec.to, 1) if spec.role is Role.APP else 0
    most = there.radius.replicas
    if struck > most:
        refuse("to", f"{struck} replicas at once, the blast radius is {most}", f"blast_radius: {{replicas: {struck}}}")
    _check_left(there, struck, "to", refuse)


def check_zone(spec: LoseZone, there: StrikeTargets, refuse: Refuse) -> None:
    """The zone exists, and the blast radius allows that it goes."""
    if spec.zone not in there.zones:
        refuse("zone", f"there is no zone {spec.zone!r}", f"zone: {' | '.join(there.zones)}")
    if there.radius.zones < 1:
        refuse("zone", "the blast radius allows no lost zone", "blast_radius: {zones: 1}")
    _check_left(there, there.zones.get(spec.zone, 0), "zone", refuse)


def _check_left(there: StrikeTargets, struck: int, key: str, refuse: Refuse) -> None:
    left, least = len(there.slots) - struck, there.radius.least_serving
    if left < least:
        refuse(key, f"{left} replicas would go on serving, {least} must", f"blast_radius: {{least_serving: {left}}}")
