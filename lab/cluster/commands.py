"""Compose's command lines as values; nothing here runs anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.cluster.edges import BALANCER_SERVICE, Edge, service_of
from lab.cluster.members import addresses
from lab.cluster.stores import ONE_STORE, ORDERS_SERVICE, SENTINEL_PORT, SENTINEL_SERVICE, Stores
from lab.machine.labels import Identity
from lab.model import Value

OF_SLOTS = "uid=10001,gid=10001,mode=0750"
"""How the volume of the slots' sockets is mounted."""
BOUNDED = f"size=1m,{OF_SLOTS}"
"""Where the engine can bound a volume: Podman takes a size for a quota of its disk."""


class ClusterPlan(Value):
    """What a cluster is to be made of."""

    identity: Identity
    compose_file: Path
    folder: Path
    """Where the files that the containers mount are kept while the cluster lives."""
    app_image: str
    nginx_image: str
    redis_image: str
    cutter_image: str
    edges: tuple[Edge, ...]
    """One at least; the first is the compose file's own balancer."""
    postgres_image: str = ""
    """Not asked for where nothing of it is started."""
    app: str = "app"
    """The service that is multiplied."""
    balancer: str = BALANCER_SERVICE
    stores: Stores = ONE_STORE
    subnet: str = ""
    """Of the inner network, where some must always have the same address."""
    others: tuple[str, ...] = ("store",)
    front: tuple[str, ...] = ()
    """Somebody's own balancer, which finds the lab's under the app's name."""
    later: tuple[str, ...] = ()
    """Somebody's own services that are started once the app serves."""
    jobs: frozenset[str] = frozenset()
    """Those of the others that prepare something and end."""
    slots_options: str = BOUNDED
    is_whole: bool = False
    """The compose file says everything, the other edges and the members of a replicated store too."""

    @property
    def doors(self) -> tuple[str, ...]:
        """The services that somebody outside talks to."""
        return (self.balancer, *(service_of(edge) for edge in self.edges[1:]), *self.front)

    @property
    def edges_file(self) -> Path:
        """What says how the others are made."""
        return self.folder / "edges.yaml"

    @property
    def members_file(self) -> Path:
        """What says how the members of a replicated store are made."""
        return self.folder / "members.yaml"


def environment(plan: ClusterPlan) -> dict[str, str]:
    """The variables that compose/cluster.yaml asks for."""
    identity = plan.identity
    stores = plan.stores
    at = addresses(stores, plan.subnet)
    sentinels = [at[name] for name in stores.members(SENTINEL_SERVICE)]
    return {
        "LAB_PROJECT": identity.project,
        "LAB_RUN": identity.run,
        "LAB_OWNER": identity.owner,
        "LAB_EXPIRES": str(identity.expires),
        "LAB_FOLDER": str(plan.folder),
        "LAB_SLOTS_OPTIONS": plan.slots_options,
        "LAB_APP_IMAGE": plan.app_image,
        "LAB_NGINX_IMAGE": plan.nginx_image,
        "LAB_REDIS_IMAGE": plan.redis_image,
        "LAB_CUTTER_IMAGE": plan.cutter_image,
        "LAB_POSTGRES_IMAGE": plan.postgres_image,
        "LAB_STORE_SENTINELS": ",".join(f"{address}:{SENTINEL_PORT}" for address in sentinels),
        "LAB_STORE_WAIT_MS": str(stores.tier.wait_ms),
        "LAB_ORDERS_URL": f"postgresql://shop@{ORDERS_SERVICE}:5432/shop" if stores.has_orders else "",
        "LAB_EDGE_ZONE": plan.edges[0].zone,
        "LAB_PORT": str(plan.edges[0].port),
        "LAB_DOOR": str(plan.edges[0].door),
    }


def up(compose: Sequence[str], plan: ClusterPlan) -> list[str]:
    """Bring up what is not multiplied, without waiting: the lab asks each part itself whether it answers."""
    return [*_compose(compose, plan), "up", "--detach", "--no-build", "--pull", "never", *_started(plan)]


def up_later(compose: Sequence[str], plan: ClusterPlan) -> list[str]:
    """Start what is to come once the app serves."""
    return [*_compose(compose, plan), "up", "--detach", "--no-deps", "--no-build", "--pull", "never", *plan.later]


def create_pattern(compose: Sequence[str], plan: ClusterPlan) -> list[str]:
    """Make the app's template container and leave it unstarted."""
    return [*_compose(compose, plan), "create", "--no-build", "--pull", "never", plan.app]


def create_all(compose: Sequence[str], plan: ClusterPlan) -> list[str]:
    """Make the containers of everything that will be started, and start none."""
    made = (plan.app, *_started(plan), *plan.later)
    return [*_compose(compose, plan), "create", "--no-build", "--pull", "never", *made]


def _started(plan: ClusterPlan) -> tuple[str, ...]:
    edges = (service_of(edge) for edge in plan.edges[1:])
    return (plan.balancer, *edges, *plan.others, *plan.front)


def config(compose: Sequence[str], plan: ClusterPlan) -> list[str]:
    """Print the resolved compose file as JSON."""
    return [*_compose(compose, plan), "config", "--format", "json"]


def _compose(compose: Sequence[str], plan: ClusterPlan) -> list[str]:
    return [
        *compose,
        "--project-name",
        plan.identity.project,
        "--file",
        str(plan.compose_file),
        *(("--file", str(plan.edges_file)) if len(plan.edges) > 1 and not plan.is_whole else ()),
        *(("--file", str(plan.members_file)) if plan.stores.tier.is_replicated and not plan.is_whole else ()),
        "--progress",
        "quiet",
    ]
