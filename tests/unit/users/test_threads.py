"""Threads for somebody's own code: they work as others do, and one that never returns keeps nothing from ending."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest

from lab.users.threads import UserThreads


def test_what_is_called_returns_or_raises_there() -> None:
    """In at most so many threads, each used again."""
    seen: set[str] = set()

    def double(number: int) -> int:
        seen.add(threading.current_thread().name)
        return 2 * number

    with UserThreads(3) as threads:
        assert [one.result(5) for one in [threads.submit(double, number) for number in range(50)]] == [
            2 * number for number in range(50)
        ]
        with pytest.raises(ZeroDivisionError):
            threads.submit(lambda: 1 // 0).result(5)
    assert len(seen) <= 3
    with pytest.raises(RuntimeError):
        threads.submit(double, 1)


SPINS = """
    import sys
    from lab.users import threads
    from lab.users.threads import UserThreads
    threads.END_WITHIN = 0.5

    class Shopper:
        name = "user-007"

        def act(self):
            while True:
                pass

    try:
        with UserThreads(2, stuck=print) as threads:
            threads.submit(Shopper().act)
            raise KeyboardInterrupt
    except KeyboardInterrupt as exc:
        print(*exc.__notes__)
    sys.exit(143)
"""


def test_a_process_ends_though_somebodys_code_does_not() -> None:
    """After a SIGTERM it used to spin for ever, cleaned up; now the user is named, and the line."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SPINS)], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 143, done.stderr
    told, note = done.stdout.splitlines()
    assert told == note
    assert told.startswith("Shopper.act of user-007 (<string>:1")
    assert told.endswith(") did not return")
