"""Sessions as text in the store, signed: whoever can write to the store still can't make himself a session."""

from __future__ import annotations

import hashlib
import hmac
import json

from shop import keys
from shop.features import READABLE_FORMATS
from shop.fields import ACCOUNT
from shop.key_number import NUMBER
from shop.names import LONGEST_SECONDS
from shop.sessions import Session

LONGEST_TEXT = 4096


def encode(session: Session, *, session_format: int) -> str:
    """The session as text; raises ValueError above 4 KB."""
    fields: dict[str, str | int] = {
        "format": session_format,
        "account": session.account,
        "created": session.created,
    }
    if session.label is not None:
        fields["label"] = session.label
    fields["signature"] = _signature(fields, NUMBER)
    text = json.dumps(fields, separators=(",", ":"))
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"a session of {len(text)} bytes is longer than {LONGEST_TEXT}")
    return text


def decode(raw: bytes, *, now: float) -> Session | None:
    """The session that `raw` describes, if it is one, and not past its absolute end; never an exception.

    Fields that this release does not know are left alone: the next release may have written them.
    """
    if len(raw) > LONGEST_TEXT:
        return None
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    session = _session_of(fields) if isinstance(fields, dict) and _is_genuine(fields) else None
    if session is None or now - session.created >= LONGEST_SECONDS:
        return None
    return session


def _session_of(fields: dict[str, object]) -> Session | None:
    account, created, label = fields.get("account"), _whole(fields.get("created")), fields.get("label")
    if not isinstance(account, str) or not ACCOUNT.fullmatch(account) or created is None:
        return None
    if _whole(fields.get("format")) not in READABLE_FORMATS:
        return None
    return Session(account=account, created=created, label=label if isinstance(label, str) else None)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else None


def _is_genuine(fields: dict[str, object]) -> bool:
    said = str(fields.pop("signature", ""))
    return any(hmac.compare_digest(said, _signature(fields, number)) for number in keys.accepted(NUMBER))


def _signature(fields: dict[str, object] | dict[str, str | int], number: int) -> str:
    """By the key of this number; two numbers never sign alike, even if they had the same secret."""
    signed = f"{number} {json.dumps(fields, sort_keys=True)}".encode()
    return hmac.digest(keys.secret(number), signed, hashlib.sha256).hex()
