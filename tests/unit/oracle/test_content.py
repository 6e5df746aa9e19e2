"""What an answer tells by itself: another's marks, wrong content, a wrong password, and what a repeat was answered."""

from __future__ import annotations

from msgspec.structs import replace

from lab.clock import NS
from lab.model import Kind, Operation, Outcome, Try
from lab.oracle import check
from lab.oracle.promises import APPLIED_ONCE, LOGGED_IN, OWN_DATA, STATE_KEPT, Anomaly
from tests.unit.oracle.making import op


def found(*operations: Operation) -> list[tuple[str, str]]:
    return [(one.promise, one.anomaly) for one in check(operations).findings]


def test_a_mark_of_another_user_is_a_leak_wherever_it_stands() -> None:
    """In an answer that holds nothing else of the user, too."""
    seen = replace(op(Kind.BROWSE, 1, 2), foreign="user-007", quiet=True)
    assert found(seen) == [(OWN_DATA, Anomaly.LEAK)]
    cart = replace(op(Kind.CART, 1, 2, answer={}), foreign="user-007", quiet=True)
    assert found(cart) == [(OWN_DATA, Anomaly.LEAK)]


def test_wrong_content_loses_state_once() -> None:
    """The first time of each user."""
    seen = [
        replace(op(Kind.CART, at, at + 1, answer={}), wrong="u.1.1 is tea, and a cup is shown", quiet=True)
        for at in (1, 3)
    ]
    assert found(*seen) == [(STATE_KEPT, Anomaly.WRONG_CONTENT)]


def test_a_wrong_password_lets_nobody_in() -> None:
    """A refusal is as it should be, and counts as looked at."""
    refused = op(Kind.INTRUDE, 1, 2, outcome=Outcome.REFUSED, result="401")
    assert check([refused]).counts[OWN_DATA] == 1
    assert found(refused) == []
    assert found(op(Kind.INTRUDE, 1, 2, answered_as="u")) == [(OWN_DATA, Anomaly.LET_IN)]


def test_a_repeat_with_another_answer_was_done_again() -> None:
    """An answer that is kept with its key is the same each time."""
    tries = (Try(1, 2, "200", replica="a1-1"), Try(3, 4, "200", replica="b1-1"))
    add = op(Kind.ADD, 0, 1, "u.1.1", argument=1)
    once = op(Kind.CHECKOUT, 1, 4, "u.1.2", answer={"u.1.1": 1}, tries=tries)
    assert found(add, replace(once, repeats=1)) == []
    assert found(add, replace(once, repeats=1, answered_again={})) == [(APPLIED_ONCE, Anomaly.DONE_AGAIN)]


def test_a_redirect_to_the_login_page_is_a_logout_by_its_own_words() -> None:
    """It says what came, and not 401."""
    login = op(Kind.LOGIN, 1, 2, session="u/1#1")
    away = replace(
        op(Kind.CART, 3 * NS, 3 * NS + 1, session="u/1#1", outcome=Outcome.REFUSED, result="303"), turned_away=True
    )
    [finding] = check([login, away]).findings
    assert (finding.promise, finding.anomaly) == (LOGGED_IN, Anomaly.FORCED_LOGOUT)
    assert "the user was sent to log in (303)" in finding.why
