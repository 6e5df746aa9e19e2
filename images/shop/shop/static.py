"""The few files that pages need, read once when the replica starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = Path(__file__).parent / "static"
FILES = {"shop.css": "text/css", "items.svg": "image/svg+xml", "icon.svg": "image/svg+xml"}


def static_routes() -> list[Route]:
    """A route for each file."""
    return [Route(f"/static/{name}", _file((FOLDER / name).read_bytes(), kind)) for name, kind in FILES.items()]


def _file(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        return Response(content, media_type=kind)

    return answer
