"""Answers as JSON or as a page, whichever was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from shop.pages import Pages, Setting


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a request came to, not yet how it is said.

    `body` is the JSON text, and what `page` is filled with. Where a browser goes on after a change is `onward`. What a
    person had typed as their account is `typed`, so that a form that was refused still holds it.
    """

    body: bytes
    status: int = 200
    page: str = "error"
    onward: str | None = None
    cookies: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    typed: str = ""


def json_text(fields: Mapping[str, object]) -> bytes:
    """`fields` as compact JSON."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def problem(status: int, why: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """The reply that says what is wrong."""
    return Reply(status=status, body=json_text({"error": why}), headers=headers)


def wants_json(headers: Mapping[str, str]) -> bool:
    """Whether whoever asks is a program rather than a browser."""
    return "application/json" in headers.get("accept", "") or headers.get("content-type", "").startswith(
        "application/json"
    )


def as_json(reply: Reply) -> Response:
    """The reply for a program."""
    return _with_headers(Response(reply.body, reply.status, media_type="application/json"), reply)


def as_redirect(reply: Reply, onward: str) -> Response:
    """The reply for a browser that has changed something, so that reloading does not change it again."""
    return _with_headers(Response(status_code=303, headers={"location": onward}), reply)


def as_page(reply: Reply, pages: Pages, setting: Setting) -> Response:
    """The reply for a person."""
    text = pages.render(reply.page, json.loads(reply.body), status=reply.status, setting=setting)
    return _with_headers(Response(text, reply.status, media_type="text/html"), reply)


def _with_headers(response: Response, reply: Reply) -> Response:
    for name, value in reply.headers:
        response.headers[name] = value
    for cookie in reply.cookies:
        response.headers.append("set-cookie", cookie)
    return response
