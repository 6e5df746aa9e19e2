"""Where the shop keeps its sessions. This is the file to change.

Three things are asked of it: to put a text under a name, to get it again, and to drop it. Names begin with "shop:".
"""

from __future__ import annotations

from shop.store import Store


class Kept:
    def __init__(self, store: Store) -> None:
        # `store` is the Redis that all replicas share. `await store.ask("SET", name, text)` sends it one command and
        # gives its reply: bytes, None, a number. Nobody uses it here yet.
        self._store = store
        self._texts: dict[str, bytes] = {}

    async def put(self, name: str, text: bytes, *, seconds: int) -> None:
        """Keep `text` under `name`; after `seconds` it may be forgotten."""
        self._texts[name] = text

    async def get(self, name: str) -> bytes | None:
        """What is kept under `name`, None if nothing is."""
        return self._texts.get(name)

    async def drop(self, name: str) -> None:
        """Forget it."""
        self._texts.pop(name, None)
