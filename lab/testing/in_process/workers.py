"""Workers of a crowd as plain processes of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

WORKER = (sys.executable, "-P", "-m", "lab.workers")
READ_AT_ONCE = 1 << 16
LAST_WORDS = 200
"""Bytes of what a worker wrote to its standard error that are told."""
ENDS_WITHIN = 5.0


class ProcessLine:
    """To a worker that is a process; see `Line`."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self.where = f"process {self._process.pid}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(_there(self._process.stdin).fileno(), left) :]

    def receive(self) -> bytes:
        with suppress(OSError):
            return os.read(_there(self._process.stdout).fileno(), READ_AT_ONCE)
        return b""

    def last_words(self) -> str:
        self._process.wait(ENDS_WITHIN)
        lines = _there(self._process.stderr).read().decode(errors="replace").strip().splitlines()
        return lines[-1][-LAST_WORDS:] if lines else f"exit {self._process.returncode}"

    def close(self) -> None:
        """End it, by force where it does not end by itself once nobody speaks to it."""
        _there(self._process.stdin).close()
        try:
            self._process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def let_go(self) -> None:
        """Once nobody reads any more."""
        self.close()
        for pipe in (self._process.stdout, self._process.stderr):
            _there(pipe).close()


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 -- all three were asked for
    return pipe


class ProcessPlaces:
    """Starts workers as processes; see `WorkerPlaces`."""

    def __init__(self, argv: Sequence[str], doors: tuple[tuple[str, int], ...]) -> None:
        self._argv, self.doors = argv, doors
        self.lines: list[ProcessLine] = []
        """Those that were started last."""

    @contextmanager
    def start(self, count: int) -> Iterator[Sequence[ProcessLine]]:
        self.lines = [ProcessLine(self._argv) for _ in range(count)]
        try:
            yield self.lines
        finally:
            for line in self.lines:
                line.let_go()
