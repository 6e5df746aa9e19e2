"""A state that is out of reach for a while ends nobody who only looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lab.clock import FakeClock
from lab.deploy.bearing import borne
from lab.deploy.deployer import STATE_BACK_WITHIN
from lab.errors import Fenced, Stale, StateError


def look_that(*answers: bool | StateError) -> Callable[[], bool]:
    given: Iterator[bool | StateError] = iter(answers)

    def look() -> bool:
        answer = next(given)
        if isinstance(answer, StateError):
            raise answer
        return answer

    return look


AWAY = StateError("it does not answer")


def test_a_state_that_is_away_for_a_moment_is_not_yet() -> None:
    """And each absence counts anew."""
    clock = FakeClock()
    look = borne(look_that(AWAY, False, AWAY, True), clock=clock)
    seen = []
    for _ in range(4):
        seen.append(look())
        clock.sleep(STATE_BACK_WITHIN * 0.6)
    assert seen == [False, False, False, True]


def test_a_state_that_stays_away_is_told() -> None:
    """As the deployer tells it, after as long."""
    clock = FakeClock()
    look = borne(look_that(AWAY, AWAY, AWAY), clock=clock)
    assert not look()
    clock.sleep(STATE_BACK_WITHIN)
    assert not look()
    clock.sleep(0.1)
    with pytest.raises(StateError):
        look()


@pytest.mark.parametrize("kind", [Stale, Fenced])
def test_a_state_that_answers_is_believed(kind: type[StateError]) -> None:
    """Somebody else's change is no absence."""
    with pytest.raises(kind):
        borne(look_that(kind("no")), clock=FakeClock())()
