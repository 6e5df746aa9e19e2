"""HTML forms as a browser reads, fills in and sends them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html import unescape
from typing import NamedTuple
from urllib.parse import urlencode

from lab.model import Value
from lab.users.request import FORM

_ATTRIBUTES = r"""(?:[^>"']|"[^"]*"|'[^']*')*"""
_TOKEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?:script|style)\b.*?</(?:script|style)\s*>"
    rf"|<(?P<end>/?)(?P<tag>form|input|button|meta|select|option|textarea)\b(?P<attributes>{_ATTRIBUTES})>",
    re.IGNORECASE | re.DOTALL,
)
"""The tags that matter, and what is no tag though it looks like one. Several times as quick as an HTML parser, which
would cost a user more than all the rest of a request."""
_ATTRIBUTE = re.compile(r"""([^\s=/"'>]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
_PUSHED = frozenset({"submit", "image"})
_NOT_SENT = frozenset({"button", "reset", "image"})
BOUNDARY = "lab-6d1f0e2b9c"
"""Between the parts of a multipart body; a form's own content never holds it."""


class File(Value, kw_only=False):
    """A file to upload in a form."""

    name: str
    content: bytes
    kind: str = "application/octet-stream"


class Control(NamedTuple):
    """One control of a form, with what it sends if nobody touches it."""

    name: str
    kind: str
    """An input's type; or select, textarea, meta."""
    value: str
    """What it sends, or would send if it were chosen."""
    is_on: bool
    """Whether it is sent as it is: a box that is ticked, an option that is selected, any text."""
    owner: int
    """The form that it belongs to, counted from 0; -1 for none."""


class HtmlForm(NamedTuple):
    """A form's own tag."""

    id: str
    name: str
    action: str | None
    method: str
    encoding: str


class Controls:
    """All forms and controls of one page, in their order."""

    def __init__(self, text: str) -> None:
        self.forms: list[HtmlForm] = []
        self.controls: list[Control] = []
        self._read(text)

    def value_of(self, name: str) -> str | None:
        """What the first control of this name holds: a select's selected option, of radio buttons the chosen one."""
        named = [one for one in self.controls if one.name == name]
        return next((one.value for one in named if one.is_on), named[0].value if named else None)

    def find(self, which: str | None) -> int | None:
        """The place of the form with this "#id", name or action; None for the first. None where there is none."""
        for place, form in enumerate(self.forms):
            if which is None or which in {f"#{form.id}" if form.id else None, form.name or None, form.action}:
                return place
        return None

    def of(self, form: int) -> Iterator[Control]:
        return (one for one in self.controls if one.owner == form and (one.name or one.kind in _PUSHED))

    def _read(self, text: str) -> None:
        tokens = [
            (found, found["tag"].lower(), bool(found["end"]), _attributes(found["attributes"]))
            for found in _TOKEN.finditer(text)
            if found["tag"]
        ]
        for _, tag, ends, told in tokens:
            if tag == "form" and not ends:
                self.forms.append(_form(told))
        by_id = {form.id: place for place, form in enumerate(self.forms) if form.id}
        inside, begun = -1, 0
        select: tuple[dict[str, str], int] | None = None
        options: list[tuple[str, bool]] = []
        for found, tag, ends, told in tokens:
            owner = by_id.get(told["form"], -1) if "form" in told else inside
            if tag == "form":
                inside, begun = (-1, begun) if ends else (begun, begun + 1)
            elif tag == "select":
                if not ends:
                    select, options = (told, owner), []
                elif select is not None:
                    self.controls += _selected(*select, options)
                    select = None
            elif tag == "option":
                if not ends and select is not None and "disabled" not in told:
                    value = told["value"] if "value" in told else _text_after(text, found.end(), "<")
                    options.append((value, "selected" in told))
            elif tag == "textarea":
                if not ends and "disabled" not in told:
                    value = _text_after(text, found.end(), "</textarea")
                    self.controls.append(Control(told.get("name", ""), tag, value.removeprefix("\n"), True, owner))
            elif not ends and "disabled" not in told:
                self.controls.append(_control(tag, told, owner))


def _attributes(text: str) -> dict[str, str]:
    told: dict[str, str] = {}
    for name, *values in _ATTRIBUTE.findall(text):
        told.setdefault(name.lower(), unescape("".join(values)))
    return told


def _form(told: Mapping[str, str]) -> HtmlForm:
    return HtmlForm(
        id=told.get("id", ""),
        name=told.get("name", ""),
        action=told.get("action"),
        method=told.get("method", "get").upper(),
        encoding=told.get("enctype", FORM).lower(),
    )


def _control(tag: str, told: Mapping[str, str], owner: int) -> Control:
    name = told.get("name", "")
    if tag == "meta":
        return Control(name, tag, told.get("content", told.get("value", "")), True, -1)
    kind = told.get("type", "submit" if tag == "button" else "text").lower()
    if kind in {"checkbox", "radio"}:
        return Control(name, kind, told.get("value", "on"), "checked" in told, owner)
    return Control(name, kind, told.get("value", ""), kind not in _NOT_SENT, owner)


def _selected(told: Mapping[str, str], owner: int, options: list[tuple[str, bool]]) -> Iterator[Control]:
    if "disabled" in told:
        return
    chosen = [place for place, (_, is_on) in enumerate(options) if is_on]
    if "multiple" not in told:
        chosen = chosen[-1:] or ([0] if options else [])  # a browser shows the first one, and sends it
    for place, (value, _) in enumerate(options):
        yield Control(told.get("name", ""), "select", value, place in chosen, owner)


def _text_after(text: str, start: int, until: str) -> str:
    end = text.lower().find(until, start) if until != "<" else text.find(until, start)
    inner = text[start : end if end >= 0 else len(text)]
    return unescape(inner if until != "<" else " ".join(inner.split()))


Entries = list[tuple[str, str | File]]
Filled = str | bool | File | None | Iterable[str]
"""What a journey puts into a control: a text, True or False for a box, some options, a file; None: not sent."""


def entries_of(controls: Iterable[Control], filled: Mapping[str, Filled], button: str | None) -> Entries:
    """What a browser sends: names and values in the form's order. Raises KeyError with a name that no control has.

    `button`: the name or value of the button that is pushed; None: the first, as by the Enter key.
    """
    left, sent, has_pushed = dict(filled), Entries(), False
    done: set[str] = set()
    for one in controls:
        if one.kind in _PUSHED:
            if not has_pushed and button in {None, one.name or None, one.value or None}:
                has_pushed = True
                sent += [(one.name, one.value)] if one.name else []
        elif one.name in done:
            continue
        elif one.name in left:
            done.add(one.name)
            sent += _filled(one, left.pop(one.name))
        elif one.kind == "file":
            sent.append((one.name, File("", b"")))
        elif one.is_on:
            sent.append((one.name, one.value))
    if left:
        raise KeyError(next(iter(left)))
    if button is not None and not has_pushed:
        raise KeyError(button)
    return sent


def _filled(one: Control, value: Filled) -> Entries:
    if value is None or value is False:
        return []
    if value is True:
        return [(one.name, one.value)]
    if isinstance(value, str | File):
        return [(one.name, value)]
    return [(one.name, each) for each in value]


def encoded(entries: Entries, encoding: str) -> tuple[bytes, str]:
    """A form's body and its content type. Where a form is not multipart, a file's name is sent, as browsers do."""
    if encoding != "multipart/form-data":
        texts = [(name, value.name if isinstance(value, File) else value) for name, value in entries]
        return urlencode(texts).encode(), FORM
    parts = [part for name, value in entries for part in _part(name, value)]
    return b"".join((*parts, f"--{BOUNDARY}--\r\n".encode())), f"multipart/form-data; boundary={BOUNDARY}"


def _part(name: str, value: str | File) -> Iterator[bytes]:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{_quoted(name)}"'
    if isinstance(value, File):
        yield f'{head}; filename="{_quoted(value.name)}"\r\nContent-Type: {value.kind}\r\n\r\n'.encode()
        yield value.content
    else:
        yield f"{head}\r\n\r\n{value}".encode()
    yield b"\r\n"


def _quoted(name: str) -> str:
    """As browsers quote it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
