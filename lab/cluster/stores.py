"""The store tiers to choose from, each with what it may lose and when: stated here, measured in runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from lab.model import Value

STORE_SERVICE, SENTINEL_SERVICE, ORDERS_SERVICE = "store", "sentinel", "orders"
GROUP = "shop"
"""What the Sentinels call the stores that they watch."""
STORE_PORT, SENTINEL_PORT = 6379, 26379
MEMBERS = 3
"""Stores of a replicated tier, each in a zone of its own; and as many Sentinels."""


class StoreName(StrEnum):
    """What keeps sessions, carts and all that must be quick."""

    REDIS = "redis"
    REDIS_EVERYSEC = "redis-everysec"
    REDIS_NO_DISK = "redis-no-disk"
    REDIS_HA = "redis-ha"
    REDIS_HA_NO_WAIT = "redis-ha-no-wait"


class OrdersPlace(StrEnum):
    """What keeps the orders."""

    REDIS = "redis"
    """The store, as everything else."""
    POSTGRES = "postgres"
    """A database of their own; what was bought waits in the store's outbox until it is there."""


class Tier(Value):
    """One way of keeping the users' state, with its bound."""

    name: StoreName
    about: str
    """What it is made of."""
    bound: str
    """What may be lost when, as a sentence."""
    loses_at_most: float | None
    """The same as a number: what was acknowledged longer than so many seconds before a store was struck is never
    lost. None: it states no bound, so nothing that is lost is excused."""
    settings: tuple[str, ...] = ()
    """Lines of redis.conf that differ from the default tier's."""
    is_replicated: bool = False
    """A primary and two replicas, with a Sentinel beside each."""
    wait_ms: int = 0
    """How long a write waits for a replica to have it, before it counts as unknown; 0: it does not."""


_REPLICATED = (
    "replica-serve-stale-data no",
    "repl-diskless-sync-delay 0",
    "repl-timeout 10",
    "repl-ping-replica-period 1",
)

TIERS: Mapping[StoreName, Tier] = {
    tier.name: tier
    for tier in (
        Tier(
            name=StoreName.REDIS,
            about="one Redis on a volume, which writes each change to its file and syncs it before it answers",
            bound="nothing that was acknowledged, whatever becomes of its process; loss of power can't be shown here",
            loses_at_most=0.0,
        ),
        Tier(
            name=StoreName.REDIS_EVERYSEC,
            about="the same, but its file is synced once a second",
            bound="what was acknowledged in the 2 s before it died: it answers while the write to its file is put off",
            loses_at_most=2.0,
            settings=("appendfsync everysec",),
        ),
        Tier(
            name=StoreName.REDIS_NO_DISK,
            about="one Redis that keeps nothing on disk",
            bound="everything, whenever it dies: it states no bound, so a loss is a loss",
            loses_at_most=None,
            settings=("appendonly no",),
        ),
        Tier(
            name=StoreName.REDIS_HA,
            about="a primary and two replicas in three zones with three Sentinels; a write counts once WAIT says that"
            " a replica has it, a primary without a replica takes none, and a read waits for what it has seen",
            bound="nothing that was acknowledged, while one store at a time dies, freezes or is cut off and the others"
            " are in step. WAIT and Sentinel do not make Redis strongly consistent: two at once may lose",
            loses_at_most=0.0,
            settings=(*_REPLICATED, "min-replicas-to-write 1", "min-replicas-max-lag 3"),
            is_replicated=True,
            wait_ms=1000,
        ),
        Tier(
            name=StoreName.REDIS_HA_NO_WAIT,
            about="the same without WAIT and without min-replicas-to-write: nobody waits for a replica",
            bound="what was acknowledged in the 1 s before its primary was struck, as long as the replicas keep up;"
            " nothing sees to it that they do",
            loses_at_most=1.0,
            settings=_REPLICATED,
            is_replicated=True,
        ),
    )
}


class Stores(Value):
    """What keeps the state of one cluster."""

    tier: Tier = TIERS[StoreName.REDIS]
    zones: tuple[str, ...] = ()
    """Where a replicated tier's members stand."""
    has_orders: bool = False
    """Whether the orders have a database of their own."""

    @property
    def services(self) -> tuple[str, ...]:
        """The Compose services that are started for it, first those that the others look for."""
        orders = (ORDERS_SERVICE,) if self.has_orders else ()
        if not self.tier.is_replicated:
            return (STORE_SERVICE, *orders)
        return (*self.members(STORE_SERVICE), *self.members(SENTINEL_SERVICE), *orders)

    def members(self, service: str) -> tuple[str, ...]:
        """One in each zone."""
        return tuple(f"{service}-{zone}" for zone in self.zones)

    @property
    def text(self) -> str:
        """For a person."""
        return self.tier.name + (", orders in PostgreSQL" if self.has_orders else "")


ONE_STORE = Stores()
"""The default tier, which keeps everything."""


def stores_of(name: StoreName, orders: OrdersPlace, zones: Sequence[str]) -> Stores:
    """What a scenario's words ask for; `zones` are all that its cluster has."""
    tier = TIERS[name]
    places = tuple(zones)[:MEMBERS] if tier.is_replicated else ()
    return Stores(tier=tier, zones=places, has_orders=orders is OrdersPlace.POSTGRES)
