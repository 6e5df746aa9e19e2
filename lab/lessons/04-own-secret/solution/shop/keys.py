"""The keys that sessions are signed with: from a secret that every replica is given."""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import cache
from pathlib import Path


@cache
def secret(number: int) -> bytes:
    """The secret of the key of this number, derived from the one that the cluster gives to all its replicas."""
    given = Path(os.environ["STORE_PASSWORD_FILE"]).read_bytes()
    return hmac.digest(given, f"session signature {number}".encode(), hashlib.sha256)


def accepted(own: int) -> list[int]:
    """One's own, the one before, which signed what is still alive, and the next, which others may sign with already."""
    return [own, own - 1, own + 1]
