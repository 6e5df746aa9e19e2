"""An independent, naive judge for small histories: it tries every order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from lab.model import Kind, Operation, Outcome
from lab.oracle.interval import NEVER

Apply = Callable[[Any, Operation], Any]
IMPOSSIBLE = object()


def is_linearizable(operations: Sequence[Operation], initial: Hashable, apply: Apply) -> bool:
    """Is there an order within the operations' times that explains every answer? Unknown ones may be left out."""
    ops = [one for one in operations if one.outcome is not Outcome.REFUSED]
    ends = [one.end if one.outcome is Outcome.OK else NEVER for one in ops]
    must = sum(1 << i for i, one in enumerate(ops) if one.outcome is Outcome.OK)
    seen: set[tuple[int, Any]] = set()

    def explore(done: int, state: Any) -> bool:
        if done & must == must:
            return True
        if (done, state) in seen:
            return False
        seen.add((done, state))
        first_end = min(end for i, end in enumerate(ends) if not done >> i & 1)
        for i, one in enumerate(ops):
            if done >> i & 1 or one.begin > first_end:
                continue
            after = apply(state, one)
            if after is not IMPOSSIBLE and explore(done | 1 << i, after):
                return True
        return False

    return explore(0, initial)


def history(state: tuple[str, ...], one: Operation) -> Any:
    """An append-only list."""
    if one.kind is Kind.VIEW:
        return (*state, one.key)
    return state if _is_answered(one, [len(state), list(state[-100:])]) else IMPOSSIBLE


def name(state: str | None, one: Operation) -> Any:
    """A register."""
    if one.kind is Kind.RENAME:
        return one.argument
    return state if _is_answered(one, state) else IMPOSSIBLE


def cart(state: tuple[frozenset[tuple[str, int]], tuple[Any, ...]], one: Operation) -> Any:
    """A cart and the orders made of it."""
    lines, orders = dict(state[0]), state[1]
    after: Any = IMPOSSIBLE
    if one.kind is Kind.ADD:
        after = (frozenset({**lines, str(one.key): one.argument}.items()), orders)
    elif one.kind is Kind.REMOVE:
        if _is_answered(one, one.argument in lines):
            lines.pop(str(one.argument), None)
            after = (frozenset(lines.items()), orders)
    elif one.kind is Kind.CHECKOUT:
        if _is_answered(one, lines):
            after = (frozenset(), (*orders, (one.key, state[0])) if lines else orders)
    else:
        want = lines if one.kind is Kind.CART else [[key, dict(content)] for key, content in orders]
        after = state if _is_answered(one, want) else IMPOSSIBLE
    return after


def session(state: str, one: Operation) -> Any:
    """One session: not yet made, alive, or over. A logout that is answered with 401 had no effect."""
    if one.kind is Kind.LOGIN:
        return "alive" if state == "none" else IMPOSSIBLE
    if one.kind is Kind.LOGOUT:
        return "over" if state != "none" else IMPOSSIBLE
    return state if one.answer == (state == "alive") else IMPOSSIBLE


OBJECTS: dict[str, tuple[frozenset[Kind], Hashable, Apply]] = {
    "history": (frozenset({Kind.VIEW, Kind.HISTORY}), (), history),
    "name": (frozenset({Kind.RENAME, Kind.ACCOUNT}), None, name),
    "cart": (
        frozenset({Kind.ADD, Kind.REMOVE, Kind.CART, Kind.CHECKOUT, Kind.ORDERS}),
        (frozenset(), ()),
        cart,
    ),
}


def explains(operations: Sequence[Operation]) -> bool:
    """Is every object of this one user linearizable?"""
    return all(
        is_linearizable([one for one in operations if one.kind in kinds], initial, apply)
        for kinds, initial, apply in OBJECTS.values()
    )


def _is_answered(one: Operation, state: Any) -> bool:
    return one.outcome is not Outcome.OK or bool(one.answer == state)
