"""What all tests share: where things are, and what real containers are made with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from lab.cluster.places import Places, find_places
from lab.cluster.setup import Toolbox, make_ready
from tests.browsing import find_browser, go_without
from tests.yard import Yard

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def places() -> Places:
    """The checkout under test."""
    return find_places()


@pytest.fixture(scope="session")
def toolbox(places: Places) -> Iterator[Toolbox]:
    """Engine, Compose and images; made ready where they are not."""
    box = make_ready(places, print)
    yield box
    box.engine.close()


@pytest.fixture(scope="module")
def yard(toolbox: Toolbox) -> Iterator[Yard]:
    """A place on a real engine where a test's own victims can be made; gone afterwards."""
    made = Yard(toolbox)
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests that look at pages; each opens a context of its own."""
    found = find_browser()
    if found is None:
        go_without("no Chromium or Chrome here")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        go_without("Playwright is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
