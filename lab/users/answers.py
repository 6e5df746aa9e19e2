"""What the sample shop promises to answer, and the shape in which the record keeps it.

Each reading takes an answer of one shape and rejects any other; `account` is demanded wherever somebody must be
logged in. What a user puts in follows from the key it is put in with (`sku_of`, `is_gift`, `name_for`), so that whoever
reads it, on whichever device, knows what must be there: an answer that shows something else is Wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from html import unescape
from typing import Any, NamedTuple
from zlib import crc32

from msgspec import Struct, convert, field
from msgspec.json import Decoder

from lab.users.story import Reading, Wrong

LOOKED_AT = 16
"""Entries of a long list that are compared with what was put in each time: the newest ones, and some of the others."""
LONGEST_NAME = 80
"""Characters that the shop takes as a display name."""
_HARD_TO_WRITE = ("Ærøskøbing 漢字 🛒 " * LONGEST_NAME)[:LONGEST_NAME]


class _ForAnybody(Struct, kw_only=True, gc=False):
    account: Any = None
    """None is expected, but whoever is named will be heard of."""


class _ForAccount(Struct, gc=False):
    account: str


class _Viewed(_ForAccount, gc=False):
    view: str


class _Added(_ForAccount, gc=False):
    line: str


class _Account(_ForAccount, gc=False):
    name: str | None


class _Removed(_ForAccount, gc=False):
    removed: bool


class _Entry(Struct, gc=False):
    id: str
    sku: str


class _History(_ForAccount, gc=False):
    count: int
    entries: list[_Entry]


class _Line(Struct, gc=False):
    id: str
    quantity: int
    sku: str
    gift: bool | None = None
    """Only what a release that knows of gifts has put in says so."""


class _Cart(_ForAccount, gc=False):
    lines: list[_Line]


class _Bought(_ForAccount, gc=False):
    order: str | None
    lines: list[_Line]


class _Order(Struct, gc=False):
    id: str
    lines: list[_Line]


class _Orders(_ForAccount, gc=False):
    orders: list[_Order]


class _Device(Struct, gc=False):
    id: str
    current: bool


class _Devices(_ForAccount, gc=False):
    devices: list[_Device]


class _Item(Struct, gc=False):
    sku: str
    name: str
    price: int


class _OneItem(_ForAnybody, gc=False):
    item: _Item


class _Catalogue(Struct, gc=False):
    items: list[_Item]


class _Joined(Struct, gc=False):
    joined: str = field(name="account")

    @property
    def account(self) -> None:
        """It is for the account that was made by it, not for who made it."""


class Sold(NamedTuple):
    """One thing that the shop sells, as it says."""

    sku: str
    name: str
    price: int


def sold(said: Any) -> tuple[Sold, ...]:
    """The catalogue's decoded JSON: what is sold, in order of the names by which paths know it."""
    return tuple(sorted(Sold(one.sku, one.name, one.price) for one in convert(said, _Catalogue).items))


def name_for(key: str) -> str:
    """The display name that is set with this key: it begins with the key, and some are long or hard to write."""
    turn = crc32(key.encode()) % 8
    if turn == 0:
        return f"{key} {_HARD_TO_WRITE}"[:LONGEST_NAME].strip()
    if turn == 1:
        return f"{key} Zoë Ñandú"
    return f'{key} <b>"R&D"</b>' if turn == 2 else key


def is_gift(key: str) -> bool:
    """Whether the line that is added with this key is to be wrapped."""
    return crc32(key.encode()) % 5 == 0


def sku_of(key: str, catalogue: Sequence[Sold]) -> str:
    """What is viewed or added with this key."""
    return catalogue[crc32(key.encode()) % len(catalogue)].sku


def _must_name(what: str | None, key: str | None) -> None:
    """Demands that the answer names the very thing that was written: another's answer is no answer."""
    if what != key:
        raise ValueError(f"the answer is not about {key}")


def _quantities(lines: list[_Line]) -> dict[str, int]:
    """Quantity by line; a line that is listed twice shows its sum, so that a doubled one can't hide."""
    quantities = {line.id: line.quantity for line in lines}
    if len(quantities) != len(lines):
        quantities = {}
        for line in lines:
            quantities[line.id] = quantities.get(line.id, 0) + line.quantity
    return quantities


class Readings:
    """How answers of a shop are read that sells this; empty: as long as nobody knows what it sells."""

    def __init__(self, catalogue: tuple[Sold, ...]) -> None:
        self._catalogue = catalogue
        self._items = {one.sku: one for one in catalogue}
        self._skus = [one.sku for one in catalogue]
        self.history = Reading(_history, self._keep_history)
        self.history_page = Reading(_read_history_page, self._keep_history)
        self.cart = Reading(_cart, lambda seen, _: self._kept(_quantities(seen.lines), seen.lines))
        self.cart_page = Reading(_read_cart_page, self.cart.keep)
        self.orders = Reading(_orders, self._keep_orders)
        self.orders_page = Reading(_read_orders_page, self._keep_orders)
        self.bought = Reading(_bought, self._keep_bought)
        self.item = Reading(_item, self._keep_item)

    def _keep_history(self, seen: _History, _: Any) -> Any:
        entries = seen.entries
        return self._kept([seen.count, [entry.id for entry in entries]], entries)

    def _keep_orders(self, seen: _Orders, _: Any) -> Any:
        answer = [[order.id, _quantities(order.lines)] for order in seen.orders]
        return self._kept(answer, [line for order in _some(seen.orders) for line in order.lines])

    def _keep_bought(self, seen: _Bought, key: str | None) -> Any:
        if seen.order is None:
            return {}
        _must_name(seen.order, key)
        return self._kept(_quantities(seen.lines), seen.lines)

    def _keep_item(self, seen: _OneItem, sku: Any) -> None:
        item, known = seen.item, self._items.get(sku)
        if known is not None and known != (item.sku, item.name, item.price):
            raise Wrong(
                None, f"{known.name} for {known.price} is sold as {sku}, and {item.name} for {item.price} shown"
            )

    def _kept(self, answer: Any, shown: Sequence[_Entry | _Line]) -> Any:
        """The answer, if what it shows is what was put in."""
        if self._skus:
            skus, many = self._skus, len(self._skus)
            for one in shown if len(shown) <= LOOKED_AT else _some(shown):
                number = crc32(one.id.encode())
                if one.sku != skus[number % many]:
                    raise Wrong(answer, f"{one.id} is {sku_of(one.id, self._catalogue)}, and {one.sku} is shown")
                if type(one) is _Line and one.gift is not None and one.gift is not (number % 5 == 0):
                    raise Wrong(answer, f"{one.id} is {'' if is_gift(one.id) else 'not '}to be wrapped as a gift")
        return answer


def _some(shown: Sequence[Any]) -> Sequence[Any]:
    """The newest of many, and each time others of the older ones."""
    if len(shown) <= LOOKED_AT:
        return shown
    half = LOOKED_AT // 2
    first = len(shown) * 7 % (len(shown) - half)
    return (*shown[first : first + half], *shown[-half:])


@lru_cache(maxsize=16)
def readings_of(catalogue: tuple[Sold, ...]) -> Readings:
    """The same for the same catalogue: a crowd shares them."""
    return Readings(catalogue)


# ---------------------------------------------------------------- pages, as browsers show them

_ACCOUNT = re.compile(r"logged in as <b>([^<]*)</b>")
_VIEWED = re.compile(r"(\d+) viewed so far")
_ENTRY = re.compile(r'<li data-id="([^"]*)" data-sku="([^"]*)">')
_LINE = re.compile(r'<li class="line" data-id="([^"]*)" data-sku="([^"]*)" data-quantity="(\d+)">')
_ORDER = re.compile(r'<section class="sheet" data-order="([^"]*)">(.*?)</section>', re.DOTALL)
_NAME = re.compile(r'<input name="name"[^>]* value="([^"]*)"')
_PAGE = re.compile(r"<h1>([^<]*)</h1>")
_TITLES = {"history": "Recently viewed", "cart": "Your cart", "orders": "Your orders"}


def _page(body: bytes, what: str = "") -> tuple[str, str]:
    """A page's text and whose it is. Raises ValueError for another page."""
    text = body.decode()
    account, title = _ACCOUNT.search(text), _PAGE.search(text)
    if account is None or title is None or (what and title[1] != _TITLES[what]):
        raise ValueError("this is another page")
    return text, account[1]


def _lines_in(text: str) -> list[_Line]:
    return [_Line(id=line, sku=sku, quantity=int(quantity)) for line, sku, quantity in _LINE.findall(text)]


def _read_history_page(body: bytes) -> _History:
    text, account = _page(body, "history")
    count = _VIEWED.search(text)
    if count is None:
        raise ValueError("it does not say how many were viewed")
    entries = [_Entry(id=entry, sku=sku) for entry, sku in reversed(_ENTRY.findall(text))]
    return _History(account=account, count=int(count[1]), entries=entries)


def _read_cart_page(body: bytes) -> _Cart:
    text, account = _page(body, "cart")
    return _Cart(account=account, lines=_lines_in(text))


def _read_orders_page(body: bytes) -> _Orders:
    text, account = _page(body, "orders")
    orders = [_Order(id=order, lines=_lines_in(inner)) for order, inner in reversed(_ORDER.findall(text))]
    return _Orders(account=account, orders=orders)


def _read_account_page(body: bytes) -> _Account:
    text, account = _page(body)
    name = _NAME.search(text)
    if name is None:
        raise ValueError("it shows no display name")
    return _Account(account=account, name=unescape(name[1]) or None)


# ---------------------------------------------------------------- what needs no catalogue


def joined(name: str) -> Reading[_Joined]:
    """The answer to a login to this account, which is not the user's own."""
    return Reading(_joined, lambda seen, _: _must_name(seen.joined, name))


def _one_current(seen: _Devices, _: Any) -> int:
    """How many devices are listed, of which one at most is the one that asks.

    Sessions that are kept nowhere can't be listed: a list that lacks some, or is empty, breaks no promise.
    """
    current = sum(one.current for one in seen.devices)
    if current > 1 or len({one.id for one in seen.devices}) != len(seen.devices):
        raise Wrong(len(seen.devices), f"of {len(seen.devices)} devices listed {current} are the one that asks")
    return len(seen.devices)


_history, _cart, _orders = Decoder(_History).decode, Decoder(_Cart).decode, Decoder(_Orders).decode
_bought, _item, _joined = Decoder(_Bought).decode, Decoder(_OneItem).decode, Decoder(_Joined).decode

for_account = Reading(Decoder(_ForAccount).decode, lambda _, __: None)
viewed = Reading(Decoder(_Viewed).decode, lambda seen, key: _must_name(seen.view, key))
added = Reading(Decoder(_Added).decode, lambda seen, key: _must_name(seen.line, key))
renamed = Reading(Decoder(_Account).decode, lambda seen, key: _must_name(seen.name, name_for(key)))
removed = Reading(Decoder(_Removed).decode, lambda seen, _: seen.removed)
account_name = Reading(Decoder(_Account).decode, lambda seen, _: seen.name)
account_page = Reading(_read_account_page, lambda seen, _: seen.name)
devices = Reading(Decoder(_Devices).decode, _one_current)
