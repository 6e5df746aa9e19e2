"""`lab gate`: says over HTTP, while a run goes on, whether whoever deploys may go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.console.reports import folder_of
from lab.errors import ExitCode
from lab.machine.places import find_places
from lab.record import ReadRecord
from lab.run.gate import GateAnswer, GateStatus, answer
from lab.run.judge import judge_run, scenario_of
from lab.web.gate import GateServer

Say = Callable[[str], None]
FRESH = 0.5
"""Seconds for which an answer counts, and at least three times as long as judging took."""
NEXT = "next"
LEFT_ALONE = 20.0
"""Seconds without a new line after which a record without a verdict is taken to be a killed lab's."""


class Gate:
    """Answers for one run, from its record alone. May be asked from several threads."""

    def __init__(self, folder: Callable[[], Path | None], *, clock: Clock = SYSTEM_CLOCK) -> None:
        """`folder` finds the run, None as long as there is none."""
        self._find, self._clock = folder, clock
        self._lock = threading.Lock()
        self._answer: GateAnswer | None = None
        self._until = 0

    def ask(self) -> tuple[int, bytes]:
        """Status and JSON. Raises RecordError where the record can't be read."""
        with self._lock:
            now = self._clock.now()
            if self._answer is None or now >= self._until:
                self._answer = self._judge()
                took = self._clock.now() - now
                self._until = now + max(int(FRESH * NS), 4 * took)
            told = msgspec.structs.asdict(self._answer)  # with what is 0 or false: whoever reads it looks for it
            return int(self._answer.status), msgspec.json.encode(told)

    def _judge(self) -> GateAnswer:
        folder = self._find()
        if folder is None or not (folder / "environment.json").exists():
            run = "" if folder is None else folder.name
            return GateAnswer(status=GateStatus.TOO_EARLY, why="the run has not begun", run=run)
        is_over = _is_over(folder)  # looked at first: what is judged then is whole
        seen = ReadRecord(folder)
        judged = judge_run(seen, is_over=is_over, so_far=not is_over)
        return answer(folder.name, judged, scenario_of(seen), list(seen.events()), is_over=is_over)


def serve_gate(named: str, *, port: int | None, say: Say) -> int:
    """Serve the gate of a run until Ctrl-C. `next` is the one that goes on, or the first that begins from now on."""
    find = NextRun(find_places().runs) if named == NEXT else _always(folder_of(named))
    with GateServer(Gate(find).ask, port) as server:
        say(f"gate {server.url}   200 go on, 409 stop, 425 too early     Ctrl-C ends it")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            say("")
    return ExitCode.HELD


def _always(folder: Path) -> Callable[[], Path]:
    return lambda: folder


class NextRun:
    """Finds the run that goes on when this was made, else the first that begins afterwards: never one that is over."""

    def __init__(self, runs: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._runs = runs
        now = clock.wall().timestamp()
        self._old = {one.name for one in self._begun() if _is_over(one) or now - _written(one) > LEFT_ALONE}
        self._found: Path | None = None

    def __call__(self) -> Path | None:
        """Its folder; None as long as there is none."""
        if self._found is None:
            fresh = [one for one in self._begun() if one.name not in self._old]
            self._found = min(fresh, key=lambda one: one.stat().st_ctime, default=None)
        return self._found

    def _begun(self) -> list[Path]:
        if not self._runs.is_dir():
            return []
        return [one for one in self._runs.iterdir() if (one / "events.jsonl").exists()]


def _is_over(folder: Path) -> bool:
    return (folder / "verdict.json").exists()


def _written(folder: Path) -> float:
    return (folder / "events.jsonl").stat().st_mtime
