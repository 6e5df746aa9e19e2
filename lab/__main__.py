"""`python -m lab` and the console script `lab`."""

from __future__ import annotations

import io
import os
import sys

from lab.cli import run_command_line
from lab.errors import ExitCode


def main() -> None:
    """Run the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no ✓ must not end a run
    try:
        os.getcwd()  # noqa: PTH109 -- asked whether there is one
    except OSError as exc:
        sys.stderr.write(f"lab: the current folder can't be used: {exc.strerror}\n  try: cd\n")
        sys.exit(ExitCode.USAGE)
    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
