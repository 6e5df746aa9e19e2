"""axe-core finds nothing on any page, at its end, on a laptop and on a phone, in light and in dark."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.lessons.class_room import ClassSpec, open_class
from lab.lessons.seats import SeatPlan, SeatWord
from lab.model import Operation
from lab.report.fold import PageFold
from lab.report.html import PageConfig, live_page
from lab.report.requests import RequestFinder
from lab.report.runs_page import RunFigures, RunSummary, runs_page
from lab.web import Feed, PageServer
from tests.browser.pages import PLAN, a_run, broken_report, controlled, page_events, recorded, until
from tests.browsing import go_without, visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Locator, Page

pytestmark = pytest.mark.browser
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}
SHAPES = [
    pytest.param({"viewport": {"width": 1280, "height": 720}, "color_scheme": "light"}, id="laptop, light"),
    pytest.param(
        {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}, id="phone, dark"
    ),
]


def axe() -> str:
    """Its script: part of a package that wraps it for Playwright."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        go_without("axe-core is not here")
        return ""
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """What is wrong on the page as it is, with the element; WCAG 2.2 AA and axe's own best practice."""
    page.evaluate(axe())
    told = page.evaluate("(rules) => axe.run(document, { runOnly: rules })", RULES)
    assert len(told["passes"]) > 20
    return [f"{one['id']}: {node['html']}" for one in told["violations"] for node in one["nodes"]]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_report_and_what_it_is_asked(browser: Browser, tmp_path: Path, shape: dict[str, object]) -> None:
    """All of it, with a user's requests open, and each of the timeline's views."""
    with visit(browser, broken_report(tmp_path).as_uri(), **shape) as seen:
        until(seen.page, "BROKEN")
        assert violations(seen.page) == []
        seen.page.get_by_role("button", name="user-000").click()
        seen.page.locator(".request").first.click()
        assert violations(seen.page) == []
        seen.page.keyboard.press("Escape")
        seen.page.evaluate("go(null)")
        seen.page.get_by_role("tab", name="requests").click()
        seen.page.locator("#kinds td").first.wait_for()
        assert violations(seen.page) == []


@contextmanager
def at_work(tmp_path: Path) -> Iterator[tuple[PageServer, Feed]]:
    """A run's page with controls, half way through."""
    feed = Feed()
    feed.add([one for one in page_events(a_run()) if one.t < 7])
    finder = RequestFinder(recorded(tmp_path / "run"))
    with PageServer(controlled("right"), feed, requests=finder.answer, token="right") as server:
        yield server, feed
        feed.end()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_live_page_with_controls_and_its_end(browser: Browser, tmp_path: Path, shape: dict[str, object]) -> None:
    """While it goes on, while it is looked back, and when it is over."""
    with at_work(tmp_path) as (server, feed), visit(browser, server.url, **shape) as seen:
        seen.page.locator(".slot.killed").wait_for()
        assert violations(seen.page) == []
        seen.page.get_by_role("button", name="hold").click()
        until(seen.page, "looking back", "#connection")
        assert violations(seen.page) == []
        seen.page.get_by_role("button", name="hold").click()
        feed.add(page_events(a_run())[len(feed) :])
        feed.end()
        until(seen.page, "HELD")
        assert violations(seen.page) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_the_page_of_all_runs(browser: Browser, tmp_path: Path, shape: dict[str, object]) -> None:
    """A table that is filtered, with trends below."""
    runs = [
        RunSummary(
            run=f"2026010{day}-120000-aaaa",
            began=f"2026-01-0{day}T12:00:00+00:00",
            seconds=26.4,
            scenario="demo",
            title="</script><img src=x onerror=alert(1)>",
            images=("shop:v1", "shop:v2"),
            verdict="broken" if day == 3 else "held",
            exit_code=int(day == 3),
            broken=("logged_in",) if day == 3 else (),
            seed=7,
            figures=RunFigures(requests=5000, p50=3.0 + day, p99=20.0, rollout_seconds=9.5),
            has_report=True,
        )
        for day in range(1, 6)
    ]
    path = tmp_path / "index.html"
    path.write_text(runs_page(runs, beside=True))
    with visit(browser, path.as_uri(), **shape) as seen:
        page = seen.page
        assert violations(page) == []
        assert page.locator("svg").count() == 3
        assert page.locator("circle.broken").count() == 3
        page.locator("#sift-runs").fill("broken logged_in")
        until(page, "1 of 5", "#sifted")
        assert page.locator("tbody tr:visible").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name="theme").click()
        page.reload()
        wanted = "html:not([data-theme])" if shape["color_scheme"] == "dark" else "html[data-theme='dark']"
        page.locator(wanted).wait_for()
        seen.check_quiet()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_page_of_a_class(browser: Browser, shape: dict[str, object]) -> None:
    """Who waits longest stands first, whatever seats call themselves; the theme is kept."""
    plan = SeatPlan()
    plan.take(SeatWord(name="anna", lesson="1 <b>State</b> is a bug", failed=2, broken=("logged_in",)))
    plan.take(SeatWord(name="ben", lesson="2 Sticky", passed=1, needs_help=True))
    with open_class(ClassSpec(), plan) as room, visit(browser, room.page, **shape) as seen:
        page = seen.page
        page.locator("tr.waits", has_text="ben").wait_for()
        assert violations(page) == []
        assert [one.split("\t")[0] for one in page.locator("tbody tr").all_inner_texts()] == ["ben", "anna"]
        assert page.locator("td b").count() == 0
        plan.take(SeatWord(name="ben", lesson="2 Sticky", passed=1))
        until(page, "2 seats, nobody waits", "#head")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        seen.check_quiet()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_page_of_a_cluster_that_stands(browser: Browser, shape: dict[str, object]) -> None:
    """Nothing is said of users, whom it does not have, nor of promises."""
    plan = msgspec.structs.replace(PLAN, users=0, asked=())
    fold, feed = PageFold(plan, tell=lambda _: ""), Feed()
    for item in a_run():
        if not isinstance(item, Operation):
            feed.add(fold.take(item))
    with (
        PageServer(live_page("cluster lab", PageConfig()), feed) as server,
        visit(browser, server.url, **shape) as seen,
    ):
        until(seen.page, "slots serve")
        assert violations(seen.page) == []
        assert not seen.page.locator("#users").is_visible()
        assert seen.page.locator(".slot").count() == 2
        assert min(one["height"] for one in map(_box, seen.page.locator(".slot").all())) >= 30
        seen.check_quiet()
        feed.end()


def _box(one: Locator) -> FloatRect:
    found = one.bounding_box()
    assert found is not None
    return found
