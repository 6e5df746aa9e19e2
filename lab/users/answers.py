"""What the sample shop promises to answer, and the shape in which the record keeps it.

Each function takes an answer's decoded JSON and raises where it has another shape; `account` is demanded wherever
somebody must be logged in.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, convert

from lab.users.story import Normalise


class _ForAccount(Struct):
    account: str


class _Viewed(_ForAccount):
    view: str

    @property
    def echo(self) -> str:
        return self.view


class _Added(_ForAccount):
    line: str

    @property
    def echo(self) -> str:
        return self.line


class _Account(_ForAccount):
    name: str | None

    @property
    def echo(self) -> str | None:
        return self.name


class _Removed(_ForAccount):
    removed: bool


class _Entry(Struct):
    id: str


class _History(_ForAccount):
    count: int
    entries: list[_Entry]


class _Line(Struct):
    id: str
    quantity: int


class _Cart(_ForAccount):
    lines: list[_Line]


class _Bought(_ForAccount):
    order: str | None
    lines: list[_Line]


class _Order(Struct):
    id: str
    lines: list[_Line]


class _Orders(_ForAccount):
    orders: list[_Order]


class _Sold(Struct):
    sku: str


class _Item(Struct):
    item: _Sold


class _Catalogue(Struct):
    items: list[_Sold]


def for_account(said: Any) -> None:
    convert(said, _ForAccount)


def _echo_of(shape: type[_Viewed | _Added | _Account], key: str) -> Normalise:
    """Demands that the answer names the very thing that was written: another's answer is no answer."""

    def normalise(said: Any) -> None:
        if convert(said, shape).echo != key:
            raise ValueError(f"the answer is not about {key}")

    return normalise


def removed(said: Any) -> bool:
    return convert(said, _Removed).removed


def history(said: Any) -> list[Any]:
    seen = convert(said, _History)
    return [seen.count, [entry.id for entry in seen.entries]]


def cart(said: Any) -> dict[str, int]:
    return _quantities(convert(said, _Cart).lines)


def orders(said: Any) -> list[Any]:
    return [[order.id, _quantities(order.lines)] for order in convert(said, _Orders).orders]


def bought_as(key: str) -> Normalise:
    def normalise(said: Any) -> dict[str, int]:
        bought = convert(said, _Bought)
        if bought.order is None:
            return {}
        if bought.order != key:
            raise ValueError(f"the answer is not about {key}")
        return _quantities(bought.lines)

    return normalise


def account_name(said: Any) -> str | None:
    return convert(said, _Account).name


def item(said: Any) -> None:
    convert(said, _Item)


def skus(said: Any) -> list[str]:
    """The catalogue: what is sold."""
    return [sold.sku for sold in convert(said, _Catalogue).items]


def viewed(key: str) -> Normalise:
    return _echo_of(_Viewed, key)


def added(key: str) -> Normalise:
    return _echo_of(_Added, key)


def renamed(key: str) -> Normalise:
    return _echo_of(_Account, key)


def _quantities(lines: list[_Line]) -> dict[str, int]:
    """Quantity by line; a line that is listed twice shows its sum, so that a doubled one can't hide."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.id] = quantities.get(line.id, 0) + line.quantity
    return quantities
