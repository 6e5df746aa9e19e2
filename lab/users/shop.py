"""The journey through the sample shop: every kind of operation, and enough reads to judge the writes by."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

from lab.model import Kind, Operation, Outcome
from lab.users import answers
from lab.users.answers import Sold
from lab.users.device import Device, Ticket
from lab.users.journey import Journey
from lab.users.request import PAGE
from lab.users.story import Normalise, Wrong

WEIGHTS: dict[Kind, int] = {
    Kind.VIEW: 46,
    Kind.ADD: 38,
    Kind.HISTORY: 22,
    Kind.CART: 22,
    Kind.REMOVE: 14,
    Kind.BROWSE: 13,
    Kind.RENAME: 10,
    Kind.ACCOUNT: 10,
    Kind.CHECKOUT: 8,
    Kind.ORDERS: 8,
    Kind.LOGOUT: 4,
    Kind.LOGIN: 1,
    Kind.DEVICES: 1,
    Kind.INTRUDE: 1,
    Kind.JOIN: 2,
}
"""How often a user means to do each thing, among 200; logins follow logouts, too."""

SENT_AGAIN = 16
"""One of so many writes is sent once more with its key after it was answered."""
READ_AS_PAGE = 8
"""One of so many reads is read as a browser does."""
WRONG_PASSWORDS = 4
"""So many a device tries in all: after ten within a minute the shop would lock its owner out."""
LOGINS_AT_ONCE, JOINED_FOR = 4, 4
"""An account beside the user's own is logged in to so often each time, at whatever replicas answer; and so many times
before there is another. What a release makes of an account at a login, others must be able to read."""
TICKETS_KEPT = 3
"""Cookies from before a logout that are shown again later."""

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
    """A user of the sample shop. `act` is an operation or a few, and always draws twice from `device.chance`."""

    __slots__ = (
        "_catalogue",
        "_is_read_due",
        "_joined",
        "_joined_left",
        "_lines",
        "_old_tickets",
        "_paths",
        "_readings",
        "_unread",
        "_wrong_passwords",
    )

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._catalogue: tuple[Sold, ...] = ()
        """What is sold."""
        self._paths: tuple[str, ...] = ()
        """The same, as a path names it."""
        self._readings = answers.readings_of(())
        self._lines: dict[str, None] = {}
        """The cart's lines as far as this device knows; another device may have taken some."""
        self._unread: dict[Kind, int] = {}
        """How often the device wrote since it last read what shows it."""
        self._is_read_due = False
        """Whether any of these is to be read next."""
        self._old_tickets: tuple[Ticket, ...] = ()
        self._wrong_passwords = 0
        self._joined = ""
        """The last account that was made beside the user's own."""
        self._joined_left = 0
        """So many times more it is logged in to."""

    async def log_in(self) -> None:
        await self._log_in()

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
        if not self._catalogue:
            return Kind.BROWSE
        if self._is_read_due:
            for read, times in self._unread.items():
                if times >= READS_DUE[read]:
                    return read
            self._is_read_due = False
        if intent is _REMOVE and not self._lines:
            return _ADD
        return intent

    # who one is

    async def _log_in(self, _: float = 0.0) -> Operation:
        """Log in, in another session if there is one."""
        user = self.device.user
        body = {"account": user.name, "password": user.password}
        return await self._write(Kind.LOGIN, "/login", body, normalise=answers.for_account)

    async def _log_out(self, _: float) -> Operation:
        """Log out, and see that what was good for the session before is good for nothing now."""
        ticket = self.device.ticket()
        done = await self._write(Kind.LOGOUT, "/logout", normalise=answers.for_account)
        if done.outcome is not _OK:
            return done
        self._old_tickets = (*self._old_tickets, ticket)[-TICKETS_KEPT:]
        return await self._show(ticket)

    async def _look_at_devices(self, _: float) -> Operation:
        """See where the account is logged in; a session that was ended long ago must be good for nothing still."""
        done = await self.device.do(Kind.DEVICES, "GET", "/devices", normalise=answers.devices)
        if self._old_tickets:
            ticket, *rest = self._old_tickets
            self._old_tickets = tuple(rest)
            await self._show(ticket)
        return done

    async def _intrude(self, luck: float) -> Operation:
        """Somebody who knows the account, and not its password."""
        if self._wrong_passwords >= WRONG_PASSWORDS:
            return await self._look_at_devices(luck)
        self._wrong_passwords += 1
        body = {"account": self.device.user.name, "password": f"not {self.device.user.password}"}
        return await self._as_stranger(Kind.INTRUDE, body, answers.for_account)

    async def _join(self, _: float) -> Operation:
        """Log in to another account, which the first login makes; the device stays where it is."""
        if not self._joined_left:
            self._joined, self._joined_left = self.device.new_key(), JOINED_FOR
        self._joined_left -= 1
        name = self._joined
        body = {"account": name, "password": self.device.user.password}
        for _again in range(LOGINS_AT_ONCE):
            done = await self._as_stranger(Kind.JOIN, body, answers.joined(name), argument=name)
        return done

    def _as_stranger(
        self, kind: Kind, body: object, normalise: Normalise, argument: str | None = None
    ) -> Coroutine[Any, Any, Operation]:
        """A login without cookies that the device does not follow."""
        key = self.device.new_key()
        nobody = Ticket(None, "")
        return self.device.do(
            kind, "POST", "/login", body, key=key, argument=argument, normalise=normalise, ticket=nobody
        )

    def _show(self, ticket: Ticket) -> _Doing:
        return self.device.do(Kind.ACCOUNT, "GET", "/account", normalise=answers.account_name, ticket=ticket)

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
        luck: float = 0.0,
    ) -> Operation:
        key = key or self.device.new_key()
        done = await self.device.do(
            kind,
            "POST",
            path,
            body,
            key=key,
            argument=argument,
            normalise=normalise,
            sends_again=_once_in(SENT_AGAIN, luck),
        )
        if done.outcome is not _REFUSED:
            for read in WRITTEN.get(kind, ()):
                self._unread[read] = times = self._unread.get(read, 0) + 1
                if times >= READS_DUE[read]:
                    self._is_read_due = True
        return done

    def _view(self, luck: float) -> _Doing:
        key = self.device.new_key()
        path = f"/items/{quote(answers.sku_of(key, self._catalogue), safe='')}/view"
        return self._write(Kind.VIEW, path, key=key, normalise=answers.viewed, luck=luck)

    async def _add(self, luck: float) -> Operation:
        key = self.device.new_key()
        quantity = 1 + int(luck * 9973) % 9
        body = {"sku": answers.sku_of(key, self._catalogue), "quantity": quantity, "gift": answers.is_gift(key)}
        done = await self._write(
            Kind.ADD, "/cart", body, key=key, argument=quantity, normalise=answers.added, luck=luck
        )
        if done.outcome is _OK:
            self._lines[key] = None
        return done

    async def _remove(self, luck: float) -> Operation:
        line = tuple(self._lines)[int(luck * len(self._lines))]
        path = f"/cart/{quote(line, safe='')}/remove"
        done = await self._write(Kind.REMOVE, path, argument=line, normalise=answers.removed, luck=luck)
        self._lines.pop(line, None)
        return done

    async def _checkout(self, luck: float) -> Operation:
        key = self.device.new_key()
        done = await self._write(Kind.CHECKOUT, "/checkout", key=key, normalise=self._readings.bought, luck=luck)
        if done.outcome is not _REFUSED:
            self._lines.clear()
        return done

    def _rename(self, luck: float) -> _Doing:
        key = self.device.new_key()
        name = answers.name_for(key)
        body = {"name": name}
        return self._write(
            Kind.RENAME, "/account/name", body, key=key, argument=name, normalise=answers.renamed, luck=luck
        )

    # reads

    async def _read(
        self, kind: Kind, path: str, normalise: Normalise, page: Normalise | None = None, luck: float = 0.0
    ) -> Operation:
        """Read, as a browser does if there is a `page` and luck has it so."""
        if page is not None and _once_in(READ_AS_PAGE, luck):
            done = await self.device.do(kind, "GET", path, PAGE, normalise=page)
        else:
            done = await self.device.do(kind, "GET", path, normalise=normalise)
        if done.outcome is _OK:
            self._unread.pop(kind, None)
        return done

    def _browse(self, luck: float) -> _Doing:
        if self._catalogue and luck < 0.5:
            number = int(luck * 2 * len(self._catalogue))
            return self.device.do(
                Kind.BROWSE,
                "GET",
                f"/items/{self._paths[number]}",
                argument=self._catalogue[number].sku,
                normalise=self._readings.item,
            )
        return self._read(Kind.BROWSE, "/", self._see_catalogue)

    def _see_catalogue(self, said: Any) -> None:
        seen = answers.sold(said)
        if self._catalogue and seen != self._catalogue:
            raise Wrong(None, "the shop sells other things, or for other prices, than before")
        self._readings = answers.readings_of(seen)
        self._catalogue = seen
        self._paths = tuple(sys.intern(quote(one.sku, safe="")) for one in seen)

    def _read_history(self, luck: float = 0.0) -> _Doing:
        readings = self._readings
        return self._read(Kind.HISTORY, "/history", readings.history, readings.history_page, luck)

    async def _read_cart(self, luck: float = 0.0) -> Operation:
        readings = self._readings
        done = await self._read(Kind.CART, "/cart", readings.cart, readings.cart_page, luck)
        if done.outcome is _OK:
            self._lines = dict.fromkeys(done.answer)
        return done

    def _read_orders(self, luck: float = 0.0) -> _Doing:
        readings = self._readings
        return self._read(Kind.ORDERS, "/orders", readings.orders, readings.orders_page, luck)

    def _read_account(self, luck: float = 0.0) -> _Doing:
        return self._read(Kind.ACCOUNT, "/account", answers.account_name, answers.account_page, luck)


def _once_in(many: int, luck: float) -> bool:
    """Whether luck, which decides other things by its upper digits, means one of so many; never where there is none."""
    return int(luck * 0x100000) % many == many - 1


_DOES: dict[Kind, Callable[[Shopper, float], _Doing]] = {
    Kind.LOGIN: Shopper._log_in,
    Kind.DEVICES: Shopper._look_at_devices,
    Kind.INTRUDE: Shopper._intrude,
    Kind.JOIN: Shopper._join,
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
