"""What every answer carries."""

from __future__ import annotations

import asyncio
from typing import Any

from shop.edge import SECURITY, Edge, Message, Receive, Send
from shop.life import Life


def headers_of(life: Life) -> dict[str, str]:
    """The headers of an answer of an app that sets but one of its own."""
    sent: list[Message] = []

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"x-own", b"1")]})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http"}
    asyncio.run(Edge(app, life=life, replica="a1-7", release="v2")(scope, receive, send))
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_an_answer_says_who_served_it_and_how_it_must_be_treated() -> None:
    """The replica's own words come beside the app's headers, whatever the status."""
    headers = headers_of(Life(ready=True))
    assert (headers["x-replica"], headers["x-release"], headers["x-own"]) == ("a1-7", "v2", "1")
    assert SECURITY.items() <= headers.items()
    assert "connection" not in headers


def test_a_replica_without_its_slot_says_farewell() -> None:
    """Draining, or because another one took it: each connection ends with the answer that is on it."""
    assert headers_of(Life(draining=True))["connection"] == "close"
    assert headers_of(Life(ready=True, aside=True))["connection"] == "close"
