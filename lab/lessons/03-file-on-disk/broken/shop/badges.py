"""Where the shop keeps the badge that a user has uploaded. This is the file to change."""

from __future__ import annotations

from pathlib import Path

from shop.store import Store

UPLOADS = Path("/tmp/badges")  # the only place in the container where one may write


class Badges:
    def __init__(self, store: Store) -> None:
        self._store = store  # the Redis that all replicas share; `shop.names` says what things are called there
        UPLOADS.mkdir(exist_ok=True)

    async def save(self, account: str, badge: str) -> None:
        """Keep the badge of an account; a later one takes its place."""
        (UPLOADS / account).write_text(badge)

    async def load(self, account: str) -> str | None:
        """The account's badge, None if it never uploaded one."""
        path = UPLOADS / account
        return path.read_text() if path.exists() else None
