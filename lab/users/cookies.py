"""One device's cookies, kept as a browser keeps them that talks to a shop on its own machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from ipaddress import ip_address

from lab.clock import NS, Clock
from lab.model import Value

MOST_COOKIES = 50
MOST_BYTES = 4096


class Cookie(Value, gc=False):
    """One stored cookie; `expires` is in monotonic nanoseconds, None for as long as the device is on."""

    name: str
    value: str
    path: str
    expires: int | None = None
    domain: str = ""
    """What it was given for; empty for the host alone."""


def is_trustworthy(host: str) -> bool:
    """Whether browsers treat plain http to `host` as a secure context: loopback addresses and localhost."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class Jar:
    """The cookies that one host gave to one device.

    `Secure`, `__Secure-` and `__Host-` cookies are kept and sent over TLS, and over plain http if `host` is loopback;
    refused if not. A line that a browser would refuse for its prefix, domain, size, `Secure` or `SameSite` is refused
    silently; none raises.
    """

    __slots__ = ("_clock", "_cookies", "_everywhere", "_host", "_secure", "any_domain")

    def __init__(self, host: str, *, clock: Clock, any_domain: bool = False, is_secure: bool = False) -> None:
        """`is_secure`: it is asked over TLS. `any_domain`: the app may set cookies for the domain that it has in
        production: it is asked under this host only here."""
        self._host, self._clock = host, clock
        self.any_domain = any_domain
        self._secure = is_secure or is_trustworthy(host)
        self._cookies: tuple[Cookie, ...] = ()
        """In the order in which they were first set; a new value keeps its place, and of too many the oldest go."""
        self._everywhere: str | None = ""
        """The line for every path for ever, if all cookies are for that; None otherwise."""

    def absorb(self, line: bytes, *, path: str = "/") -> None:
        """Take in one Set-Cookie line of an answer to a request for `path`; one that has expired deletes."""
        pair, *rest = line.decode("latin-1").split(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        attributes: dict[str, str] = {}
        for part in rest:
            attribute, _, setting = part.partition("=")
            attributes[attribute.strip().lower()] = setting.strip()
        if not name or not equals or len(pair) > MOST_BYTES or not self._may_set(name, attributes):
            return
        where = attributes.get("path", "")
        if not where.startswith("/"):
            where = path.partition("?")[0].rpartition("/")[0] or "/"
        expires = self._expiry(attributes)
        kept = list(self._cookies)
        domain = attributes.get("domain", "").removeprefix(".").lower()
        same = (n for n, one in enumerate(kept) if (one.name, one.domain, one.path) == (name, domain, where))
        place = next(same, len(kept))
        kept[place : place + 1] = []
        if expires is None or expires > self._clock.now():
            # Ten thousand jars with the same few names in them keep each of these once.
            new = Cookie(name=sys.intern(name), value=value, path=sys.intern(where), expires=expires, domain=domain)
            kept.insert(place, new)
        kept = kept[-MOST_COOKIES:]
        self._cookies = tuple(kept)
        simple = all(cookie.path == "/" and cookie.expires is None for cookie in kept)
        self._everywhere = _line(kept) if simple else None

    def line(self, path: str) -> str:
        """The Cookie header's value for a request for `path`, empty for none; the longest path comes first."""
        if self._everywhere is not None:
            return self._everywhere
        now = self._clock.now()
        asked = path.partition("?")[0]
        fitting = [
            cookie
            for cookie in self._cookies
            if (cookie.expires is None or cookie.expires > now) and _covers(cookie.path, asked)
        ]
        fitting.sort(key=lambda cookie: -len(cookie.path))
        return _line(fitting)

    def named(self, path: str) -> dict[str, str]:
        """What a request for `path` would carry, by name; of equal names the one for the longest path."""
        pairs = (pair.partition("=") for pair in self.line(path).split("; ") if pair)
        found: dict[str, str] = {}
        for name, _, value in pairs:
            found.setdefault(name, value)
        return found

    def _may_set(self, name: str, attributes: dict[str, str]) -> bool:
        secure = "secure" in attributes
        if secure and not self._secure:
            return False
        if attributes.get("samesite", "").lower() == "none" and not secure:
            return False
        if name.startswith("__Secure-") and not secure:
            return False
        if name.startswith("__Host-") and not (secure and attributes.get("path") == "/" and "domain" not in attributes):
            return False
        return self.any_domain or attributes.get("domain", "").removeprefix(".").lower() in {"", self._host.lower()}

    def _expiry(self, attributes: dict[str, str]) -> int | None:
        """Max-Age wins over Expires; what can't be read counts as not said."""
        now = self._clock.now()
        if "max-age" in attributes:
            try:
                return now + int(attributes["max-age"]) * NS
            except ValueError:
                pass
        if "expires" in attributes:
            try:
                date = parsedate_to_datetime(attributes["expires"])
            except (ValueError, OverflowError):
                return None
            date = date if date.tzinfo else date.replace(tzinfo=UTC)
            return now + int((date - self._clock.wall()).total_seconds() * NS)
        return None


def _line(cookies: Iterable[Cookie]) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)


def _covers(path: str, asked: str) -> bool:
    return path in {"/", asked} or asked.startswith(path if path.endswith("/") else path + "/")
