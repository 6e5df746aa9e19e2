"""`python -m lab` and the console script `lab`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Run the command line and leave with its exit code."""
    from lab.cli import main as command_line  # noqa: PLC0415 -- only once the current folder is out of the way

    sys.exit(command_line())


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
