"""The shop's parts, with name badges kept by the participant's `shop.badges`."""

from __future__ import annotations

import json
from collections.abc import Callable

from shop.badges import Badges
from shop.belongings import Belongings
from shop.edge import App
from shop.features import Features
from shop.redis_sessions import RedisSessions
from shop.sessions import Living, Outcome, Request, Sessions
from shop.settings import Settings
from shop.store import Store


class Badged(Belongings):
    """Everything as in the shop, but for the display name, which stands on a badge."""

    def __init__(self, store: Store, features: Features) -> None:
        super().__init__(store, features)
        self._badges = Badges(store)

    async def rename(self, who: Living, request: Request, *, name: str) -> Outcome:
        await self._badges.save(who.account, name)
        answer = json.dumps({"account": who.account, "name": name}, separators=(",", ":"), ensure_ascii=False)
        return Outcome(how="done", answer=answer.encode())

    async def name(self, who: Living) -> str | None:
        return await self._badges.load(who.account)


def sessions_of(settings: Settings, store: Store, features: Features, now: Callable[[], float]) -> Sessions:
    return RedisSessions(store, session_format=features.session_format, now=now)


def belongings_of(settings: Settings, store: Store, features: Features) -> Belongings:
    return Badged(store, features)


def around(app: App, settings: Settings, now: Callable[[], float]) -> App:
    return app


def why_not_ready(settings: Settings) -> str:
    return ""
