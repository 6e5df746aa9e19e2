"""Passwords: hashed with scrypt, checked off the event loop, one at a time in a replica."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shop.refusals import Busy

LONGEST_WAIT_SECONDS = 2.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What a right password yields. `secret` is never stored; `record` is set if the account is yet to be made."""

    secret: bytes
    record: str | None


class Passwords:
    """Checks and makes password records; `log2_n` is the cost of new ones, and each record says its own."""

    def __init__(self, *, log2_n: int) -> None:
        self._log2_n = log2_n
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait to be the only one who has a password checked; raises Busy rather than let a crowd wait for long.

        Side by side, hashes would starve everybody else's answers. A login that waits longer than the balancer
        does is repeated on the next replica while it still waits here, and so a queue would feed itself.
        """
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError as exc:
            raise Busy("many are logging in just now") from exc
        try:
            yield
        finally:
            self._turn.release()

    async def prove(self, password: str, record: str | None) -> Proof | None:
        """The proof that `password` is right for `record`, or the proof for a new account if that is None."""
        if record is None:
            salt = secrets.token_bytes(16)
            verifier, secret = await _stretch(password, salt, self._log2_n)
            return Proof(secret=secret, record=f"scrypt:{self._log2_n}:{_text(salt)}:{_text(verifier)}")
        _, log2_n, salt_text, verifier_text = record.split(":")
        verifier, secret = await _stretch(password, base64.b64decode(salt_text), int(log2_n))
        if not hmac.compare_digest(verifier, base64.b64decode(verifier_text)):
            return None
        return Proof(secret=secret, record=None)


async def _stretch(password: str, salt: bytes, log2_n: int) -> tuple[bytes, bytes]:
    derived = await asyncio.to_thread(_scrypt, password, salt, log2_n)
    return derived[:32], derived[32:]


def _scrypt(password: str, salt: bytes, log2_n: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**log2_n, r=8, p=1, maxmem=2 ** (log2_n + 11), dklen=64)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
