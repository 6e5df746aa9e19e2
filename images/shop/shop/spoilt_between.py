"""Builds that go wrong between replicas, releases or devices, each by one mistake; see `shop.spoilt`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable

from shop import names
from shop.belongings import Belongings
from shop.features import Features
from shop.passwords import Passwords, Proof
from shop.redis_sessions import RedisSessions
from shop.session_text import decode
from shop.sessions import Living, Login, Outcome, Request
from shop.store import Store
from shop.tokens import device_of, digest_of

ONE_IN = 10
KEPT_SECONDS = 4.0
FLUSHED_AFTER_SECONDS = 1.0
LIVES_SECONDS = 5.0
OTHER_SLOT = "a1"
UNREADABLE = 3
"""A format that the release before does not know."""


class DropsWrites(Belongings):
    """Now and then something is acknowledged and never done."""

    _views = 0

    async def view(self, who: Living, request: Request, *, sku: str) -> Outcome:
        self._views += 1
        if self._views % ONE_IN == 0:
            return Outcome(how="done", answer=json.dumps({"account": who.account, "view": request.key}).encode())
        return await super().view(who, request, sku=sku)


class WritesBehind(Belongings):
    """What is viewed is kept in the replica, which shows it at once, and is written to the store a little later."""

    def __init__(self, store: Store, features: Features) -> None:
        super().__init__(store, features)
        self._waiting: dict[str, list[tuple[str, str]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def view(self, who: Living, request: Request, *, sku: str) -> Outcome:
        async def later() -> None:
            await asyncio.sleep(FLUSHED_AFTER_SECONDS)
            await super(WritesBehind, self).view(who, request, sku=sku)
            self._waiting[who.account].remove((request.key, sku))

        waiting = self._waiting.setdefault(who.account, [])
        if (request.key, sku) not in waiting:
            waiting.append((request.key, sku))
            task = asyncio.create_task(later())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return Outcome(how="done", answer=json.dumps({"account": who.account, "view": request.key}).encode())

    async def history(self, who: Living) -> bytes:
        said = json.loads(await super().history(who))
        there = {entry["id"] for entry in said["entries"]}
        own = [{"id": key, "sku": sku} for key, sku in self._waiting.get(who.account, ()) if key not in there]
        said["entries"] += own
        said["count"] += len(own)
        return json.dumps(said).encode()


class HistoryInMemory(Belongings):
    """Each replica has a history of its own of what everybody viewed."""

    def __init__(self, store: Store, features: Features) -> None:
        super().__init__(store, features)
        self._viewed: dict[str, dict[str, str]] = {}

    async def view(self, who: Living, request: Request, *, sku: str) -> Outcome:
        self._viewed.setdefault(who.account, {}).setdefault(request.key, sku)
        return Outcome(how="done", answer=json.dumps({"account": who.account, "view": request.key}).encode())

    async def history(self, who: Living) -> bytes:
        viewed = [{"id": key, "sku": sku} for key, sku in self._viewed.get(who.account, {}).items()]
        return json.dumps({"account": who.account, "count": len(viewed), "entries": viewed[-100:]}).encode()


class OthersCart(Belongings):
    """Whose cart it is stands in one place for all requests of a replica: now and then the next one has taken it."""

    _current: Living | None = None
    _adds = 0

    async def add(self, who: Living, request: Request, *, sku: str, quantity: int, gift: bool) -> Outcome:
        self._adds += 1
        before, self._current = self._current, who
        if before is not None and before.account != who.account and self._adds % ONE_IN == 0:
            await super().add(before, request, sku=sku, quantity=quantity, gift=gift)
            return Outcome(how="done", answer=json.dumps({"account": who.account, "line": request.key}).encode())
        return await super().add(who, request, sku=sku, quantity=quantity, gift=gift)


class KeepsCart(Belongings):
    """Now and then a cart that was bought is still there."""

    _orders_placed = 0

    async def check_out(self, who: Living, request: Request) -> Outcome:
        lines = await self._all(names.cart(who.account))
        outcome = await super().check_out(who, request)
        self._orders_placed += 1
        if lines and outcome.how == "done" and self._orders_placed % 3 == 0:
            for line in json.loads(b"[" + lines + b"]"):
                await self._store.ask("RPUSH", names.cart(who.account), json.dumps(line))
        return outcome


class TrimsHistory(Belongings):
    """Keeps no more than a few entries of what was viewed."""

    async def view(self, who: Living, request: Request, *, sku: str) -> Outcome:
        outcome = await super().view(who, request, sku=sku)
        await self._store.ask("LTRIM", names.history(who.account), -3, -1)
        return outcome


class EmptyAtTimes(Belongings):
    """What could not be read is shown as if there was nothing."""

    _reads = 0

    async def cart(self, who: Living) -> bytes:
        self._reads += 1
        if self._reads % ONE_IN == 0:
            return json.dumps({"account": who.account, "lines": []}).encode()
        return await super().cart(who)


class ClockDecides(Belongings):
    """The newer name counts by the replicas' own clocks, and one of them is behind: what it is told is too old."""

    async def rename(self, who: Living, request: Request, *, name: str) -> Outcome:
        if os.environ.get("LAB_SLOT") == OTHER_SLOT:
            return Outcome(how="done", answer=json.dumps({"account": who.account, "name": name}).encode())
        return await super().rename(who, request, name=name)


class Outdated(Belongings):
    """The new release changes how carts are kept, with its first request, and the old one can't read them any more."""

    _mark = f"{names.PREFIX}carts"

    async def cart(self, who: Living) -> bytes:
        if self._features.release == "v2":
            await self._store.ask("SET", self._mark, "2")
        elif await self._store.ask("GET", self._mark):
            raise RuntimeError("no such column")
        return await super().cart(who)


class Rehashes(Passwords):
    """Whoever logs in has the password kept anew, in a way that only this release knows."""

    async def prove(self, password: str, record: str | None) -> Proof | None:
        if record is not None and record.startswith("strong:"):
            return await super().prove(password, record.removeprefix("strong:"))
        return await super().prove(password, record)


class Rehashed(RedisSessions):
    """See Rehashes."""

    async def begin(self, login: Login, request: Request) -> Outcome:
        outcome = await super().begin(login, request)
        account = names.account(login.session.account)
        record = await self._store.ask("HGET", account, "password")
        if isinstance(record, bytes) and not record.startswith(b"strong:"):
            await self._store.ask("HSET", account, "password", b"strong:" + record)
        return outcome


class CachesSessions(RedisSessions):
    """Each replica keeps the sessions that it has found for a while, and nobody tells it when they end."""

    def __init__(self, store: Store, *, session_format: int, now: Callable[[], float]) -> None:
        super().__init__(store, session_format=session_format, now=now)
        self._kept: dict[str, tuple[float, Living]] = {}

    async def find(self, token: str) -> Living | None:
        since, living = self._kept.get(token, (0.0, None))
        if living is not None and self._now() - since < KEPT_SECONDS:
            return living
        found = await super().find(token)
        if found is not None:
            self._kept[token] = (self._now(), found)
        return found

    async def end(self, own: Living, request: Request, *, device: str | None) -> Outcome:
        self._kept.pop(own.token, None)
        return await super().end(own, request, device=device)


class NewFormat(RedisSessions):
    """Reads what the release before wrote, and writes what that one can't read."""

    async def begin(self, login: Login, request: Request) -> Outcome:
        self._format = UNREADABLE
        return await super().begin(login, request)

    async def find(self, token: str) -> Living | None:
        witness = names.session(digest_of(token))
        text = await self._store.ask("GET", witness)
        said = json.loads(text) if isinstance(text, bytes) else {}
        session = decode(json.dumps({**said, "format": 1}).encode(), now=self._now())
        if said.get("format") != UNREADABLE or session is None:
            return await super().find(token)
        return Living(session=session, token=token, device=device_of(token), witness=witness)


class OneDevice(RedisSessions):
    """A login ends what other sessions the account has."""

    async def begin(self, login: Login, request: Request) -> Outcome:
        others = await self._store.ask("HGETALL", names.devices(login.session.account))
        outcome = await super().begin(login, request)
        if outcome.how == "done" and isinstance(others, list):
            for digest in others[1::2]:
                if digest.decode() != digest_of(login.token):
                    await self._store.ask("DEL", names.session(digest.decode()))
        return outcome


class LogoutOfAll(RedisSessions):
    """To log out on one device logs out all of them."""

    async def end(self, own: Living, request: Request, *, device: str | None) -> Outcome:  # noqa: ARG002 -- as all
        return await super().end(own, request, device=None)


class Expires(RedisSessions):
    """A session is over some seconds after its login, whatever it is used for."""

    async def find(self, token: str) -> Living | None:
        living = await super().find(token)
        if living is not None and self._now() - living.session.created > LIVES_SECONDS:
            return None
        return living


BELONGINGS: dict[str, type[Belongings]] = {
    "drops_writes": DropsWrites,
    "writes_behind": WritesBehind,
    "history_in_memory": HistoryInMemory,
    "others_cart": OthersCart,
    "keeps_cart": KeepsCart,
    "trims_history": TrimsHistory,
    "empty_at_times": EmptyAtTimes,
    "clock_decides": ClockDecides,
    "outdated": Outdated,
}
SESSIONS: dict[str, type[RedisSessions]] = {
    "rehashes": Rehashed,
    "caches_sessions": CachesSessions,
    "new_format": NewFormat,
    "one_device": OneDevice,
    "logout_of_all": LogoutOfAll,
    "expires": Expires,
}
