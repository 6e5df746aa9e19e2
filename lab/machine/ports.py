"""Free ports of this machine, picked before a container is made so that it keeps them when it is restarted."""

from __future__ import annotations

import errno
import secrets
import socket
from contextlib import ExitStack

from lab.errors import SetupError

FIRST, LAST = 20_000, 32_000
"""Below the ports that Linux gives to outgoing connections, so that a crowd never sits on one."""
TRIED = 200


def free_port() -> int:
    """One port, as by `free_ports`."""
    return free_ports(1)[0]


def free_ports(count: int) -> tuple[int, ...]:
    """So many different ports of 127.0.0.1 that nobody listens on, at random: two labs hardly ever pick the same.

    One may be taken by the time it is used. Raises SetupError where too few are found.
    """
    found: list[int] = []
    with ExitStack() as held:  # until all are found, so that none is found twice
        for _ in range(TRIED):
            probe = held.enter_context(socket.socket())
            port = FIRST + secrets.randbelow(LAST - FIRST)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as exc:
                if exc.errno == errno.EADDRNOTAVAIL:
                    hint = "ip link set lo up   # doors are on IPv4's loopback"
                    raise SetupError("this machine has no such address", at="127.0.0.1", hint=hint) from exc
                continue
            found.append(port)
            if len(found) == count:
                return tuple(found)
    raise SetupError(f"not enough free ports between {FIRST} and {LAST}", at="127.0.0.1", hint="ss -ltn")
