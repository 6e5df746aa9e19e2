"""Builds that are spoilt on purpose, each by one well-known mistake: what a check that is worth its name must find.

None of this runs in a release: SHOP_SABOTAGE, set by the image alone, names the mistake.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

from shop import names, spoilt_answers, spoilt_between, spoilt_state, unusual
from shop.belongings import Belongings
from shop.edge import App, Message, Receive, Send
from shop.features import Features
from shop.passwords import Passwords
from shop.redis_sessions import RedisSessions
from shop.sessions import Living, Outcome, Request, Sessions
from shop.store import Argument, Store
from shop.tokens import new_token

LOSES_AN_ANSWER = 25
"""One of so many changes is done and then answered with 500."""
LEAKS_ONCE_IN = 40
"""One of so many readings of a history, over all replicas, shows an entry of somebody else."""
CACHED_SECONDS = 2.0
WARMING_SECONDS = 2.0
SHORT_LIFE_SECONDS = 1
FAILS_ONE_IN = 8
SLOW_SECONDS = 1.0
UNHURRIED_SECONDS = 0.15


class LostUpdate(Belongings):
    """The cart is read, changed in the replica and written back as a whole: of two at once, one is lost."""

    async def add(self, who: Living, request: Request, *, sku: str, quantity: int, gift: bool) -> Outcome:
        key = names.cart(who.account)
        line = {"id": request.key, "sku": sku, "quantity": quantity, "gift": gift}
        lines = await self._lines(key)
        await asyncio.sleep(0.03)
        if all(one["id"] != request.key for one in lines):
            await self._store.ask("DEL", key)
            await self._store.ask("RPUSH", key, *(json.dumps(one) for one in (*lines, line)))
        return Outcome(how="done", answer=json.dumps({"account": who.account, "line": request.key}).encode())

    async def _lines(self, key: str) -> list[dict[str, object]]:
        return list(json.loads(b"[" + await self._all(key) + b"]"))


class Doubled(Belongings):
    """Nobody remembers which request was done, and now and then an answer gets lost: its repeat is done again."""

    _changes = 0

    async def _change(
        self, script: str, who: Living, request: Request, keys: list[str], arguments: list[Argument]
    ) -> Outcome:
        if script not in {"add", "view"}:
            return await super()._change(script, who, request, keys, arguments)
        outcome = await super()._change(script, who, replace(request, key=new_token()), keys, arguments)
        self._changes += 1
        if self._changes % LOSES_AN_ANSWER == 0:
            raise RuntimeError("the answer is lost")
        return outcome


class StaleRead(Belongings):
    """Each replica keeps histories for a while, and nobody tells it when they change."""

    def __init__(self, store: Store, features: Features) -> None:
        super().__init__(store, features)
        self._kept: dict[str, tuple[float, bytes]] = {}

    async def history(self, who: Living) -> bytes:
        now = asyncio.get_running_loop().time()
        since, text = self._kept.get(who.account, (0.0, b""))
        if now - since > CACHED_SECONDS:
            since, text = now, await super().history(who)
            self._kept[who.account] = (since, text)
        return text


class Leak(Belongings):
    """Now and then a user is shown something of the user who was served before."""

    _before: tuple[str, object] | None = None

    async def history(self, who: Living) -> bytes:
        text = await super().history(who)
        said = json.loads(text)
        turn = await self._store.ask("INCR", f"{names.PREFIX}readings")
        before, own = self._before, said["entries"]
        if own:
            self._before = (who.account, own[-1])
        if isinstance(turn, int) and turn % LEAKS_ONCE_IN == 0 and before is not None and before[0] != who.account:
            own.append(before[1])
            return json.dumps(said).encode()
        return text


class DropsField(Belongings):
    """A checkout writes the account back as this release knows it, and this release forgot the display name."""

    async def check_out(self, who: Living, request: Request) -> Outcome:
        outcome = await super().check_out(who, request)
        await self._store.ask("HDEL", names.account(who.account), "name")
        return outcome


class RefusesOldFormat(RedisSessions):
    """Sessions that the release before wrote are thrown away."""

    async def find(self, token: str) -> Living | None:
        living = await super().find(token)
        if living is None:
            return None
        text = await self._store.ask("GET", living.witness)
        is_mine = isinstance(text, bytes) and json.loads(text)["format"] == self._format
        return living if is_mine else None


class ShortLife(RedisSessions):
    """Every use of a session sets its time to live anew, by a number that somebody got wrong."""

    async def find(self, token: str) -> Living | None:
        living = await super().find(token)
        if living is not None:
            await self._store.ask("EXPIRE", living.witness, SHORT_LIFE_SECONDS)
        return living


class LogoutStays(RedisSessions):
    """Logging out makes the browser forget its session, and the shop doesn't."""

    async def end(self, own: Living, request: Request, *, device: str | None) -> Outcome:  # noqa: ARG002 -- as all
        return Outcome(how="done", answer=json.dumps({"account": own.account, "ended": 1}).encode())


class Unwarmed:
    """Says that it is ready as soon as it listens, and can't answer anybody for a while yet."""

    def __init__(self, app: App, *, now: Callable[[], float]) -> None:
        self._app, self._now = app, now
        self._warm_at = now() + WARMING_SECONDS

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if self._now() < self._warm_at and not str(scope["path"]).endswith("readyz"):
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"not warm yet"})
            return
        await self._app(scope, receive, send)


class Flaky:
    """Is ready, and answers one request of a few with 500, before anything is done: a retry elsewhere is answered."""

    def __init__(self, app: App) -> None:
        self._app, self._turn = app, 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if not str(scope["path"]).endswith("readyz"):
            self._turn += 1
            if self._turn % FAILS_ONE_IN == 0:
                await send({"type": "http.response.start", "status": 500, "headers": []})
                await send({"type": "http.response.body", "body": b"out of luck"})
                return
        await self._app(scope, receive, send)


class Slow:
    """Is ready at once, and takes its time over everything else."""

    seconds = SLOW_SECONDS

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if not str(scope["path"]).endswith("readyz"):
            await asyncio.sleep(self.seconds)
        await self._app(scope, receive, send)


class Unhurried(Slow):
    """Asks a neighbour first, so that somebody is always being answered: whoever stops at once cuts somebody off.

    A shop that answers in three milliseconds stops between two requests as often as not, and its mistake is luck.
    """

    seconds = UNHURRIED_SECONDS


BELONGINGS: dict[str, type[Belongings]] = {
    "lost_update": LostUpdate,
    "doubled": Doubled,
    "stale_read": StaleRead,
    "leak": Leak,
    "drops_field": DropsField,
    **spoilt_state.BELONGINGS,
    **spoilt_between.BELONGINGS,
}
SESSIONS: dict[str, type[RedisSessions]] = {
    "logs_out": RefusesOldFormat,
    "short_life": ShortLife,
    "logout_stays": LogoutStays,
    **spoilt_state.SESSIONS,
    **spoilt_between.SESSIONS,
}
LIFE = ("never_ready", "early_ready", "no_drain", "late_leaver", "slow_start")
"""Mistakes in how a replica begins and ends; they stand where it does that, in `serve`. (To start slowly is none, nor
is to leave late.)"""
CHECKS = ("any_password", "skewed_clock")
"""Mistakes in what is checked; they stand where the parts are put together."""
AROUND: dict[str, Callable[[App], App]] = {
    "flaky": Flaky,
    "slow": Slow,
    "no_drain": Unhurried,
    **spoilt_answers.AROUND,
    **unusual.UNUSUAL,
}
"""What no probe finds: only what users get tells."""

SABOTAGES = ("", *dict.fromkeys((*BELONGINGS, *SESSIONS, *LIFE, *CHECKS, *AROUND)))


def passwords_of(sabotage: str, *, log2_n: int) -> Passwords:
    """How passwords are checked, rightly but for the one mistake in it."""
    kinds = {"any_password": spoilt_state.AnyPassword, "rehashes": spoilt_between.Rehashes}
    return kinds.get(sabotage, Passwords)(log2_n=log2_n)


def spoilt_sessions(sabotage: str, store: Store, *, session_format: int, now: Callable[[], float]) -> Sessions | None:
    """The sessions of this mistake, None if it is not about sessions."""
    kind = SESSIONS.get(sabotage)
    return kind(store, session_format=session_format, now=now) if kind else None
