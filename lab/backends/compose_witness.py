"""What the engine says of somebody else's Compose project: who starts, is ready, leaves, ends. Nothing is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lab import record
from lab.clock import Clock
from lab.cluster.events import EngineWatch
from lab.cluster.harm import Victim
from lab.errors import UsageError
from lab.machine.engine import APIClient, connect, engine_errors
from lab.model import Role, release_name

LABEL = "com.docker.compose.project"
MAY_BE_STRUCK = "lab.may-be-struck=true"
"""The label, with its value, by which an owner lets a container be struck."""
SOURCE = "the engine"
SEEN_AS: Mapping[str, str] = {
    "start": "started",
    "health_status: healthy": "ready",
    "kill": "leaving",
    "die": "ended",
}
"""The engine's events that mean something here. A container that is sent any signal is taken to leave."""


def check_compose(project: str) -> None:
    """Raise UsageError where no container of this project stands, SetupError where no engine answers."""
    engine = connect()
    try:
        if not containers_of(engine, project):
            hint = f"docker compose -p {project} ps; docker compose ls"
            raise UsageError("there is no container of this Compose project", at=f"compose:{project}", hint=hint)
    finally:
        engine.close()


def containers_of(engine: APIClient, project: str) -> list[Mapping[str, Any]]:
    """The containers of a Compose project that run, by its own label."""
    with engine_errors("list a project's containers", at=project):
        return list(engine.containers(filters={"label": [f"{LABEL}={project}"]}))


@contextmanager
def compose_witness(project: str, report: Callable[[record.AnyEvent], None], clock: Clock) -> Iterator[None]:
    """Report, while the block runs, who stands in the beginning and then what the engine says of each."""
    with EngineWatch(project, report, label=LABEL, translate=observed, clock=clock):
        engine = connect()
        try:
            for one in containers_of(engine, project):
                report(_standing(one, clock.now()))
        finally:
            engine.close()
        yield


def observed(said: Mapping[str, Any], at: int) -> record.Observed | None:
    """An engine's event in the record's words; None for what means nothing here."""
    what = SEEN_AS.get(str(said.get("Action", "")))
    if what is None:
        return None
    told = said["Actor"]["Attributes"]
    return record.Observed(
        at=at,
        who=str(told.get("name", said["Actor"]["ID"][:12])),
        what=what,
        release=release_name(str(told.get("image", ""))),
        source=SOURCE,
    )


def _standing(container: Mapping[str, Any], at: int) -> record.Observed:
    """One that runs already. Where it has a health check, it is ready only if that says so."""
    status = str(container.get("Status", ""))
    is_ready = "(health: starting)" not in status and "(unhealthy)" not in status
    return record.Observed(
        at=at,
        who=str(container["Names"][0]).lstrip("/"),
        what="ready" if is_ready else "started",
        release=release_name(str(container.get("Image", ""))),
        source=SOURCE,
    )


class OptedContainers:
    """The running containers of a Compose project whose owner says by their label that they may be struck.

    They are chosen anew each time by both labels; nothing else of the engine's is ever struck.
    """

    def __init__(self, project: str) -> None:
        """Raises SetupError where no engine answers."""
        self._project, self._engine = project, connect()

    def victims(self) -> list[Victim]:
        """Those that run."""
        with engine_errors("list what may be struck", at=self._project):
            found = self._engine.containers(filters={"label": [f"{LABEL}={self._project}", MAY_BE_STRUCK]})
        return [
            Victim(
                container=one["Id"],
                name=str(one["Names"][0]).lstrip("/"),
                role=Role.APP,
                release=release_name(str(one.get("Image", ""))),
            )
            for one in found
            if one.get("State") == "running"
        ]

    def kill(self, victim: Victim, signal: str) -> None:
        """Send a signal to one of them. Raises EngineError, as where it is gone by now."""
        with engine_errors(f"send {signal}", at=victim.name):
            self._engine.kill(victim.container, signal=signal)

    def close(self) -> None:
        """Let go of the engine."""
        self._engine.close()
