"""When a user tries again, and what all the tries together say."""

from __future__ import annotations

import pytest

from lab.model import TRIED_AGAIN, Outcome, TryResult
from lab.users.head import read_head
from lab.users.tries import Tries, is_harmless, outcome_of
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
        ("200", False, Outcome.OK),
        ("204", False, Outcome.OK),
        ("401", True, Outcome.REFUSED),
        ("401", False, Outcome.UNKNOWN),
        ("503", True, Outcome.REFUSED),
        ("503", False, Outcome.UNKNOWN),
        ("303", False, Outcome.UNKNOWN),
        (TryResult.UNSENT, True, Outcome.REFUSED),
        (TryResult.UNSENT, False, Outcome.UNKNOWN),
        (TryResult.CUT, False, Outcome.UNKNOWN),
        (TryResult.GARBLED, False, Outcome.UNKNOWN),
    ],
)
def test_outcomes(last: str, all_harmless: bool, outcome: Outcome) -> None:
    """ok by the last try alone; refused only where no try can have had an effect."""
    assert outcome_of(last, all_harmless=all_harmless) is outcome


def test_what_is_tried_again() -> None:
    """Lost connections and 5xx are tried again; answers that say no, or make no sense, are not."""
    assert {"cut", "timeout", "unsent", "500", "502", "503", "504"} == TRIED_AGAIN
