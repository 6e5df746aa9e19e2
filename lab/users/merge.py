"""What two devices of one account did, put together: sets, counters and lists keep both, registers the last one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, permutations, product
from typing import Any, NamedTuple

import msgspec

MOST_ACTS = 4
MOST_STATES = 64
"""More than these at once are not put together: then nothing is claimed until the next read."""

Outcomes = tuple[Any, ...]


class Act(NamedTuple):
    """One action: when, what the model was for its device, and what it may be afterwards."""

    begin: int
    end: int
    before: Any
    outcomes: Outcomes | None
    """More than one: nobody knows whether it took effect; None: it may be anything."""


def states_after(base: Any, acts: Sequence[Act]) -> Outcomes | None:
    """The states that these actions may have led to, in any order that their times allow; None: nobody knows.

    The last is the one in which all of them took effect, in the order of their ends.
    """
    if len(acts) > MOST_ACTS:
        return None
    found: dict[bytes, Any] = {}
    ended = sorted(acts, key=lambda act: act.end)
    for order in (ended, *permutations(ended)):
        if any(later.end < act.begin for place, act in enumerate(order) for later in order[place + 1 :]):
            continue  # one that had ended before another began came first
        for state in _after(base, order):
            found.setdefault(msgspec.json.encode(state, order="sorted"), state)
            if len(found) > MOST_STATES:
                return None
    if any(act.outcomes is None for act in acts):
        return None
    *_, last = _after(base, ended)
    del found[msgspec.json.encode(last, order="sorted")]
    return (*found.values(), last)


def _after(base: Any, order: Sequence[Act]) -> Iterator[Any]:
    states = [base]
    for act in order:
        states = [
            merged
            for state in states
            for outcome in act.outcomes or ()
            for merged in merges(state, act.before, outcome)
        ][: 4 * MOST_STATES]
    yield from states


def merges(base: Any, before: Any, after: Any) -> list[Any]:
    """What `base` may become by the change from `before` to `after`, which was made without knowing of `base`."""
    if before == after:
        return [base]
    if base == before:
        return [after]
    if isinstance(base, dict) and isinstance(before, dict) and isinstance(after, dict):
        return _merge_objects(base, before, after)
    if isinstance(base, list) and isinstance(before, list) and isinstance(after, list):
        return _merge_lists(base, before, after)
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in (base, before, after)):
        # A counter counts what both did, a number that was set is the last one: nobody says which it is.
        return [after, base + (after - before)]
    return [after]


def _merge_objects(base: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> list[Any]:
    kept = {key: value for key, value in base.items() if key in after or key not in before}
    choices: list[list[tuple[str, Any]]] = []
    for key, value in after.items():
        if key in base:
            choices.append([(key, one) for one in merges(base[key], before.get(key, _nothing_like(value)), value)])
        elif value != before.get(key) or key not in before:
            choices.append([(key, value)])
    return [{**kept, **dict(chosen)} for chosen in product(*choices)]


def _merge_lists(base: list[Any], before: list[Any], after: list[Any]) -> list[list[Any]]:
    """In each order that such a list may be in: the newest last, the newest first, sorted. The most usual is last."""
    removed, added = _less(before, after), _less(after, before)
    kept = _less(base, removed)
    found = [[*kept, *added]]
    if added and after[len(added) :] == _less(before, removed):
        found = [[*added, *kept]] if after[: len(after) - len(added)] != before else [[*added, *kept], *found]
    if _is_sorted(base) and _is_sorted(after):
        found.insert(0, sorted(found[0], key=_order))
    return found


def _less(some: Sequence[Any], taken: Sequence[Any]) -> list[Any]:
    """`some` without those of `taken`, each as often as it is there."""
    left, kept = list(taken), list[Any]()
    for one in some:
        if one in left:
            left.remove(one)
        else:
            kept.append(one)
    return kept


def _is_sorted(some: Sequence[Any]) -> bool:
    keys = [_order(one) for one in some]
    return all(one <= other for one, other in pairwise(keys))


def _order(one: Any) -> bytes:
    return msgspec.json.encode(one, order="sorted")


def _nothing_like(value: Any) -> Any:
    if isinstance(value, dict | list):
        return type(value)()
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else None
