"""Waiting is bounded and says what was last seen."""

from __future__ import annotations

import pytest

from lab.clock import FakeClock
from lab.errors import WaitTimeout
from lab.retry import wait_until


def test_it_returns_what_the_probe_found() -> None:
    """As soon as the probe says something true, that is the answer."""
    answers = iter([None, 0, "", "here"])
    assert wait_until("it is here", lambda: next(answers), within=10, clock=FakeClock()) == "here"


def test_it_gives_up_in_time_and_says_what_was_last_seen() -> None:
    """The message names the wait, the time, the last sight and the next step."""
    clock = FakeClock()
    with pytest.raises(WaitTimeout) as caught:
        wait_until("a1 is ready", list, within=2, every=0.5, next_step="lab status", clock=clock)
    assert clock.now() <= 2.5e9
    for part in ("a1 is ready", "2.0 s", "[]", "lab status"):
        assert part in str(caught.value)


def test_it_says_what_is_missing_where_the_probe_can_only_say_no() -> None:
    """Asked once, at the end."""
    with pytest.raises(WaitTimeout, match=r"not so after 1\.0 s; last seen: no replica serves in b1"):
        wait_until("every slot serves", bool, within=1, seen=lambda: "no replica serves in b1", clock=FakeClock())


def test_an_os_error_counts_as_not_yet() -> None:
    """A refused connection is what one waits through."""

    def refuse() -> bool:
        raise ConnectionRefusedError("no")

    with pytest.raises(WaitTimeout, match="ConnectionRefusedError"):
        wait_until("it answers", refuse, within=1, clock=FakeClock())


def test_any_other_error_ends_the_wait_at_once() -> None:
    """A bug of the probe is not waited through."""

    def fail() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wait_until("it answers", fail, within=1, clock=FakeClock())
