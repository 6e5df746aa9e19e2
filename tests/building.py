"""Images that tests build of apps of their own: two tests that want the same one never build it at the same time."""

from __future__ import annotations

import fcntl
import io
import tempfile
from pathlib import Path
from typing import Any

from docker import APIClient

LOCK = Path(tempfile.gettempdir()) / "lab-tests-build.lock"


def build_image(engine: APIClient, tag: str, *, path: Path | None = None, recipe: str = "", **arguments: str) -> None:
    """From a folder or from a recipe's text alone. Whoever comes second finds it made, and so under the same id."""
    how: dict[str, Any] = {"path": str(path)} if path is not None else {"fileobj": io.BytesIO(recipe.encode())}
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for line in engine.build(tag=tag, rm=True, decode=True, buildargs=arguments, **how):
            assert "error" not in line, line["error"]
