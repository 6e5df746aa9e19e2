"""What the lab writes for whoever called it, and what becomes of that when nobody can be told any more."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal, TextIO, cast

from lab.errors import LabError, printable


def say(text: str) -> None:
    """Print a line, or several, at once. Control characters other than line ends are shown as escapes.

    Raises OSError where standard output takes nothing any more.
    """
    print(printable(text), flush=True)


def say_one_line(text: str) -> None:
    """Print text that quotes a record: there, line ends are escaped too, or a title could forge a verdict."""
    print(printable(text, keep=""), flush=True)


def complain(text: str) -> None:
    """Print to standard error, if that can be; never raises, for an exit code is due afterwards."""
    if sys.stderr is None:  # print() would take that for standard output
        return
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _give_up(sys.stderr)


def describe(error: LabError) -> str:
    """An error with its place and its hint; whatever lines it quotes are indented, so none passes for the lab's own."""
    where = f"{printable(error.at, keep='')}: " if error.at else ""
    todo = f"\n  try: {_indented(error.hint, 7)}" if error.hint else ""
    return f"lab: {where}{_indented(error.what, 2)}{todo}"


def _indented(text: str, by: int) -> str:
    return printable(text).replace("\n", "\n" + " " * by)


class StandardOutput(io.TextIOWrapper):
    """Standard output that takes any text, and remembers why it takes nothing any more."""

    lost: OSError | None = None

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as exc:
            self.lost = exc
            raise

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as exc:
            self.lost = exc
            raise


def output_error() -> OSError | None:
    """Why standard output takes nothing any more, if so."""
    if isinstance(sys.stdout, StandardOutput):
        with suppress(OSError):
            sys.stdout.flush()
        if sys.stdout.lost is not None:
            _give_up(sys.stdout)
        return sys.stdout.lost
    return None


def _give_up(stream: TextIO) -> None:
    """Let the null device take what the stream still holds: Python would end with a code of its own otherwise."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        stream.flush()


def prepare_streams() -> bool:
    """Make the standard streams fit for any text; False if standard output was closed before the lab began.

    A closed stream's number would be that of the next file that is opened: a record must not get what is printed.
    """
    was_open = sys.stdout is not None
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    sys.stdin = sys.stdin or _null("r")
    sys.stderr = sys.stderr or _null("w")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding, is_terminal = sys.stdout.encoding, sys.stdout.isatty()
        raw = cast("io.BufferedWriter", sys.stdout.detach())
        sys.stdout = StandardOutput(raw, encoding, "backslashreplace", line_buffering=is_terminal)
    return was_open


def _null(mode: Literal["r", "w"]) -> TextIO:
    return Path(os.devnull).open(mode, encoding="utf-8")
