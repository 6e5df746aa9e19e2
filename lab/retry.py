"""Waiting and trying again, bounded always: the only module that knows tenacity."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tenacity

from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.errors import WaitTimeout

T = TypeVar("T")


def wait_until(
    what: str,
    probe: Callable[[], T | None],
    *,
    within: float,
    every: float = 0.1,
    next_step: str = "",
    gives_up: Callable[[], bool] = lambda: False,
    seen: Callable[[], str] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> T:
    """Call `probe` every `every` seconds until it returns something true, and return that.

    `what` names the state waited for ("a1 is ready"). `probe` may be called any number of times and must not
    change anything. An exception of the probe ends the wait at once, unless it is an OSError, which counts as
    "not yet". `gives_up` ends the wait early, as a timeout. `seen` says in words what is still missing, where what
    `probe` returns says nothing (as False does); it is asked once, at the end.

    Raises WaitTimeout, which tells what was last seen, after `within` seconds.
    """
    began = clock.now()
    last: object = "nothing yet"

    def probed() -> T | None:
        nonlocal last
        try:
            found = probe()
        except OSError as exc:
            last = exc
            return None
        last = found
        return found

    def is_over(_: tenacity.RetryCallState) -> bool:
        return gives_up() or clock.now() - began >= within * NS

    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda seen: not seen),
        wait=tenacity.wait_fixed(every),
        stop=is_over,
        sleep=clock.sleep,
    )
    try:
        found = waiting(probed)
    except tenacity.RetryError as exc:
        seconds = (clock.now() - began) / NS
        last_seen = (seen() if seen is not None else "") or repr(last)
        raise WaitTimeout(f"{what}: not so after {seconds:.1f} s; last seen: {last_seen}", hint=next_step) from exc
    assert found is not None  # noqa: S101 -- retry_if_result lets nothing false through
    return found
