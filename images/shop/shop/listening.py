"""What the kernel says of this network's programs: where they listen, and what they have not taken in yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENS, _ESTABLISHED = "0A", "01"
_RESOLVER = "0B00007F"
"""127.0.0.11, where Docker answers questions for names: no port of the app's."""
MOST = 5


def listening_ports() -> tuple[int, ...]:
    """The TCP ports that are listened on, the lowest first; none where the kernel does not say."""
    found = set()
    for line in _lines():
        address, _, port = line.split()[1].partition(":")
        if line.split()[3] == _LISTENS and address != _RESOLVER:
            found.add(int(port, 16))
    return tuple(sorted(found))


def has_unread(port: int) -> bool:
    """Whether somebody is connected to a port who was not accepted yet, or sent there what nobody has read; False where
    the kernel does not say."""
    return any(_is_unread(port, line) for line in _lines())


def _is_unread(port: int, line: str) -> bool:
    """By one line of the kernel's tables: of whoever listens the queue holds connections, of a connection bytes."""
    parts = line.split()
    if len(parts) < 5 or parts[3] not in {_LISTENS, _ESTABLISHED}:
        return False
    local, received = parts[1].rpartition(":")[2], parts[4].rpartition(":")[2]
    return int(local, 16) == port and int(received, 16) > 0


def _lines() -> Iterator[str]:
    for table in _TABLES:
        with suppress(OSError):
            yield from table.read_text().splitlines()[1:]


def listens_on() -> str:
    """The same for a person."""
    ports = listening_ports()
    if not ports:
        return "nothing listens"
    return f"it listens on {', '.join(map(str, ports[:MOST]))}{' and others' if len(ports) > MOST else ''}"
