"""What belongs to an account: its history, cart, orders and display name."""

from __future__ import annotations

import json

from shop import names
from shop.features import Features
from shop.orders import Orders, StoreOrders
from shop.sessions import Living, Outcome, Request
from shop.store import Argument, Store

HISTORY_KEPT = 1000
HISTORY_SHOWN = 100
MOST_LINES = 500


class Belongings:
    """Every change is one script: its effect and the record of its answer happen together or not at all.

    A change needs a living session at the instant it takes effect, so that what comes late can't outlive a logout.
    """

    def __init__(self, store: Store, features: Features) -> None:
        self._store = store
        self._features = features
        self._orders: Orders = StoreOrders(store)

    def keep_orders_in(self, orders: Orders) -> None:
        """Orders are kept there rather than in the store. Called before the first request, if at all."""
        self._orders = orders

    async def view(self, who: Living, request: Request, *, sku: str) -> Outcome:
        """Put one entry at the end of the recently viewed."""
        answer = _text({"account": who.account, "view": request.key})
        entry = _text({"id": request.key, "sku": sku})
        keys = [names.history(who.account), names.account(who.account)]
        return await self._change("view", who, request, keys, [answer, entry, HISTORY_KEPT])

    async def add(self, who: Living, request: Request, *, sku: str, quantity: int, gift: bool) -> Outcome:
        """Put one line into the cart; whether it is a gift only if this release knows of gifts."""
        answer = _text({"account": who.account, "line": request.key})
        line: dict[str, str | int | bool] = {"id": request.key, "sku": sku, "quantity": quantity}
        if self._features.gift_wrapping:
            line["gift"] = gift
        return await self._change("add", who, request, [names.cart(who.account)], [answer, _text(line), MOST_LINES])

    async def remove(self, who: Living, request: Request, *, line: str) -> Outcome:
        """Take one line out of the cart, and say whether it was there."""
        answers = [_text({"account": who.account, "removed": there}) for there in (True, False)]
        return await self._change("remove", who, request, [names.cart(who.account)], [*answers, line])

    async def check_out(self, who: Living, request: Request) -> Outcome:
        """Turn the whole cart into one order, or into none if it is empty."""
        answer = f'{{"account":"{who.account}","order":"{request.key}","lines":['
        empty = f'{{"account":"{who.account}","order":null,"lines":[]}}'
        order = f'{{"id":"{request.key}","lines":['
        keys, arguments = self._orders.place(who.account, request.key)
        keys = [names.cart(who.account), *keys]
        outcome = await self._change("checkout", who, request, keys, [answer, empty, order, *arguments])
        if outcome.how in {"done", "stored"}:
            await self._orders.settle(who.account)
        return outcome

    async def rename(self, who: Living, request: Request, *, name: str) -> Outcome:
        """Set the display name."""
        answer = _text({"account": who.account, "name": name})
        return await self._change("rename", who, request, [names.account(who.account)], [answer, name])

    async def history(self, who: Living) -> bytes:
        """How many items were ever viewed, and the newest hundred."""
        count, *entries = await self._store.run(
            "history", keys=[names.history(who.account), names.account(who.account)], arguments=[HISTORY_SHOWN]
        )
        return b'{"account":"%b","count":%d,"entries":[%b]}' % (
            who.account.encode(),
            int(count),
            b",".join(entries),
        )

    async def cart(self, who: Living) -> bytes:
        """The cart's lines in order of adding."""
        lines = await self._all(names.cart(who.account))
        return b'{"account":"%b","lines":[%b]}' % (who.account.encode(), lines)

    async def orders(self, who: Living) -> bytes:
        """Every order, oldest first."""
        orders = await self._orders.all(who.account)
        return b'{"account":"%b","orders":[%b]}' % (who.account.encode(), orders)

    async def name(self, who: Living) -> str | None:
        """The display name, None if it was never set."""
        reply = await self._store.ask("HGET", names.account(who.account), "name")
        return reply.decode() if isinstance(reply, bytes) else None

    async def _all(self, key: str) -> bytes:
        reply = await self._store.ask("LRANGE", key, 0, -1)
        assert isinstance(reply, list)  # noqa: S101 -- what LRANGE answers if it answers
        return b",".join(reply)

    async def _change(
        self, script: str, who: Living, request: Request, keys: list[str], arguments: list[Argument]
    ) -> Outcome:
        how, answer = await self._store.run(
            script,
            keys=[names.done(who.account, request.key), who.witness, *keys],
            arguments=[request.fingerprint, names.DONE_SECONDS, *arguments],
        )
        return Outcome(how=how.decode(), answer=answer)


def _text(fields: dict[str, str | int | bool]) -> str:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
