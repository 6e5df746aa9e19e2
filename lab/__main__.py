"""`python -m lab` and the console script `lab`."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path


def main() -> None:
    """Run the command line and leave with its exit code."""
    from lab.cli import main as command_line  # noqa: PLC0415 -- only once the current folder is out of the way

    code = command_line()
    if any(one.daemon and one is not threading.current_thread() for one in threading.enumerate()):
        _leave_at_once(code)
    sys.exit(code)


def _leave_at_once(code: int) -> None:
    """What a thread is still in may be somebody's own code, in a stack of its own that Python can't take down."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _leave_the_current_folder_out() -> None:
    """Let no `click.py` of the current folder stand in for what the lab imports, as `python -P` would.

    `python -m lab` alone looks there first. A `lab.py` there is what it runs then: only `python -P -m lab` and the
    console script find the package. Where the package itself is found by the current folder, that stays.
    """
    with_package = Path(__file__).resolve().parents[1]
    try:
        here = os.getcwd()  # noqa: PTH109 -- as it stands in sys.path
    except OSError:
        return
    if not sys.flags.safe_path and sys.path[:1] == [here] and Path(here).resolve() != with_package:
        del sys.path[0]


if __name__ == "__main__":
    _leave_the_current_folder_out()
    main()
