"""The states that a cart and its orders can be in, and a bounded search for the orders of a window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from lab.model import Operation
from lab.oracle.interval import NEVER, begin_of, end_of
from lab.oracle.words import ADD, CART, CHECKOUT, ORDERS, REMOVE

Lines = frozenset[tuple[str, int]]
"""What is in a cart or an order: line and quantity."""
Token = tuple[str, str]
"""An operation of unknown outcome that did take effect: its kind, and its line or key."""
NOTHING: Lines = frozenset()

STATES_AT_MOST = 4096


class Undecided(Exception):
    """More states than the search may hold, as too much overlaps or has no answer; nothing is claimed."""


class Unread(NamedTuple):
    """The content of an order whose checkout was never answered, until a read of the orders shows it."""

    cart: Lines
    """What was surely in the cart; additions and removals of unknown outcome may come on top."""
    until: int
    """The checkout took effect no later than this."""


class CartState(NamedTuple):
    """A cart, the orders in their order, and which operations of unknown outcome took effect."""

    cart: Lines = NOTHING
    orders: tuple[tuple[str, Lines | Unread], ...] = ()
    used: frozenset[Token] = frozenset()

    @property
    def settled(self) -> bool:
        return not any(isinstance(lines, Unread) for _, lines in self.orders)


class Pending:
    """The operations of unknown outcome that may still take effect."""

    __slots__ = ("adds", "checkouts", "removes")

    def __init__(self) -> None:
        self.adds: dict[str, Operation] = {}
        self.removes: dict[str, Operation] = {}
        self.checkouts: dict[str, Operation] = {}

    def note(self, operation: Operation) -> None:
        """Remember an operation of unknown outcome. Of several removals of a line the first to begin is enough."""
        if operation.kind is ADD:
            self.adds[str(operation.key)] = operation
        elif operation.kind is REMOVE:
            first = self.removes.setdefault(str(operation.argument), operation)
            if begin_of(operation) < begin_of(first):
                self.removes[str(operation.argument)] = operation
        elif operation.kind is CHECKOUT:
            self.checkouts[str(operation.key)] = operation

    def forget(self, used: Iterable[Token]) -> None:
        """These did take effect."""
        for kind, name in used:
            of_kind = {"add": self.adds, "remove": self.removes, "checkout": self.checkouts}[kind]
            of_kind.pop(name, None)

    def may_add(self, line: str, used: frozenset[Token], until: int) -> Operation | None:
        add = self.adds.get(line)
        return None if add is None or begin_of(add) > until or ("add", line) in used else add

    def may_remove(self, line: str, used: frozenset[Token], until: int) -> bool:
        remove = self.removes.get(line)
        return remove is not None and begin_of(remove) <= until and ("remove", line) not in used

    def explain(self, cart: Lines, seen: Lines, used: frozenset[Token], until: int) -> frozenset[Token] | None:
        """Which of them turn `cart` into `seen`; None if they can't. Ids are unique, so there is one way only."""
        if cart == seen:
            return used
        more: list[Token] = []
        for line, quantity in seen - cart:
            add = self.may_add(line, used, until)
            if add is None or add.argument != quantity:
                return None
            more.append(("add", line))
        for line, _ in cart - seen:
            if not self.may_remove(line, used, until):
                return None
            more.append(("remove", line))
        return used.union(more)


def follow(pending: Pending, state: CartState, operation: Operation, until: int) -> Iterator[CartState]:
    """All states after `operation`, if it took effect in `state` with the answer it got, no later than `until`.

    What is unknown takes effect just before the answer that needs it, which loses nothing: lines are unique.
    Only checkouts of unknown outcome are tried at every point, as they empty the cart.

    Raises Undecided where they can come in more than STATES_AT_MOST ways.
    """
    for before in _with_checkouts(pending, state, until):
        yield from _answer(pending, before, operation, until)


def _with_checkouts(pending: Pending, state: CartState, until: int) -> Iterable[CartState]:
    if not pending.checkouts:
        return (state,)
    found, known = [state], {state}
    for one in found:
        if not one.cart and not _may_fill(pending, one, until):
            continue
        for key, checkout in pending.checkouts.items():
            token = ("checkout", key)
            if token in one.used or begin_of(checkout) > until:
                continue
            order = (key, Unread(one.cart, until))
            after = CartState(NOTHING, (*one.orders, order), one.used | {token})
            if after in known:
                continue
            if len(found) >= STATES_AT_MOST:
                raise Undecided
            known.add(after)
            found.append(after)
    return found


def _may_fill(pending: Pending, state: CartState, until: int) -> bool:
    """May an addition of unknown outcome fill the empty cart? Each order made of an empty one needs one of its own."""
    needed = sum(1 for _, lines in state.orders if isinstance(lines, Unread) and not lines.cart)
    return sum(1 for line in pending.adds if pending.may_add(line, state.used, until)) > needed


def _answer(pending: Pending, state: CartState, operation: Operation, until: int) -> Iterator[CartState]:
    cart, orders, used = state
    kind = operation.kind
    if kind is ADD:
        yield CartState(cart | {(str(operation.key), int(operation.argument or 0))}, orders, used)
    elif kind is REMOVE:
        yield from _remove(pending, state, operation, until)
    elif kind is ORDERS:
        after = _match_orders(pending, state, operation)
        if after is not None:
            yield after
    else:
        seen: Lines = frozenset(operation.answer.items())
        explained = pending.explain(cart, seen, used, until)
        if explained is None:
            return
        if kind is CART:
            yield CartState(seen, orders, explained)
        else:
            order = ((str(operation.key), seen),) if seen else ()
            yield CartState(NOTHING, (*orders, *order), explained)


def _remove(pending: Pending, state: CartState, operation: Operation, until: int) -> Iterator[CartState]:
    line = str(operation.argument)
    there = next((one for one in state.cart if one[0] == line), None)
    if there is not None and operation.answer:
        yield CartState(state.cart - {there}, state.orders, state.used)
    elif there is not None:
        if pending.may_remove(line, state.used, until):
            yield CartState(state.cart - {there}, state.orders, state.used | {("remove", line)})
    elif not operation.answer:
        yield state
    elif pending.may_add(line, state.used, until) is not None:
        yield CartState(state.cart, state.orders, state.used | {("add", line)})


def _match_orders(pending: Pending, state: CartState, read: Operation) -> CartState | None:
    if len(state.orders) != len(read.answer):
        return None
    used = state.used
    seen: list[tuple[str, Lines | Unread]] = []
    for (key, lines), (shown_key, shown) in zip(state.orders, read.answer, strict=True):
        content: Lines = frozenset(shown.items())
        if key != shown_key:
            return None
        if isinstance(lines, Unread):
            explained = pending.explain(lines.cart, content, used, lines.until) if content else None
            if explained is None:
                return None
            used = explained
        elif lines != content:
            return None
        seen.append((key, content))
    return CartState(state.cart, tuple(seen), used)


def search(
    operations: Sequence[Operation],
    states: Iterable[CartState],
    after: Callable[[CartState, Operation, int], Iterable[CartState]],
) -> set[CartState]:
    """The states after all orders of `operations` (answered, sorted by begin) that their times and answers allow.

    Empty: no order explains the answers. Goes one operation at a time, keeping for each set of operations that
    can come first (a position and a bitmask of what is done beyond it) the states they can lead to: as wide as
    the user's concurrency, not as long as the window.

    Raises Undecided beyond STATES_AT_MOST.
    """
    begins = [begin_of(operation) for operation in operations]
    ends = [end_of(operation) for operation in operations]
    frontier: dict[tuple[int, int], set[CartState]] = {(0, 0): set(states)}
    for _ in operations:
        following: dict[tuple[int, int], set[CartState]] = {}
        held = 0
        for (low, done), here in frontier.items():
            ready, until = _ready(begins, ends, low, done)
            for index in ready:
                there = following.setdefault(_mark(low, done, index), set())
                held -= len(there)
                for state in here:
                    there.update(after(state, operations[index], until))
                    if held + len(there) > STATES_AT_MOST:
                        raise Undecided
                held += len(there)
        frontier = {place: found for place, found in following.items() if found}
    return frontier.get((len(operations), 0), set())


def _ready(begins: Sequence[int], ends: Sequence[int], low: int, done: int) -> tuple[list[int], int]:
    """Which operations may come next, and by when the next one must have."""
    ready: list[int] = []
    until = NEVER
    for index in range(low, len(begins)):
        if begins[index] > until:
            break
        if not done >> (index - low) & 1:
            ready.append(index)
            until = min(until, ends[index])
    return ready, until


def _mark(low: int, done: int, index: int) -> tuple[int, int]:
    done |= 1 << (index - low)
    while done & 1:
        low, done = low + 1, done >> 1
    return low, done
