"""One answer of somebody's app, as a journey reads it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import unescape
from typing import Any

import msgspec
import regex

from lab.errors import JourneyMistake
from lab.users.forms import Control, Controls, Filled, HtmlForm, encoded, entries_of

MOST_UNPACKED = 64 << 20
"""Bytes that a compressed answer may unpack to: nobody's memory is the app's to fill."""
FOUND_WITHIN = 1.0
"""Seconds of a processor that a regular expression has: some take longer than anybody waits, and hold all users up."""
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class Unexpected(Exception):
    """The app did not answer as expected: what the journey was doing ends here, and its model stays as it was."""


class LoggedOut(Unexpected):
    """The app sent the user to its login page."""


_decode = msgspec.json.Decoder().decode
Send = Callable[..., "Page"]
"""`Http.ask`, which a form is sent by."""


class Page:
    """One answer of the app, after the redirects that were followed."""

    def __init__(
        self,
        status: int,
        headers: Mapping[bytes, bytes],
        body: bytes,
        path: str,
        *,
        method: str = "GET",
        send: Send | None = None,
    ) -> None:
        self.status, self.path, self.method = status, path, method
        self._headers, self._raw, self._send = headers, body, send
        self._unpacked: bytes | None = None
        self._parsed: Controls | None = None

    @property
    def asked(self) -> str:
        """The request that this answers, for people: "GET /cart"."""
        return f"{self.method} {self.path}"

    @property
    def body(self) -> bytes:
        """The body, unpacked where it was compressed. Raises Unexpected where that can't be."""
        coding = self._headers.get(b"content-encoding")
        if coding is None:
            return self._raw
        if self._unpacked is None:
            is_packed = coding.strip().lower() in {b"gzip", b"x-gzip", b"deflate"}
            self._unpacked = self._unpack() if is_packed else self._raw
        return self._unpacked

    def _unpack(self) -> bytes:
        unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            unpacked = unpacker.decompress(self._raw, MOST_UNPACKED)
        except zlib.error as exc:
            raise Unexpected(f"{self.asked} answered {self.status} with a broken {self._coding} body") from exc
        if not unpacker.eof:
            raise Unexpected(f"{self.asked} answered {self.status} with a {self._coding} body that is cut or too long")
        return unpacked

    @property
    def _coding(self) -> str:
        return self.header("content-encoding")

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")

    def header(self, name: str) -> str:
        """A header's value, empty where it is not there. Cookies are in `http.cookies`."""
        return self._headers.get(name.lower().encode(), b"").decode("latin-1")

    def json(self) -> Any:
        """The decoded body. Raises Unexpected where it is no JSON."""
        try:
            return _decode(self.body)
        except msgspec.DecodeError as exc:
            raise Unexpected(f"{self.asked} answered {self.status} with no JSON: {self.text[:60]!r}") from exc

    def pick(self, path: str) -> Any:
        """The one value at a path in the JSON, as "cart.0.id". Raises Unexpected where there is none, or several."""
        found = list(self.pick_all(path))
        if len(found) != 1:
            raise Unexpected(f"{len(found)} values at {path!r} in {self.asked}")
        return found[0]

    def pick_all(self, path: str) -> Iterator[Any]:
        """All values at a path of keys, places and `*`, as "items.*.id". Raises Unexpected for another shape."""
        here = [self.json()]
        for key in filter(None, path.split(".")):
            below: list[Any] = []
            for one in here:
                if key == "*" and isinstance(one, list):
                    below += one
                elif isinstance(one, dict) and key in one:
                    below.append(one[key])
                elif isinstance(one, list) and key.isdigit() and int(key) < len(one):
                    below.append(one[int(key)])
                else:
                    raise Unexpected(f"no {path!r} in the JSON of {self.asked}")
            here = below
        yield from here

    def field(self, name: str) -> str:
        """The value of the form field of this name, such as a CSRF token: of an input, a select's selected option, a
        textarea, the radio button that is chosen; or of a `meta`. Raises Unexpected where there is none."""
        found = self._controls.value_of(name)
        if found is None:
            raise Unexpected(f"no field {name!r} in {self.asked}")
        return found

    def form(self, which: str | None = None) -> Form:
        """The form with this "#id", name or action, or the first. Raises Unexpected where there is none."""
        place = self._controls.find(which)
        if place is None:
            raise Unexpected(f"no form {which or ''!r} in {self.asked}" if which else f"no form in {self.asked}")
        return Form(self, self._controls, place)

    @property
    def controls(self) -> Sequence[Control]:
        """The controls of all its forms, and of none."""
        return self._controls.controls

    def has_password(self) -> bool:
        """Whether it asks for a password."""
        return any(one.kind == "password" for one in self.controls)

    def find(self, pattern: str) -> str:
        """What the first group of a regular expression matches. Raises Unexpected where nothing does, and
        JourneyMistake where FOUND_WITHIN seconds of a processor do not tell."""
        try:
            found = regex.search(pattern, self.text, timeout=FOUND_WITHIN)
        except TimeoutError:
            raise JourneyMistake(
                f"{pattern!r} was still not matched after {FOUND_WITHIN:g} s in {self.asked}",
                at="journey",
                hint="a pattern in which no repeat is repeated: [a-z]+ and not ([a-z]+)+",
            ) from None
        if found is None:
            raise Unexpected(f"nothing like {pattern!r} in {self.asked}")
        return unescape(found[1] if found.re.groups else found[0])

    @property
    def _controls(self) -> Controls:
        if self._parsed is None:
            self._parsed = Controls(self.text)
        return self._parsed


class Form:
    """A form of a page, as a browser shows and sends it: with hidden fields, defaults and selected options."""

    def __init__(self, page: Page, controls: Controls, place: int) -> None:
        self._page, self._controls, self._place = page, controls, place

    @property
    def tag(self) -> HtmlForm:
        return self._controls.forms[self._place]

    @property
    def fields(self) -> dict[str, str]:
        """What it would send as it is; of several values of one name the last."""
        sent = entries_of(self._controls.of(self._place), {}, None)
        return {name: value for name, value in sent if isinstance(value, str)}

    def submit(
        self,
        values: Mapping[str, Filled] | None = None,
        *,
        button: str | None = None,
        expect: Any = None,
        once: bool = False,
        headers: Mapping[str, str] | None = None,
        **more: Filled,
    ) -> Page:
        """Fill in the named controls and send it, as `http.ask` does.

        A box is ticked by True and cleared by False, a multiple select takes a list, an upload a `File`; None leaves a
        control out. `values` is for names that Python can't spell. `button` is the name or value of the one to push,
        else the first is. Raises Unexpected for a control that is not there.
        """
        page, tag = self._page, self.tag
        try:
            sent = entries_of(self._controls.of(self._place), {**(values or {}), **more}, button)
        except KeyError as exc:
            raise Unexpected(
                f"no control {exc.args[0]!r} in the form {tag.action or tag.id!r} of {page.asked}"
            ) from exc
        assert page._send is not None  # noqa: S101 -- pages that journeys see have it
        body, kind = encoded(sent, tag.encoding)
        path = tag.action or page.path
        if tag.method != "POST":
            query = body.decode() if kind == "application/x-www-form-urlencoded" else ""
            where = f"{path.partition('#')[0].partition('?')[0]}?{query}"
            return page._send("GET", where, base=page.path, expect=expect, once=True, headers=headers)
        return page._send("POST", path, base=page.path, body=body, kind=kind, expect=expect, once=once, headers=headers)
