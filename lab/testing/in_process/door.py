"""The balancer of a world: HTTP/1.1 on loopback, each request to the next slot, and on to another where one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import cast

from lab.cluster.harm import Victim
from lab.testing.in_process.app import AppAnswer, AppRequest
from lab.testing.in_process.world import Running, World

ANSWER_WITHIN = 1.0
"""Seconds that the balancer is patient with one replica."""
TRIES = 3
"""Replicas that it asks at most."""
LOOK_EVERY = 0.02
"""Seconds between two looks at what is frozen or away."""
STORE_LOOKS = 30
"""Looks at its store that a replica takes before it says that it is away."""
TO_SLOT = "/_lab/slot/"
"""Before a slot's name and a path: that slot's replica alone is asked."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_AWAY = AppAnswer(503, (), b'{"error": "the store is away"}')


class Door:
    """One listening balancer. All methods but `port` are to be called on its loop."""

    def __init__(self, world: World, victim: Victim, *, repeats_writes: bool) -> None:
        self._world, self.container, self._repeats_writes = world, victim.container, repeats_writes
        self.port = 0
        self._server: asyncio.Server | None = None
        self._talks: set[_Talk] = set()
        self._turn = 0
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    async def open(self, port: int = 0) -> None:
        """Listen on this port of loopback, on the one it had before, or on a free one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._talk, "127.0.0.1", port or self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Nobody listens, and whoever was connected is cut off."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for talk in tuple(self._talks):
            talk.abort()

    async def follow(self, victim: Victim) -> None:
        """Be as the victim is: dead, frozen or well."""
        if victim.is_paused:
            self._goes_on.clear()
        else:
            self._goes_on.set()
        if not victim.is_running:
            self.close()
        elif self._server is None:
            await self.open()

    def _talk(self) -> _Talk:
        return _Talk(self, self._talks)

    async def answer(self, request: AppRequest) -> bytes:
        """The whole answer, whoever gives it in the end."""
        await self._goes_on.wait()
        self._world.in_flight += 1
        try:
            tried: list[str] = []
            asked, request = self._meant(request)
            for one in asked:
                tried.append(one.replica.slot)
                came = await self._ask(one, request)
                if came is not None and (came.status != 503 or not self._may_repeat(request)):
                    return _written(came, tried, one)
                if came is None and not self._may_repeat(request):
                    break
            return _written(AppAnswer(502, ("Content-Type: text/html",), b"nobody"), tried, None)
        finally:
            self._world.in_flight -= 1
            self._world.answered += 1
            await self._goes_on.wait()

    def _meant(self, request: AppRequest) -> tuple[list[Running], AppRequest]:
        """Who is to be asked what."""
        if not request.path.startswith(TO_SLOT):
            return self._next_replicas(), request
        slot, _, path = request.path.removeprefix(TO_SLOT).partition("/")
        with self._world.lock:
            there = [self._world.running[one] for name, one in self._world.holders.items() if name == slot]
        return there, request._replace(path=f"/{path}")

    def _may_repeat(self, request: AppRequest) -> bool:
        return request.method in SAFE or self._repeats_writes

    def _next_replicas(self) -> list[Running]:
        """Who is to be asked, beginning with the slot whose turn it is."""
        with self._world.lock:
            slots = sorted(self._world.holders)
            if not slots:
                return []
            self._turn += 1
            turned = [slots[(self._turn + place) % len(slots)] for place in range(min(TRIES, len(slots)))]
            return [self._world.running[self._world.holders[slot]] for slot in turned]

    async def _ask(self, one: Running, request: AppRequest) -> AppAnswer | None:
        """What a replica answers; None where it dies meanwhile or is silent for too long."""
        one.in_flight += 1
        death = asyncio.ensure_future(one.died.wait())
        work = asyncio.ensure_future(self._work(one, request))
        try:
            await asyncio.wait({death, work}, timeout=ANSWER_WITHIN, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() and not one.died.is_set() else None
        finally:
            for task in (death, work):
                task.cancel()
            one.in_flight -= 1
            if one.is_leaving and not one.in_flight:
                self._world.end(one.replica.container, 0)

    async def _work(self, one: Running, request: AppRequest) -> AppAnswer:
        await asyncio.sleep(one.kit.answers_after)
        while self._world.is_frozen(one.replica.container):
            await asyncio.sleep(LOOK_EVERY)
        for _ in range(STORE_LOOKS):
            if self._world.reaches_store(one.replica.container):
                break
            await asyncio.sleep(LOOK_EVERY)
        else:
            return _AWAY
        return one.app.answer(request)


class _Talk(asyncio.Protocol):
    """One connection; its requests come one after another."""

    def __init__(self, door: Door, all_talks: set[_Talk]) -> None:
        self._door, self._all = door, all_talks
        self._received = b""
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._all.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- the loop's signature
        self._all.discard(self)
        if self._answering is not None:
            self._answering.cancel()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, gap, rest = self._received.partition(b"\r\n\r\n")
        if not gap:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._received = rest[length:]
        method, path, _ = first.split(" ")
        self._answering = asyncio.ensure_future(self._answer(AppRequest(method, path, headers, rest[:length])))

    async def _answer(self, request: AppRequest) -> None:
        said = await self._door.answer(request)
        with suppress(OSError, RuntimeError):
            self._transport.write(said)


def _written(answer: AppAnswer, tried: Sequence[str], by: Running | None) -> bytes:
    reason = HTTPStatus(answer.status).phrase
    lines = [f"HTTP/1.1 {answer.status} {reason}", *answer.headers, f"Content-Length: {len(answer.body)}"]
    if not any(line.lower().startswith("content-type:") for line in answer.headers):
        lines.append("Content-Type: application/json")
    lines.append(f"X-Edge: {', '.join(f'unix:/run/slots/{slot}.sock' for slot in tried) or '-'}")
    if by is not None:
        lines += [f"X-Replica: {by.replica.name}", f"X-Release: {by.replica.release}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body
