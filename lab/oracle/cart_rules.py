"""Why no order explains a window on the cart and the orders, in one sentence and few operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from lab.model import Kind, Operation, Outcome
from lab.oracle import order_rules
from lab.oracle.breach import Breach, breach, seconds
from lab.oracle.cart_states import CartState, Pending, Undecided, search
from lab.oracle.interval import begin_of, precedes
from lab.oracle.promises import APPLIED_ONCE, ORDERS_ONCE, STATE_KEPT, Anomaly

After = Callable[[CartState, Operation, int], Iterable[CartState]]


class KnownCart(order_rules.KnownOrders, Protocol):
    """What the cart remembers of its past."""

    pending: Pending
    last_read: Operation | None


def name(known: KnownCart, part: Sequence[Operation], before: Iterable[CartState], after: After) -> Breach:
    """The breach that a window proves which `search` found impossible from the states `before`.

    Each rule is a proof by itself. If none of them fits, the window's answers are the witness as they stand.
    """
    states = list(before)
    in_time = sorted(part, key=lambda one: one.end)
    for operation in in_time:
        found = _name_what_is_there(known, operation, part, states)
        if found is not None:
            return found
    for operation in in_time:
        found = _name_what_is_not(known, operation, part, states)
        if found is not None:
            return found
    return _contradiction(known, part, states, after)


def _name_what_is_there(
    known: KnownCart, operation: Operation, part: Sequence[Operation], states: Sequence[CartState]
) -> Breach | None:
    if operation.kind is Kind.ORDERS:
        return order_rules.name(known, operation, part, states)
    if operation.kind in {Kind.CART, Kind.CHECKOUT}:
        return _name_shown(known, operation, part)
    return _name_taken(known, operation, part) if operation.kind is Kind.REMOVE and operation.answer else None


def _name_what_is_not(
    known: KnownCart, operation: Operation, part: Sequence[Operation], states: Sequence[CartState]
) -> Breach | None:
    if operation.kind in {Kind.CART, Kind.CHECKOUT}:
        return _name_missing(known, operation, part, states)
    return _name_not_there(known, operation, part) if operation.kind is Kind.REMOVE and not operation.answer else None


def _name_shown(known: KnownCart, shown_by: Operation, part: Sequence[Operation]) -> Breach | None:
    for line, quantity in shown_by.answer.items():
        refused = known.refused.get(line)
        if refused is not None:
            why = f"adding {line} was refused, which means that it had no effect, yet it is shown"
            return breach(STATE_KEPT, Anomaly.REFUSED_APPLIED, why, refused, shown_by)
        add = order_rules.add_of(known, line)
        if add is None and line not in known.gone:
            why = f"the cart shows {line}, though nothing that adds it had begun"
            return breach(STATE_KEPT, Anomaly.PHANTOM, why, shown_by)
        if add is not None and shown_by.end < begin_of(add):
            why = f"the cart shows {line} before the request to add it was even sent"
            return breach(STATE_KEPT, Anomaly.PHANTOM, why, shown_by, add)
        if add is not None and add.argument != quantity:
            why = f"{line} was added once, with quantity {add.argument}, and the cart shows {quantity} of it"
            return breach(APPLIED_ONCE, Anomaly.WRONG_QUANTITY, why, add, shown_by)
        for taker in _takers(known, line, part):
            if taker is not shown_by and (precedes(taker, shown_by) or shown_by.kind is Kind.CHECKOUT):
                return _back(line, add, taker, shown_by)
    return None


def _back(line: str, add: Operation | None, taker: Operation, shown_by: Operation) -> Breach:
    if taker.kind is Kind.REMOVE:
        why = f"{line} was removed, which was acknowledged, and yet it is there again"
        return breach(STATE_KEPT, Anomaly.REMOVED_BACK, why, add, taker, shown_by)
    if shown_by.kind is Kind.CHECKOUT:
        why = f"{line} was added once and sold twice, by the orders {taker.key} and {shown_by.key}"
        return breach(ORDERS_ONCE, Anomaly.SOLD_TWICE, why, add, taker, shown_by)
    why = f"{line} was bought with order {taker.key}, and yet it is in the cart again"
    return breach(STATE_KEPT, Anomaly.BOUGHT_BACK, why, add, taker, shown_by)


def _name_missing(
    known: KnownCart, read: Operation, part: Sequence[Operation], states: Sequence[CartState]
) -> Breach | None:
    expected = {line: None for state in states for line, _ in sorted(state.cart)}
    expected.update({str(one.key): None for one in part if one.kind is Kind.ADD})
    for line in expected:
        add = known.adds.get(line)
        if line in read.answer or add is None or not _was_there(add, line, known, read):
            continue
        if _may_be_taken(known, line, read, part):
            continue
        again = next((one for one in part if one is not read and _proves(one, line)), None)
        if again is not None:
            why = f"{line} had been added before this read began, which does not show it; another answer does"
            return breach(STATE_KEPT, Anomaly.STALE_READ, why, add, again, read)
        seen = known.last_read if known.last_read and line in known.last_read.answer else None
        if read.kind is Kind.CHECKOUT and seen is not None:
            why = f"the cart held {line} and nobody removed it, but order {read.key} was made without it"
            return breach(ORDERS_ONCE, Anomaly.PARTIAL_ORDER, why, add, seen, read, missing=line)
        return _lost(line, add, seen, read)
    return None


def _lost(line: str, add: Operation, seen: Operation | None, read: Operation) -> Breach:
    shown = ", and an earlier read showed it" if seen is not None else ""
    since = seen if add.outcome is not Outcome.OK and seen is not None else add
    why = (
        f"{line} was in the cart {seconds(begin_of(read) - since.end)} before this answer was asked for{shown}; "
        "nobody removed or bought it, and it is not there"
    )
    return breach(STATE_KEPT, Anomaly.LOST_WRITE, why, add, seen, read, missing=line)


def _name_taken(known: KnownCart, removal: Operation, part: Sequence[Operation]) -> Breach | None:
    line = str(removal.argument)
    if line in known.refused:
        why = f"adding {line} was refused, which means that it had no effect, yet it could be removed"
        return breach(STATE_KEPT, Anomaly.REFUSED_APPLIED, why, known.refused[line], removal)
    add = order_rules.add_of(known, line)
    if add is None and line not in known.gone:
        why = f"{line} could be removed, though nothing that adds it had begun"
        return breach(STATE_KEPT, Anomaly.PHANTOM, why, removal)
    taker = next((one for one in _takers(known, line, part) if one is not removal), None)
    if taker is None:
        return None
    why = f"{line} had left the cart already, and yet it could be removed again"
    back = Anomaly.REMOVED_BACK if taker.kind is Kind.REMOVE else Anomaly.BOUGHT_BACK
    return breach(STATE_KEPT, back, why, add, taker, removal)


def _name_not_there(known: KnownCart, removal: Operation, part: Sequence[Operation]) -> Breach | None:
    line = str(removal.argument)
    add = known.adds.get(line)
    if add is None or line in known.gone or not _was_there(add, line, known, removal):
        return None
    if _may_be_taken(known, line, removal, part):
        return None
    seen = known.last_read if known.last_read and line in known.last_read.answer else None
    return _lost(line, add, seen, removal)


def _was_there(add: Operation, line: str, known: KnownCart, read: Operation) -> bool:
    """Had the line surely been added before `read` began?"""
    if precedes(add, read):
        return True
    seen = known.last_read
    return seen is not None and line in seen.answer and precedes(seen, read)


def _takers(known: KnownCart, line: str, part: Sequence[Operation]) -> Iterator[Operation]:
    """What surely took the line from the cart."""
    taker = known.gone.get(line, (None, None))[1]
    if taker is not None:
        yield taker
    for one in part:
        if (one.kind is Kind.REMOVE and one.argument == line and one.answer) or (
            one.kind is Kind.CHECKOUT and line in one.answer
        ):
            yield one


def _may_be_taken(known: KnownCart, line: str, read: Operation, part: Sequence[Operation]) -> bool:
    """Could anything have taken the line from the cart before `read` ended?"""
    if line in known.gone or known.pending.may_remove(line, frozenset(), read.end):
        return True
    if any(begin_of(checkout) <= read.end for checkout in known.pending.checkouts.values()):
        return True
    return any(taker is not read and begin_of(taker) <= read.end for taker in _takers(known, line, part))


def _proves(operation: Operation, line: str) -> bool:
    if operation.kind is Kind.REMOVE:
        return operation.argument == line and bool(operation.answer)
    return operation.kind in {Kind.CART, Kind.CHECKOUT} and line in operation.answer


def _contradiction(known: KnownCart, part: Sequence[Operation], states: Sequence[CartState], after: After) -> Breach:
    """Leave out every read that the contradiction does not need; what remains can't all be true."""
    rest = list(part)
    for read in [one for one in part if one.kind in {Kind.CART, Kind.ORDERS}]:
        without = [one for one in rest if one is not read]
        try:
            if without and not search(without, states, after):
                rest = without
        except Undecided:
            continue
    why = f"no order of these {len(rest)} operations explains what was answered"
    before = known.last_orders if any(one.kind is Kind.ORDERS for one in rest) else known.last_read
    return breach(STATE_KEPT, Anomaly.CONTRADICTION, why, before, *rest)
