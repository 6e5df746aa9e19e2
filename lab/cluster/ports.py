"""Free ports of this machine, picked before a container is made so that it keeps them when it is started again."""

from __future__ import annotations

import secrets
import socket

from lab.errors import SetupError

FIRST, LAST = 20_000, 32_000
"""Below the ports that Linux gives to outgoing connections, so that a crowd never sits on one."""
TRIED = 200


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, at random so that two labs hardly ever pick the same.

    Raises SetupError where none is found.
    """
    for _ in range(TRIED):
        port = FIRST + secrets.randbelow(LAST - FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise SetupError(f"no port from {FIRST} to {LAST} is free", at="127.0.0.1", way_out="ss -ltn")
