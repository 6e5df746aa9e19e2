"""The record of a run: what everything that acts writes, and all that judges or shows ever reads.

runs/<id>/
  environment.json   the machine, the engine, the images, the seed
  scenario.json      what was asked for
  events.jsonl       one event a line: phases, container events, steps, strikes
  history.jsonl      one operation a line, in the order in which they ended
  verdict.json       what was found
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import msgspec

from lab.clock import SYSTEM_CLOCK, Clock
from lab.errors import RecordError
from lab.model import Operation, Value

# ---------------------------------------------------------------- events


def _kebab(name: str) -> str:
    """ContainerEvent -> container-event."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


class Event(Value, tag_field="kind", tag=_kebab):
    """Something that happened in the run at monotonic nanosecond `at`."""

    at: int


class PhaseBegan(Event):
    """The run entered a part of its scenario; `until` it ends, the floor of serving replicas is `floor`."""

    name: str
    text: str = ""


class ContainerEvent(Event):
    """The engine says that one of the run's containers changed."""

    action: str  # create, start, kill, die, oom, stop, destroy, pause, unpause, rename
    container: str
    name: str
    role: str
    slot: str = ""
    zone: str = ""
    release: str = ""
    exit_code: int | None = None
    signal: int | None = None
    engine_ns: int = 0
    """The engine's own time of it, nanoseconds since the epoch."""


class Step(Event):
    """The deployer did one thing to one slot: create, start, ready, drain, stop, stopped, remove."""

    action: str
    slot: str
    replica: str
    release: str
    why: str = ""  # upgrade, replacement, first
    seconds: float | None = None


class Strike(Event):
    """A fault is about to be done; written before it is."""

    strike: int
    fault: str
    victim: str
    container: str
    slot: str
    zone: str
    release: str
    serving: int
    """How many replicas were serving just before, the victim among them."""


class StrikeProved(Event):
    """What came of a strike: a hit only where the victim ran and had been answering users."""

    strike: int
    hit: bool
    why: str = ""


class Serving(Event):
    """How many replicas serve, by release."""

    by_release: dict[str, int]
    total: int


class Trouble(Event):
    """The lab itself met something it did not expect."""

    what: str


AnyEvent = PhaseBegan | ContainerEvent | Step | Strike | StrikeProved | Serving | Trouble

# ---------------------------------------------------------------- writing

_encoder = msgspec.json.Encoder()
_T = TypeVar("_T")


class RunRecord:
    """Writes one run's record, from any thread. Events reach the file at once, operations in small batches.

    Raises RecordError where the disk refuses; whatever was written before stays readable.
    """

    OPERATIONS_PER_WRITE = 64

    def __init__(self, folder: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.folder, self._clock = folder, clock
        self._lock = threading.Lock()
        self._waiting: list[Operation] = []
        try:
            folder.mkdir(parents=True, exist_ok=False)
            self._events = (folder / "events.jsonl").open("wb", buffering=0)
            self._history = (folder / "history.jsonl").open("wb", buffering=0)
        except OSError as exc:
            raise _unwritable(folder, exc) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def now(self) -> int:
        return self._clock.now()

    def event(self, event: AnyEvent) -> None:
        """Append an event. May be called from any thread; it is on disk when this returns."""
        line = _encoder.encode(event) + b"\n"
        with self._lock:
            self._write(self._events, line)

    def operation(self, operation: Operation) -> None:
        """Append an operation; it is on disk at the next batch or at `close`."""
        with self._lock:
            self._waiting.append(operation)
            if len(self._waiting) >= self.OPERATIONS_PER_WRITE:
                self._flush()

    def write(self, name: str, content: object) -> None:
        """Write one whole document, such as verdict.json."""
        path = self.folder / name
        try:
            path.write_bytes(msgspec.json.format(_encoder.encode(content), indent=2) + b"\n")
        except OSError as exc:
            raise _unwritable(path, exc) from exc

    def close(self) -> None:
        """Write what waits and close the files; calling it again does nothing."""
        with self._lock:
            if not self._history.closed:
                self._flush()
                self._events.close()
                self._history.close()

    def _flush(self) -> None:
        if self._waiting:
            lines = _encoder.encode_lines(self._waiting)
            self._waiting.clear()
            self._write(self._history, lines)

    def _write(self, file: IO[bytes], data: bytes) -> None:
        try:
            file.write(data)
        except (OSError, ValueError) as exc:
            raise _unwritable(self.folder, exc) from exc


def _unwritable(path: Path, exc: Exception) -> RecordError:
    return RecordError(f"the run's record can't be written: {exc}", at=str(path), way_out="df -h .   # then run again")


# ---------------------------------------------------------------- reading


class ReadRecord:
    """Reads one run's record. A torn last line (a killed lab, a full disk) is skipped and counted."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise RecordError("there is no such run", at=str(folder), way_out="ls runs")
        self.folder = folder
        self.torn = 0

    def events(self) -> Iterator[AnyEvent]:
        return self._lines("events.jsonl", msgspec.json.Decoder(AnyEvent))

    def history(self) -> Iterator[Operation]:
        return self._lines("history.jsonl", msgspec.json.Decoder(Operation))

    def document(self, name: str) -> Any:
        """A whole document, or None where the run ended before it was written."""
        path = self.folder / name
        if not path.exists():
            return None
        try:
            return msgspec.json.decode(path.read_bytes())
        except (OSError, msgspec.DecodeError) as exc:
            raise RecordError(f"can't be read: {exc}", at=str(path)) from exc

    def _lines(self, name: str, decoder: msgspec.json.Decoder[_T]) -> Iterator[_T]:
        path = self.folder / name
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    try:
                        decoded = decoder.decode(line)
                    except msgspec.DecodeError as exc:
                        if file.read(1):
                            raise RecordError(f"line {number}: {exc}", at=str(path)) from exc
                        self.torn += 1
                        return
                    yield decoded
        except OSError as exc:
            raise RecordError(f"can't be read: {exc}", at=str(path)) from exc
