"""Two devices of one account: what both did, put together, and what a read may show of it."""

from __future__ import annotations

from typing import Any

import pytest

from lab.users.account_model import AccountModel
from lab.users.merge import Act, merges, states_after


@pytest.mark.parametrize(
    ("base", "before", "after", "merged"),
    [
        (["a", "x"], ["a"], ["a", "b"], [["a", "b", "x"], ["a", "x", "b"]]),  # sorted, or the newest last
        (["x", "a"], ["a"], ["b", "a"], [["b", "x", "a"]]),  # the newest first
        (["x"], [], ["b"], [["b", "x"], ["b", "x"], ["x", "b"]]),  # any of these
        (["z", "b", "x"], ["z", "b"], ["b"], [["b", "x"]]),
        ({"n": 3}, {"n": 2}, {"n": 5}, [{"n": 5}, {"n": 6}]),  # a number that was set, or a counter
        ({"name": "x"}, {"name": "o"}, {"name": "b"}, [{"name": "b"}]),
        ({"a": 1, "b": 1}, {"a": 1}, {"a": 1, "c": 1}, [{"a": 1, "b": 1, "c": 1}]),
        ({"a": 1, "b": 1}, {"a": 1}, {}, [{"b": 1}]),
        ([1], [1], [2], [[2]]),
        ([1, 2], [7], [7], [[1, 2]]),
    ],
)
def test_a_change_is_put_on_top_of_anothers(base: Any, before: Any, after: Any, merged: list[Any]) -> None:
    """Sets, counters and lists keep both; of a register the last one holds."""
    assert merges(base, before, after) == merged


def test_actions_at_the_same_time_have_any_order_and_others_theirs() -> None:
    """A register that both set holds either; one that was set afterwards holds the later."""
    one, other = Act(1, 5, {"name": ""}, ({"name": "a"},)), Act(3, 8, {"name": ""}, ({"name": "b"},))
    assert states_after({"name": ""}, [one, other]) == ({"name": "a"}, {"name": "b"})
    later = other._replace(begin=6)
    assert states_after({"name": ""}, [later, one]) == ({"name": "b"},)


def test_an_action_in_doubt_may_have_happened_or_not_and_the_other_has() -> None:
    """The last is the state with both."""
    one, doubt = Act(1, 5, [], (["a"],)), Act(2, 9, [], ([], ["b"]))
    assert states_after([], [one, doubt]) == (["a"], ["b", "a"], ["a", "b"])
    assert states_after([], [one, doubt._replace(outcomes=None)]) is None
    assert states_after([], [one] * 9) is None


class Account:
    """An account whose devices act by hand."""

    def __init__(self) -> None:
        self.model = AccountModel({"notes": []})
        self.now = 0

    def begins(self) -> tuple[int, Any]:
        self.now += 1
        return self.now, self.model.begin_act()

    def ends(self, begun: tuple[int, Any], *outcomes: Any) -> None:
        self.now += 1
        self.model.end_act(Act(begun[0], self.now, begun[1], outcomes or None))


def adding(model: Any, note: str) -> Any:
    return {"notes": [*model["notes"], note]}


def test_each_device_begins_with_what_the_other_was_told() -> None:
    """And a read while an action is under way is compared with nothing."""
    account = Account()
    one, other = account.begins(), account.begins()
    assert not account.model.is_alone(account.model.begin_read())
    account.ends(one, adding(one[1], "a"))
    third = account.begins()
    assert third[1] == {"notes": ["a"]}
    account.ends(third, adding(third[1], "c"))
    account.ends(other, adding(other[1], "b"))
    turn = account.model.begin_read()
    assert account.model.is_alone(turn)
    assert account.model.allowed is not None
    assert all(sorted(state["notes"]) == ["a", "b", "c"] for state in account.model.allowed)
    last = account.begins()
    account.ends(last, last[1])
    assert not account.model.is_alone(turn)


def test_while_one_device_is_in_doubt_the_other_does_not_act() -> None:
    """What it did then could not be judged."""
    account = Account()
    one, other = account.begins(), account.begins()
    account.ends(one, one[1], adding(one[1], "a"))
    assert not account.model.may_act
    account.ends(other, adding(other[1], "b"))
    assert account.model.allowed == tuple({"notes": notes} for notes in (["b"], ["b", "a"], ["a", "b"]))
    assert not account.model.may_act
    account.model.take({"notes": ["b"]})
    assert account.model.may_act
