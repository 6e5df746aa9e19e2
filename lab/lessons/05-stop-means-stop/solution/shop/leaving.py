"""What a replica does between being told to stop and its end."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable

from shop.life import Drain, Life
from shop.slot import Slot, has_callers

LOOK_SECONDS = 0.02

log = logging.getLogger("shop")


class Callers:
    """Who is being answered, and whether somebody waits to be."""

    def __init__(self, connections: Callable[[], int], listener: socket.socket) -> None:
        self._connections, self._listener = connections, listener

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._connections()

    @property
    def are_waiting(self) -> bool:
        """Whether somebody has connected and was not accepted yet."""
        return has_callers(self._listener)


async def leave(life: Life, slot: Slot | None, callers: Callers, *, longest: float) -> None:
    """Let nobody new come, and return once everybody who is here has been answered; `longest` seconds at most."""
    life.draining, life.ready = True, False
    if slot:
        slot.give_up()
    began = time.monotonic()
    log.info("draining, %d connections", callers.connections)
    drain = Drain(longest=longest)
    while not drain.may_leave(
        after=time.monotonic() - began, connections=callers.connections, callers=callers.are_waiting
    ):
        await asyncio.sleep(LOOK_SECONDS)
    log.info("left after %.3f s, %d connections cut", time.monotonic() - began, callers.connections)
