"""`python -m tests.bench.stub_shop`: the sample shop over dictionaries, in a process of its own; prints its port."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
from typing import cast

import msgspec

from lab.users.wire import quickest_loop
from tests.shop_contract import Seen, ShopContract


class _Talk(asyncio.Protocol):
    """One connection; requests come one at a time and mostly in one piece."""

    def __init__(self, shop: ShopContract) -> None:
        self._shop = shop
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, gap, rest = self._received.partition(b"\r\n\r\n")
        if not gap:
            return
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._received = rest[length:]
        method, path, _ = first.split(" ")
        body = msgspec.json.decode(rest[:length]) if length else None
        status, extra, content = self._shop.answer(Seen(method, path, headers, body, 0))
        lines = [f"HTTP/1.1 {status} Said", "X-Replica: a1-7", "X-Release: v1", "X-Edge: unix:/run/slots/a1.sock"]
        lines += ["Content-Type: application/json", *extra, f"Content-Length: {len(content)}", "", ""]
        self._transport.write("\r\n".join(lines).encode() + content)


async def serve() -> None:
    """Serve until the standard input ends."""
    loop = asyncio.get_running_loop()
    shop = ShopContract()
    server = await loop.create_server(lambda: _Talk(shop), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=quickest_loop) as runner:
        runner.run(serve())
