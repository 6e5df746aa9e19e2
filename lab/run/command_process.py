"""A command of somebody's own, such as a deploy script: run without a shell, heard line by line, and ended whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from lab import record
from lab.clock import NS, SYSTEM_CLOCK, Clock

MOST_LINES = 2000
"""Lines of one command that are recorded; the rest is counted."""
LONGEST_LINE = 2000
"""Characters of a line that are recorded."""
ENDS_WITHIN = 15.0
"""Seconds that whatever a command began may take to be ended."""
READ_OUT_WITHIN = 0.5
"""Seconds for which lines are still read, once a command has ended, before that is told."""
READ_AT_ONCE = 1 << 16


class CommandProcess:
    """One run of a command. Its begin, its lines and its end are told to `report`, from several threads.

    `end` leaves nothing of it running, whatever it started; should this process be killed, nothing is left either.
    """

    def __init__(
        self,
        argv: Sequence[str],
        report: Callable[[record.AnyEvent], None],
        *,
        number: int,
        folder: Path | None = None,
        most_lines: int = MOST_LINES,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._argv, self._report, self._number, self._clock = tuple(argv), report, number, clock
        self._folder, self._most_lines = folder, most_lines
        self._lock = threading.Lock()
        self._lines = self._began = 0
        self._ended = threading.Event()
        self._has_told = False
        self._guardian: subprocess.Popen[bytes] | None = None
        self._threads: list[threading.Thread] = []
        self._hearers: list[threading.Thread] = []
        self.code: int | None = None
        """Its exit code once it has ended by itself; negative: the signal that ended it."""
        self.error = ""
        """Why it could not be started."""
        self.last_line = ""

    def start(self) -> None:
        """Start it; returns at once."""
        self._began = self._clock.now()
        self._report(record.CommandBegan(at=self._began, command=self._number, argv=self._argv))
        reads, writes = os.pipe()
        try:
            self._guardian = subprocess.Popen(
                [sys.executable, "-P", "-m", "lab.run.guardian", str(writes), *self._argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(writes,),
                cwd=self._folder,
                start_new_session=True,
                bufsize=0,
            )
        finally:
            os.close(writes)
        status = os.fdopen(reads, "rb")
        self._hearers = [
            threading.Thread(target=self._hear, args=(self._guardian.stdout, False), daemon=True),
            threading.Thread(target=self._hear, args=(self._guardian.stderr, True), daemon=True),
        ]
        waiter = threading.Thread(target=self._await_status, args=(status,), daemon=True)
        self._threads = [*self._hearers, waiter]
        for thread in self._threads:
            thread.start()

    @property
    def is_over(self) -> bool:
        """Whether the command itself has ended; what it left in the background may go on until `end`."""
        return self._ended.is_set()

    def end(self, why: str = "the run ended") -> None:
        """End it and everything that it started. Calling it again does nothing."""
        guardian = self._guardian
        if guardian is None:
            return
        if guardian.stdin is not None and not guardian.stdin.closed:
            guardian.stdin.close()
        try:
            guardian.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            guardian.kill()
            guardian.wait()
        for thread in self._threads:
            thread.join(1.0)
        self._tell_end(why)

    def _hear(self, pipe: IO[bytes], is_error: bool) -> None:
        """Tell the lines of one pipe; one without an end is told in pieces, so that no memory is its to fill."""
        for line in iter(lambda: pipe.readline(READ_AT_ONCE), b""):
            text = line.decode(errors="replace").rstrip("\r\n")
            if not text:
                continue
            with self._lock:
                self._lines += 1
                self.last_line = text[:LONGEST_LINE]
                is_told = self._lines <= self._most_lines
            if is_told:
                self._report(
                    record.CommandSaid(
                        at=self._clock.now(), command=self._number, line=text[:LONGEST_LINE], is_error=is_error
                    )
                )
        pipe.close()

    def _await_status(self, status: IO[bytes]) -> None:
        with status:
            line = status.readline(READ_AT_ONCE)
        word = json.loads(line) if line.endswith(b"\n") else {}
        self.code, self.error = word.get("code"), word.get("error", "")
        if word:
            now = self._clock.now()
            for hearer in self._hearers:  # its last lines come before its end; only what it left behind keeps them open
                hearer.join(READ_OUT_WITHIN)
            self._tell_end("", ended=now)
        self._ended.set()

    def _tell_end(self, why: str, *, ended: int | None = None) -> None:
        with self._lock:
            if self._has_told:
                return
            self._has_told = True
            dropped = max(0, self._lines - self._most_lines)
        now = self._clock.now()
        self._report(
            record.CommandEnded(
                at=now,
                command=self._number,
                code=self.code,
                seconds=((now if ended is None else ended) - self._began) / NS,
                why=self.error or why,
                dropped=dropped,
            )
        )
