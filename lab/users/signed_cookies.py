"""Whether a cookie carries a session itself, signed by the app, rather than the name of one that the app keeps."""

from __future__ import annotations

import binascii
import json
import re
import sys
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import unquote

SHORTEST_SIGNATURE = 20
"""Characters of an SHA-1 in base64, less a few: what is shorter signs nothing."""
LONGEST_TOLD = 4096
_PARTS = re.compile(r"[.:]")
_KEY_RING = "CfDJ8"
"""What ASP.NET's data protection begins everything with."""


def cookies_told(cookies: Mapping[str, str]) -> dict[str, bool]:
    """A browser's cookies as a record may have them: their names, and whether each is a session that is signed."""
    return {sys.intern(name): is_signed_session(value) for name, value in cookies.items()}


def is_signed_session(value: str) -> bool:
    """Whether it reads as a JSON object with a signature behind it, or as made by ASP.NET's data protection.

    JSON Web Tokens do, and what itsdangerous (Flask) and Django's signed cookies make. A guess by its looks: nothing is
    verified.
    """
    text = unquote(value).strip('"')
    if text.startswith(_KEY_RING):
        return True
    parts = _PARTS.split(text.removeprefix("."))
    if len(parts) < 2 or len(parts[-1]) < SHORTEST_SIGNATURE:
        return False
    return _is_object(parts[0], is_packed=text.startswith("."))


def _is_object(text: str, *, is_packed: bool) -> bool:
    with suppress(binascii.Error, zlib.error, ValueError):
        plain = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if is_packed:
            plain = zlib.decompressobj().decompress(plain, LONGEST_TOLD)
        return isinstance(json.loads(plain), dict)
    return False
