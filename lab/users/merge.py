"""What two devices of one account did, put together: sets, counters and lists keep both, registers the last one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any, NamedTuple

import msgspec

MOST_ACTS = 8
MOST_STATES = 200
"""More than these at once are not put together: then nothing is claimed until the next read."""

Outcomes = tuple[Any, ...]


class Act(NamedTuple):
    """One action: when, what the model was for its device, and what it may be afterwards."""

    begin: int
    end: int
    before: Any
    outcomes: Outcomes | None
    """More than one: nobody knows whether it took effect; None: it may be anything."""

    @property
    def after(self) -> Any:
        """What the model is if it took effect."""
        return self.outcomes[-1] if self.outcomes else self.before


def states_after(base: Any, acts: Sequence[Act]) -> Outcomes | None:
    """The states that these actions may have led to, in any order that their times allow; None: nobody knows.

    The last is the one in which all of them took effect, in the order of their ends.
    """
    if len(acts) > MOST_ACTS or any(act.outcomes is None for act in acts):
        return None
    ended = sorted(acts, key=lambda act: act.end)
    usual = base
    for act in ended:
        usual = merges(usual, act.before, (act.outcomes or (usual,))[-1])[-1]
    found = {0: {_order(base): base}}
    for _ in ended:
        found = _one_more(found, ended)
        if sum(len(states) for states in found.values()) > MOST_STATES:
            return None
    (states,) = found.values()
    states.pop(_order(usual), None)
    return (*states.values(), usual)


def _one_more(found: dict[int, dict[bytes, Any]], acts: Sequence[Act]) -> dict[int, dict[bytes, Any]]:
    """The states after one action more, by the actions that were done until then, each a bit."""
    more: dict[int, dict[bytes, Any]] = {}
    for done, states in found.items():
        left = [place for place in range(len(acts)) if not done >> place & 1]
        for place in left:
            act = acts[place]
            if any(acts[other].end < act.begin for other in left):
                continue  # one that had ended before this one began comes first
            here = more.setdefault(done | 1 << place, {})
            for state in states.values():
                for outcome in act.outcomes or ():
                    for merged in merges(state, act.before, outcome):
                        here.setdefault(_order(merged), merged)
    return more


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
