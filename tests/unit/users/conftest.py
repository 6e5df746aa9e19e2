"""A tiny shop on an ephemeral port that keeps the sample shop's contract, and misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Literal, Self

import msgspec
import pytest

from lab.users import Door
from tests.shop_contract import Said, Seen, ShopContract, token_of

Bad = Literal[
    "cut",  # nothing is applied, no byte comes
    "lost",  # applied, no byte comes
    "cut body",
    "hang",
    "slow",  # waits for `let_go`
    "unavailable",
    "not applied",
    "unauthorised",
    "garbage",
    "wrong shape",
    "says close",
    "closes silently",  # promises to keep the connection, and ends it
    "endless",  # only the end of the connection tells the end of the body
    "twice",
    "unasked",  # the same answer once more, after `let_go`
    "huge",
    "interim",  # 103 first
    "route cookie",
    "edge",  # the balancer had to repeat
]
"""What the shop does with one request instead of answering it well."""


class FakeShop:
    """Serves in a thread of its own; a context manager."""

    def __init__(self) -> None:
        self._contract = ShopContract()
        self.accounts, self.sessions = self._contract.accounts, self._contract.sessions
        self.seen: list[Seen] = []
        self.open_connections = 0
        self.slow_ones = threading.Semaphore(0)
        """Released once for each request that begins to be slow."""
        self._bad: list[tuple[str, Bad]] = []
        self._numbers = itertools.count()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)
        assert not self._thread.is_alive()

    def misbehave(self, *bad: Bad, to: str = "") -> None:
        """The next requests whose head contains `to` get these, one each."""
        self._bad += [(to, one) for one in bad]

    def let_go(self) -> None:
        """Answer all that is slow, from now on too."""
        self._loop.call_soon_threadsafe(self._gate.set)

    def expire_sessions(self) -> None:
        self.sessions.clear()

    def requests(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over, self._gate = asyncio.Event(), asyncio.Event()
        self._talks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.target = Door(port=server.sockets[0].getsockname()[1])
        self._ready.set()
        await self._over.wait()
        server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.ensure_future(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(self._numbers)
        self.open_connections += 1
        try:
            while await self._one_request(reader, writer, number):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open_connections -= 1
            writer.close()

    async def _one_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        seen = Seen(method, path, headers, msgspec.json.decode(content) if content else None, number)
        self.seen.append(seen)
        bad = self._fault_of(head)
        if bad == "slow":
            self.slow_ones.release()
            await self._gate.wait()
        if bad == "hang":
            await self._over.wait()
        if bad in {"cut", "hang"}:
            return False
        if bad == "unauthorised":
            self.sessions.pop(token_of(seen), None)
        status, extra, body = self._spoilt(bad) or self._contract.answer(seen)
        if bad == "lost":
            return False
        writer.write(self._wire(bad, status, extra, body))
        await writer.drain()
        if bad == "unasked":
            await self._gate.wait()
            writer.write(self._wire(bad, status, extra, body))
        closing = {"cut body", "says close", "closes silently", "endless"}
        return bad not in closing

    def _fault_of(self, head: str) -> Bad | None:
        for index, (part, _) in enumerate(self._bad):
            if part in head:
                return self._bad.pop(index)[1]
        return None

    def _spoilt(self, bad: Bad | None) -> Said | None:
        said: dict[Bad | None, Said] = {
            "unavailable": (503, [], b'{"error": "store"}'),
            "not applied": (503, ["X-Not-Applied: 1"], b'{"error": "store"}'),
            "garbage": (200, [], b"\xff<html>"),
            "wrong shape": (200, [], b'{"account": "somebody", "lines": 7}'),
            "huge": (200, [], b" " * (1 << 20) + b"{}"),
        }
        return said.get(bad)

    def _wire(self, bad: Bad | None, status: int, extra: list[str], body: bytes) -> bytes:
        edge = "unix:/run/slots/b1.sock, " if bad == "edge" else ""
        lines = [
            f"HTTP/1.1 {status} Said",
            "X-Replica: a1-7",
            f"X-Release: {self._contract.release}",
            f"X-Edge: {edge}unix:/run/slots/a1.sock",
            "Content-Type: application/json",
            *extra,
        ]
        if bad != "endless":
            lines.append(f"Content-Length: {len(body)}")
        if bad == "says close":
            lines.append("Connection: close")
        if bad == "route cookie":
            lines.append("Set-Cookie: route=r1; Path=/")
        whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        if bad == "cut body":
            return whole[:-1]
        if bad == "interim":
            return b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + whole
        return whole * 2 if bad == "twice" else whole

    def most_tries_by_key(self) -> int:
        keys: dict[str, int] = defaultdict(int)
        for seen in self.seen:
            keys[seen.key or ""] += seen.key is not None
        return max(keys.values())


@pytest.fixture
def shop() -> Iterator[FakeShop]:
    with FakeShop() as running:
        yield running


@pytest.fixture(scope="session")
def new_shop() -> type[FakeShop]:
    """Makes further shops."""
    return FakeShop


@pytest.fixture
def closed_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
