"""Where the shop keeps the badge that a user has uploaded: in the store that all replicas share."""

from __future__ import annotations

from shop import names
from shop.store import Store


class Badges:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def save(self, account: str, badge: str) -> None:
        """Keep the badge of an account; a later one takes its place."""
        await self._store.ask("HSET", names.account(account), "badge", badge)

    async def load(self, account: str) -> str | None:
        """The account's badge, None if it never uploaded one."""
        reply = await self._store.ask("HGET", names.account(account), "badge")
        return reply.decode() if isinstance(reply, bytes) else None
