"""The keys that sessions are signed with. This is the file to change.

Each release signs with a key of a number of its own: v1 with number 1, v2 with number 2. That is how keys are rotated.
"""

from __future__ import annotations

import secrets

_MADE = secrets.token_bytes(32)


def secret(number: int) -> bytes:
    """The secret of the key of this number."""
    return _MADE


def accepted(own: int) -> list[int]:
    """The numbers of the keys whose signatures are good, for a release that signs with number `own`."""
    return [own]
