"""A crowd's workers as a service of the swarm: what a conductor says and hears goes through their nodes' engines.

No port is opened for it: an engine hands on what is written to a container's standard input and output.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from docker import APIClient

from lab.cluster.swarm_stack import CROWD, INSIDE, create_service, crowd_service, service_name
from lab.cluster.swarm_tasks import Task, task_of
from lab.errors import ClusterError, EngineError
from lab.machine.engine import NotFound, engine_errors, try_connect
from lab.machine.labels import Identity
from lab.machine.swarm import Swarm
from lab.retry import wait_until

STARTS_WITHIN = 60.0
ANSWERS_WITHIN = 20
READ_AT_ONCE = 1 << 18
HEAD = 8
"""Bytes before each piece of a container's output: which of the two it is, and how long."""
STDERR = 2
LAST_WORDS = 400
"""Bytes of what a worker wrote to its standard error that are kept."""


class TaskLine:
    """To one worker in its container; see `Line`."""

    def __init__(self, client: APIClient, task: Task, node: str) -> None:
        self.where = f"{node}, container {task.container[:12]}"
        self._client = client
        wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        with engine_errors("speak to a worker", at=self.where):
            found: Any = client.attach_socket(task.container, params=wanted)
        self._socket = getattr(found, "_sock", found)
        self._keep = found
        """What closes the socket when nobody has it any more."""
        self._socket.settimeout(None)
        self._left = bytearray()
        self._said = b""

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        while True:
            came = bytearray()
            for sort, piece in self._pieces():
                if sort == STDERR:
                    self._said = (self._said + piece)[-LAST_WORDS:]
                else:
                    came += piece
            if came:
                return bytes(came)
            chunk = b""
            with suppress(OSError):
                chunk = self._socket.recv(READ_AT_ONCE)
            if not chunk:
                return b""
            self._left += chunk

    def _pieces(self) -> Iterator[tuple[int, bytes]]:
        """What came whole of both outputs."""
        left = self._left
        while len(left) >= HEAD:
            length = int.from_bytes(left[4:HEAD], "big")
            if len(left) < HEAD + length:
                return
            yield left[0], bytes(left[HEAD : HEAD + length])
            del left[: HEAD + length]

    def last_words(self) -> str:
        lines = self._said.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def let_go(self) -> None:
        """Once nobody reads any more."""
        self.close()
        with suppress(OSError):
            self._keep.close()
        self._client.close()


class SwarmWorkers:
    """Starts workers beside a cluster; see `WorkerPlaces`."""

    def __init__(self, swarm: Swarm, identity: Identity, image: str, doors: tuple[tuple[str, int], ...]) -> None:
        self._swarm, self._identity, self._image, self.doors = swarm, identity, image, doors
        self._name = service_name(identity.project, CROWD)

    @contextmanager
    def start(self, count: int) -> Iterator[Sequence[TaskLine]]:
        project = self._identity.project
        lines: list[TaskLine] = []
        try:
            network = self._swarm.ask("find the cluster's network", self._network, at=project)
            spec = crowd_service(self._identity, self._image, network, count)
            self._swarm.ask("start the workers", partial(create_service, spec), at=project)
            wait_until(f"{count} workers run", lambda: self._are_up(count), within=STARTS_WITHIN, every=0.2)
            names = {node.id: node.name for node in self._swarm.nodes()}
            for task in self._tasks():
                lines.append(TaskLine(self._client(task), task, names.get(task.node, task.node[:12])))
            yield lines
        finally:
            for line in lines:
                line.let_go()
            self._swarm.ask("remove the workers", self._remove, at=project)

    def _are_up(self, count: int) -> bool:
        tasks = self._tasks()
        for task in tasks:
            if task.said:
                raise ClusterError(f"a worker does not start: {task.said}", at=self._name, hint="docker service ps")
        return sum(task.state == "running" and bool(task.container) for task in tasks) == count

    def _tasks(self) -> list[Task]:
        def read(manager: Any) -> list[Task]:
            return [task_of(one) for one in manager.tasks(filters={"service": self._name})]

        found = self._swarm.ask("list the workers", read, at=self._name)
        return sorted(found, key=lambda task: task.number)

    def _client(self, task: Task) -> APIClient:
        """One of its own, since it is kept by what is said to the worker."""
        address = self._swarm.addresses.get(task.node)
        client = try_connect(address, timeout=ANSWERS_WITHIN) if address else None
        if client is None:
            raise EngineError("the engine of a worker's node does not answer", at=task.node[:12], hint="docker node ls")
        return client

    def _network(self, manager: Any) -> str:
        return str(manager.inspect_network(service_name(self._identity.project, INSIDE))["Id"])

    def _remove(self, manager: Any) -> None:
        with suppress(NotFound):
            manager.remove_service(self._name)
