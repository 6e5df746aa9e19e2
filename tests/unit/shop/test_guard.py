"""What a request must show before it may change anything."""

from __future__ import annotations

import pytest
from shop import guard
from shop.refusals import Refused
from shop.tokens import csrf_of, new_token

TOKEN = new_token()
COOKIES = f"{guard.SESSION_COOKIE}={TOKEN}"


def check(headers: dict[str, str], fields: dict[str, str], cookies: str = COOKIES, *, is_login: bool = False) -> None:
    guard.check_origin(headers, fields, cookies=cookies, is_login=is_login)


def test_a_header_or_the_forms_value_is_enough() -> None:
    """A client that sets headers is no form of another site; a form must know the session's value."""
    check({"idempotency-key": "k" * 8}, {})
    check({}, {"csrf": csrf_of(TOKEN)})
    check({"sec-fetch-site": "same-origin"}, {"csrf": csrf_of(TOKEN)})


@pytest.mark.parametrize(
    "csrf", ["", "x", csrf_of(new_token()), TOKEN, "é"], ids=["none", "short", "another's", "token", "not ascii"]
)
def test_a_form_without_the_value_is_refused(csrf: str) -> None:
    """Neither nothing, nor another session's value, nor the token itself will do."""
    with pytest.raises(Refused) as refused:
        check({}, {"csrf": csrf})
    assert refused.value.status == 403


def test_another_site_is_refused_even_with_a_key() -> None:
    """What the browser says of the sender counts above all."""
    with pytest.raises(Refused) as refused:
        check({"sec-fetch-site": "cross-site", "idempotency-key": "k" * 8}, {"csrf": csrf_of(TOKEN)})
    assert refused.value.status == 403


def test_the_login_form_is_tied_to_its_browser() -> None:
    """Without a session, the form's value must be the one in the browser's own cookie; an empty one never is."""
    value = new_token()
    check({}, {"csrf": value}, f"{guard.LOGIN_COOKIE}={value}", is_login=True)
    for cookies in ("", f"{guard.LOGIN_COOKIE}=", f"{guard.LOGIN_COOKIE}={new_token()}"):
        for csrf in (value, ""):
            with pytest.raises(Refused):
                check({}, {"csrf": csrf}, cookies, is_login=True)


@pytest.mark.parametrize("key", ["user-007.1.23", "a" * 8, "a" * 64, "A_b-c.d9"])
def test_a_key_is_taken_from_header_or_form(key: str) -> None:
    """The header wins where both are there."""
    assert guard.idempotency_key(key, {"key": "other-key"}) == key
    assert guard.idempotency_key(None, {"key": key}) == key


@pytest.mark.parametrize("key", [None, "", "short", "a" * 65, "with space", "new\nline.1", "colon:colon", "käse.1.23"])
def test_a_change_without_a_good_key_is_refused(key: str | None) -> None:
    """A key becomes part of a name in the store, so it is checked strictly."""
    with pytest.raises(Refused) as refused:
        guard.idempotency_key(key, {})
    assert refused.value.status == 400


def test_a_cookie_is_found_among_others() -> None:
    """The first of the name counts, and only if it looks like a token."""
    assert guard.cookie(f"a=b; {COOKIES}; c=d", guard.SESSION_COOKIE) == TOKEN
    for header in ("", "a", f"x{COOKIES}", f"{guard.SESSION_COOKIE}=short", f"{guard.SESSION_COOKIE}={TOKEN}x"):
        assert guard.cookie(header, guard.SESSION_COOKIE) is None


def test_cookies_are_closed() -> None:
    """The __Host- prefix demands Secure, Path=/ and no Domain; scripts and other sites get none."""
    for text in (guard.session_cookie(TOKEN), guard.session_cookie_cleared(), guard.login_cookie(TOKEN)):
        parts = text.split("; ")
        assert parts[0].startswith("__Host-")
        assert {"Path=/", "Secure", "HttpOnly"} <= set(parts)
        assert any(part in {"SameSite=Lax", "SameSite=Strict"} for part in parts)
        assert "domain" not in text.lower()


def test_a_fingerprint_says_what_is_asked_for() -> None:
    """Order, key and CSRF value don't matter; route and every other field do, known to this release or not."""
    base = guard.fingerprint_of("POST", "/cart", {"sku": "mug", "quantity": "2"})
    assert base == guard.fingerprint_of("POST", "/cart", {"quantity": "2", "sku": "mug", "key": "k", "csrf": "c"})
    others = [
        guard.fingerprint_of("POST", "/checkout", {"sku": "mug", "quantity": "2"}),
        guard.fingerprint_of("POST", "/cart", {"sku": "mug", "quantity": "3"}),
        guard.fingerprint_of("POST", "/cart", {"sku": "mug", "quantity": "2", "gift": "on"}),
        guard.fingerprint_of("POST", "/cart", {"sku": "mug"}),
    ]
    assert len({base, *others}) == 5


def test_a_password_is_in_no_fingerprint() -> None:
    """A fingerprint is kept in the store, and a fast hash of a password would be a gift."""
    one, other = ({"account": "anna", "password": password} for password in ("a", "b"))
    assert guard.fingerprint_of("POST", "/login", one) == guard.fingerprint_of("POST", "/login", other)
