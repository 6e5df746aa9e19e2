"""Compose's command lines as values; nothing here runs anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.cluster.labels import Identity
from lab.model import Value


class ClusterPlan(Value):
    """What a cluster is to be made of."""

    identity: Identity
    compose_file: Path
    folder: Path
    """Where the files that the containers mount are kept while the cluster lives."""
    app_image: str
    nginx_image: str
    redis_image: str
    port: int | None = None
    """The users' port on 127.0.0.1; None for a free one."""


def environment(plan: ClusterPlan) -> dict[str, str]:
    """The variables that compose/cluster.yaml asks for."""
    identity = plan.identity
    return {
        "LAB_PROJECT": identity.project,
        "LAB_RUN": identity.run,
        "LAB_OWNER": identity.owner,
        "LAB_EXPIRES": str(identity.expires),
        "LAB_FOLDER": str(plan.folder),
        "LAB_APP_IMAGE": plan.app_image,
        "LAB_NGINX_IMAGE": plan.nginx_image,
        "LAB_REDIS_IMAGE": plan.redis_image,
        "LAB_PORT": "" if plan.port is None else str(plan.port),
    }


def up(compose: Sequence[str], plan: ClusterPlan) -> list[str]:
    """Bring up what is not multiplied, without waiting: the lab asks each part itself whether it answers."""
    return [*_compose(compose, plan), "up", "--detach", "--no-build", "--pull", "never", "balancer", "store"]


def create_pattern(compose: Sequence[str], plan: ClusterPlan) -> list[str]:
    """Make the app's pattern container and leave it unstarted."""
    return [*_compose(compose, plan), "create", "--no-build", "--pull", "never", "app"]


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
        "--progress",
        "quiet",
    ]
