"""What of a browser's cookies may stand in a record: names, and whether one reads as a signed session."""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64encode

import pytest

from lab.users.signed_cookies import cookies_told

SIGNATURE = "Zk3mP0aXq1vB7cYt9LrW2sHdNfE"


def packed(what: object, *, small: bool = False) -> str:
    plain = json.dumps(what).encode()
    return urlsafe_b64encode(zlib.compress(plain) if small else plain).decode().rstrip("=")


@pytest.mark.parametrize(
    ("value", "is_signed"),
    [
        (f"{packed({'alg': 'HS256'})}.{packed({'sub': 'u1'})}.{SIGNATURE}", True),
        (f"{packed({'user': 'u1'})}.Z0Kq1g.{SIGNATURE}", True),
        (f".{packed({'user': 'u1'}, small=True)}.Z0Kq1g.{SIGNATURE}", True),
        (f"{packed({'user': 'u1'})}:1tK3xY:{SIGNATURE}", True),
        ("CfDJ8" + SIGNATURE, True),
        (f"%22{packed({'user': 'u1'})}.Z0Kq1g.{SIGNATURE}%22", True),
        ("0123456789abcdef0123456789abcdef", False),
        (f"s%3Akq3v9Zb1xT.{SIGNATURE}", False),
        (packed({"iv": "x", "value": "y", "mac": "z"}), False),
        (f"{packed({'user': 'u1'})}.short", False),
        (f".{packed({'user': 'u1'})}.Z0Kq1g.{SIGNATURE}", False),
        (f"{packed(['u1'])}.Z0Kq1g.{SIGNATURE}", False),
        (f"%.:.{SIGNATURE}", False),
        ("", False),
    ],
)
def test_a_session_that_is_signed_is_known_by_its_looks(value: str, *, is_signed: bool) -> None:
    """An id that is signed, or something that is not, may be the name of a session that the app keeps."""
    assert cookies_told({"sid": value}) == {"sid": is_signed}
