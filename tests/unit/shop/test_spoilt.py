"""Builds that are spoilt on purpose: every mistake can be built, and what is only unusual says the same."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from shop.edge import App, Message
from shop.spoilt import SABOTAGES
from shop.spoilt_answers import AROUND
from shop.unusual import UNUSUAL

from lab.machine.images import RECIPES, SPOILT
from lab.machine.images import UNUSUAL as UNUSUAL_IMAGES

BODY = {"account": "user-001", "name": "Zoë", "lines": []}


async def _shop(scope: Message, _: Any, send: Any) -> None:
    body = json.dumps(BODY).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    del scope


def asked(app: App, path: str = "/account", method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer."""
    got: list[Message] = []

    async def take(message: Message) -> None:
        got.append(message)

    async def nothing() -> Message:
        return {"type": "http.request"}

    async def ask() -> None:
        await app({"type": "http", "path": path, "method": method}, nothing, take)

    asyncio.run(ask())
    start, *parts = got
    assert all(part.get("more_body", False) for part in parts[:-1])
    assert not parts[-1].get("more_body", False)
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, b"".join(part["body"] for part in parts)


def test_every_mistake_can_be_built() -> None:
    """Each name has an image, and each image a mistake that there is."""
    built = {one.settings.get("SABOTAGE", "") for one in (*RECIPES, *SPOILT, *UNUSUAL_IMAGES)}
    assert built == set(SABOTAGES)


@pytest.mark.parametrize("name", UNUSUAL)
def test_the_unusual_say_the_same(name: str) -> None:
    """In their own way, time after time; but where they say that they do nothing just now."""
    app = UNUSUAL[name](_shop)
    for _ in range(41):
        status, headers, body = asked(app)
        if status == 503:
            assert headers["x-not-applied"] == "1"
            continue
        assert {**json.loads(body), **BODY} == json.loads(body)
        assert headers.get("content-length", str(len(body))) == str(len(body))


@pytest.mark.parametrize("name", sorted({*AROUND, *UNUSUAL}))
def test_probes_are_answered_by_the_shop_itself(name: str) -> None:
    """What is wrong with them no probe finds."""
    assert json.loads(asked({**AROUND, **UNUSUAL}[name](_shop), "/readyz")[2]) == BODY


@pytest.mark.parametrize(
    ("name", "path", "method", "status"),
    [
        ("redirects", "/cart", "POST", 303),
        ("redirects", "/cart", "GET", 200),
        ("refuses_adds", "/cart", "POST", 409),
        ("turnstile", "/login", "POST", 429),
        ("some_redirects", "/account/name", "POST", 303),
        ("some_redirects", "/cart", "POST", 200),
    ],
)
def test_the_spoilt_answer_otherwise(name: str, path: str, method: str, status: int) -> None:
    """At the route that is spoilt, and nowhere else."""
    assert asked(AROUND[name](_shop), path, method)[0] == status
