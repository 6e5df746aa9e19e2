"""Where an app sends whoever must log in: told from the pages that users come back to as well."""

from __future__ import annotations

import pytest

from lab.users.login_page import LoginPage
from lab.users.own import leads_to
from lab.users.page import Page
from lab.users.request import FORM, JSON, Content

SENT = Content(body=b"mail=a%40b&csrf=1", kind=FORM)


def page(body: bytes, status: int = 200) -> Page:
    return Page(status, {}, body, "/start")


@pytest.mark.parametrize(
    ("posted", "body", "asks"),
    [
        (SENT, b"<form><input type=password name=pw></form>", True),
        (SENT, b"<form><input name=mail></form>", True),  # a name first, or a link by mail
        (SENT, b"<form><input type=hidden name=csrf><input name=q></form>", False),
        (SENT, b"welcome", False),
        (Content(body=b"{}", kind=JSON), b"<div id=app></div>", True),  # a script shows the form
        (Content(body=b"{}", kind=JSON), b"<form><input name=q></form>", False),
    ],
)
def test_a_login_page_asks_to_log_in(posted: Content, body: bytes, asks: bool) -> None:
    """For what the login itself sent, or for a password."""
    login = LoginPage()
    login.asked("/start", None)
    login.asked("/session", posted)
    assert login.path == "/start"
    assert login.is_shown_by(page(body)) == asks
    assert not login.is_shown_by(page(body, 500))


def test_a_page_to_change_a_password_on_is_no_login_page() -> None:
    """It asks for another one than the login did."""
    login = LoginPage()
    login.asked("/start", None)
    login.answered(page(b"<form><input name=user><input type=password name=pw></form>"))
    login.asked("/start", Content(body=b"user=a&pw=b", kind=FORM))
    login.answered(page(b"<form><input type=password name=new></form>"))
    assert not login.is_shown_again
    login.answered(page(b"<form>wrong<input type=password name=pw></form>"))
    assert login.is_shown_again


@pytest.mark.parametrize(
    ("location", "login_path", "leads"),
    [
        ("/login", "/login", True),
        ("/login?next=/cart", "/login", True),
        ("login", "/login", True),  # beside the page that was asked for
        ("http://app:1/login", "/login", True),
        ("/index.php?page=login&back=1", "/index.php?page=login", True),
        ("/index.php?page=saved", "/index.php?page=login", False),
        ("/index.php", "/index.php?page=login", False),
        ("/logins", "/login", False),
        ("http://[oops", "/login", False),
    ],
)
def test_a_redirect_leads_to_a_page_by_path_and_query(location: str, login_path: str, leads: bool) -> None:
    """Apps whose every page is one script are told apart by what the query says."""
    redirect = Page(302, {b"location": location.encode()}, b"", "/start")
    assert leads_to(redirect, login_path) == leads
    assert not leads_to(Page(200, {b"location": location.encode()}, b"", "/start"), login_path)
