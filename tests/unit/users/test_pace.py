"""Whoever waits is woken at their time, by one timer for all."""

from __future__ import annotations

import asyncio

import pytest

from lab.users.pace import WakeUps
from lab.users.wire import quickest_loop


@pytest.mark.parametrize("loop_factory", [quickest_loop, asyncio.new_event_loop], ids=["quickest", "asyncio"])
def test_all_are_woken_in_time_and_in_turn(loop_factory: object) -> None:
    """In the order of their times, whatever the order in which they came, and none before its time."""
    woken: list[float] = []

    async def wait(schedule: WakeUps, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        assert await schedule.wait(seconds)
        assert -2 * WakeUps.GRAIN <= loop.time() - due < 0.5
        woken.append(seconds)

    async def work() -> None:
        schedule = WakeUps()
        await asyncio.gather(*(wait(schedule, seconds) for seconds in (0.06, 0.02, 0.04, 0.02, 0.0)))
        await wait(schedule, 0.01)  # it was idle meanwhile

    with asyncio.Runner(loop_factory=loop_factory) as runner:  # type: ignore[arg-type]
        runner.run(work())
    assert woken == [0.0, 0.02, 0.02, 0.04, 0.06, 0.01]


def test_one_who_was_told_otherwise_is_not_woken() -> None:
    """A wait that was ended early keeps its result, and those after it are woken all the same."""

    async def work() -> None:
        schedule = WakeUps()
        ended, other = schedule.wait(0.01), schedule.wait(0.02)
        ended.set_result(False)
        assert await other
        assert not ended.result()

    asyncio.run(work())
