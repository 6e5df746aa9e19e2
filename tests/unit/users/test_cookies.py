"""A device keeps and sends cookies as a browser on the same machine does."""

from __future__ import annotations

import pytest

from lab.clock import FakeClock
from lab.users.cookies import Jar, is_trustworthy


def jar(host: str = "127.0.0.1") -> Jar:
    return Jar(host, clock=FakeClock(start=10))


SID = b"__Host-sid=abc=; Path=/; Secure; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("shop.localhost", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_loopback_is_a_secure_context(host: str, trusted: bool) -> None:
    """Secure cookies are kept over http on loopback, and refused elsewhere."""
    assert is_trustworthy(host) is trusted
    cookies = jar(host)
    cookies.absorb(SID)
    assert cookies.line("/cart") == ("__Host-sid=abc=" if trusted else "")


@pytest.mark.parametrize(
    "line",
    [
        b"__Host-sid=x; Path=/",
        b"__Host-sid=x; Secure",
        b"__Host-sid=x; Secure; Path=/cart",
        b"__Host-sid=x; Secure; Path=/; Domain=127.0.0.1",
        b"__Secure-sid=x; Path=/",
        b"sid=x; Domain=example.org",
        b"sid=x; Path=/; SameSite=None",
        b"no pair",
        b"=nameless",
        b"",
        b"sid=" + b"x" * 5000,
    ],
)
def test_what_a_browser_refuses_is_refused(line: bytes) -> None:
    """A prefix whose demands aren't met, another's domain and nonsense leave no cookie."""
    cookies = jar()
    cookies.absorb(line)
    assert cookies.line("/") == ""


@pytest.mark.parametrize(
    "how",
    [
        b"Max-Age=0",
        b"max-age=-1",
        b"Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        b"Max-Age=0; Expires=Thu, 01 Jan 2099 00:00:00 GMT",
    ],
)
def test_an_expired_cookie_is_deleted(how: bytes) -> None:
    """Max-Age=0, or a date that has passed, deletes; Max-Age wins."""
    cookies = jar()
    cookies.absorb(SID)
    cookies.absorb(b"__Host-sid=; Path=/; Secure; " + how)
    assert cookies.line("/") == ""


def test_a_cookie_lives_as_long_as_it_says() -> None:
    """A cookie is sent until its time is over; nonsense for a time means for ever."""
    clock = FakeClock()
    cookies = Jar("127.0.0.1", clock=clock)
    cookies.absorb(b"short=1; Path=/; Max-Age=10")
    cookies.absorb(b"dated=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:20 GMT")
    cookies.absorb(b"long=1; Path=/; Max-Age=soon; Expires=Thu, 01 Jan 99999999999 00:00:00 GMT")
    clock.sleep(9)
    assert cookies.line("/") == "short=1; dated=1; long=1"
    clock.sleep(2)
    assert cookies.line("/") == "dated=1; long=1"
    clock.sleep(10)
    assert cookies.line("/") == "long=1"


def test_several_cookies_and_a_new_value() -> None:
    """The balancer's cookie stands beside the app's, and a new value takes the place of the old one."""
    cookies = jar()
    cookies.absorb(SID)
    cookies.absorb(b"route=r1")
    cookies.absorb(b"__Host-sid=new; Secure; Path=/")
    assert cookies.line("/orders") == "__Host-sid=new; route=r1"
    cookies.absorb(b"__Host-sid=; Secure; Path=/; Max-Age=0")
    cookies.absorb(SID)
    assert cookies.line("/orders") == "route=r1; __Host-sid=abc="


def test_paths() -> None:
    """A cookie goes to its path and below only, the longest path first; without one it is the request's folder."""
    cookies = jar()
    cookies.absorb(b"all=1; Path=/")
    cookies.absorb(b"cart=1; Path=/cart")
    cookies.absorb(b"own=1", path="/cart/line-1/remove?x=/y/z")
    assert cookies.line("/cart/line-1/again") == "own=1; cart=1; all=1"
    assert cookies.line("/cart?a=/b") == "cart=1; all=1"
    assert cookies.line("/cartoon") == "all=1"


def test_a_jar_is_bounded() -> None:
    """An app can't fill the crowd's memory with cookies; the oldest go first."""
    cookies = jar()
    for number in range(500):
        cookies.absorb(b"c%d=1; Path=/" % number)
    assert cookies.line("/").split("; ") == [f"c{number}=1" for number in range(450, 500)]
    cookies.absorb(b"c460=2; Path=/")
    assert cookies.line("/").count(";") == 49
    assert "c450=1; " in cookies.line("/")
