"""The shop's parts, in a shop whose pages with goods on them ask a warehouse of somebody else's.

Each replica may have so many questions open there at once, and each takes its time: that, and no processor, is what
a replica can do. So its capacity is the same on every machine: PLACES / SECONDS such pages a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shop import turn
from shop.belongings import Belongings
from shop.edge import App, Message, Receive, Send
from shop.features import Features
from shop.redis_sessions import RedisSessions
from shop.sessions import Sessions
from shop.settings import Settings
from shop.store import Store

PLACES = 2
SECONDS = 0.1


class Warehouse:
    """A few questions at once; whoever else asks waits for a turn, in the order of coming, or is told to go."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._places = asyncio.Semaphore(PLACES)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if asks_warehouse(scope) and not await self._ask():
            # Nothing was done yet, and the header says so: whoever sent it may try elsewhere.
            headers = [(b"x-not-applied", b"1"), (b"retry-after", b"1")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": b"too busy"})
            return
        await self._app(scope, receive, send)

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(turn.LONGEST_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            return False
        try:
            await asyncio.sleep(SECONDS)
        finally:
            self._places.release()
        return True


def asks_warehouse(scope: Message) -> bool:
    """Is this a page with goods on it, or something put into a cart? (Sessions, orders and probes ask nobody.)"""
    path, method = str(scope.get("path", "")), scope.get("method")
    return path == "/" or path.startswith("/items/") or (path == "/cart" and method == "POST")


def sessions_of(settings: Settings, store: Store, features: Features, now: Callable[[], float]) -> Sessions:
    return RedisSessions(store, session_format=features.session_format, now=now)


def belongings_of(settings: Settings, store: Store, features: Features) -> Belongings:
    return Belongings(store, features)


def around(app: App, settings: Settings, now: Callable[[], float]) -> App:
    return Warehouse(app)


def why_not_ready(settings: Settings) -> str:
    return ""
