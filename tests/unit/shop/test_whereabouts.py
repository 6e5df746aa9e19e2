"""Where the store's primary is, as the Sentinels say it."""

from __future__ import annotations

import time

import pytest
from shop import patience
from shop.whereabouts import moved_to, sentinels_from


def test_a_move_is_told_with_the_new_address() -> None:
    """The message names the group, the old address and the new one."""
    message = [b"message", b"+switch-master", b"shop 10.0.0.11 6379 10.0.0.12 6379"]
    assert moved_to(message) == ("10.0.0.12", 6379)


@pytest.mark.parametrize(
    "message",
    [
        [b"subscribe", b"+switch-master", 1],
        [b"message", b"+switch-master", b"other 10.0.0.11 6379 10.0.0.12 6379"],
        [b"message", b"+switch-master", b"shop 10.0.0.11"],
        None,
    ],
)
def test_whatever_else_is_said_moves_nothing(message: object) -> None:
    """Another group's move, a torn message, the answer to the subscription itself."""
    assert moved_to(message) is None


def test_sentinels_are_addresses_between_commas() -> None:
    """As the environment has them; a port that is none is refused."""
    assert sentinels_from("a:26379,10.0.0.2:1") == (("a", 26379), ("10.0.0.2", 1))
    assert sentinels_from("") == ()
    with pytest.raises(ValueError, match="invalid literal"):
        sentinels_from("a:b")


def test_patience_is_shared_by_all_that_a_request_asks() -> None:
    """Its deadline stays; what is sent at the last moment still gets a little time, and never more than is asked."""
    patience.begin(0.2)
    until = patience.deadline()
    assert patience.deadline() == until <= time.monotonic() + 0.2
    assert patience.left(until, 3.0) == patience.LEAST_SECONDS
    assert patience.left(until + 100, 3.0) == 3.0


def test_a_request_is_answered_before_the_balancer_gives_up() -> None:
    """The replica's patience, and its last answer, are over first."""
    from lab.balancer.config import BalancerSettings

    assert BalancerSettings().answer_timeout > patience.REQUEST_SECONDS + patience.LEAST_SECONDS
