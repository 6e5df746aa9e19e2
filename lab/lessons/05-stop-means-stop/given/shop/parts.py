"""The shop's parts, in a shop that has to ask a slow neighbour before it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shop.belongings import Belongings
from shop.edge import App, Message, Receive, Send
from shop.features import Features
from shop.redis_sessions import RedisSessions
from shop.sessions import Sessions
from shop.settings import Settings
from shop.store import Store

SECONDS = 0.05


class Slow:
    """Every answer takes as long as the neighbour's."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if not str(scope["path"]).endswith("z"):  # probes ask nobody
            await asyncio.sleep(SECONDS)
        await self._app(scope, receive, send)


def sessions_of(settings: Settings, store: Store, features: Features, now: Callable[[], float]) -> Sessions:
    return RedisSessions(store, session_format=features.session_format, now=now)


def belongings_of(settings: Settings, store: Store, features: Features) -> Belongings:
    return Belongings(store, features)


def around(app: App, settings: Settings, now: Callable[[], float]) -> App:
    return Slow(app)


def why_not_ready(settings: Settings) -> str:
    return ""
