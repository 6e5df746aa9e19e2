"""`lab check` on a generated record, from a file or from a pipe that is written meanwhile, and what it cost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from lab.clock import NS, SYSTEM_CLOCK
from lab.model import Value
from lab.oracle.verdict import Judgement

PAGE = 1024
"""Bytes in what the kernel counts memory in."""


class Judged(Value):
    """One judgement."""

    operations: int
    processes: int
    code: int
    seconds: float
    """By the clock on the wall."""
    cpu: float
    """Seconds of all its processes together."""
    peak: int
    """Bytes in memory of its largest process."""
    users: int = 0
    hurt: int = 0
    findings: int = 0
    said: str = ""
    """Why it gave no verdict."""

    @property
    def each(self) -> float:
        """Microseconds of the clock on the wall for an operation."""
        return self.seconds * 1e6 / self.operations

    @property
    def figure(self) -> str:
        """For a person."""
        plural = "es" if self.processes > 1 else ""
        return (
            f"{self.operations:,} operations of {self.users:,} users in {self.processes} process{plural}:"
            f" {self.seconds:.0f} s ({self.each:.1f} us each, {self.cpu:.0f} s of CPU),"
            f" {self.peak / 2**20:,.0f} MB at the peak, exit {self.code}, {self.hurt} users hurt{self.said}"
        )


def judge(folder: Path, operations: int, *, processes: int = 1, parts: int = 0) -> Judged:
    """Judge a record, as somebody at the command line does."""
    argv = [sys.executable, "-P", "-m", "lab", "check", str(folder), "--json", "--processes", str(processes)]
    argv += ["--parts", str(parts)] if parts else []
    began = SYSTEM_CLOCK.now()
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        text = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)  # with what it waited for itself
        process.returncode = os.waitstatus_to_exitcode(status)
    cost = Judged(
        operations=operations,
        processes=processes,
        code=process.returncode,
        seconds=(SYSTEM_CLOCK.now() - began) / NS,
        cpu=used.ru_utime + used.ru_stime,
        peak=used.ru_maxrss * PAGE,
    )
    try:
        judgement = msgspec.json.decode(text, type=Judgement)
    except msgspec.DecodeError as exc:
        return msgspec.structs.replace(cost, said=f": {exc}")
    return msgspec.structs.replace(
        cost,
        users=judgement.evidence.users,
        hurt=judgement.evidence.users_hurt,
        findings=len(judgement.findings),
        said="".join(f"; {reason}" for reason in judgement.reasons),
    )


def judge_piped(
    folder: Path, history: Callable[[IO[bytes]], None], operations: int, *, parts: int = 1, processes: int = 1
) -> Judged:
    """The same of a history that is on no disk: it is written while it is read, anew for whoever opens it next."""

    def write() -> None:
        while True:  # as whoever looks for a cause does
            with suppress(BrokenPipeError), pipe.open("wb", buffering=0) as file:  # somebody may have read enough
                history(file)
                pipe.unlink()  # whoever opens it next gets a pipe of its own, and this reader its end
                os.mkfifo(pipe)

    pipe = folder / "history.jsonl"
    os.mkfifo(pipe)
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    return judge(folder, operations, parts=parts, processes=processes)
