"""The payment service: somebody else's, slow, and well-behaved. Asked again with the same key, it charges once."""

from __future__ import annotations

import asyncio

SECONDS = 1.0


async def pay(key: str) -> None:
    """Return when the money has come."""
    await asyncio.sleep(SECONDS)
