"""What a request must show before it may change anything: an idempotency key, and that no other site sent it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping

from shop.refusals import Refused
from shop.tokens import TOKEN, csrf_of

KEY = re.compile(r"[A-Za-z0-9._-]{8,64}")
SESSION_COOKIE = "__Host-sid"
BUCKET_COOKIE = "bucket"
LOGIN_COOKIE = "__Host-login"
"""Double-submit value of the login form: before there is a session to derive one from."""

_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite="
_NOT_COMPARED = {"key", "csrf", "password"}
"""Fields that don't say what is asked for. A password is checked each time, and must not be kept as a fast hash."""


def cookie(header: str, name: str) -> str | None:
    """The value of cookie `name` if `header` has it and it looks like one of the shop's tokens."""
    for pair in header.split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value if TOKEN.fullmatch(value) else None
    return None


def session_cookie(token: str) -> str:
    """The Set-Cookie value that logs a browser in."""
    return f"{SESSION_COOKIE}={token}; {_ATTRIBUTES}Lax"


def session_cookie_cleared() -> str:
    """The Set-Cookie value that makes a browser forget its session."""
    return f"{SESSION_COOKIE}=; Max-Age=0; {_ATTRIBUTES}Lax"


def bucket_cookie(account: str) -> str:
    """The Set-Cookie value by which a balancer may keep all devices of `account` together; it proves nothing."""
    return f"{BUCKET_COOKIE}={hashlib.sha256(account.encode()).hexdigest()[:16]}; {_ATTRIBUTES}Lax"


def login_cookie(value: str) -> str:
    """The Set-Cookie value that ties a login form to the browser it was shown in."""
    return f"{LOGIN_COOKIE}={value}; {_ATTRIBUTES}Strict"


def idempotency_key(header: str | None, fields: Mapping[str, str]) -> str:
    """The request's key; raises Refused (400) if it has none, or one that is malformed."""
    key = header if header is not None else fields.get("key", "")
    if not KEY.fullmatch(key):
        raise Refused(400, "a change needs an Idempotency-Key of 8 to 64 characters of A-Z a-z 0-9 . _ -")
    return key


def check_origin(headers: Mapping[str, str], fields: Mapping[str, str], *, cookies: str, is_login: bool) -> None:
    """Raise Refused (403) unless the shop's own page, or a client that sets headers of its own, sent this.

    A page of another site can make a browser post a form with the user's cookie, but it can neither add a header
    nor know the form's `csrf` value.
    """
    if headers.get("sec-fetch-site") == "cross-site":
        raise Refused(403, "this was sent from another site")
    if "idempotency-key" in headers:
        return
    if is_login:
        expected = cookie(cookies, LOGIN_COOKIE)
    else:
        token = cookie(cookies, SESSION_COOKIE)
        expected = csrf_of(token) if token else None
    if expected is None or not hmac.compare_digest(fields.get("csrf", "").encode(), expected.encode()):
        raise Refused(403, "the form has expired: load the page again")


def fingerprint_of(method: str, path: str, fields: Mapping[str, str]) -> str:
    """What this request asks for, as 16 characters: the same for a repeat, on whichever release it arrives."""
    compared = sorted((name, value) for name, value in fields.items() if name not in _NOT_COMPARED)
    return hashlib.sha256(json.dumps([method, path, compared]).encode()).hexdigest()[:16]
