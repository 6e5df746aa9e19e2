"""The shop's parts, with the participant's checkout."""

from __future__ import annotations

from collections.abc import Callable

from shop import checkout
from shop.belongings import Belongings
from shop.edge import App
from shop.features import Features
from shop.redis_sessions import RedisSessions
from shop.sessions import Living, Outcome, Request, Sessions
from shop.settings import Settings
from shop.store import Store


class Ordering(Belongings):
    """Everything as in the shop, but for the checkout."""

    async def check_out(self, who: Living, request: Request) -> Outcome:
        return await checkout.check_out(self._store, who, request)


def sessions_of(settings: Settings, store: Store, features: Features, now: Callable[[], float]) -> Sessions:
    return RedisSessions(store, session_format=features.session_format, now=now)


def belongings_of(settings: Settings, store: Store, features: Features) -> Belongings:
    return Ordering(store, features)


def around(app: App, settings: Settings, now: Callable[[], float]) -> App:
    return app


def why_not_ready(settings: Settings) -> str:
    return ""
