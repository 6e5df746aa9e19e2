"""What an app has not taken in yet of what was sent to it, by the tables of its network's kernel."""

from __future__ import annotations

_LISTENS, _ESTABLISHED = "0A", "01"


def has_unread(port: int, tables: str) -> bool:
    """Whether somebody is connected to a port who was not accepted yet, or sent there what nobody has read.

    `tables` are /proc/net/tcp and tcp6 of the network that the app is in: pure.
    """
    for line in tables.splitlines():
        parts = line.split()
        if len(parts) < 5 or parts[3] not in {_LISTENS, _ESTABLISHED}:
            continue
        local, received = parts[1].rpartition(":")[2], parts[4].rpartition(":")[2]
        if int(local, 16) == port and int(received, 16):
            return True
    return False
