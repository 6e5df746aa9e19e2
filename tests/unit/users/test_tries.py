"""When a user tries again, and what all the tries together say."""

from __future__ import annotations

from typing import Any

import pytest

from lab.model import TRIED_AGAIN, Outcome, TryResult
from lab.users.head import read_head
from lab.users.meaning import Meaning, is_harmless, meaning_of, outcome_of, sends_to
from lab.users.tries import Tries
from lab.users.wire import HttpAnswer


def answer(status: int, **headers: bytes) -> HttpAnswer:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return HttpAnswer(read_head(status, named), b"")


def test_pauses_grow_and_are_jittered() -> None:
    """The first repeat waits up to 50 ms, the second up to 200 ms, and luck 0 doesn't wait at all."""
    policy = Tries()
    assert policy.pause_before(2, 0.5) == pytest.approx(0.025)
    assert policy.pause_before(3, 0.5) == pytest.approx(0.1)
    assert policy.pause_before(3, 0) == 0


@pytest.mark.parametrize(
    ("came", "harmless"),
    [
        (TryResult.UNSENT, True),
        (TryResult.CUT, False),
        (TryResult.TIMEOUT, False),
        (answer(200), False),
        (answer(302), False),
        (answer(401), True),
        (answer(409), True),
        (answer(500), False),
        (answer(502), False),
        (answer(503), False),
        (answer(503, x_not_applied=b"1"), True),
        (answer(503, x_not_applied=b"0"), False),
        (answer(500, x_not_applied=b"1"), False),
        (answer(401, x_edge=b"unix:/run/slots/a1.sock"), True),
        (answer(401, x_edge=b"unix:/run/slots/a1.sock, unix:/run/slots/b1.sock"), False),
        (answer(503, x_not_applied=b"1", x_edge=b"unix:/run/slots/a1.sock, unix:/run/slots/b1.sock"), False),
    ],
)
def test_harmless(came: HttpAnswer | TryResult, harmless: bool) -> None:
    """Only what was never sent, a 4xx and an app's certain 503 of the first replica surely had no effect."""
    assert is_harmless(came) is harmless


@pytest.mark.parametrize(
    ("last", "all_harmless", "outcome"),
    [
        (Meaning.APPLIED, False, Outcome.OK),
        (Meaning.LOGGED_OUT, True, Outcome.REFUSED),
        (Meaning.LOGGED_OUT, False, Outcome.UNKNOWN),
        (Meaning.NOT_APPLIED, True, Outcome.REFUSED),
        (Meaning.NOT_APPLIED, False, Outcome.UNKNOWN),
        (Meaning.UNKNOWN, False, Outcome.UNKNOWN),
    ],
)
def test_outcomes(last: Meaning, all_harmless: bool, outcome: Outcome) -> None:
    """ok by the last try alone; refused only where no try can have had an effect."""
    assert outcome_of(last, all_harmless=all_harmless) is outcome


@pytest.mark.parametrize(
    ("came", "wanted", "meaning"),
    [
        (answer(200), {}, Meaning.APPLIED),
        (answer(204), {}, Meaning.APPLIED),
        (answer(303, location=b"/cart"), {}, Meaning.UNKNOWN),
        (answer(303, location=b"/cart"), {"follows": True}, Meaning.APPLIED),
        (answer(304), {"follows": True}, Meaning.UNKNOWN),
        (answer(303, location=b"/login"), {"is_away": True}, Meaning.LOGGED_OUT),
        (answer(303, location=b"/login"), {"is_away": True, "expected": {303}}, Meaning.APPLIED),
        (answer(401), {"is_away": True}, Meaning.LOGGED_OUT),
        (answer(401), {"is_away": True, "expected": {200, 401}}, Meaning.APPLIED),
        (answer(401), {"expected": {200}}, Meaning.NOT_APPLIED),
        (answer(200), {"expected": {201}}, Meaning.UNKNOWN),
        (answer(409), {}, Meaning.NOT_APPLIED),
        (answer(502), {}, Meaning.UNKNOWN),
        (TryResult.UNSENT, {}, Meaning.NOT_APPLIED),
        (TryResult.CUT, {"is_away": True}, Meaning.UNKNOWN),
    ],
)
def test_what_an_answer_means(came: HttpAnswer | TryResult, wanted: dict[str, Any], meaning: Meaning) -> None:
    """By what the action wanted: a redirect elsewhere is no success to whoever does not follow it."""
    assert meaning_of(came, **wanted) is meaning


@pytest.mark.parametrize(
    ("came", "is_away"),
    [
        (answer(401), True),
        (answer(303, location=b"/login"), True),
        (answer(302, location=b"http://127.0.0.1:80/login?next=%2Fcart"), True),
        (answer(303, location=b"/cart"), False),
        (answer(303, location=b"http://[/login"), False),
        (answer(200, location=b"/login"), False),
    ],
)
def test_who_is_sent_to_the_login_page(came: HttpAnswer, is_away: bool) -> None:
    """By 401, or by a redirect to that very page."""
    assert sends_to(came, "/login") is is_away


def test_what_is_tried_again() -> None:
    """Lost connections and 5xx are tried again; answers that say no, or make no sense, are not."""
    assert {"cut", "timeout", "unsent", "500", "502", "503", "504"} == TRIED_AGAIN
