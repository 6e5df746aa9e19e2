"""Where the store's primary is: always at one address, or where the Sentinels say, who may move it at any time."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from redis.asyncio.connection import Connection
from redis.exceptions import RedisError

from shop.resolving import Name

GROUP = "shop"
MOVED = "+switch-master"
ASK_SECONDS = 0.5
"""How long one Sentinel may take to answer before the next is asked."""
HEAR_AGAIN_SECONDS = 0.5

Address = tuple[str, int]

log = logging.getLogger("shop")


class Whereabouts(Protocol):
    """Knows the primary's address, and says when it is another one."""

    async def find(self) -> Address:
        """Where the primary is now, as far as anybody knows. Raises OSError or RedisError where nobody says."""
        ...

    def watch(self, moved: Callable[[Address], Awaitable[None]]) -> None:
        """Call `moved` with the new address as soon as it is known. Called once."""
        ...

    async def close(self) -> None: ...


class Fixed:
    """One store under one name."""

    def __init__(self, host: str, port: int) -> None:
        self._name, self._port = Name(host), port

    async def find(self) -> Address:
        self._name.forget()
        return await self._name.address(), self._port

    def watch(self, moved: Callable[[Address], Awaitable[None]]) -> None:
        """It never moves."""

    async def close(self) -> None:
        """Nothing is held."""


class Sentinels:
    """Asks one Sentinel after the other, and listens to all of them: the first that tells of a move is believed."""

    def __init__(self, sentinels: Sequence[Address], *, username: str, password: str | None) -> None:
        self._sentinels = tuple(sentinels)
        self._rights: dict[str, Any] = {"username": username, "password": password}
        self._turns = itertools.cycle(self._sentinels)
        self._listening: list[asyncio.Task[None]] = []

    async def find(self) -> Address:
        why: Exception = OSError("there is no Sentinel")
        # Whoever answered last time may be the one that is cut off, so each search begins with another one.
        for sentinel in itertools.islice(self._turns, len(self._sentinels) + 1):
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    return await self._ask(sentinel)
            except (RedisError, OSError, TimeoutError) as exc:
                why = exc
        raise why

    def watch(self, moved: Callable[[Address], Awaitable[None]]) -> None:
        self._listening = [asyncio.create_task(self._listen(one, moved)) for one in self._sentinels]

    async def close(self) -> None:
        for task in self._listening:
            task.cancel()
        for task in self._listening:
            with suppress(asyncio.CancelledError):
                await task

    async def _ask(self, sentinel: Address) -> Address:
        connection = self._connection(sentinel, answer_seconds=ASK_SECONDS)
        try:
            return await _address_by(connection)
        finally:
            await connection.disconnect(nowait=True)

    async def _listen(self, sentinel: Address, moved: Callable[[Address], Awaitable[None]]) -> None:
        """Hear one Sentinel for as long as this replica lives; what was missed meanwhile is asked for."""
        while True:
            connection = self._connection(sentinel, answer_seconds=None)
            try:
                async with asyncio.timeout(2 * ASK_SECONDS):
                    await connection.connect()
                    await connection.send_command("SUBSCRIBE", MOVED, check_health=False)
                    await connection.read_response()
                while True:
                    address = moved_to(await connection.read_response())
                    if address is not None:
                        await moved(address)
            except (RedisError, OSError, TimeoutError):
                await asyncio.sleep(HEAR_AGAIN_SECONDS)
            finally:
                await connection.disconnect(nowait=True)

    def _connection(self, sentinel: Address, *, answer_seconds: float | None) -> Connection:
        host, port = sentinel
        return Connection(
            host=host,
            port=port,
            socket_connect_timeout=ASK_SECONDS,
            socket_timeout=answer_seconds,
            lib_name=None,
            lib_version=None,
            **self._rights,
        )


def sentinels_from(text: str) -> tuple[Address, ...]:
    """ "a:26379,b:26379" as addresses. Raises ValueError."""
    pairs = [one.rpartition(":") for one in text.split(",") if one]
    return tuple((host, int(port)) for host, _, port in pairs)


def moved_to(message: object) -> Address | None:
    """The new address that a message of a Sentinel tells of, if it is about this store."""
    if not isinstance(message, list) or len(message) != 3 or message[0] != b"message":
        return None
    group, *old_and_new = message[2].decode().split(" ")
    if group != GROUP or len(old_and_new) != 4:
        return None
    return old_and_new[2], int(old_and_new[3])


async def _address_by(connection: Connection) -> Address:
    await connection.connect()
    await connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP, check_health=False)
    reply = await connection.read_response()
    if not isinstance(reply, list):
        raise OSError("this Sentinel knows no primary")
    return reply[0].decode(), int(reply[1])
