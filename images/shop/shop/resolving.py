"""A name's address, looked up by one at a time: the name of what is dead is looked up in vain, and for long."""

from __future__ import annotations

import asyncio
import socket


class Name:
    """One host's name. The address that was found last is good until somebody says `forget`."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._found = ""
        self._looking: asyncio.Task[str] | None = None

    async def address(self) -> str:
        """Its address. Raises OSError where it has none."""
        if self._found:
            return self._found
        if self._looking is None or self._looking.done():
            # Whoever loses patience stops waiting; the look-up itself goes on, and is shared by those who come later.
            self._looking = asyncio.create_task(self._look_up())
        return await asyncio.shield(self._looking)

    def forget(self) -> None:
        """It did not answer there: look it up again."""
        self._found = ""

    async def _look_up(self) -> str:
        try:
            told = await asyncio.get_running_loop().getaddrinfo(self._host, None, family=socket.AF_INET)
        except OSError as exc:
            raise OSError(f"{self._host} has no address: {exc}") from exc
        self._found = str(told[0][4][0])
        return self._found
