"""Plain blocking code beside an event loop: it waits, fails and is cancelled as if it had a thread of its own."""

from __future__ import annotations

import asyncio
from threading import Thread

import pytest

from lab.clock import NS, FakeClock
from lab.errors import UsageError
from lab.users.fiber import BlockingWatch, run_blocking, wait_for


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
        watch = BlockingWatch(FakeClock())
        return list(await asyncio.gather(*(run_blocking(add, first, watch=watch) for first in range(50))))

    assert asyncio.run(work()) == [3 * first + 3 for first in range(50)]


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
        task = asyncio.create_task(run_blocking(handle, watch=BlockingWatch(FakeClock())))
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

    work = run_blocking(sleepy, watch=BlockingWatch(clock))
    if stops:
        with pytest.raises(UsageError, match=r"stops all users, for 0\.20 s just now"):
            asyncio.run(work)
    else:
        assert asyncio.run(work) == 10
