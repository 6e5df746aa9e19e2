"""HTTP/1.1 messages on streams, as far as somebody between two of them must know them: heads, and where bodies end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

CHUNK = 1 << 16
BODYLESS = frozenset({204, 304})


class Broken(Exception):
    """A message ended early, or is none."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the header lines of a message, each without its line end."""

    first: bytes
    lines: tuple[bytes, ...]

    def get(self, name: bytes) -> bytes:
        """A header's value in lower case, joined where it is there more than once; b"" if it is not."""
        found = [line.partition(b":")[2].strip() for line in self.lines if _name(line) == name]
        return b", ".join(found).lower()

    def without(self, names: Collection[bytes]) -> Head:
        return Head(self.first, tuple(line for line in self.lines if _name(line) not in names))

    def with_lines(self, *lines: bytes) -> Head:
        return Head(self.first, (*lines, *self.lines))

    @property
    def status(self) -> int:
        """Of an answer. Raises Broken."""
        parts = self.first.split(b" ", 2)
        if len(parts) < 2 or not parts[1].isdigit():
            raise Broken(f"no status line: {self.first[:40]!r}")
        return int(parts[1])

    @property
    def method(self) -> bytes:
        return self.first.partition(b" ")[0]

    @property
    def is_kept(self) -> bool:
        """Whether whoever says this keeps the connection."""
        said = self.get(b"connection")
        return b"close" not in said and (self.first.startswith(b"HTTP/1.1") or b"keep-alive" in said)

    def encode(self) -> bytes:
        return b"\r\n".join((self.first, *self.lines, b"", b""))


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].strip().lower()


async def read_head(source: asyncio.StreamReader) -> Head | None:
    """The next message's head; None where the stream ends before it begins. Raises Broken."""
    try:
        said = await source.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as exc:
        if not exc.partial:
            return None
        raise Broken("a head that does not end") from exc
    except asyncio.LimitOverrunError as exc:
        raise Broken("a head that is too long") from exc
    first, *lines = said[:-4].split(b"\r\n")
    return Head(first, tuple(lines))


async def copy_all(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends."""
    while part := await source.read(CHUNK):
        sink.write(part)
        await sink.drain()


async def copy_count(source: asyncio.StreamReader, sink: asyncio.StreamWriter, count: int) -> None:
    """So many bytes. Raises Broken where the source ends before."""
    while count:
        part = await source.read(min(count, CHUNK))
        if not part:
            raise Broken(f"{count} bytes are missing")
        sink.write(part)
        await sink.drain()
        count -= len(part)


async def copy_chunked(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """A body in chunks, as it is, with its trailers. Raises Broken."""
    while True:
        line = await _line(source, sink)
        size = line.partition(b";")[0].strip()
        try:
            count = int(size, 16)
        except ValueError as exc:
            raise Broken(f"no size of a chunk: {size[:20]!r}") from exc
        if not count:
            break
        await copy_count(source, sink, count + 2)
    while (await _line(source, sink)).strip():
        pass


async def _line(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> bytes:
    line = await source.readline()
    if not line.endswith(b"\n"):
        raise Broken("a line that does not end")
    sink.write(line)
    await sink.drain()
    return line


async def copy_answer_body(
    head: Head, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, asked: bytes
) -> bool:
    """The body of an answer to the method `asked`; whether its end was marked, so that another answer may follow."""
    if asked == b"HEAD" or head.status in BODYLESS:
        return True
    if b"chunked" in head.get(b"transfer-encoding"):
        await copy_chunked(source, sink)
        return True
    length = head.get(b"content-length")
    if length.isdigit():
        await copy_count(source, sink, int(length))
        return True
    await copy_all(source, sink)
    return False
