"""A run watched, and acted on, in a real browser while it goes on; and the shop's own pages through an upgrade."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.machine.setup import Toolbox
from lab.record import ContainerEvent, RolloutMoved, Strike, StrikeProved, ZoneLost
from lab.report.write import FILES, Format
from tests.browsing import visit
from tests.e2e.conftest import ShopCluster
from tests.e2e.runs import Ended, scenario, start, wait

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time, pytest.mark.browser]

TOLD = "JSON.stringify(tape.filter((one) => one.k !== 'verdict'))"
"""All that the page was told, but for the verdict, whose words name the report."""
PAGE = re.compile(r"page (http://127\.0\.0\.1:\d+)")
RUN_ENDS = 90_000
"""Milliseconds within which a small run is over."""


BY_HAND = """[{settle: {for: 14}}, {roll: {to: "shop:v2"}}, {settle: {for: 4}}]"""


@pytest.mark.prove
def test_a_run_is_watched_and_clicks_act_on_it(toolbox: Toolbox, browser: Browser, tmp_path: Path) -> None:
    """The page shows the run to its verdict; what its buttons do is done to the cluster, recorded, and made good."""
    wanted = scenario(tmp_path, steps=BY_HAND, enough="{operations: 100, checks: 100}")
    summary = tmp_path / "summary.md"
    with start("run", wanted, "--ui", "--control", GITHUB_STEP_SUMMARY=str(summary)) as process:
        assert process.stdout is not None
        said = ""
        while not (found := PAGE.search(said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        with visit(browser, found[1]) as seen:
            page = seen.page
            page.locator("#verdict", has_text="12 of 12 users kept").wait_for(timeout=60_000)
            act_on(page)
            page.locator("body[data-end='1']").wait_for(timeout=RUN_ENDS)
            page.locator("#verdict.held", has_text="HELD").wait_for()
            assert page.locator(".slot.serving.r1").count() == 3  # as users left it, though it is gone by now
            assert page.locator(".part.down").count() == 0
            assert page.locator("[data-act]").count() > 0  # as while it went on
            assert page.locator("[data-act]:visible").count() == 0  # nothing is left to act on
            shown = [(one["id"], one["state"]) for one in page.evaluate("tape.filter((one) => one.k === 'replica')")]
            assert ("b1-2", "killed") in shown
            counted = page.evaluate("S.counted.operations")
            told = page.evaluate(TOLD)
            seen.check_quiet()
        ended = wait(process)
    ended = Ended(code=ended.code, out=said + ended.out, err=ended.err)
    assert ended.code == 0, ended.out + ended.err
    check_acts(ended)
    assert counted == len(ended.history())
    report = ended.folder / FILES[Format.HTML]
    assert str(report.relative_to(Path.cwd())) in ended.out
    assert summary.read_text().startswith("## HELD 12 of 12 users kept their state")
    look_again(browser, ended.folder.name, told)
    open_from_disk(browser, report)


def act_on(page: Page) -> None:
    """Kill, freeze, lose a zone, reverse what the scenario rolls, and roll it by hand; each until it is seen."""
    three_serve = page.locator("#serve", has_text="3 of 3 serving")
    three_serve.wait_for()
    page.get_by_role("button", name="kill b1").click()
    page.locator("#told", has_text="b1-2 was killed").wait_for()
    page.locator("#log .strike", has_text="SIGKILL to b1-2").wait_for()
    page.locator(".slot.serving", has_text="b1-4").wait_for()
    three_serve.wait_for()
    page.get_by_role("button", name="freeze c1").click()
    page.locator(".slot.frozen", has_text="c1").wait_for()
    three_serve.wait_for()
    page.get_by_role("button", name="lose zone a").click()
    page.locator(".zone.lost .slot.killed", has_text="a1").wait_for()
    page.locator(".zone.lost").wait_for(state="detached")
    page.locator(".slot.serving.r1").first.wait_for(timeout=40_000)
    page.get_by_role("button", name="Reverse").click()
    page.locator("#told", has_text="back to v1").wait_for()
    page.locator("#phase", has_text="nothing is broken").wait_for(timeout=40_000)
    assert page.locator(".slot.serving.r0").count() == 3
    page.get_by_role("button", name="Roll to shop:v2").click()
    page.locator("#told", has_text="rolling to shop:v2").wait_for()


def check_acts(ended: Ended) -> None:
    """What was clicked is in the record, and the engine's own word is there for each."""
    events = ended.events()
    strike = next(event for event in events if isinstance(event, Strike))
    proof = next(event for event in events if isinstance(event, StrikeProved))
    assert (strike.fault, strike.slot, proof.hit) == ("SIGKILL", "b1", True)
    died = {event.container: event for event in events if isinstance(event, ContainerEvent) and event.action == "die"}
    assert died[strike.container].exit_code == 137
    acts = {(event.action, event.slot) for event in events if isinstance(event, ContainerEvent)}
    assert {("pause", "c1"), ("unpause", "c1"), ("die", "a1")} <= acts
    assert [event.zone for event in events if isinstance(event, ZoneLost)] == ["a"]
    moves = [event.ending for event in events if isinstance(event, RolloutMoved) and event.ending]
    assert moves == ["reversed", "done"]


def look_again(browser: Browser, run: str, told: str) -> None:
    """`lab ui` shows a run that is over as it was shown while it went on, event for event."""
    with start("ui", run) as again:
        assert again.stdout is not None
        address = next(found[1] for line in again.stdout if (found := PAGE.search(line)))
        with visit(browser, address) as seen:
            seen.page.locator("#verdict.held", has_text="12 of 12 users kept their state").wait_for()
            assert seen.page.evaluate(TOLD) == told
            seen.check_quiet()


def open_from_disk(browser: Browser, report: Path) -> None:
    """The report beside the run is the page with its slider."""
    with visit(browser, report.as_uri()) as seen:
        seen.page.locator("#verdict.held").wait_for()
        seen.page.locator("#slider").fill("5")  # seconds
        seen.page.locator("#connection", has_text="looking back").wait_for()
        seen.check_quiet()


IS_IN_SIGHT = "(what) => document.querySelector(what).getBoundingClientRect().bottom <= innerHeight"
TELEPHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}


def served_by(page: Page) -> tuple[str, str]:
    """Replica and release, by the footer."""
    return page.locator("footer b").first.inner_text(), page.locator("footer .tag").inner_text()


def log_in(page: Page, account: str) -> None:
    page.get_by_role("link", name="Log in").first.click()
    page.get_by_label("Account").fill(account)
    page.get_by_label("Password").fill("a good password")
    page.get_by_role("button", name="Log in").click()
    page.locator("footer", has_text=f"logged in as {account}").wait_for()


def add_to_cart(page: Page, item: int, quantity: str) -> None:
    page.get_by_role("link", name="Items").click()
    page.get_by_role("button", name="View").nth(item).click()
    page.get_by_label("Quantity").select_option(quantity)
    page.get_by_role("button", name="Add to cart").click()
    page.get_by_role("link", name="Cart").click()


def cart(page: Page) -> list[str]:
    page.get_by_role("link", name="Cart").click()
    return [" ".join(text.split()) for text in page.locator(".rows .grow").all_inner_texts()]


@pytest.mark.usefixtures("whole_again")
@pytest.mark.prove
def test_two_browsers_shop_through_an_upgrade(shop_cluster: ShopCluster, browser: Browser) -> None:
    """Log in, fill carts, and go on while every replica is replaced: release and replica change, the carts stay.

    Ada has a telephone too: what she does there is in her cart, and her devices see each other.
    """
    slots, url = [slot.name for slot in shop_cluster.slots], shop_cluster.url
    try:
        with visit(browser, url) as one, visit(browser, url) as other, visit(browser, url, **TELEPHONE) as phone:
            log_in(one.page, "ada")
            log_in(other.page, "grace")
            log_in(phone.page, "ada")
            add_to_cart(one.page, 0, "2")
            add_to_cart(other.page, 1, "5")
            add_to_cart(phone.page, 3, "1")
            carts = [cart(seen.page) for seen in (one, other, phone)]
            assert [len(lines) for lines in carts] == [2, 1, 2]
            assert carts[0] == carts[2] != carts[1]
            replicas, releases = set(), list[str]()
            for slot in slots:
                shop_cluster.upgrade(slot, "v2")
                for seen, lines in zip((one, other, phone), carts, strict=True):
                    assert cart(seen.page) == lines
                    replica, release = served_by(seen.page)
                    replicas.add(replica)
                    releases.append(release)
            assert releases[-1] == "v2"
            assert len(replicas) > 2
            one.page.get_by_role("link", name="Items").click()
            one.page.locator(".news", has_text="wrap gifts").wait_for()  # what only v2 has
            one.page.get_by_role("link", name="Cart").click()
            one.page.get_by_role("button", name="Check out").click()
            one.page.get_by_role("link", name="Orders").click()
            assert one.page.locator("main section").count() == 1
            assert cart(phone.page) == []
            phone.page.get_by_role("link", name="Viewed").click()
            assert phone.page.locator(".rows li").count() == 2  # one seen on each of her devices
            for seen in (one, phone):
                seen.page.get_by_role("link", name="Account").click()
                seen.page.get_by_role("link", name="Show devices").click()
                assert seen.page.locator(".rows li").count() == 2
                assert seen.page.locator(".tag", has_text="this one").count() == 1
            for seen in (one, other, phone):
                assert seen.page.evaluate(IS_IN_SIGHT, "footer")
                assert {url for url in seen.asked if not url.startswith((shop_cluster.url, "data:"))} == set()
                assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                seen.check_quiet()
    finally:
        for slot in slots:
            shop_cluster.upgrade(slot, "v1")


@pytest.mark.usefixtures("whole_again")
def test_pages_that_say_what_went_wrong_are_pages_too(shop_cluster: ShopCluster, browser: Browser) -> None:
    """Nothing there, no session any more, no replica at all: each says so, and looks well."""
    with visit(browser, shop_cluster.url) as seen:
        page = seen.page
        log_in(page, "joan")
        page.goto(f"{shop_cluster.url}/nowhere")
        page.locator("h1", has_text="Not found").wait_for()
        page.locator("footer", has_text="logged in as joan").wait_for()
        page.get_by_role("link", name="To the shop").press("Enter")
        page.get_by_role("button", name="Log out").click()
        page.goto(f"{shop_cluster.url}/cart")
        page.get_by_role("heading", name="Log in").wait_for()
        victims = shop_cluster.live.cluster.replicas()
        assert all(shop_cluster.live.cluster.signal(one, "SIGKILL") for one in victims)
        answer = page.goto(shop_cluster.url)
        assert answer is not None
        assert answer.status == 502
        page.locator("h1", has_text="No replica answered").wait_for()
        assert page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius") == "12px"
        shop_cluster.mend("v1")
        page.get_by_role("link", name="Try again").click()
        page.locator("h1", has_text="Good things").wait_for()
        refused = [one for one in seen.said if "status of 404" not in one and "status of 502" not in one]
        assert refused == []
