"""What the sample shop promises to answer, and the shape in which the record keeps it.

Each reading takes an answer of one shape and rejects any other; `account` is demanded wherever somebody must be
logged in.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, convert

from lab.users.story import Reading


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


class _History(_ForAccount, gc=False):
    count: int
    entries: list[_Entry]


class _Line(Struct, gc=False):
    id: str
    quantity: int


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


class _Sold(Struct, gc=False):
    sku: str


class _Item(_ForAnybody, gc=False):
    item: _Sold


class _Catalogue(Struct, gc=False):
    items: list[_Sold]


def skus(said: Any) -> list[str]:
    """The catalogue's decoded JSON: what is sold."""
    return [sold.sku for sold in convert(said, _Catalogue).items]


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


def _bought(seen: _Bought, key: str | None) -> dict[str, int]:
    if seen.order is None:
        return {}
    _must_name(seen.order, key)
    return _quantities(seen.lines)


for_account = Reading(_ForAccount, lambda _, __: None)
viewed = Reading(_Viewed, lambda seen, key: _must_name(seen.view, key))
added = Reading(_Added, lambda seen, key: _must_name(seen.line, key))
renamed = Reading(_Account, lambda seen, key: _must_name(seen.name, key))
removed = Reading(_Removed, lambda seen, _: seen.removed)
bought = Reading(_Bought, _bought)
history = Reading(_History, lambda seen, _: [seen.count, [entry.id for entry in seen.entries]])
cart = Reading(_Cart, lambda seen, _: _quantities(seen.lines))
orders = Reading(_Orders, lambda seen, _: [[order.id, _quantities(order.lines)] for order in seen.orders])
account_name = Reading(_Account, lambda seen, _: seen.name)
item = Reading(_Item, lambda _, __: None)
