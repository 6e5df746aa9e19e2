"""One anomaly at a time, planted into a valid history: what a buggy system would have answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Any

from msgspec.structs import replace

from lab.model import Kind, Operation, Outcome
from lab.oracle.promises import (
    APPLIED_ONCE,
    DEVICES_AGREE,
    LOGGED_IN,
    NAME_REGISTER,
    ORDERS_ONCE,
    OWN_DATA,
    STATE_KEPT,
    Anomaly,
)

_CART_WRITES = (Kind.ADD, Kind.REMOVE, Kind.CHECKOUT)

Changes = dict[int, Operation]
Mutation = Callable[[list[Operation], Random], Iterator[Changes]]
"""Yields ways to plant the anomaly into one user's operations, in time order."""

PLANTED: dict[str, tuple[Mutation, str, frozenset[str]]] = {}
"""By name: the mutation, the promise it breaks, and what it may be called."""


def planted(name: str, promise: str, *anomalies: Anomaly) -> Callable[[Mutation], Mutation]:
    """Register a mutation."""

    def register(mutation: Mutation) -> Mutation:
        PLANTED[name] = (mutation, promise, frozenset(anomalies))
        return mutation

    return register


def plant(name: str, history: Sequence[Operation], chance: Random) -> tuple[str, list[Operation]] | None:
    """The user who is hurt and the history with the anomaly, or None where there is no place for it."""
    users = sorted({one.user for one in history})
    chance.shuffle(users)
    for user in users:
        own = sorted((one for one in history if one.user == user), key=lambda one: one.begin)
        changes = next(PLANTED[name][0](own, chance), None)
        if changes:
            return user, [changes.get(one.id, one) for one in history]
    return None


def _ok(own: Sequence[Operation], *kinds: Kind) -> list[Operation]:
    return [one for one in own if one.kind in kinds and one.outcome is Outcome.OK]


def _is_sure(own: Sequence[Operation], *kinds: Kind) -> bool:
    return not any(one.kind in kinds and one.outcome is Outcome.UNKNOWN for one in own)


def _shuffled(chance: Random, operations: Sequence[Operation]) -> list[Operation]:
    mixed = list(operations)
    chance.shuffle(mixed)
    return mixed


# the recently viewed items


def _listed(own: Sequence[Operation]) -> list[str]:
    return max((one.answer[1] for one in _ok(own, Kind.HISTORY)), key=len, default=[])


def _relist(own: Sequence[Operation], change: Callable[[list[str]], list[str]]) -> Changes:
    changes = {}
    for read in _ok(own, Kind.HISTORY):
        shown = change(list(read.answer[1]))
        if shown != read.answer[1]:
            changes[read.id] = replace(read, answer=[len(shown), shown])
    return changes


def _without(key: str) -> Callable[[list[str]], list[str]]:
    return lambda shown: [one for one in shown if one != key]


def _swapped_at(at: int) -> Callable[[list[str]], list[str]]:
    return lambda shown: [*shown[:at], *shown[at : at + 2][::-1], *shown[at + 2 :]]


@planted("lost view", STATE_KEPT, Anomaly.LOST_WRITE)
def lose_view(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for view in _shuffled(chance, _ok(own, Kind.VIEW)):
        if any(read.begin > view.end for read in _ok(own, Kind.HISTORY)):
            yield _relist(own, _without(str(view.key)))


@planted("stale history", STATE_KEPT, Anomaly.STALE_READ)
def age_history(own: list[Operation], chance: Random) -> Iterator[Changes]:
    views = {one.key: one for one in _ok(own, Kind.VIEW)}
    for read in _shuffled(chance, _ok(own, Kind.HISTORY)):
        last = views.get(read.answer[1][-1]) if read.answer[1] else None
        later = [one for one in _ok(own, Kind.HISTORY) if one.end > read.end]
        if last is not None and last.end < read.begin and later:
            yield {read.id: replace(read, answer=[read.answer[0] - 1, read.answer[1][:-1]])}


@planted("views out of order", STATE_KEPT, Anomaly.ORDER_CHANGED)
def swap_views(own: list[Operation], chance: Random) -> Iterator[Changes]:
    views, listed = {one.key: one for one in _ok(own, Kind.VIEW)}, _listed(own)
    places = [
        place
        for place in range(len(listed) - 1)
        if listed[place] in views
        and listed[place + 1] in views
        and views[listed[place]].end < views[listed[place + 1]].begin
        and all(read.answer[0] != place + 1 for read in _ok(own, Kind.HISTORY))
    ]
    chance.shuffle(places)
    for at in places:
        yield _relist(own, _swapped_at(at))


@planted("view applied twice", APPLIED_ONCE, Anomaly.APPLIED_TWICE)
def double_view(own: list[Operation], chance: Random) -> Iterator[Changes]:
    listed = _listed(own)
    if len(listed) > 4:
        twice = chance.choice(listed)
        yield _relist(own, lambda shown: [two for one in shown for two in ([one, one] if one == twice else [one])])


def _insert_view(own: list[Operation], chance: Random, identifier: str) -> Iterator[Changes]:
    listed = _listed(own)
    if len(listed) > 4:
        before = chance.choice(listed)
        yield _relist(
            own, lambda shown: [two for one in shown for two in ([identifier, one] if one == before else [one])]
        )


@planted("phantom view", STATE_KEPT, Anomaly.PHANTOM)
def invent_view(own: list[Operation], chance: Random) -> Iterator[Changes]:
    yield from _insert_view(own, chance, f"{own[0].device}.999999")


@planted("leaked view", OWN_DATA, Anomaly.LEAK)
def leak_view(own: list[Operation], chance: Random) -> Iterator[Changes]:
    yield from _insert_view(own, chance, "somebody-else.1.7")


@planted("refused view", STATE_KEPT, Anomaly.REFUSED_APPLIED)
def apply_refused_view(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for view in _shuffled(chance, _ok(own, Kind.VIEW)):
        yield {view.id: _as_refused(view)}


@planted("refused line", STATE_KEPT, Anomaly.REFUSED_APPLIED)
def apply_refused_line(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for add in _shuffled(chance, _ok(own, Kind.ADD)):
        if any(_shows(one, str(add.key)) for one in _ok(own, Kind.CART)):
            yield {add.id: _as_refused(add)}


@planted("refused order", STATE_KEPT, Anomaly.REFUSED_APPLIED)
def apply_refused_order(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for checkout in _shuffled(chance, _ok(own, Kind.CHECKOUT)):
        telling = {Kind.CART, Kind.CHECKOUT, Kind.REMOVE, Kind.ORDERS}
        later = [one for one in own if one.begin > checkout.end and one.kind in telling]
        first = later[0] if later else None
        overlapped = any(one is not checkout and one.end > checkout.begin and one.begin <= checkout.end for one in own)
        if checkout.answer and not overlapped and first is not None and first.kind is Kind.ORDERS and first.answer:
            yield {checkout.id: _as_refused(checkout)}


# the cart and the orders


def _shows(one: Operation, line: str) -> bool:
    if one.kind is Kind.ORDERS:
        return any(line in lines for _, lines in one.answer)
    return one.kind in {Kind.CART, Kind.CHECKOUT} and line in one.answer


def _relined(own: Sequence[Operation], line: str, quantity: int | None) -> Changes:
    """Everywhere the line's quantity becomes another one, or the line vanishes."""

    def change(lines: dict[str, int]) -> dict[str, int]:
        kept = {one: count for one, count in lines.items() if one != line or quantity is not None}
        return {one: quantity if one == line and quantity is not None else count for one, count in kept.items()}

    changes = {}
    for one in _ok(own, Kind.CART, Kind.CHECKOUT, Kind.ORDERS):
        if _shows(one, line):
            answer: Any = (
                [[key, change(lines)] for key, lines in one.answer if change(lines)]
                if one.kind is Kind.ORDERS
                else change(one.answer)
            )
            changes[one.id] = replace(one, answer=answer)
    return changes


def _is_removed(own: Sequence[Operation], line: str) -> bool:
    return any(one.kind is Kind.REMOVE and one.argument == line for one in own)


@planted("lost line", STATE_KEPT, Anomaly.LOST_WRITE)
def lose_line(own: list[Operation], chance: Random) -> Iterator[Changes]:
    if _is_sure(own, *_CART_WRITES):
        for add in _shuffled(chance, _ok(own, Kind.ADD)):
            reads = [one for one in _ok(own, Kind.CART) if _shows(one, str(add.key)) and one.begin > add.end]
            if reads and not _is_removed(own, str(add.key)):
                yield _relined(own, str(add.key), None)


@planted("stale cart", STATE_KEPT, Anomaly.STALE_READ)
def age_cart(own: list[Operation], chance: Random) -> Iterator[Changes]:
    if not _is_sure(own, *_CART_WRITES):
        return
    for read in _shuffled(chance, _ok(own, Kind.CART)):
        for line in read.answer:
            add = next((one for one in _ok(own, Kind.ADD) if one.key == line), None)
            later = [one for one in _ok(own, Kind.CART) if one.begin > read.end and line in one.answer]
            if add is not None and add.end < read.begin and later:
                yield {read.id: replace(read, answer={one: n for one, n in read.answer.items() if one != line})}


@planted("line added twice", APPLIED_ONCE, Anomaly.WRONG_QUANTITY)
def double_line(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for add in _shuffled(chance, _ok(own, Kind.ADD)):
        changes = _relined(own, str(add.key), 2 * int(add.argument or 0))
        if any(one.kind is Kind.CART for one in changes.values()):
            yield changes


def _bring_back(own: Sequence[Operation], taker: Operation, line: str, quantity: int) -> Iterator[Changes]:
    later = [one for one in _ok(own, Kind.CART) if one.begin > taker.end]
    if later:
        yield {one.id: replace(one, answer={**one.answer, line: quantity}) for one in later[:3]}


@planted("removed line back", STATE_KEPT, Anomaly.REMOVED_BACK)
def bring_back_removed(own: list[Operation], chance: Random) -> Iterator[Changes]:
    adds = {one.key: one for one in own if one.kind is Kind.ADD}
    for removal in _shuffled(chance, _ok(own, Kind.REMOVE)):
        if removal.answer and isinstance(removal.argument, str):
            yield from _bring_back(own, removal, removal.argument, int(adds[removal.argument].argument or 0))


@planted("bought line back", STATE_KEPT, Anomaly.BOUGHT_BACK)
def bring_back_bought(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for checkout in _shuffled(chance, _ok(own, Kind.CHECKOUT)):
        for line, quantity in checkout.answer.items():
            yield from _bring_back(own, checkout, line, quantity)


def _reordered(own: Sequence[Operation], change: Callable[[list[Any]], list[Any]]) -> Changes:
    changes = {}
    for read in _ok(own, Kind.ORDERS):
        orders = change(list(read.answer))
        if orders != read.answer:
            changes[read.id] = replace(read, answer=orders)
    return changes


def _with_order(key: str, times: int) -> Callable[[list[Any]], list[Any]]:
    return lambda orders: [copy for one in orders for copy in [one] * (times if one[0] == key else 1)]


@planted("order doubled", ORDERS_ONCE, Anomaly.ORDER_DOUBLED)
def double_order(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for checkout in _shuffled(chance, _ok(own, Kind.CHECKOUT)):
        if checkout.answer:
            yield _reordered(own, _with_order(str(checkout.key), 2))


@planted("order lost", ORDERS_ONCE, Anomaly.ORDER_MISSING)
def lose_order(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for checkout in _shuffled(chance, _ok(own, Kind.CHECKOUT)):
        if any(read.begin > checkout.end for read in _ok(own, Kind.ORDERS)):
            yield _reordered(own, _with_order(str(checkout.key), 0))


@planted("order without a line", ORDERS_ONCE, Anomaly.PARTIAL_ORDER)
def thin_order(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for checkout in _shuffled(chance, _ok(own, Kind.CHECKOUT)):
        if len(checkout.answer) > 1:
            line = chance.choice(sorted(checkout.answer))

            def thin(orders: list[Any], line: str = line) -> list[Any]:
                return [[key, {one: n for one, n in lines.items() if one != line}] for key, lines in orders]

            yield _reordered(own, thin)


@planted("line sold twice", ORDERS_ONCE, Anomaly.SOLD_TWICE)
def sell_twice(own: list[Operation], chance: Random) -> Iterator[Changes]:
    checkouts = [one for one in _ok(own, Kind.CHECKOUT) if one.answer]
    for first in _shuffled(chance, checkouts):
        for second in checkouts:
            if first.end < second.begin:
                line, quantity = next(iter(first.answer.items()))
                bought = {**second.answer, line: quantity}

                def sell(orders: list[Any], second: Operation = second, bought: Any = bought) -> list[Any]:
                    return [[key, bought if key == second.key else lines] for key, lines in orders]

                yield {**_reordered(own, sell), second.id: replace(second, answer=bought)}


@planted("orders out of order", STATE_KEPT, Anomaly.ORDER_CHANGED)
def swap_orders(own: list[Operation], chance: Random) -> Iterator[Changes]:
    read = max(_ok(own, Kind.ORDERS), key=lambda one: len(one.answer), default=None)
    if read is not None and len(read.answer) > 1:
        yield {read.id: replace(read, answer=[read.answer[1], read.answer[0], *read.answer[2:]])}


@planted("leaked line", OWN_DATA, Anomaly.LEAK)
def leak_line(own: list[Operation], chance: Random) -> Iterator[Changes]:
    read = chance.choice(_ok(own, Kind.CART))
    yield {read.id: replace(read, answer={**read.answer, "somebody-else.2.9": 1})}


# the display name


@planted("stale name", NAME_REGISTER, Anomaly.STALE_READ, Anomaly.LOST_WRITE)
def age_name(own: list[Operation], chance: Random) -> Iterator[Changes]:
    renames = _ok(own, Kind.RENAME)
    for read in _shuffled(chance, _ok(own, Kind.ACCOUNT)):
        for old in renames:
            over = [one for one in renames if one.begin > old.end and one.end < read.begin]
            if over:
                yield {read.id: replace(read, answer=old.argument)}


@planted("lost name", NAME_REGISTER, Anomaly.LOST_WRITE, Anomaly.STALE_READ)
def lose_name(own: list[Operation], chance: Random) -> Iterator[Changes]:
    if not _is_sure(own, Kind.RENAME):
        return
    renames = _ok(own, Kind.RENAME)
    for old, new in pairwise(renames):
        reads = [one for one in _ok(own, Kind.ACCOUNT) if one.answer == new.argument]
        lonely = all(one in (old, new) or one.end < old.begin or one.begin > new.end for one in renames)
        if old.end < new.begin and lonely and any(one.begin > new.end for one in reads):
            yield {one.id: replace(one, answer=old.argument) for one in reads}


@planted("refused name", NAME_REGISTER, Anomaly.REFUSED_APPLIED)
def apply_refused_name(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for rename in _shuffled(chance, _ok(own, Kind.RENAME)):
        if any(read.answer == rename.argument for read in _ok(own, Kind.ACCOUNT)):
            yield {rename.id: _as_refused(rename)}


@planted("phantom name", NAME_REGISTER, Anomaly.PHANTOM)
def invent_name(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for read in _shuffled(chance, _ok(own, Kind.ACCOUNT)):
        yield {read.id: replace(read, answer=f"{own[0].device}.999999")}


# sessions, owners, devices


def _as_refused(one: Operation) -> Operation:
    tries = tuple(replace(two, result="unsent", sent=False) for two in one.tries)
    return replace(one, tries=tries, outcome=Outcome.REFUSED, answer=None, answered_as=None)


def _as_rejected(one: Operation) -> Operation:
    tries = (*one.tries[:-1], replace(one.tries[-1], result="401"))
    return replace(one, tries=tries, outcome=Outcome.REFUSED, answer=None, answered_as=None)


@planted("forced logout", LOGGED_IN, Anomaly.FORCED_LOGOUT)
def log_out_by_force(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for read in _shuffled(chance, _ok(own, Kind.CART, Kind.HISTORY)):
        if read.session and not any(one.kind is Kind.LOGOUT and one.session == read.session for one in own):
            yield {read.id: _as_rejected(read)}


@planted("alive after logout", LOGGED_IN, Anomaly.ALIVE_AFTER_LOGOUT)
def revive(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for logout in _shuffled(chance, _ok(own, Kind.LOGOUT)):
        for read in _ok(own, Kind.CART, Kind.HISTORY):
            if read.begin > logout.end:
                yield {read.id: replace(read, session=logout.session)}


@planted("flapping session", LOGGED_IN, Anomaly.FLAPPING)
def flap(own: list[Operation], chance: Random) -> Iterator[Changes]:
    for logout in _ok(own, Kind.LOGOUT):
        before = [one for one in _ok(own, Kind.CART, Kind.HISTORY) if one.session == logout.session]
        if len(before) > 2:
            unsure = replace(logout, outcome=Outcome.UNKNOWN, begin=before[0].begin)
            tries = tuple(replace(one, begin=before[0].begin, result="cut") for one in logout.tries[:1])
            yield {logout.id: replace(unsure, tries=tries), before[1].id: _as_rejected(before[1])}


@planted("answered as another", OWN_DATA, Anomaly.SWAP)
def swap_account(own: list[Operation], chance: Random) -> Iterator[Changes]:
    one = chance.choice(_ok(own, Kind.CART, Kind.VIEW, Kind.RENAME))
    yield {one.id: replace(one, answered_as="somebody-else")}


@planted("devices differ", DEVICES_AGREE, Anomaly.DEVICES_DIFFER)
def part_devices(own: list[Operation], chance: Random) -> Iterator[Changes]:
    rested = max(one.end for one in own if one.kind in {*_CART_WRITES, Kind.VIEW, Kind.RENAME})
    for kind, writes in (
        (Kind.HISTORY, (Kind.VIEW,)),
        (Kind.CART, _CART_WRITES),
        (Kind.ORDERS, (Kind.CHECKOUT,)),
        (Kind.ACCOUNT, (Kind.RENAME,)),
    ):
        if not _is_sure(own, *writes):
            continue
        old, last = _ok(own, kind)[0].answer, _ok(own, kind)[-1]
        others = [one for one in _ok(own, kind) if one.device != last.device and one.begin > rested]
        if old != last.answer and others and last.begin > rested:
            yield {last.id: replace(last, answer=old)}
