"""The journey through the sample shop: every kind of operation, and enough reads to judge the writes by."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

from lab.model import Kind, Operation, Outcome
from lab.users import answers
from lab.users.device import Device
from lab.users.journey import Journey
from lab.users.story import Normalise

WEIGHTS: dict[Kind, int] = {
    Kind.VIEW: 24,
    Kind.ADD: 20,
    Kind.HISTORY: 11,
    Kind.CART: 11,
    Kind.REMOVE: 7,
    Kind.BROWSE: 7,
    Kind.RENAME: 5,
    Kind.ACCOUNT: 5,
    Kind.CHECKOUT: 4,
    Kind.ORDERS: 4,
    Kind.LOGOUT: 2,
}
"""How often a user means to do each thing, among 100; logins follow logouts."""

READS_DUE: dict[Kind, int] = {Kind.HISTORY: 4, Kind.CART: 4, Kind.ORDERS: 1, Kind.ACCOUNT: 2}
"""After so many writes of its own to what a kind reads, a device reads it next."""

WRITTEN: dict[Kind, tuple[Kind, ...]] = {
    Kind.VIEW: (Kind.HISTORY,),
    Kind.ADD: (Kind.CART,),
    Kind.REMOVE: (Kind.CART,),
    Kind.CHECKOUT: (Kind.ORDERS, Kind.CART),
    Kind.RENAME: (Kind.ACCOUNT,),
}
"""Which reads show what a write did."""

_OK, _REFUSED = Outcome.OK, Outcome.REFUSED
_ADD, _REMOVE = Kind.ADD, Kind.REMOVE
"""As plain names: looking one up on its class takes longer than a call."""

_Doing = Coroutine[Any, Any, Operation]
"""What an `async def` gives. What only passes one on is no coroutine itself, since each makes a request dearer."""

_PLAN = tuple(kind for kind, weight in WEIGHTS.items() for _ in range(weight))


class Shopper(Journey):
    """A user of the sample shop. `act` is one operation and always draws twice from `device.chance`."""

    __slots__ = ("_lines", "_skus", "_unread")

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._skus: tuple[str, ...] = ()
        """What is sold, as a path names it."""
        self._lines: dict[str, None] = {}
        """The cart's lines as far as this device knows; another device may have taken some."""
        self._unread: dict[Kind, int] = {}
        """How often the device wrote since it last read what shows it."""

    async def log_in(self) -> None:
        user = self.device.user
        body = {"account": user.name, "password": user.password}
        await self._write(Kind.LOGIN, "/login", body, normalise=answers.for_account)

    def act(self) -> Coroutine[Any, Any, Any]:
        draw = self.device.chance.random
        intent = _PLAN[int(draw() * len(_PLAN))]
        return _DOES[self._due_instead_of(intent)](self, draw())

    async def read_back(self) -> bool:
        is_whole = True
        for read in (self._read_history, self._read_cart, self._read_orders, self._read_account):
            operation = await read()
            if operation.session_rejected:  # the device is in a new session now: the state must still be there
                operation = await read()
            is_whole &= operation.outcome is _OK
        return is_whole

    def _due_instead_of(self, intent: Kind) -> Kind:
        """What comes before the intent: knowing what is sold, then reading what was written a few times."""
        if not self._skus:
            return Kind.BROWSE
        for read, times in self._unread.items():
            if times >= READS_DUE[read]:
                return read
        if intent is _REMOVE and not self._lines:
            return _ADD
        return intent

    # writes

    async def _write(
        self,
        kind: Kind,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        argument: str | int | None = None,
        normalise: Normalise,
    ) -> Operation:
        key = key or self.device.new_key()
        done = await self.device.do(kind, "POST", path, body, key=key, argument=argument, normalise=normalise)
        if done.outcome is not _REFUSED:
            for read in WRITTEN.get(kind, ()):
                self._unread[read] = self._unread.get(read, 0) + 1
        return done

    async def _log_out(self, _: float) -> Operation:
        """Log out, and see that what was good for the session before is good for nothing now."""
        ticket = self.device.ticket()
        done = await self._write(Kind.LOGOUT, "/logout", normalise=answers.for_account)
        if done.outcome is not _OK:
            return done
        return await self.device.do(Kind.ACCOUNT, "GET", "/account", normalise=answers.account_name, ticket=ticket)

    def _view(self, luck: float) -> _Doing:
        key = self.device.new_key()
        path = f"/items/{self._sku(luck)}/view"
        return self._write(Kind.VIEW, path, key=key, normalise=answers.viewed)

    async def _add(self, luck: float) -> Operation:
        key = self.device.new_key()
        quantity = 1 + int(luck * 9973) % 9
        body = {"sku": self._sku(luck), "quantity": quantity}
        normalise = answers.added
        done = await self._write(Kind.ADD, "/cart", body, key=key, argument=quantity, normalise=normalise)
        if done.outcome is _OK:
            self._lines[key] = None
        return done

    async def _remove(self, luck: float) -> Operation:
        line = tuple(self._lines)[int(luck * len(self._lines))]
        path = f"/cart/{quote(line, safe='')}/remove"
        done = await self._write(Kind.REMOVE, path, argument=line, normalise=answers.removed)
        self._lines.pop(line, None)
        return done

    async def _checkout(self, _: float) -> Operation:
        key = self.device.new_key()
        done = await self._write(Kind.CHECKOUT, "/checkout", key=key, normalise=answers.bought)
        if done.outcome is not _REFUSED:
            self._lines.clear()
        return done

    def _rename(self, _: float) -> _Doing:
        key = self.device.new_key()
        body = {"name": key}
        return self._write(Kind.RENAME, "/account/name", body, key=key, argument=key, normalise=answers.renamed)

    # reads

    async def _read(self, kind: Kind, path: str, normalise: Normalise) -> Operation:
        done = await self.device.do(kind, "GET", path, normalise=normalise)
        if done.outcome is _OK:
            self._unread.pop(kind, None)
        return done

    def _browse(self, luck: float) -> _Doing:
        if self._skus and luck < 0.5:
            path = f"/items/{self._sku(luck * 2)}"
            return self._read(Kind.BROWSE, path, answers.item)

        def see(said: Any) -> None:
            self._skus = tuple(sys.intern(quote(sku, safe="")) for sku in answers.skus(said))

        return self._read(Kind.BROWSE, "/", see)

    def _read_history(self, _: float = 0.0) -> _Doing:
        return self._read(Kind.HISTORY, "/history", answers.history)

    async def _read_cart(self, _: float = 0.0) -> Operation:
        done = await self._read(Kind.CART, "/cart", answers.cart)
        if done.outcome is _OK:
            self._lines = dict.fromkeys(done.answer)
        return done

    def _read_orders(self, _: float = 0.0) -> _Doing:
        return self._read(Kind.ORDERS, "/orders", answers.orders)

    def _read_account(self, _: float = 0.0) -> _Doing:
        return self._read(Kind.ACCOUNT, "/account", answers.account_name)

    def _sku(self, luck: float) -> str:
        return self._skus[int(luck * len(self._skus))]


_DOES: dict[Kind, Callable[[Shopper, float], _Doing]] = {
    Kind.VIEW: Shopper._view,
    Kind.ADD: Shopper._add,
    Kind.REMOVE: Shopper._remove,
    Kind.CHECKOUT: Shopper._checkout,
    Kind.RENAME: Shopper._rename,
    Kind.LOGOUT: Shopper._log_out,
    Kind.BROWSE: Shopper._browse,
    Kind.HISTORY: Shopper._read_history,
    Kind.CART: Shopper._read_cart,
    Kind.ORDERS: Shopper._read_orders,
    Kind.ACCOUNT: Shopper._read_account,
}
