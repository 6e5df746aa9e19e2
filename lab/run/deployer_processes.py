"""Deployers as processes of their own, so that one may really be killed: started, heard, stopped at a step, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import IO, Self

import msgspec
import psutil

from lab import record
from lab.clock import SYSTEM_CLOCK, Clock
from lab.errors import LabFault
from lab.model import Value

GO = b"go\n"
ENDS_WITHIN = 5.0
"""Seconds that a deployer may take to end when it is told to."""


class AtBoundary(Value, tag="at-boundary", tag_field="kind"):
    """A deployer is just before or after an act and waits for leave to go on."""

    moment: str
    step: record.Step


OnBoundary = Callable[["DeployerProcess", str, record.Step], None]
_LINE: msgspec.json.Decoder[record.AnyEvent | AtBoundary] = msgspec.json.Decoder(record.AnyEvent | AtBoundary)


class DeployerProcess:
    """One `lab deployer` whose events are read here. It ends by itself when this process does."""

    def __init__(
        self,
        project: str,
        report: Callable[[record.AnyEvent], None],
        *,
        on_boundary: OnBoundary | None = None,
        script: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._report, self._on_boundary, self._clock = report, on_boundary, clock
        # -P: a `lab.py` in the folder that somebody runs the lab in is theirs, and no package.
        argv = [sys.executable, "-P", "-m", "lab", "deployer", "--project", project, "--events"]
        argv += ["--rehearse"] if on_boundary is not None else []
        argv += ["--script", script] if script is not None else []
        self._said_last = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by `end`, as the process is
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said_last,
            start_new_session=True,
            bufsize=0,
        )
        self._is_expected_to_end = False
        self._thread = threading.Thread(target=self._listen, name=f"deployer {self.pid}", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """SIGKILL: it gets no chance to leave anything tidy."""
        self._is_expected_to_end = True
        self._signal(signal.SIGKILL)
        self._process.wait()

    @property
    def is_frozen(self) -> bool:
        """Whether the system says that it is stopped."""
        return not self.has_ended and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

    def freeze(self) -> None:
        """SIGSTOP: it is there and does nothing, until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was."""
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """Tell it to end, and see to it."""
        self._is_expected_to_end = True
        self.thaw()
        self._signal(signal.SIGTERM)
        self._close_stdin()
        try:
            self._process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._thread.join(ENDS_WITHIN)
        self._pipe(self._process.stdout).close()
        self._said_last.close()

    def check(self) -> None:
        """Raise LabFault where it ended though nobody meant it to."""
        if self.has_ended and not self._is_expected_to_end:
            self._said_last.seek(0)
            said = self._said_last.read().decode(errors="replace").strip() or "no output"
            what = f"a deployer ended by itself with {self._process.returncode}: {said}"
            raise LabFault(what, at=f"process {self.pid}", hint="lab lock")

    def _listen(self) -> None:
        for line in self._pipe(self._process.stdout):
            try:
                said = _LINE.decode(line)
            except msgspec.DecodeError:
                if line.endswith(b"\n"):
                    self._report(record.Trouble(at=self._clock.now(), what=f"a deployer said: {line!r}"))
                continue  # torn by its death
            if isinstance(said, AtBoundary):
                self._reach(said)
            else:
                self._report(said)

    def _reach(self, boundary: AtBoundary) -> None:
        try:
            if self._on_boundary is not None:
                self._on_boundary(self, boundary.moment, boundary.step)
        finally:
            with suppress(OSError, ValueError):  # it was killed here
                self._pipe(self._process.stdin).write(GO)

    def _signal(self, number: signal.Signals) -> None:
        if not self.has_ended:
            self._process.send_signal(number)

    def _close_stdin(self) -> None:
        with suppress(OSError):
            self._pipe(self._process.stdin).close()

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None  # noqa: S101 -- both were asked for
        return pipe


class Crew:
    """The deployers of one run: one leads, the others stand by; a killed one is followed by a new one."""

    def __init__(
        self,
        project: str,
        count: int,
        report: Callable[[record.AnyEvent], None],
        *,
        on_boundary: OnBoundary | None = None,
        script: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._project, self._count, self._report = project, count, report
        self._on_boundary, self._script, self._clock = on_boundary, script, clock
        self._lock = threading.Lock()
        self._members: list[DeployerProcess] = []
        self._left: list[DeployerProcess] = []

    def __enter__(self) -> Self:
        for _ in range(self._count):
            self.join()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in (*self._members, *self._left):
            member.end()

    def join(self) -> DeployerProcess:
        """One more deployer."""
        member = DeployerProcess(
            self._project, self._report, on_boundary=self._on_boundary, script=self._script, clock=self._clock
        )
        with self._lock:
            self._members.append(member)
        return member

    def kill(self, member: DeployerProcess) -> bool:
        """Kill one without warning; another one follows it. False for one that was killed before."""
        with self._lock:
            if member not in self._members:
                return False
            self._members.remove(member)
            self._left.append(member)
        member.kill()
        self.join()
        return True

    @property
    def members(self) -> tuple[DeployerProcess, ...]:
        """Those that were not killed."""
        with self._lock:
            return tuple(self._members)

    def wake(self) -> None:
        """Deployers in processes look by themselves."""

    def check(self) -> None:
        """Raise where one ended by itself."""
        for member in self.members:
            member.check()


def serve_events(out: IO[bytes]) -> Callable[[record.AnyEvent], None]:
    """The deployer's side: a report that writes each event as a line, whole or not at all."""
    encoder, lock = msgspec.json.Encoder(), threading.Lock()

    def report(event: record.AnyEvent) -> None:
        with lock:
            out.write(encoder.encode(event) + b"\n")
            out.flush()

    return report


def ask_at_boundary(out: IO[bytes], answer: Callable[[], bytes]) -> Callable[[str, record.Step], None]:
    """The deployer's side: tell where it is and wait for leave, which is the next `answer`; without anybody to give it,
    which an empty one says, this process ends."""
    encoder = msgspec.json.Encoder()

    def ask(moment: str, step: record.Step) -> None:
        out.write(encoder.encode(AtBoundary(moment=moment, step=step)) + b"\n")
        out.flush()
        if not answer():
            os._exit(1)

    return ask
