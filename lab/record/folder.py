"""Writes a run's folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import IO, Self
from zlib import crc32

import msgspec

from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.errors import RecordError
from lab.model import Operation
from lab.record.events import AnyEvent

FORMAT = 3
"""Counts up when a record of before can't be read in the same way any more. 2: environment.json says the format. 3: the
last line of events.jsonl is there, and says what all of history.jsonl comes to."""
HELD_BACK = "held_back.json"
"""Where a record has this, whoever judges it says nothing of the likely cause: somebody is still to name it."""
_encoder = msgspec.json.Encoder()


class RunRecord:
    """Writes one run's record, from any thread. Events reach the file at once, operations in small batches.

    Raises RecordError where the disk refuses; whatever was written before stays readable.
    """

    OPERATIONS_PER_WRITE = 64
    WRITTEN_WITHIN = NS // 4
    """Nanoseconds that an operation waits for its batch, as long as more of them come or `flush_due` is called."""

    def __init__(
        self, folder: Path, *, heard: Callable[[bytes], None] = lambda _: None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """`heard` is given each event's line after it was written."""
        self.folder, self._heard, self._clock = folder, heard, clock
        self._lock = threading.Lock()
        self._waiting: list[Operation] = []
        self._written = 0
        self.operations = 0
        """How many were given to it."""
        self.history = 0
        """The CRC-32 of all that was written of them."""
        self._torn = set[IO[bytes]]()
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
        """Append an event. May be called from any thread; when this returns it is with the system, as is all
        before it: it outlasts the lab, though not a machine that loses its power."""
        line = _encoder.encode(event) + b"\n"
        with self._lock:
            self._flush()
            self._write(self._events, line)
            self._heard(line)

    def operation(self, operation: Operation) -> None:
        """Append an operation; it is in the file at the next batch or at `close`."""
        with self._lock:
            self._waiting.append(operation)
            self.operations += 1
            is_due = self._clock.now() - self._written >= self.WRITTEN_WITHIN
            if is_due or len(self._waiting) >= self.OPERATIONS_PER_WRITE:
                self._flush()

    def flush(self) -> None:
        """Write what waits: from here on readers see all of it."""
        with self._lock:
            if not self._history.closed:
                self._flush()

    def flush_due(self) -> None:
        """Write what has waited long enough; to be called now and then, for when no more operations come."""
        if self._clock.now() - self._written >= self.WRITTEN_WITHIN:
            self.flush()

    def write(self, name: str, content: object) -> None:
        """Write one whole document, such as verdict.json; whoever reads meanwhile finds all of it or none."""
        path = self.folder / name
        try:
            write_whole(path, msgspec.json.format(_encoder.encode(content), indent=2) + b"\n")
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
        self._written = self._clock.now()
        if self._waiting:
            lines = _encoder.encode_lines(self._waiting)
            self._waiting.clear()
            self._write(self._history, lines)
            self.history = crc32(lines, self.history)

    def _write(self, file: IO[bytes], data: bytes) -> None:
        if file in self._torn:
            raise _unwritable(self.folder, "its last line was taken in part")
        try:
            taken = file.write(data)
        except (OSError, ValueError) as exc:
            raise _unwritable(self.folder, exc) from exc
        if taken != len(data):  # a raw write raises nothing then; what came after would make a line of both
            self._torn.add(file)
            raise _unwritable(self.folder, f"only {taken} of {len(data)} bytes were taken")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads meanwhile finds the old one or the new one, never a part. Raises OSError."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def written_by() -> dict[str, object]:
    """What a record says of the lab that wrote it: the format, and the version that reads it."""
    try:
        version = metadata.version("cluster-lab")
    except metadata.PackageNotFoundError:  # called from its sources
        version = ""
    return {"format": FORMAT, "lab": version}


def _unwritable(path: Path, exc: Exception | str) -> RecordError:
    return RecordError(f"the run's record can't be written: {exc}", at=str(path), hint="df -h .   # then run again")
