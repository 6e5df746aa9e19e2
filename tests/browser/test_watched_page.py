"""The page of a deployment that is somebody else's: what was observed, what is done, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.clock import NS
from lab.record import CommandBegan, CommandEnded, CommandSaid, Observed, PhaseBegan
from lab.report.fold import PageFold
from lab.report.html import PageConfig, live_page
from lab.report.merge import Item
from lab.report.sentences import tell_event
from lab.web import Feed, PageServer
from tests.browser.pages import PLAN, until
from tests.browsing import visit
from tests.unit.report.making import MS, in_time, read

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.judges_time]

WATCHED = msgspec.structs.replace(PLAN, slots=(), title="our own deploy")


def watched(*seen: Item) -> list[Item]:
    told: list[Item] = [
        PhaseBegan(at=0, name="log in", text="users log in"),
        CommandBegan(at=3 * NS, command=1, argv=("./deploy.sh", "v2")),
        CommandSaid(at=4 * NS, command=1, line="Recreating web-1"),
        *seen,
        CommandEnded(at=6 * NS, command=1, code=0, seconds=3.0),
    ]
    return in_time([*told, *(read(NS + number * 50 * MS, number, number % 6) for number in range(120))])


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer(live_page(WATCHED.title, PageConfig()), Feed()) as server:
        yield server
        server.feed.end()


def show(server: PageServer, *seen: Item) -> None:
    fold = PageFold(WATCHED, tell=tell_event)
    server.feed.add([made for item in watched(*seen) for made in fold.take(item)])
    server.feed.end()


def test_what_was_observed_stands_in_the_place_of_a_cluster(browser: Browser, server: PageServer) -> None:
    """By whose word, and only who is still there; a command's own lines are among what happened."""
    show(
        server,
        Observed(at=2 * NS, who="web-1", what="ready", release="v1", source="the engine"),
        Observed(at=5 * NS, who="web-2", what="ready", release="v2", source="the engine"),
        Observed(at=5 * NS + 1, who="web-1", what="ended", release="v1", source="the engine"),
    )
    with visit(browser, server.url) as seen:
        until(seen.page, "web-2 (v2): ready, by the engine", ".observed")
        assert seen.page.locator(".observed li").count() == 1
        assert seen.page.locator("#cluster h2").inner_text() == "Deployment"
        assert seen.page.locator(".slot").count() == 0
        until(seen.page, "command 1: Recreating web-1", "#log .command >> nth=1")
        assert seen.page.locator("#log .seen").count() == 3
        assert seen.page.locator("#log .strike").count() == 0
        seen.check_quiet()


def test_what_nobody_observed_is_not_known(browser: Browser, server: PageServer) -> None:
    """And no empty cluster is drawn."""
    show(server)
    with visit(browser, server.url) as seen:
        until(seen.page, "who serves is not known", ".observed")
        assert seen.page.locator("#log .seen").count() == 0
        seen.check_quiet()
