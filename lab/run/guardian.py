"""`python -m lab.run.guardian FD COMMAND...`: runs a command of which nothing outlives whoever asked for it.

The command's output goes where the guardian's own does. On file descriptor FD the guardian writes one JSON line
once the command has ended: {"code": 3}, or {"error": "..."} where it could not be started. Then it waits until its
standard input ends, which it does when the lab says so or is gone, however it went; then every process that the command
began is ended, also those that went into the background or made themselves a session of their own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

import psutil

from lab.machine.host import adopt_orphans

GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL for whatever is left."""
ROUNDS = 20
"""Rounds of SIGKILL at most: what is killed may just have begun another."""


def end_all(own: psutil.Process) -> None:
    """End every process below `own`: politely first, then without asking."""
    left = own.children(recursive=True)
    for one in left:
        _send(one, signal.SIGTERM)
    psutil.wait_procs(left, timeout=GRACE)
    for _ in range(ROUNDS):
        left = own.children(recursive=True)
        if not left:
            return
        for one in left:
            _send(one, signal.SIGKILL)
        psutil.wait_procs(left, timeout=GRACE)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def run(status_fd: int, argv: Sequence[str]) -> None:
    """Run the command until it ends or standard input does."""
    adopt_orphans()
    own = psutil.Process()
    os.set_inheritable(status_fd, False)
    status = os.fdopen(status_fd, "w", encoding="utf-8")
    try:
        command = subprocess.Popen(list(argv), stdin=subprocess.DEVNULL, close_fds=True, start_new_session=True)
    except OSError as exc:
        _write(status, {"error": exc.strerror or str(exc)})
        return

    is_ending = threading.Event()

    def wait() -> None:
        code = command.wait()
        if not is_ending.is_set():  # then it did not end by itself, and whoever reaped it has its code
            _write(status, {"code": code})

    threading.Thread(target=wait, daemon=True).start()
    sys.stdin.buffer.read()
    is_ending.set()
    end_all(own)


def _write(status: TextIO, word: dict[str, object]) -> None:
    with suppress(OSError):  # output closed
        status.write(f"{json.dumps(word)}\n")
        status.flush()


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when its standard input does, and not before
    run(int(sys.argv[1]), sys.argv[2:])
