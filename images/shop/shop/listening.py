"""Where programs of this network listen, for whoever was told of another port: the kernel says it, nothing is tried."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENS = "0A"
_RESOLVER = "0B00007F"
"""127.0.0.11, where Docker answers questions for names: no port of the app's."""
MOST = 5


def listening_ports() -> tuple[int, ...]:
    """The TCP ports that are listened on, the lowest first; none where the kernel does not say."""
    found = set()
    for table in _TABLES:
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                address, _, port = line.split()[1].partition(":")
                if line.split()[3] == _LISTENS and address != _RESOLVER:
                    found.add(int(port, 16))
    return tuple(sorted(found))


def listens_on() -> str:
    """The same for a person."""
    ports = listening_ports()
    if not ports:
        return "nothing listens"
    return f"it listens on {', '.join(map(str, ports[:MOST]))}{' and others' if len(ports) > MOST else ''}"
