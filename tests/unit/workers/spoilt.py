"""A worker that does one thing wrong: `python spoilt.py HOW PART`. All parts but that one are as they should be."""

from __future__ import annotations

import os
import sys

from lab.clock import NS, SystemClock
from lab.workers import worker
from lab.workers.messages import OPERATIONS, Begin

HOW, PART = sys.argv[1], int(sys.argv[2])
AFTER = 12
"""So many frames of operations it is well."""
BEHIND = 5 * NS


class Spoilt(worker.Worker):
    """Is well until its users have done a few things."""

    _is_mine = False
    _frames = 0

    def _begin(self, begin: Begin) -> None:
        self._is_mine = begin.size.part == PART
        super()._begin(begin)

    def _send(self, frame: bytes) -> None:
        if self._is_mine and frame.startswith(OPERATIONS):
            self._frames += 1
            if self._frames > AFTER and self._spoil(frame):
                return
        super()._send(frame)

    def _spoil(self, frame: bytes) -> bool:
        """Whether this frame is not sent."""
        match HOW:
            case "dies":
                sys.stderr.write("out of memory\n")
                sys.stderr.flush()
                os._exit(9)
            case "tears":
                self._write(frame[: len(frame) // 2])
                os._exit(0)
            case "babbles":
                self._write(b"what?" * 10)
                return False
            case "forgets":
                return self._frames == AFTER + 1
        return False


class Behind(SystemClock):
    """A clock that says what another machine's would."""

    def now(self) -> int:
        return SystemClock.now() - BEHIND


code = worker.main(Behind() if HOW == "behind" else SystemClock(), Spoilt)
os._exit(code)
