"""Reads a run's folder, whole or while it is written."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

import msgspec

from lab.errors import RecordError
from lab.model import Operation
from lab.record.events import AnyEvent
from lab.record.folder import FORMAT, HELD_BACK

_T = TypeVar("_T")
CHUNK = 1 << 16
"""Bytes that are decoded at once."""
AT_ONCE = 256
"""So many of these are divided before they are written."""
PART, QUICKEST = ".gz", 1
"""What a part's file ends with, and how it is packed: a long history takes a fifth of its room, and less time to read
again than to write whole."""
LONGEST = 1 << 27
"""Bytes of one line, and of one document: what is longer was never written by a lab."""
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no JSON, no text, or another shape than is wanted."""
_OTHER = "the record was changed or is not the lab's; run it again"


class ReadRecord:
    """Reads one run's record. A torn last line (a killed lab, a full disk) is skipped and counted.

    Raises RecordError, with file and line, for whatever this lab can't read: no such run, a record of a later format,
    lines and documents of another shape.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise RecordError("no such run", at=str(folder), hint="ls runs")
        self.folder = folder
        self._torn: set[str] = set()
        self.format: int | None = None
        """The format that it says it has; None in records from before there was one."""
        self._written_by = ""
        self._checksums: dict[str, int] = {}
        self._check_format()

    def _check_format(self) -> None:
        try:
            said = self.document("environment.json")
        except RecordError:  # raised again for whoever asks for that document
            return
        found = said.get("format") if isinstance(said, dict) else None
        if isinstance(found, int):
            self.format, self._written_by = found, str(said.get("lab") or "")
            if found > FORMAT:
                needed = f"cluster-lab {self._written_by}".strip()
                what = f"is of format {found}; this lab reads records up to format {FORMAT}"
                raise RecordError(what, at=str(self.folder / "environment.json"), hint=f"{needed} or later")

    @property
    def torn(self) -> int:
        """How many files ended within a line, of those that were read until now."""
        return len(self._torn)

    @property
    def checksum(self) -> int | None:
        """The CRC-32 of the history, once all of it was read."""
        return self._checksums.get("history.jsonl")

    @property
    def holds_back_cause(self) -> bool:
        """Whether the likely cause is not to be said yet."""
        return (self.folder / HELD_BACK).exists()

    def events(self) -> Iterator[AnyEvent]:
        return self._lines("events.jsonl", msgspec.json.Decoder(AnyEvent))

    def history(self) -> Iterator[Operation]:
        """Every operation in the order in which they ended; memory does not grow with their number."""
        return self._lines("history.jsonl", msgspec.json.Decoder(Operation))

    @property
    def size(self) -> int:
        """Bytes of what users did; 0 where nobody knows, as of a pipe."""
        history = self.folder / "history.jsonl"
        return history.stat().st_size if history.is_file() else 0

    def shard(
        self, number: int, of: int, *, passed: Callable[[Sequence[bytes], Sequence[bytes]], None] | None = None
    ) -> Iterator[Operation]:
        """The operations of one of `of` parts of the users, in the order of the file; `passed` is told all lines and
        whose they are, some at a time. Only the last of all may lack its end.

        Each user is in one part, the same in every process.
        """
        decoder = msgspec.json.Decoder(Operation)

        def mine(chunk: bytes) -> bytes:
            lines = chunk.splitlines(keepends=True)
            users = [user_of(line) for line in lines]
            if passed is not None:
                passed(lines, users)
            return b"".join([line for line, user in zip(lines, users, strict=True) if part_of(user, of) == number])

        return self._lines("history.jsonl", decoder, mine)

    def divide(self, of: int, into: Path, *, passed: Callable[[Sequence[bytes], Sequence[bytes]], None]) -> None:
        """Write the history into a file for each of `of` parts of the users, as `part` reads them; `passed` as `shard`
        tells it. Raises OSError where they can't be written."""
        waiting: list[list[bytes]] = [[] for _ in range(of)]
        with ExitStack() as stack:
            files = [
                stack.enter_context(gzip.open(_file_of(number, into), "wb", compresslevel=QUICKEST))
                for number in range(of)
            ]
            for read, chunk in enumerate(self._chunks(self.folder / "history.jsonl"), 1):
                lines = chunk.splitlines(keepends=True)
                users = [user_of(line) for line in lines]
                passed(lines, users)
                for line, user in zip(lines, users, strict=True):
                    waiting[part_of(user, of)].append(line)
                if read % AT_ONCE == 0:
                    _write(waiting, files)
            _write(waiting, files)

    def part(self, number: int, divided: Path) -> Iterator[Operation]:
        """The operations of one part, as `divide` has written them into that folder."""
        return self._lines(str(_file_of(number, divided)), msgspec.json.Decoder(Operation))

    def document(self, name: str) -> Any:
        """A whole document, or None where the run ended before it was written."""
        path = self.folder / name
        if not path.exists():
            return None
        try:
            with path.open("rb") as file:
                content = file.read(LONGEST + 1)
            if len(content) > LONGEST:
                raise RecordError(f"is larger than {LONGEST} bytes", at=str(path), hint=_OTHER)
            return msgspec.json.decode(content)
        except (OSError, *_UNREADABLE) as exc:
            raise RecordError(f"can't be read: {exc}", at=str(path), hint=_OTHER) from exc

    def _lines(
        self, name: str, decoder: msgspec.json.Decoder[_T], part: Callable[[bytes], bytes] = lambda chunk: chunk
    ) -> Iterator[_T]:
        path, read = self.folder / name, 0
        for whole in self._chunks(path):
            chunk = part(whole)
            try:
                decoded = decoder.decode_lines(chunk)
            except _UNREADABLE:
                decoded = self._one_by_one(chunk, decoder, path, read=read)
            yield from decoded
            read += len(decoded)

    def _chunks(self, path: Path) -> Iterator[bytes]:
        """Whole lines, some hundred at a time; what the file comes to is known once all are read."""
        checksum = 0
        try:
            with gzip.open(path) if path.suffix == PART else path.open("rb") as file:
                for chunk in _chunks(file.read, path):
                    checksum = crc32(chunk, checksum)
                    yield chunk
        except (OSError, EOFError) as exc:
            raise RecordError(f"can't be read: {exc}", at=str(path), hint=_OTHER) from exc
        self._checksums[path.name] = checksum

    def _one_by_one(self, chunk: bytes, decoder: msgspec.json.Decoder[_T], path: Path, *, read: int) -> list[_T]:
        """What can be read of lines of which one is bad: all but one without an end, the file's last, must be good."""
        decoded: list[_T] = []
        for number, line in enumerate(filter(None, chunk.split(b"\n")), 1):
            try:
                decoded.append(decoder.decode(line))
            except _UNREADABLE as exc:
                is_torn = not chunk.endswith(b"\n") and chunk.endswith(line) and number == chunk.count(b"\n") + 1
                if not is_torn:
                    newer = f"; cluster-lab {self._written_by} wrote it" if self._written_by else ""
                    hint = f"a later lab may have written it{newer}" if _has_other_shape(exc) else _OTHER
                    raise RecordError(f"can't be read: {exc}", at=f"{path}, line {read + number}", hint=hint) from exc
                self._torn.add(path.name)
        return decoded


def _file_of(part: int, folder: Path) -> Path:
    return folder / f"{part}{PART}"


def _write(waiting: Sequence[list[bytes]], files: Sequence[gzip.GzipFile]) -> None:
    """Each part's lines into its file."""
    for lines, file in zip(waiting, files, strict=True):
        file.write(b"".join(lines))
        lines.clear()


def _has_other_shape(exc: Exception) -> bool:
    return isinstance(exc, msgspec.ValidationError)


PLACES, LIGHTER = 32, 5
"""The first part has so many places fewer than each other's: whoever judges it also looks at all lines."""


def part_of(user: bytes, of: int) -> int:
    """In which of so many parts of the users one is, the same in every process."""
    return (crc32(user) % (of * PLACES - LIGHTER) + LIGHTER) // PLACES


_USER = b'"user":"'


def user_of(line: bytes) -> bytes:
    """The user of an operation's line as it stands there: of a line that was torn before it, nobody."""
    begin = line.find(_USER) + len(_USER)
    return line[begin : line.find(b'"', begin)]


class FollowedRecord:
    """Reads one run's record while it is written: each call gives what was added since the last one.

    A line counts once its end is there. Raises RecordError for a line that can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read = {"events.jsonl": 0, "history.jsonl": 0}
        self._events: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
        self._operations = msgspec.json.Decoder(Operation)
        self._lines = {"events.jsonl": 0, "history.jsonl": 0}

    def events(self) -> list[AnyEvent]:
        return self._fresh("events.jsonl", self._events)

    def operations(self) -> list[Operation]:
        return self._fresh("history.jsonl", self._operations)

    def _fresh(self, name: str, decoder: msgspec.json.Decoder[_T]) -> list[_T]:
        path = self.folder / name
        try:
            with path.open("rb") as file:
                file.seek(self._read[name])
                whole, newline, _ = file.read().rpartition(b"\n")
            decoded = decoder.decode_lines(whole)
        except FileNotFoundError:
            return []
        except (OSError, *_UNREADABLE) as exc:
            at = f"{path}, after line {self._lines[name]}"
            raise RecordError(f"can't be read: {exc}", at=at, hint=_OTHER) from exc
        self._read[name] += len(whole) + len(newline)
        self._lines[name] += len(decoded)
        return decoded


def _chunks(some: Callable[[int], bytes], path: Path) -> Iterator[bytes]:
    """Whole lines, some hundred at a time; only the file's last may lack its end. Takes time in proportion to them."""
    begun: list[bytes] = []
    size = 0
    for block in iter(partial(some, CHUNK), b""):
        whole, newline, rest = block.rpartition(b"\n")
        if newline:
            yield b"".join((*begun, whole, newline))
            begun, size = [], 0
        begun.append(rest)
        size += len(rest)
        if size > LONGEST:
            raise RecordError(f"holds a line that is longer than {LONGEST} bytes", at=str(path), hint=_OTHER)
    if size:
        yield b"".join(begun)
