"""The other containers of a cluster, balancer and store: found by label, hurt and healed by full id."""

from __future__ import annotations

from collections.abc import Callable

from docker import APIClient

from lab.cluster import labels
from lab.cluster.engine import APIError, NotFound, engine_errors
from lab.errors import ClusterError
from lab.model import Role, Value

GONE_OR_SO = {304, 404, 409}
"""What the engine answers where a container is gone, or is already as it was asked to be."""
SO_ALREADY = ("is not paused", "is already paused", "is not running", "cannot resume a stopped container")
"""What an older engine says with status 500 instead."""


class Part(Value):
    """One container that is not a replica."""

    container: str
    name: str
    role: Role
    is_running: bool


class ComposeParts:
    """Acts on any container of one project, read again by its full id just before."""

    def __init__(self, engine: APIClient, *, project: str) -> None:
        self._engine, self._project = engine, project

    def find(self, role: Role, *, zone: str | None = None) -> Part:
        """The first container of that role, of that zone if one is given. Raises ClusterError where there is none."""
        only = {"label": [f"{labels.PROJECT}={self._project}", f"{labels.ROLE}={role.value}"]}
        if zone is not None:
            only["label"].append(f"{labels.ZONE}={zone}")
        with engine_errors(f"find the {role}", at=self._project):
            found = self._engine.containers(all=True, filters=only)
        if not found:
            raise ClusterError(f"there is no {role}", at=self._project, way_out="lab status")
        one = found[0]
        name = one["Names"][0].lstrip("/")
        return Part(container=one["Id"], name=name, role=role, is_running=one["State"] == "running")

    def kill(self, container: str) -> bool:
        """SIGKILL from outside."""
        return self._do("kill", container, lambda: self._engine.kill(container, "SIGKILL"))

    def start(self, container: str) -> bool:
        """Start what was killed; its published ports stay."""
        return self._do("start", container, lambda: self._engine.start(container))

    def pause(self, container: str) -> bool:
        """Freeze every process in it."""
        return self._do("pause", container, lambda: self._engine.pause(container))

    def unpause(self, container: str) -> bool:
        """Let it go on where it was."""
        return self._do("unpause", container, lambda: self._engine.unpause(container))

    def _do(self, what: str, container: str, act: Callable[[], object]) -> bool:
        with engine_errors(f"{what} a container", at=container[:12]):
            try:
                now = self._engine.inspect_container(container)
                identity = labels.identity_of(now["Config"]["Labels"])
                if identity is None or identity.project != self._project:
                    return False
                act()
            except NotFound:
                return False
            except APIError as exc:
                if exc.status_code not in GONE_OR_SO and not any(said in str(exc) for said in SO_ALREADY):
                    raise
                return False
        return True
