"""A swarm of engines: its managers, whichever of them lives, and the engine of every node.

Which swarm it is says DOCKER_HOST or the current context; where neither names one, this checkout's yard, if it is up.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from docker import APIClient

from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.errors import EngineError, UsageError
from lab.machine.engine import GONE, APIError, NotFound, context_addresses, engine_address, engine_errors, try_connect
from lab.machine.yard import ZONE_LABEL, YardNode, find_yard, is_whole
from lab.model import Value

T = TypeVar("T")

LEADS_WITHIN = 30.0
"""Seconds in which a swarm that has lost a manager must answer again: it elects another leader meanwhile."""
ASKS_AGAIN = 0.3
ANSWERS_WITHIN = 20


class SwarmNode(Value):
    """One machine of a swarm."""

    id: str
    name: str
    zone: str
    """By its label; "" where it has none."""
    version: str
    """Its engine's."""
    is_ready: bool
    """Whether the swarm hears from it."""
    is_active: bool
    """Whether it is given tasks: not drained, not paused."""
    is_manager: bool
    leads: bool
    host: str
    """Where its published ports are, if nothing else is known."""


class Swarm:
    """A swarm as the lab sees it. May be used from several threads."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        *,
        outside: APIClient | None = None,
        yard: Sequence[YardNode] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`addresses`: where the engine of each node answers, by the node's id; managers among them.

        `outside` is the engine on which the nodes of a `yard` are containers.
        """
        self.addresses = dict(addresses)
        self.outside, self._clock = outside, clock
        self._yard = {node.name: node for node in yard}
        self._lock = threading.Lock()
        self._clients: dict[str, APIClient] = {}
        self._asks = next(iter(self.addresses))

    def ask(self, doing: str, act: Callable[[APIClient], T], *, at: str = "the swarm") -> T:
        """Do it at a manager: another one where the one asked last is gone, until the swarm has a leader again.

        An `act` that changes something must be one that may come twice. Raises EngineError after LEADS_WITHIN seconds.
        """
        began, last = self._clock.now(), "none answers"
        while True:
            for node in self._in_turn():
                client = self.client(node)
                if client is None:
                    continue
                try:
                    done = act(client)
                except APIError as exc:
                    if not _is_leaderless(exc):
                        raise EngineError(f"can't {doing}: {exc.explanation or exc}", at=at, hint="lab status") from exc
                    last = str(exc)
                except GONE as exc:
                    last = str(exc)
                    self.forget(node)
                else:
                    self._asks = node
                    return done
            if self._clock.now() - began > LEADS_WITHIN * NS:
                raise EngineError(
                    f"can't {doing}: no manager of the swarm does it: {last}", at=at, hint="docker node ls"
                )
            self._clock.sleep(ASKS_AGAIN)

    def nodes(self) -> list[SwarmNode]:
        """All nodes, by name. One that was killed is not ready, though its managers may not know of it yet."""
        found = [node_of(one) for one in self.ask("ask the swarm for its nodes", lambda manager: manager.nodes())]
        known = [one if self.runs(one) else msgspec.structs.replace(one, is_ready=False) for one in found]
        return sorted(known, key=lambda node: node.name)

    def runs(self, node: SwarmNode) -> bool:
        """Whether it is there at all, as whoever runs it says; of a machine of its own only the swarm says it."""
        outer = self.outer(node)
        if outer is None or self.outside is None:
            return node.is_ready
        state = self.state_of(outer)
        return bool(state.get("Running")) and not state.get("Paused")

    def state_of(self, outer: YardNode) -> Mapping[str, Any]:
        """What the engine outside says of a node's container."""
        if self.outside is None:
            return {}
        with engine_errors("look at a node", at=outer.name):
            try:
                return dict(self.outside.inspect_container(outer.container)["State"])
            except NotFound:
                return {"Running": False}

    def client(self, node: str) -> APIClient | None:
        """A client of a node's engine by the node's id; None where it does not answer."""
        with self._lock:
            client = self._clients.get(node)
        if client is not None:
            return client
        address = self.addresses.get(node)
        client = try_connect(address, timeout=ANSWERS_WITHIN) if address else None
        if client is not None:
            with self._lock:
                self._clients[node] = client
        return client

    def forget(self, node: str) -> None:
        """Ask it with a new connection the next time."""
        with self._lock:
            client = self._clients.pop(node, None)
        if client is not None:
            client.close()

    def each(self, doing: str, act: Callable[[APIClient, str], Sequence[T]]) -> list[T]:
        """What `act` gives of each node's engine that answers, all together. A node that is down has nothing."""
        found: list[T] = []
        for node in self.addresses:
            client = self.client(node)
            if client is None:
                continue
            try:
                found += act(client, node)
            except EngineError as exc:
                if isinstance(exc.__cause__, APIError) or not isinstance(exc.__cause__, GONE):
                    raise
                self.forget(node)
            except APIError as exc:
                raise EngineError(f"can't {doing}: {exc.explanation or exc}", at=node[:12], hint="lab status") from exc
            except GONE:
                self.forget(node)
        return found

    def outer(self, node: SwarmNode) -> YardNode | None:
        """The node as a container of this machine, if it is one."""
        return self._yard.get(node.name)

    def door(self, node: SwarmNode, port: int) -> tuple[str, int]:
        """Where users find what a node publishes."""
        outer = self.outer(node)
        return (node.host, port) if outer is None else outer.doors[port]

    @property
    def is_yard(self) -> bool:
        """Whether its nodes are containers of this machine."""
        return bool(self._yard)

    @property
    def manager(self) -> str:
        """Where a manager answers, as DOCKER_HOST has it."""
        return self.addresses[self._asks]

    def close(self) -> None:
        for node in tuple(self._clients):
            self.forget(node)

    def _in_turn(self) -> list[str]:
        return sorted(self.addresses, key=lambda node: node != self._asks)


def node_of(told: Mapping[str, Any]) -> SwarmNode:
    """A node of what a manager lists."""
    manager = told.get("ManagerStatus") or {}
    return SwarmNode(
        id=told["ID"],
        name=told["Description"]["Hostname"],
        zone=(told["Spec"].get("Labels") or {}).get(ZONE_LABEL, ""),
        version=told["Description"]["Engine"]["EngineVersion"],
        is_ready=told["Status"]["State"] == "ready",
        is_active=told["Spec"]["Availability"] == "active",
        is_manager=bool(manager),
        leads=bool(manager.get("Leader")),
        host=told["Status"].get("Addr", ""),
    )


def _is_leaderless(exc: APIError) -> bool:
    """Whether a manager could not do it because the swarm has no leader just now."""
    said = str(exc).lower()
    return any(word in said for word in ("leader", "quorum", "context deadline", "connection refused", "unavailable"))


def find_swarm(outside: APIClient, yard_name: str, *, begins_one: bool = False) -> Swarm:
    """The swarm that is meant. Raises UsageError for an engine that is in none, or no manager of its own.

    `outside` is this machine's engine. With `begins_one` an engine that is in no swarm begins one of its own.
    """
    yard = find_yard(outside, yard_name)
    address = engine_address()
    named = os.environ.get("DOCKER_HOST")
    if yard and (not named or address in {node.address for node in yard}):
        if not is_whole(outside, yard_name):
            raise UsageError("the yard is not whole", at=yard_name, hint="lab yard down, then lab yard up")
        return _swarm_of_yard(outside, yard)
    return _swarm_at(outside, address, begins_one=begins_one)


def _swarm_of_yard(outside: APIClient, yard: Sequence[YardNode]) -> Swarm:
    for node in yard:
        client = try_connect(node.address, timeout=ANSWERS_WITHIN) if node.is_running else None
        if client is None:
            continue
        with engine_errors("ask the swarm for its nodes", at=node.name):
            ids = {one["Description"]["Hostname"]: one["ID"] for one in client.nodes()}
        client.close()
        return Swarm({ids[one.name]: one.address for one in yard if one.name in ids}, outside=outside, yard=yard)
    raise UsageError("no engine of the yard answers", at=yard[0].name, hint="lab yard down, then lab yard up")


def _swarm_at(engine: APIClient, address: str, *, begins_one: bool) -> Swarm:
    """The one that an engine is in: its nodes' engines are those of this user's contexts."""
    with engine_errors("ask the engine for its swarm", at=address):
        told = engine.info()["Swarm"]
        if told["LocalNodeState"] == "inactive" and begins_one:
            engine.init_swarm(advertise_addr="127.0.0.1")
            told = engine.info()["Swarm"]
    if told["LocalNodeState"] != "active":
        raise UsageError(
            "this engine is in no swarm, and nobody asked to begin one",
            at=address,
            hint="lab yard up   # three engines in a swarm; or --init: a swarm of this engine alone",
        )
    if not told["ControlAvailable"]:
        managers = ", ".join(one["Addr"] for one in told.get("RemoteManagers") or ()) or "unknown"
        raise UsageError(
            "this engine is a worker of its swarm, which tells it nothing",
            at=address,
            hint=f"DOCKER_HOST of a manager; they are at {managers}",
        )
    addresses = {told["NodeID"]: address}
    for other in context_addresses():
        client = try_connect(other, timeout=ANSWERS_WITHIN) if other not in addresses.values() else None
        if client is not None:
            with engine_errors("ask an engine for its swarm", at=other):
                found = client.info()["Swarm"].get("NodeID")
            client.close()
            if found:
                addresses.setdefault(found, other)
    return Swarm(addresses)


def check_swarm(swarm: Swarm, zones: Sequence[str]) -> list[SwarmNode]:
    """The nodes of these zones, in their order. Raises UsageError where the swarm is not fit for a cluster of them."""
    nodes = swarm.nodes()
    silent = [node.name for node in nodes if node.is_ready and swarm.client(node.id) is None]
    if silent:
        raise UsageError(
            f"the engines of {', '.join(silent)} are not reached, so that their images and containers can't be seen",
            at="docker context ls",
            hint="docker context create NODE --docker host=ssh://NODE   # a context for each node",
        )
    ready = [node for node in nodes if node.is_ready and node.is_active]
    versions = sorted({node.version for node in ready})
    if len(versions) > 1:
        each = ", ".join(f"{node.name} {node.version}" for node in ready)
        raise UsageError(
            f"its engines are of different versions: {each}", at="the swarm", hint="upgrade the older ones"
        )
    missing = [zone for zone in zones if not any(node.zone == zone for node in ready)]
    if missing:
        have = ", ".join(f"{node.name} in {node.zone or 'no zone'}" for node in ready)
        raise UsageError(
            f"no node that is ready is in zone {', '.join(missing)}: {have}",
            at="cluster.zones",
            hint=f"docker node update --label-add {ZONE_LABEL}={missing[0]} NODE",
        )
    return [node for zone in zones for node in ready if node.zone == zone]
