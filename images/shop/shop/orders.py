"""Where orders are kept: in the store with everything else, or in a database of their own behind an outbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shop import names
from shop.refusals import StoreUnavailable
from shop.store import Argument, Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One order: its place in its account's history, the key that makes it one and the same, and its JSON text."""

    place: int
    key: str
    content: str


class Ledger(Protocol):
    """A database of orders. Both acts may be repeated; both raise StoreUnavailable where nobody answers."""

    async def put(self, account: str, orders: Sequence[Order]) -> None:
        """See to it that it has all of these, each once, in one commit."""
        ...

    async def all(self, account: str) -> list[str]:
        """The texts of the account's orders, by their places."""
        ...

    async def close(self) -> None: ...


class Orders(Protocol):
    """What becomes of a checkout's order."""

    def place(self, account: str, key: str) -> tuple[list[str], list[Argument]]:
        """The keys and arguments with which the checkout's script puts the order where it belongs."""
        ...

    async def settle(self, account: str) -> None:
        """Return once every order of the account that its script has taken is where it stays."""
        ...

    async def all(self, account: str) -> bytes:
        """The account's orders as JSON texts with commas between them, oldest first."""
        ...


class StoreOrders:
    """A list in the store: the script that empties the cart has already put the order where it stays."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def place(self, account: str, key: str) -> tuple[list[str], list[Argument]]:  # noqa: ARG002 -- as all
        return [names.orders(account)], []

    async def settle(self, account: str) -> None:
        """There is nothing left to do."""

    async def all(self, account: str) -> bytes:
        reply = await self._store.ask("LRANGE", names.orders(account), 0, -1)
        assert isinstance(reply, list)  # noqa: S101 -- what LRANGE answers if it answers
        return b",".join(reply)


class OutboxOrders:
    """Orders in a database, exactly once and in order, though no transaction spans it and the store.

    The script takes the cart and puts the order with its key and its number into the account's outbox, in the store.
    Whoever comes next, this request first of all, puts what is in the outbox into the database, where the key makes it
    one order however often that is done, and only then takes it out of the outbox. Whoever reads does the same before,
    so that an order that anybody was told of is always seen.
    """

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store, self._ledger = store, ledger

    def place(self, account: str, key: str) -> tuple[list[str], list[Argument]]:
        return [names.outbox(account), names.account(account)], [key]

    async def settle(self, account: str) -> None:
        waiting = await self._store.ask("LRANGE", names.outbox(account), 0, -1)
        assert isinstance(waiting, list)  # noqa: S101 -- what LRANGE answers if it answers
        if not waiting:
            return
        await self._ledger.put(account, [order_of(entry.decode()) for entry in waiting])
        try:
            await self._store.run("sent", keys=[names.outbox(account)], arguments=waiting)
        except StoreUnavailable:
            # They are where they stay; what is still in the outbox is put there once more, which changes nothing.
            return

    async def all(self, account: str) -> bytes:
        await self.settle(account)
        return ",".join(await self._ledger.all(account)).encode()


def order_of(entry: str) -> Order:
    """An entry of the outbox, as checkout.lua writes it: number, key and text with a space between them."""
    place, key, content = entry.split(" ", 2)
    return Order(place=int(place), key=key, content=content)
