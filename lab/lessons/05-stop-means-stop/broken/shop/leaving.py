"""What a replica does when it is told to stop. This is the file to change."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable

from shop.life import Life
from shop.slot import Slot, has_callers

log = logging.getLogger("shop")


class Callers:
    """Who is being answered, and whether somebody waits to be. Leave this as it is: the rest of the shop makes it."""

    def __init__(self, connections: Callable[[], int], listener: socket.socket) -> None:
        self._connections, self._listener = connections, listener

    @property
    def connections(self) -> int:
        """How many connections are open. The balancer closes those that have been idle for a second."""
        return self._connections()

    @property
    def are_waiting(self) -> bool:
        """Whether somebody has connected and was not accepted yet."""
        return has_callers(self._listener)


async def leave(life: Life, slot: Slot | None, callers: Callers, *, longest: float) -> None:
    """Called on SIGTERM; the process ends when this returns. It must return within `longest` seconds.

    `life.draining` and `life.ready` are what /readyz says. `slot.give_up()` takes the replica's socket away from the
    balancer, `slot` is None where there is none.
    """
    log.info("told to stop: stopping")
    os._exit(0)  # as a process does that has no handler for SIGTERM
