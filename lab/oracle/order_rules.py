"""Why a read of the orders contradicts the checkouts before it, in one sentence and few operations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

from lab.model import Kind, Operation, Outcome
from lab.oracle.breach import Breach, breach
from lab.oracle.cart_states import CartState
from lab.oracle.interval import begin_of, precedes
from lab.oracle.promises import APPLIED_ONCE, ORDERS_ONCE, STATE_KEPT, Anomaly


class KnownOrders(Protocol):
    """What the cart remembers of its past, as far as orders need it."""

    adds: dict[str, Operation]
    gone: dict[str, tuple[Operation | None, Operation | None]]
    refused: dict[str, Operation]
    checkouts: dict[str, Operation]
    last_orders: Operation | None


def add_of(known: KnownOrders, line: str) -> Operation | None:
    """What added the line, whether it is still in the cart or has left it."""
    add = known.adds.get(line)
    return add if add is not None else known.gone.get(line, (None, None))[0]


def name(known: KnownOrders, read: Operation, part: Sequence[Operation], states: Sequence[CartState]) -> Breach | None:
    """The first rule that this read of the orders breaks, or None."""
    return (
        _name_repeated(known, read)
        or _name_strange(known, read)
        or _name_content(known, read, states)
        or _name_missing(known, read, part, states)
        or _name_order(known, read, states)
    )


def _name_repeated(known: KnownOrders, read: Operation) -> Breach | None:
    orders: dict[str, Any] = {}
    sold: dict[str, str] = {}
    for key, lines in read.answer:
        if key in orders:
            checkout = known.checkouts.get(key)
            why = f"the checkout {key} was asked for once, and there are two orders of it"
            return breach(ORDERS_ONCE, Anomaly.ORDER_DOUBLED, why, checkout, read)
        orders[key] = lines
        for line in lines:
            if line in sold:
                why = f"{line} was added once and sold twice, by the orders {sold[line]} and {key}"
                first, second = known.checkouts.get(sold[line]), known.checkouts.get(key)
                return breach(ORDERS_ONCE, Anomaly.SOLD_TWICE, why, add_of(known, line), first, second, read)
            sold[line] = key
    return None


def _name_strange(known: KnownOrders, read: Operation) -> Breach | None:
    for key, lines in read.answer:
        if key in known.refused:
            why = f"the checkout {key} was refused, which means that it had no effect, yet there is an order of it"
            return breach(STATE_KEPT, Anomaly.REFUSED_APPLIED, why, known.refused[key], read)
        checkout = known.checkouts.get(key)
        if checkout is None or read.end < begin_of(checkout):
            why = f"the orders show {key}, though no checkout that could make it had begun"
            return breach(STATE_KEPT, Anomaly.PHANTOM, why, read, checkout)
        for line in lines:
            if line in known.refused:
                why = f"adding {line} was refused, which means that it had no effect, yet it was sold"
                return breach(STATE_KEPT, Anomaly.REFUSED_APPLIED, why, known.refused[line], read)
    return None


def _name_content(known: KnownOrders, read: Operation, states: Sequence[CartState]) -> Breach | None:
    for key, lines in read.answer:
        checkout = known.checkouts[key]
        if checkout.outcome is Outcome.OK:
            expected, by = checkout.answer, checkout
        else:
            content = dict(states[0].orders).get(key) if len(states) == 1 else None
            if not isinstance(content, frozenset):
                continue
            expected, by = dict(content), known.last_orders or checkout
        if lines == expected:
            continue
        doubled = next((line for line in lines if line in expected and lines[line] != expected[line]), None)
        if doubled is not None:
            why = f"order {key} was acknowledged with {expected[doubled]} of {doubled} and now has {lines[doubled]}"
            return breach(APPLIED_ONCE, Anomaly.WRONG_QUANTITY, why, by, read)
        missing = next((line for line in expected if line not in lines), None)
        what = f"without {missing}" if missing else f"with {next(iter(set(lines) - set(expected)))}, too"
        why = f"order {key} was acknowledged with {len(expected)} lines and is now there {what}"
        return breach(ORDERS_ONCE, Anomaly.PARTIAL_ORDER, why, checkout, by, read, missing=missing)
    return None


def _name_missing(
    known: KnownOrders, read: Operation, part: Sequence[Operation], states: Sequence[CartState]
) -> Breach | None:
    shown = {key for key, _ in read.answer}
    sure = set.intersection(*({key for key, _ in state.orders} for state in states))
    expected = [key for key, _ in states[0].orders if key in sure]
    expected += [str(one.key) for one in part if one.kind is Kind.CHECKOUT and one.answer and precedes(one, read)]
    for key in expected:
        if key not in shown:
            checkout = known.checkouts.get(key)
            before = known.last_orders
            seen = before if before and any(key == one for one, _ in before.answer) else None
            why = f"order {key} had been acknowledged before this read began, which does not show it"
            return breach(ORDERS_ONCE, Anomaly.ORDER_MISSING, why, checkout, seen, read, missing=key)
    return None


def _name_order(known: KnownOrders, read: Operation, states: Sequence[CartState]) -> Breach | None:
    keys = [key for key, _ in read.answer]
    for first, second in pairwise(keys):
        earlier, later = known.checkouts[second], known.checkouts[first]
        if precedes(earlier, later):
            why = f"order {second} was acknowledged before {first} was asked for, yet {first} is listed first"
            return breach(STATE_KEPT, Anomaly.ORDER_CHANGED, why, earlier, later, read)
    known_order = [key for key, _ in states[0].orders if key in keys]
    if len(states) == 1 and [key for key in keys if key in known_order] != known_order:
        why = "two reads show the same orders in a different order"
        return breach(STATE_KEPT, Anomaly.ORDER_CHANGED, why, known.last_orders, read)
    return None
