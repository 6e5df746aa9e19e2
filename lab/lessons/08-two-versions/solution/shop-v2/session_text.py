"""Sessions as text in the store, as of v2: "account" becomes "user", in a step that v1 can live with."""

from __future__ import annotations

import json

from shop.features import READABLE_FORMATS
from shop.fields import ACCOUNT
from shop.names import LONGEST_SECONDS
from shop.sessions import Session

LONGEST_TEXT = 4096


def encode(session: Session, *, session_format: int) -> str:
    """The session as text; raises ValueError above 4 KB."""
    fields: dict[str, str | int] = {
        "format": session_format,
        "account": session.account,  # for v1, which reads nothing else; v3 may leave it out
        "user": session.account,
        "created": session.created,
    }
    if session.label is not None:
        fields["label"] = session.label
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
    session = _session_of(fields) if isinstance(fields, dict) else None
    if session is None or now - session.created >= LONGEST_SECONDS:
        return None
    return session


def _session_of(fields: dict[str, object]) -> Session | None:
    account, created, label = (
        fields.get("user", fields.get("account")),
        _whole(fields.get("created")),
        fields.get("label"),
    )
    if not isinstance(account, str) or not ACCOUNT.fullmatch(account) or created is None:
        return None
    if _whole(fields.get("format")) not in READABLE_FORMATS:
        return None
    return Session(account=account, created=created, label=label if isinstance(label, str) else None)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else None
