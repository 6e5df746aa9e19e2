"""Orders across two stores: in the outbox until they are in the database, and there once however often they are put."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from shop import names
from shop.orders import Order, OutboxOrders, StoreOrders, order_of
from shop.refusals import StoreUnavailable
from shop.store import Argument


class ListStore:
    """As much of the store as an outbox needs: lists, read and shortened."""

    def __init__(self) -> None:
        self.lists: dict[str, list[bytes]] = {}
        self.is_silent = False

    async def ask(self, *command: Argument) -> object:
        assert command[0] == "LRANGE"
        return list(self.lists.get(str(command[1]), []))

    async def run(self, name: str, *, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> list[bytes]:
        assert name == "sent"
        if self.is_silent:
            raise StoreUnavailable("no answer", not_applied=False)
        self.lists[keys[0]] = [one for one in self.lists[keys[0]] if one not in arguments]
        return []


class DictLedger:
    """A database that knows each key once."""

    def __init__(self) -> None:
        self.orders: dict[tuple[str, str], Order] = {}
        self.is_dead = False
        self.puts = 0

    async def put(self, account: str, orders: Sequence[Order]) -> None:
        self._check()
        self.puts += 1
        for one in orders:
            self.orders.setdefault((account, one.key), one)

    async def all(self, account: str) -> list[str]:
        self._check()
        mine = [order for (owner, _), order in self.orders.items() if owner == account]
        return [one.content for one in sorted(mine, key=lambda one: one.place)]

    async def close(self) -> None:
        """Nothing is held."""

    def _check(self) -> None:
        if self.is_dead:
            raise StoreUnavailable("orders: dead", not_applied=False)


@pytest.fixture
def store() -> ListStore:
    store = ListStore()
    store.lists[names.outbox("ann")] = [b'1 k1 {"id":"k1","lines":[]}', b'2 k2 {"id":"k2","lines":[]}']
    return store


def test_an_entry_is_number_key_and_text() -> None:
    """The text may hold spaces, as other releases may write them."""
    assert order_of('12 key-1 {"id": "key-1"}') == Order(place=12, key="key-1", content='{"id": "key-1"}')


def test_settling_moves_the_outbox_into_the_database(store: ListStore) -> None:
    """In order, and nothing is left behind."""
    ledger = DictLedger()
    orders = OutboxOrders(store, ledger)  # type: ignore[arg-type]
    asyncio.run(orders.settle("ann"))
    assert asyncio.run(orders.all("ann")) == b'{"id":"k1","lines":[]},{"id":"k2","lines":[]}'
    assert store.lists[names.outbox("ann")] == []
    assert ledger.puts == 1


def test_a_dead_database_leaves_everything_in_the_outbox(store: ListStore) -> None:
    """The repeat finds it there and finishes it; readers are told nothing rather than half of it."""
    ledger = DictLedger()
    orders = OutboxOrders(store, ledger)  # type: ignore[arg-type]
    ledger.is_dead = True
    for attempt in (orders.settle, orders.all):
        with pytest.raises(StoreUnavailable) as told:
            asyncio.run(attempt("ann"))
        assert not told.value.not_applied
    assert len(store.lists[names.outbox("ann")]) == 2
    ledger.is_dead = False
    assert asyncio.run(orders.all("ann")).count(b'"id"') == 2


def test_what_could_not_be_taken_out_of_the_outbox_is_put_again_and_stays_one(store: ListStore) -> None:
    """The order is where it stays, so the request is answered; the next one cleans up."""
    ledger = DictLedger()
    orders = OutboxOrders(store, ledger)  # type: ignore[arg-type]
    store.is_silent = True
    asyncio.run(orders.settle("ann"))
    store.is_silent = False
    assert asyncio.run(orders.all("ann")).count(b'"id"') == 2
    assert ledger.puts == 2
    assert store.lists[names.outbox("ann")] == []


def test_a_reader_needs_no_database_where_the_store_keeps_the_orders(store: ListStore) -> None:
    """The list is the store's own."""
    store.lists[names.orders("ann")] = [b"{}", b"{}"]
    orders = StoreOrders(store)  # type: ignore[arg-type]
    asyncio.run(orders.settle("ann"))
    assert asyncio.run(orders.all("ann")) == b"{},{}"
    assert orders.place("ann", "k") == ([names.orders("ann")], [])
