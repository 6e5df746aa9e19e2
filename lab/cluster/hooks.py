"""The commands that a service wants run inside its containers: after their start, and before they are stopped."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from docker import APIClient

from lab.machine.engine import APIError
from lab.model import Value

Hook = Mapping[str, Any]


class _Begun(Value):
    """One command under way."""

    what: str
    exec_id: str


class Hooks:
    """What was begun in the containers of one cluster by this handle. One after another, as Compose does.

    `look` takes what is next on its way and never waits. Raises what the engine raises, but for a container that has
    ended meanwhile: with it, its commands are over.
    """

    def __init__(self, engine: APIClient, key: str) -> None:
        self._engine, self.key = engine, key
        self._left: dict[str, list[Hook]] = {}
        self._now: dict[str, _Begun] = {}
        self.failed: dict[str, str] = {}
        """By container, what came of the one that failed: "post_start `./warm` ended with 3"."""

    def begin(self, container: str, address: str, hooks: Sequence[Hook]) -> None:
        """Begin a container's commands; the first is under way when this returns."""
        self._left[container] = list(hooks)
        self.look(container, address)

    def look(self, container: str, address: str) -> bool:
        """Whether all of a container's are over: those that were begun ended, or one of them failed."""
        if container not in self._left:
            return True
        now = self._now.get(container)
        try:
            if now is not None and self._is_running(container, now):
                return False
            if not self._left[container]:
                self.forget(container)
                return True
            hook = self._left[container].pop(0)
            self._now[container] = self._start(address, hook)
        except APIError:  # the container is not there any more, or has ended
            self.forget(container)
            return True
        return False

    def forget(self, container: str) -> None:
        """Nothing more is begun in this container."""
        self._left.pop(container, None)
        self._now.pop(container, None)

    def _is_running(self, container: str, begun: _Begun) -> bool:
        seen = self._engine.exec_inspect(begun.exec_id)
        if seen["Running"]:
            return True
        if seen["ExitCode"]:
            self.failed[container] = f"{self.key} `{begun.what}` ended with {seen['ExitCode']}"
            self._left[container].clear()
        return False

    def _start(self, address: str, hook: Hook) -> _Begun:
        made = self._engine.exec_create(
            address,
            hook["command"],
            user=hook.get("user", ""),
            workdir=hook.get("working_dir"),
            environment=hook.get("environment"),
        )
        self._engine.exec_start(made["Id"], detach=True)
        command = hook["command"]
        return _Begun(what=command if isinstance(command, str) else shlex.join(command), exec_id=made["Id"])
