"""Plain blocking code beside an event loop: it waits, fails and is cancelled as if it had a thread of its own."""

from __future__ import annotations

import asyncio
from threading import Thread

import pytest
from greenlet import getcurrent, greenlet

from lab.clock import NS, FakeClock
from lab.errors import JourneyMistake, UsageError
from lab.users.fiber import Fibers, wait_for


async def give(what: int) -> int:
    await asyncio.sleep(0)
    return what


async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("as it were")


def test_many_wait_at_once() -> None:
    """Each goes on with what it waited for."""

    def add(first: int) -> int:
        return sum(wait_for(give(one)) for one in range(first, first + 3))

    async def work() -> list[int]:
        fibers = Fibers(FakeClock())
        return list(await asyncio.gather(*(fibers.run(add, first) for first in range(50))))

    assert asyncio.run(work()) == [3 * first + 3 for first in range(50)]


def test_a_stack_serves_one_call_after_another() -> None:
    """Also after one that failed, and so few are made as are in use at once; what a call gave is kept nowhere."""
    stacks = list[greenlet]()

    def stand(number: int) -> int:
        stacks.append(getcurrent())
        if number % 3 == 0:
            raise ValueError(f"as it were, {number}")
        return wait_for(give(number))

    async def work() -> list[int | str]:
        fibers, told = Fibers(FakeClock()), list[int | str]()
        for number in range(9):
            try:
                told.append(await fibers.run(stand, number))
            except ValueError as exc:
                told.append(str(exc))
        return told

    told = asyncio.run(work())
    assert told == ["as it were, 0", 1, 2, "as it were, 3", 4, 5, "as it were, 6", 7, 8]
    assert len(set(stacks)) == 1


def test_a_call_that_nobody_waits_for_any_more_is_ended() -> None:
    """As when its user is stopped while it runs: its stack takes no other call."""
    seen: list[str] = []

    def linger() -> None:
        try:
            wait_for(asyncio.sleep(60))
        finally:
            seen.append("ended")

    async def work() -> None:
        waiting = Fibers(FakeClock()).run(linger)
        waiting.send(None)
        waiting.close()
        assert seen == ["ended"]

    asyncio.run(work())


def test_what_fails_or_is_cancelled_is_told_where_it_waits() -> None:
    """And raised from there on."""
    seen: list[str] = []

    def handle() -> str:
        try:
            wait_for(fail())
        except ValueError as exc:
            seen.append(str(exc))
        try:
            wait_for(asyncio.sleep(60))
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return "not reached"

    async def work() -> None:
        task = asyncio.create_task(Fibers(FakeClock()).run(handle))
        while not seen:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert seen == ["as it were", "cancelled"]


def test_another_thread_can_not_wait_there() -> None:
    """It is told so, and what would be done instead."""
    raised: list[UsageError] = []

    def elsewhere() -> None:
        try:
            wait_for(give(1))
        except UsageError as exc:
            raised.append(exc)

    thread = Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "http.together" in raised[0].hint


@pytest.mark.parametrize(("every", "stops"), [(1, True), (4, True), (8, False)])
def test_code_that_sleeps_by_itself_is_stopped(every: int, stops: bool) -> None:
    """All users would wait with it; a machine that is busy now and then is no reason."""
    clock = FakeClock()

    def sleepy() -> int:
        for number in range(400):
            if number % every == 0:
                clock.sleep(0.2)
            wait_for(give(number))
        return clock.now() // NS

    work = Fibers(clock).run(sleepy)
    if stops:
        with pytest.raises(JourneyMistake, match=r"stops all users, for 0\.20 s just now"):
            asyncio.run(work)
    else:
        assert asyncio.run(work) == 10
