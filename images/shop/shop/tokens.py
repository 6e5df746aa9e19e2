"""Session tokens and what is derived from them; whoever reads the store can't log in with what is there."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

TOKEN_BYTES = 32
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """A fresh session token: 256 bits from the system's generator, urlsafe."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: str) -> str:
    """What the store knows of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_of(token: str) -> str:
    """The token's CSRF value: same on every replica, kept nowhere, and it does not lead back to the token."""
    return _derived("csrf", token)


def device_of(token: str) -> str:
    """The public id of the token's session, for lists and for ending it."""
    return _derived("device", token)[:12]


def seal(token: str, *, secret: bytes, key: str) -> str:
    """`token` as it may be kept in the store: only `secret`, which never is, opens it again.

    A login that is repeated with its idempotency key must be answered with the same cookie, though the store
    may know no token. So it is masked with what only the right password yields, over a fresh nonce.
    """
    nonce = secrets.token_bytes(16)
    masked = _xor(_decoded(token), _mask(secret, nonce, key))
    return base64.urlsafe_b64encode(nonce + masked).decode()


def unseal(sealed: str, *, secret: bytes, key: str) -> str:
    """The token that `seal` hid with the same secret and key."""
    raw = base64.urlsafe_b64decode(sealed)
    nonce, masked = raw[:16], raw[16:]
    return base64.urlsafe_b64encode(_xor(masked, _mask(secret, nonce, key))).rstrip(b"=").decode()


def _derived(purpose: str, token: str) -> str:
    return hmac.digest(token.encode(), purpose.encode(), "sha256").hex()


def _decoded(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=")


def _mask(secret: bytes, nonce: bytes, key: str) -> bytes:
    return hmac.digest(secret, nonce + key.encode(), "sha256")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
