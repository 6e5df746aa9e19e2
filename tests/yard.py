"""A few containers of a project of the lab's own on a real engine, for tests of what may be done to them."""

from __future__ import annotations

import secrets
from typing import Any

from lab.clock import SYSTEM_CLOCK
from lab.cluster.engine_harm import EngineHarm
from lab.cluster.harm import Victim
from lab.cluster.tear_down import tear_down
from lab.machine import labels
from lab.machine.labels import Identity, this_process
from lab.machine.setup import Toolbox
from lab.retry import wait_until

ANSWER = ("redis-server", "--save", "", "--protected-mode", "no", "--port", "6379")
"""Something small that answers whoever reaches it."""


class Yard:
    """Containers of a project of the lab's own on a real engine, all in one network."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox, self.engine = toolbox, toolbox.engine
        expires = int(SYSTEM_CLOCK.wall().timestamp()) + 600
        project = f"lab-harm-{secrets.token_hex(3)}"
        self.identity = Identity(project=project, run="test", owner=this_process(), expires=expires)
        self.target = EngineHarm(self.engine, project=project)
        self.network = f"{project}_inside"
        self._made = 0

    def open(self) -> None:
        self.engine.create_network(self.network, internal=True, labels=self.identity.labels("network"))
        self.make_any({**self.identity.labels("pattern"), labels.CUTTER_IMAGE: self.toolbox.images.tag("cutter")})

    def close(self) -> None:
        tear_down(self.engine, self.identity.project)

    def make(self, role: str, slot: str, **host: Any) -> Victim:
        """One that runs and answers."""
        container = self.make_any(self.labels(role, slot), **host)
        self.engine.start(container)
        victim = self.target.read(container)
        assert victim is not None
        wait_until(f"{slot} answers", lambda: self.ping(victim, victim), within=10, every=0.05)
        return victim

    def labels(self, role: str, slot: str) -> dict[str, str]:
        own = {labels.SLOT: slot, labels.ZONE: slot[0], labels.REPLICA: f"{slot}-1"}
        return {**self.identity.labels(role), **own}

    def make_any(self, its_labels: dict[str, str], *, name: str = "", **host: Any) -> str:
        """The full id of a container with these labels, not started."""
        self._made += 1
        made = self.engine.create_container_from_config(
            {
                "Image": self.toolbox.images.tag("redis"),
                "Cmd": list(ANSWER),
                "Labels": its_labels,
                "HostConfig": {"NetworkMode": self.network, "Init": True, "Memory": 64 * 2**20, **host},
            },
            name or f"{self.identity.project}-{self._made}",
        )
        return str(made["Id"])

    def inside(self, victim: Victim, *argv: str) -> tuple[int, str]:
        """The exit code and the output of a command in its container."""
        made = self.engine.exec_create(victim.container, list(argv))
        said = self.engine.exec_start(made["Id"]).decode()
        return int(self.engine.exec_inspect(made["Id"])["ExitCode"]), said

    def ping(self, asks: Victim, answers: Victim, *, within: str = "1") -> bool:
        """Whether a new connection gets through, within so many seconds."""
        if not answers.addresses:
            return False
        return (
            self.inside(asks, "timeout", within, "redis-cli", "-h", answers.addresses[0], "ping")[1].strip() == "PONG"
        )

    def state(self, victim: Victim) -> dict[str, Any]:
        return dict(self.engine.inspect_container(victim.container))
