"""The orders' database: PostgreSQL over a few connections, each thrown away at its first trouble."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

from shop import patience
from shop.orders import Order
from shop.refusals import StoreUnavailable
from shop.resolving import Name

CONNECTIONS = 4
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 2.0
AGAIN_SECONDS = 0.1

_PUT = "INSERT INTO orders (account, key, place, content) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
_ALL = "SELECT content FROM orders WHERE account = $1 ORDER BY place, key"

T = TypeVar("T")


class PostgresLedger:
    """Whatever is asked of it may be asked again, so it asks until the request's patience is over."""

    def __init__(self, url: str, *, password: str | None, name: str) -> None:
        told = urlsplit(url)
        self._name = Name(told.hostname or "orders")
        self._told: dict[str, Any] = {
            "port": told.port or 5432,
            "user": told.username,
            "database": told.path.lstrip("/"),
            "password": password,
            "server_settings": {"application_name": name},
        }
        self._pool: Any = None

    async def put(self, account: str, orders: Sequence[Order]) -> None:
        rows = [(account, one.key, one.place, one.content) for one in orders]
        await self._do(lambda connection: connection.executemany(_PUT, rows))

    async def all(self, account: str) -> list[str]:
        found = await self._do(lambda connection: connection.fetch(_ALL, account))
        return [row["content"] for row in found]

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    async def _do(self, act: Callable[[Any], Awaitable[T]]) -> T:
        until = patience.deadline()
        while True:
            try:
                async with asyncio.timeout(patience.left(until, ANSWER_SECONDS)):
                    return await self._once(act)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as exc:
                if time.monotonic() + AGAIN_SECONDS >= until:
                    # What the store did before is done: only a repeat with the same key can tell its end.
                    raise StoreUnavailable(f"orders: {exc or type(exc).__name__}", not_applied=False) from exc
            await asyncio.sleep(AGAIN_SECONDS)

    async def _once(self, act: Callable[[Any], Awaitable[T]]) -> T:
        pool = self._pool or await self._connect()
        try:
            connection = await pool.acquire(timeout=CONNECT_SECONDS)
        except BaseException:
            # It may be elsewhere now.
            self._name.forget()
            self._pool = None if self._pool is pool else self._pool
            pool.terminate()
            raise
        try:
            return await act(connection)
        except BaseException:
            # A reset of it would wait for a database that is silent. Those beside it are no better.
            connection.terminate()
            await pool.expire_connections()
            raise
        finally:
            await pool.release(connection)

    async def _connect(self) -> Any:
        address = await self._name.address()
        pool = asyncpg.create_pool(
            host=address, min_size=0, max_size=CONNECTIONS, timeout=CONNECT_SECONDS, ssl=False, **self._told
        )
        await pool
        self._pool = pool
        return pool
