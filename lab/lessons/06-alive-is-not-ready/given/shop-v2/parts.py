"""The shop's parts, in a shop that reads a long price list when it starts."""

from __future__ import annotations

import time
from collections.abc import Callable

from shop import ready
from shop.belongings import Belongings
from shop.edge import App, Message, Receive, Send
from shop.features import Features
from shop.redis_sessions import RedisSessions
from shop.sessions import Sessions
from shop.settings import Settings
from shop.store import Store

WARMING_SECONDS = 4.0


class Prices:
    """The price list. It is read in the background from the start, and takes its time."""

    def __init__(self) -> None:
        self._there_at = time.monotonic() + WARMING_SECONDS

    @property
    def are_loaded(self) -> bool:
        return time.monotonic() >= self._there_at


PRICES = Prices()


class Priced:
    """Nobody can be answered without prices."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if not PRICES.are_loaded and not str(scope["path"]).endswith("z"):  # but for the probes
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"no prices yet"})
            return
        await self._app(scope, receive, send)


def sessions_of(settings: Settings, store: Store, features: Features, now: Callable[[], float]) -> Sessions:
    return RedisSessions(store, session_format=features.session_format, now=now)


def belongings_of(settings: Settings, store: Store, features: Features) -> Belongings:
    return Belongings(store, features)


def around(app: App, settings: Settings, now: Callable[[], float]) -> App:
    return Priced(app)


def why_not_ready(settings: Settings) -> str:
    return ready.why_not(PRICES)
