"""A browser for tests: found on this machine, and watched for whatever a page complains about."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

FOUND = Path(__file__).resolve().parents[1] / ".venv" / ".browser"
"""Where lab/browser.sh wrote which one it found."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WITHIN = 15_000
"""Milliseconds that a page may take to show something."""


def find_browser() -> str | None:
    """The program, or None."""
    specs = (os.environ.get("LAB_BROWSER", ""), FOUND.read_text().strip() if FOUND.is_file() else "", *NAMES)
    return next((found for spec in specs if spec and (found := shutil.which(spec))), None)


def go_without(what: str) -> None:
    """Skip on somebody's own machine; where CI is set, a test that can't be made is a failure."""
    said = f"{what}: sh lab/browser.sh"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)


@dataclass
class Visit:
    """One page with all that it said on its console, and all that it asked other hosts for."""

    page: Page
    context: BrowserContext
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def check_quiet(self) -> None:
        """No error, no warning, nothing refused by the page's own policy."""
        assert self.said == []


@contextmanager
def visit(browser: Browser, url: str, **settings: Any) -> Iterator[Visit]:
    """A page in a context of its own; quiet to the end."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 720}, **settings})
    context.set_default_timeout(WITHIN)
    page = context.new_page()
    made = Visit(page=page, context=context)
    page.on("console", lambda message: made.said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: made.said.append(str(error)))
    page.on("request", lambda request: made.asked.append(request.url))
    try:
        page.goto(url)
        yield made
    finally:
        context.close()
