"""A thread whose call never returns is told with its line, and keeps no process from ending."""

from __future__ import annotations

import subprocess
import sys
import textwrap

SPINS = """
    import asyncio
    from lab.users import loop_thread
    loop_thread.END_WITHIN = 0.5

    async def nothing():
        pass

    async def spin():
        while True:
            pass

    thread = loop_thread.LoopThread("crowd", asyncio.new_event_loop, began=lambda: None, leaving=nothing)
    thread.start()
    asyncio.run_coroutine_threadsafe(spin(), thread._loop)
    print(thread.stop())
"""


def test_a_call_that_never_returns_is_told_with_its_line() -> None:
    """A journey that spins for ever, say."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SPINS)], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("<string>:1")
    assert done.stdout.endswith(" did not return\n")
