"""Where the shop keeps its sessions: in the store that all replicas share."""

from __future__ import annotations

from shop.store import Store


class Kept:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, name: str, text: bytes, *, seconds: int) -> None:
        """Keep `text` under `name`; after `seconds` it may be forgotten."""
        await self._store.ask("SET", name, text, "EX", seconds)

    async def get(self, name: str) -> bytes | None:
        """What is kept under `name`, None if nothing is."""
        reply = await self._store.ask("GET", name)
        return reply if isinstance(reply, bytes) else None

    async def drop(self, name: str) -> None:
        """Forget it."""
        await self._store.ask("DEL", name)
