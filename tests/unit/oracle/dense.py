"""Small, crowded histories on a tiny clock, full of ties and unknown outcomes; about half of them are wrong."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec.structs import replace

from lab.model import Kind, Operation, Outcome
from tests.unit.oracle.making import op

FAMILIES: dict[str, tuple[Kind, ...]] = {
    "history": (Kind.VIEW, Kind.VIEW, Kind.HISTORY, Kind.HISTORY),
    "name": (Kind.RENAME, Kind.RENAME, Kind.ACCOUNT, Kind.ACCOUNT, Kind.ACCOUNT),
    "cart": (Kind.ADD, Kind.REMOVE, Kind.CART, Kind.CHECKOUT, Kind.ORDERS),
    "removals": (Kind.ADD, Kind.REMOVE, Kind.REMOVE, Kind.REMOVE, Kind.CART),
}
READS = {Kind.HISTORY, Kind.ACCOUNT, Kind.CART, Kind.ORDERS}


class Shop:
    """The shop as it should be, for one user; `apply` gives the answer."""

    def __init__(self) -> None:
        self.history: list[str] = []
        self.cart: dict[str, int] = {}
        self.orders: list[list[Any]] = []
        self.name: str | None = None

    def apply(self, kind: Kind, key: str, argument: Any) -> Any:
        if kind is Kind.VIEW:
            self.history.append(key)
        elif kind is Kind.ADD:
            self.cart[key] = argument
        elif kind is Kind.RENAME:
            self.name = argument
        elif kind is Kind.REMOVE:
            return self.cart.pop(argument, None) is not None
        elif kind is Kind.CHECKOUT:
            bought, self.cart = self.cart, {}
            if bought:
                self.orders.append([key, dict(bought)])
            return bought
        else:
            return self.read(kind)
        return None

    def read(self, kind: Kind) -> Any:
        """What a read answers now."""
        if kind is Kind.HISTORY:
            return [len(self.history), self.history[-100:]]
        if kind is Kind.CART:
            return dict(self.cart)
        if kind is Kind.ORDERS:
            return [[key, dict(lines)] for key, lines in self.orders]
        return self.name if kind is Kind.ACCOUNT else None


def make_dense(chance: Random, family: str) -> list[Operation]:
    """One history of one user on one object, in the order in which its operations ended."""
    unknown, refused = chance.choice([0, 0.2, 0.5]), chance.choice([0, 0.1])
    wrong, idle = chance.choice([0, 0.1, 0.25]), chance.choice([0, 0, 0.15])
    width = chance.choice([0, 1, 3, 6])
    weights = [chance.choice([1, 2, 5]) for _ in FAMILIES[family]]
    shop, now = Shop(), 0
    made: list[Operation] = []
    lines: list[str] = []
    for number in range(chance.randint(2, 9)):
        kind = chance.choices(FAMILIES[family], weights)[0]
        if kind is Kind.REMOVE and not lines:
            kind = Kind.ADD
        key = f"u.{number % 3}.{number}"
        argument: Any = None
        if kind is Kind.ADD:
            argument = chance.randint(1, 2)
            lines.append(key)
        elif kind is Kind.REMOVE:
            argument = chance.choice(lines)
        elif kind is Kind.RENAME:
            argument = key
        outcome = chance.choices(list(Outcome), [1 - unknown - refused, refused, unknown])[0]
        happens = chance.random() >= {Outcome.OK: idle, Outcome.REFUSED: 0.9, Outcome.UNKNOWN: 0.4}[outcome]
        answer = shop.apply(kind, key, argument) if happens else _guess(shop, kind)
        now += chance.choice([0, 1, 1, 2])
        begin, end = now - chance.randint(0, width), now + chance.randint(0, width)
        end += chance.choice([0, 9]) if outcome is Outcome.UNKNOWN else 0  # an answer is long waited for
        if chance.random() < wrong:
            slip = chance.randint(-4, 4)
            begin, end = begin + slip, end + slip
        made.append(
            op(
                kind,
                begin,
                end,
                None if kind in READS else key,
                argument=argument,
                answer=answer if outcome is Outcome.OK else None,
                outcome=outcome,
                device=f"u.{number % 3}",
            )
        )
    return sorted((_spoil(one, made, chance, wrong) for one in made), key=lambda one: (one.end, one.id))


def make_alone(chance: Random) -> list[Operation]:
    """A cart whose user does one thing at a time, and whose unknown writes take effect at once, later or never."""
    shop, late, made, lines = Shop(), list[tuple[Kind, str, Any]](), list[Operation](), list[str]()
    unknown, wrong, soon = chance.choice([0.2, 0.6]), chance.choice([0, 0.25]), chance.choice([0.3, 0.8])
    writes = Kind.CHECKOUT, Kind.ADD, Kind.REMOVE
    may_be_unknown = writes[: chance.randint(1, 3)]
    mixes = (Kind.ADD,), (Kind.ADD,) * 3 + (Kind.REMOVE,) * 2
    kinds = (*chance.choice(mixes), Kind.CART, Kind.CHECKOUT, Kind.ORDERS)
    for number in range(chance.randint(5, 12)):
        while late and chance.random() < soon:
            shop.apply(*late.pop(chance.randrange(len(late))))
        kind, key = chance.choice(kinds if lines else (Kind.ADD,)), f"u.1.{number}"
        argument: Any = {Kind.ADD: 1, Kind.REMOVE: chance.choice(lines or [""])}.get(kind)
        lines += [key] if kind is Kind.ADD else []
        is_unknown = kind in may_be_unknown and chance.random() < unknown
        begin, outcome, answer = 10 * number, Outcome.UNKNOWN if is_unknown else Outcome.OK, None
        if is_unknown:
            late.append((kind, key, argument))
        else:
            answer = shop.apply(kind, key, argument)
        written = None if kind in READS else key
        made.append(op(kind, begin, begin + 5, written, argument=argument, answer=answer, outcome=outcome))
    return [_spoil(one, made, chance, wrong) for one in made]


def _guess(shop: Shop, kind: Kind) -> Any:
    if kind is Kind.REMOVE:
        return False
    return dict(shop.cart) if kind is Kind.CHECKOUT else shop.read(kind)


def _spoil(one: Operation, made: list[Operation], chance: Random, wrong: float) -> Operation:
    """Now and then an answer is another one's."""
    if one.outcome is not Outcome.OK or chance.random() >= wrong:
        return one
    if one.kind is Kind.ACCOUNT:
        return replace(one, answer=chance.choice([two.argument for two in made if two.kind is Kind.RENAME] or [None]))
    if one.kind is Kind.REMOVE:
        return replace(one, answer=not one.answer)
    others = [two for two in made if two.kind is one.kind and two.outcome is Outcome.OK]
    return replace(one, answer=chance.choice(others).answer)
