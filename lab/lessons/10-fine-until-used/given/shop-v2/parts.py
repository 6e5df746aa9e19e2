"""The shop's parts as of v2, which calls a new payment service: its first call for each order times out."""

from __future__ import annotations

from collections.abc import Callable

from shop import names
from shop.belongings import Belongings
from shop.edge import App
from shop.features import Features
from shop.redis_sessions import RedisSessions
from shop.sessions import Living, Outcome, Request, Sessions
from shop.settings import Settings
from shop.store import Store


class Paying(Belongings):
    """A checkout is refused the first time that it is asked for, and done the second time."""

    async def check_out(self, who: Living, request: Request) -> Outcome:
        called = f"{names.PREFIX}payment:{request.key}"
        if await self._store.ask("SET", called, "1", "NX", "EX", 60):
            raise TimeoutError("the payment service did not answer")
        return await super().check_out(who, request)


def sessions_of(settings: Settings, store: Store, features: Features, now: Callable[[], float]) -> Sessions:
    return RedisSessions(store, session_format=features.session_format, now=now)


def belongings_of(settings: Settings, store: Store, features: Features) -> Belongings:
    return Paying(store, features)


def around(app: App, settings: Settings, now: Callable[[], float]) -> App:
    return app


def why_not_ready(settings: Settings) -> str:
    return ""
