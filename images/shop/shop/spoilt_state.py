"""Builds that keep, change or show what belongs to an account wrongly, each by one mistake; see `shop.spoilt`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from shop import names
from shop.belongings import Belongings
from shop.catalogue import ITEMS
from shop.passwords import Passwords, Proof
from shop.redis_sessions import RedisSessions
from shop.sessions import Living, Outcome, Request
from shop.store import Argument
from shop.tokens import digest_of, new_token

APPLIED_AFTER_SECONDS = 0.4
BACK_AFTER_SECONDS = 1.0
ONE_IN = 5


class ForgetsKeys(Belongings):
    """Nobody remembers which request was done: whatever is sent again is done again."""

    async def _change(
        self, script: str, who: Living, request: Request, keys: list[str], arguments: list[Argument]
    ) -> Outcome:
        return await super()._change(script, who, replace(request, key=new_token()), keys, arguments)


class KeysPerReplica(Belongings):
    """Each replica remembers for itself which requests were done: a repeat elsewhere is done again."""

    _mine = new_token()

    async def _change(
        self, script: str, who: Living, request: Request, keys: list[str], arguments: list[Argument]
    ) -> Outcome:
        own = replace(request, key=f"{self._mine}.{request.key}")
        return await super()._change(script, who, own, keys, arguments)


class WritesLater(Belongings):
    """Says that it is done, and does it a little later."""

    _tasks: set[asyncio.Task[Outcome]] = set()  # noqa: RUF012 -- one replica has one of these

    async def view(self, who: Living, request: Request, *, sku: str) -> Outcome:
        async def later() -> Outcome:
            await asyncio.sleep(APPLIED_AFTER_SECONDS)
            return await super(WritesLater, self).view(who, request, sku=sku)

        task = asyncio.create_task(later())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Outcome(how="done", answer=json.dumps({"account": who.account, "view": request.key}).encode())


class OtherItem(Belongings):
    """Now and then something else is put into the cart than was asked for."""

    _adds = 0

    async def add(self, who: Living, request: Request, *, sku: str, quantity: int, gift: bool) -> Outcome:
        self._adds += 1
        if self._adds % ONE_IN == 0:
            sku = next(item.sku for item in ITEMS if item.sku != sku)
        return await super().add(who, request, sku=sku, quantity=quantity, gift=gift)


class ForgetsGifts(Belongings):
    """What was to be wrapped is not."""

    async def add(self, who: Living, request: Request, *, sku: str, quantity: int, gift: bool) -> Outcome:  # noqa: ARG002
        return await super().add(who, request, sku=sku, quantity=quantity, gift=False)


class KeepsRemoved(Belongings):
    """Now and then a line is said to be removed, and stays."""

    _removals = 0

    async def remove(self, who: Living, request: Request, *, line: str) -> Outcome:
        self._removals += 1
        if self._removals % ONE_IN == 0:
            return Outcome(how="done", answer=json.dumps({"account": who.account, "removed": True}).encode())
        return await super().remove(who, request, line=line)


class ShortNames(Belongings):
    """Names are cut at twenty characters, and nobody is told."""

    async def rename(self, who: Living, request: Request, *, name: str) -> Outcome:
        await super().rename(who, request, name=name[:20])
        return Outcome(how="done", answer=json.dumps({"account": who.account, "name": name}).encode())


class PlainNames(Belongings):
    """What is not ASCII becomes a question mark, and nobody is told."""

    async def rename(self, who: Living, request: Request, *, name: str) -> Outcome:
        await super().rename(who, request, name=name.encode("ascii", "replace").decode())
        return Outcome(how="done", answer=json.dumps({"account": who.account, "name": name}).encode())


class _ShowsOtherwise(Belongings):
    """What is kept is right, and shown wrongly."""

    async def orders(self, who: Living) -> bytes:
        said = json.loads(await super().orders(who))
        said["orders"] = self.shown_orders(said["orders"])
        return json.dumps(said).encode()

    async def history(self, who: Living) -> bytes:
        said = json.loads(await super().history(who))
        said["entries"] = self.shown_entries(said["entries"])
        return json.dumps(said).encode()

    def shown_orders(self, orders: list[Any]) -> list[Any]:
        return orders

    def shown_entries(self, entries: list[Any]) -> list[Any]:
        return entries


class HidesOrder(_ShowsOtherwise):
    """The first order is not listed any more once there are two."""

    def shown_orders(self, orders: list[Any]) -> list[Any]:
        return orders[1:] if len(orders) > 1 else orders


class DoublesOrder(_ShowsOtherwise):
    """The last order is listed twice."""

    def shown_orders(self, orders: list[Any]) -> list[Any]:
        return [*orders, *orders[-1:]]


class CutsOrder(_ShowsOtherwise):
    """An order of several lines lacks its last one."""

    def shown_orders(self, orders: list[Any]) -> list[Any]:
        return [{**one, "lines": one["lines"][:-1] if len(one["lines"]) > 1 else one["lines"]} for one in orders]


class TurnsHistory(_ShowsOtherwise):
    """The last two entries are in the wrong order."""

    def shown_entries(self, entries: list[Any]) -> list[Any]:
        return [*entries[:-2], *reversed(entries[-2:])]


class AnyPassword(Passwords):
    """Lets everybody in who gives any password: whoever is known is believed."""

    async def prove(self, password: str, record: str | None) -> Proof | None:
        proof = await super().prove(password, record)
        if proof is not None:
            return proof
        made = await super().prove(password, None)
        return None if made is None else replace(made, record=None)


class EndsComeBack(RedisSessions):
    """Somebody's job writes sessions back that had been read before they were ended."""

    async def end(self, own: Living, request: Request, *, device: str | None) -> Outcome:
        text = await self._store.ask("GET", own.witness)
        outcome = await super().end(own, request, device=device)

        async def later() -> None:
            await asyncio.sleep(BACK_AFTER_SECONDS)
            if isinstance(text, bytes):
                await self._store.ask("SET", names.session(digest_of(own.token)), text, "EX", names.IDLE_SECONDS)

        self._task = asyncio.create_task(later())
        return outcome


BELONGINGS: dict[str, type[Belongings]] = {
    "forgets_keys": ForgetsKeys,
    "keys_per_replica": KeysPerReplica,
    "writes_later": WritesLater,
    "other_item": OtherItem,
    "forgets_gifts": ForgetsGifts,
    "keeps_removed": KeepsRemoved,
    "short_names": ShortNames,
    "plain_names": PlainNames,
    "hides_order": HidesOrder,
    "doubles_order": DoublesOrder,
    "cuts_order": CutsOrder,
    "turns_history": TurnsHistory,
}
SESSIONS: dict[str, type[RedisSessions]] = {"ends_come_back": EndsComeBack}
