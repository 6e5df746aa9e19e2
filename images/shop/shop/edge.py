"""What every answer carries, whoever made it: who served it, how a browser must treat it, and a farewell in the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from shop.life import Life

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

SECURITY = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # A page's address is nobody else's business, but `no-referrer` would make browsers send `Origin: null`.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Edge:
    """Wraps an app; errors and refusals pass through here too, so nothing leaves without its headers."""

    def __init__(self, app: App, *, life: Life, replica: str, release: str) -> None:
        self._app = app
        self._life = life
        named = {**SECURITY, "x-replica": replica, "x-release": release}
        self._always = [(name.encode(), value.encode()) for name, value in named.items()]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._always]
                if self._life.draining or self._life.aside:
                    # The balancer then opens its next connection elsewhere, and this one ends with this answer. Else
                    # a replica whose slot another one took would keep all that come over connections it has.
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        await self._app(scope, receive, send_marked)
