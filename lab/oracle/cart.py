"""The cart and the orders, one object: a checkout moves lines from the one into the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lab.model import Operation
from lab.oracle import cart_rules
from lab.oracle.breach import Breach
from lab.oracle.cart_states import NOTHING, CartState, Lines, Pending, follow, search
from lab.oracle.counts import CheckCounts
from lab.oracle.interval import READS, begin_of, cut_at_quiet
from lab.oracle.words import ADD, CART, CHECKOUT, OK, ORDERS, REMOVE, UNKNOWN

SINCE_AT_MOST = 100
"""How many operations may wait for a read that tells whether a checkout of unknown outcome came among them."""

GONE_KEPT = 200
"""How many lines that left the cart are remembered, to tell a line that comes back from one never written: all that a
user puts there in some ten minutes. It bounds the memory of a run that goes on for hours."""


class Cart:
    """Exact: replays what nothing overlaps, searches short windows of what does.

    Where a search would hold more than cart_states.STATES_AT_MOST states, `judge` raises Undecided and nothing
    more is claimed for this user's cart. The search alone decides whether something is wrong; `cart_rules` then
    only names it.
    """

    __slots__ = (
        "_before",
        "_counts",
        "_orders_found",
        "_shown",
        "_since",
        "_states",
        "_unshown",
        "adds",
        "cart",
        "checkouts",
        "gone",
        "last_orders",
        "last_read",
        "orders",
        "pending",
        "refused",
    )

    def __init__(self, counts: CheckCounts) -> None:
        self._counts = counts
        self.cart: dict[str, int] = {}
        self.orders: list[Any] = []
        """In the shape in which a read shows them: `[[order, {line: quantity}], ...]`."""
        self._states: set[CartState] | None = None
        """The possible states, where there is more than one; `cart` and `orders` mean nothing then."""
        self.pending = Pending()
        self._since: list[Operation] = []
        """What fitted since the state was last certain, while checkouts of unknown outcome may come in between."""
        self._before: tuple[dict[str, int], int] = {}, 0
        """The cart, and the number of orders, before the first of these."""
        self.adds: dict[str, Operation] = {}
        """The addition of each line that may be in the cart."""
        self.gone: dict[str, tuple[Operation | None, Operation | None]] = {}
        """Lines that left the cart: their addition, and what took them."""
        self.refused: dict[str, Operation] = {}
        self.checkouts: dict[str, Operation] = {}
        self._shown: set[str] = set()
        self._unshown = False
        """Whether a line may be in the cart that no answer has shown."""
        self._orders_found = 0
        self.last_read: Operation | None = None
        self.last_orders: Operation | None = None

    def judge(self, window: Sequence[Operation]) -> Breach | None:
        """Take in all operations on the cart between two quiet points; the first contradiction, or None.

        Raises Undecided.
        """
        answered = [operation for operation in window if self._note(operation)]
        answered.sort(key=begin_of)
        for part in cut_at_quiet(answered, begin_of):
            if len(part) == 1 and self.fits(part[0]):
                continue
            found = self._search(part)
            if found is not None:
                return found
        return None

    def states(self) -> set[CartState]:
        """The states that can be now."""
        if self._states is not None:
            return self._states
        cart, count = self._before if self._since else (self.cart, len(self.orders))
        states = {CartState(_freeze(cart), tuple((key, _freeze(lines)) for key, lines in self.orders[:count]))}
        for operation in self._since:
            states = search([operation], states, self._after)
        return states

    def shows(self, operation: Operation, identifier: str) -> bool:
        """Does this answer show the line or the order?"""
        if operation.kind is ORDERS:
            return any(identifier == key or identifier in lines for key, lines in operation.answer)
        return operation.kind in {CART, CHECKOUT} and identifier in operation.answer

    def _note(self, operation: Operation) -> bool:
        """Was the operation answered, so that it must fit? If not, it is remembered as what may still happen."""
        if operation.outcome is OK:
            return True
        if operation.outcome is UNKNOWN:
            self._wrote(operation)
            self.pending.note(operation)
        elif operation.kind in {ADD, CHECKOUT}:
            self.refused[str(operation.key)] = operation
        return False

    def _wrote(self, operation: Operation) -> None:
        if operation.kind is ADD:
            self._unshown = True
            self.adds[str(operation.key)] = operation
        elif operation.kind is CHECKOUT:
            self.checkouts[str(operation.key)] = operation

    def fits(self, operation: Operation) -> bool:
        """Where only one state is possible: does the operation fit? If not, nothing has changed.

        A checkout of unknown outcome may have taken effect before any operation. Until a read tells, `_since` keeps
        what fits without it, for `states` to replay. A read that fits without it proves that it had not: the orders
        would be one more, and the cart, which it leaves alone unless there is something in it, would lack lines:
        each is unique, and the answers that take one out of the cart say that it was there. An addition of unknown
        outcome could bring one back, so there must be none.
        """
        if self._states is not None:
            return False
        if not self.pending.checkouts:
            return self._fits(operation)
        if self.pending.adds or len(self._since) >= SINCE_AT_MOST:
            return False
        if not self._since:
            self._before = dict(self.cart), len(self.orders)
        if not self._fits(operation):
            return False
        if operation.kind in READS:
            self._since.clear()
        else:
            self._since.append(operation)
        return True

    def _fits(self, operation: Operation) -> bool:
        kind, answer = operation.kind, operation.answer
        fits: bool
        if kind is ADD:
            line = str(operation.key)
            self._unshown = True
            self.adds[line] = operation
            self.cart[line] = int(operation.argument or 0)
            return True
        if kind is CART:
            fits = answer == self.cart
        elif kind is ORDERS:
            fits = answer == self.orders
        elif kind is REMOVE:
            line = str(operation.argument)
            fits = (line in self.cart) == bool(answer)
            if fits and answer:
                del self.cart[line]
        else:
            fits = answer == self.cart
            if fits:
                self._wrote(operation)
                self.cart = {}
                if answer:
                    self.orders.append([str(operation.key), answer])
        if fits:
            self._remember(operation)
            self._unshown = self._unshown and kind is not CART
        return fits

    def _search(self, part: Sequence[Operation]) -> Breach | None:
        for operation in part:
            self._wrote(operation)
        before = self.states()
        self._since.clear()
        states = search(part, before, self._after)
        if not states:
            return cart_rules.name(self, part, before, self._after)
        self._unshown = True
        for operation in part:
            self._remember(operation)
        only = next(iter(states))
        if len(states) == 1 and only.settled:
            self._adopt(only)
        else:
            self._states = states
        return None

    def _after(self, state: CartState, operation: Operation, until: int) -> Iterable[CartState]:
        return follow(self.pending, state, operation, until)

    def _adopt(self, state: CartState) -> None:
        self._states = None
        self.cart = dict(state.cart)
        self.orders = [[key, dict(lines)] for key, lines in state.orders if isinstance(lines, frozenset)]
        self.pending.forget(state.used)
        for line in [line for line in self.adds if line not in self.cart and line not in self.pending.adds]:
            self._take(line, None)

    def _remember(self, operation: Operation) -> None:
        """Keep what naming a later contradiction needs, and count what was compared."""
        kind, answer = operation.kind, operation.answer
        if kind is CART:
            self.last_read = operation
            self._counts.reads_compared += 1
            if self._unshown:
                self._show(answer)
        elif kind is CHECKOUT:
            if self._unshown:
                self._show(answer)
            for line in answer:
                self._take(line, operation)
        elif kind is REMOVE and answer:
            self._take(str(operation.argument), operation)
        elif kind is ORDERS:
            self.last_orders = operation
            self._counts.reads_compared += 1
            self._counts.orders_found += max(0, len(answer) - self._orders_found)
            self._orders_found = max(self._orders_found, len(answer))

    def _show(self, lines: Iterable[str]) -> None:
        for line in lines:
            if line not in self._shown:
                self._shown.add(line)
                self._counts.writes_found += 1

    def _take(self, line: str, by: Operation | None) -> None:
        self.gone[line] = (self.adds.pop(line, None), by)
        self._shown.discard(line)
        if len(self.gone) > GONE_KEPT:
            self.gone.pop(next(iter(self.gone)))


def _freeze(lines: dict[str, int]) -> Lines:
    return frozenset(lines.items()) if lines else NOTHING
