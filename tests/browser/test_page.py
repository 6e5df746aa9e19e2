"""The page in a real browser: what it shows is what happened, whoever looks, whenever, and on whatever screen."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.clock import NS
from lab.model import Outcome, Slot
from lab.oracle.promises import PROMISES
from lab.oracle.verdict import Judgement
from lab.record import PhaseBegan, ReadRecord, RunRecord
from lab.report.events import (
    AnyPageEvent,
    Ended,
    Hurt,
    JudgedPromise,
    Moved,
    NewRelease,
    PageStrike,
    Planned,
    Said,
    Sample,
    Turned,
    ZoneTurned,
)
from lab.report.fold import PageFold
from lab.report.html import FOLDER, PageConfig, live_page, report_page
from lab.report.requests import KeptRequests, RequestFinder
from lab.report.write import Format, tell_run
from lab.web import Feed, PageServer
from tests.browser.pages import PLAN, a_run, broken_report, controlled, page_events, recorded, until
from tests.browsing import visit
from tests.unit.report.judging import HELD, HOSTILE, HURTFUL, SERVICE
from tests.unit.report.making import MS, read

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.judges_time]

SCREENS = [(1280, 720), (1920, 1080), (390, 844)]


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def server(feed: Feed) -> Iterator[PageServer]:
    with PageServer(live_page(PLAN.title, PageConfig()), feed) as server:
        yield server
        feed.end()


def tape_length(page: Page) -> int:
    """How many page events the page has taken in."""
    return int(page.evaluate("tape.length"))


def test_a_run_is_watched_from_beginning_to_end(browser: Browser, server: PageServer, feed: Feed) -> None:
    """Each thing is seen as it comes: who serves which release, the kill, the users, the verdict."""
    events = page_events(a_run())
    with visit(browser, server.url) as seen:
        page = seen.page
        until(page, "waiting for the lab", "#phase")
        feed.add([one for one in events if one.t <= 2.5])
        until(page, "an upgrade and a kill", "#phase")
        until(page, "6 of 6 users kept")
        assert page.locator("#title").inner_text() == PLAN.title
        assert page.locator(".slot.serving.r0").count() == 2
        feed.add([one for one in events if 2.5 < one.t <= 3.5])
        until(page, "a1-3 v2 starting", ".beside")
        feed.add([one for one in events if 3.5 < one.t <= 7])
        page.locator(".slot.killed", has_text="b1").wait_for()
        until(page, "An upgrade and a kill. Now: b1 killed", "#phase")
        assert page.locator(".slot.serving.r1", has_text="a1").count() == 1
        assert page.locator("#serve").inner_text() == "1 of 2 serving"
        feed.add([one for one in events if one.t > 7])
        feed.end()
        page.locator("body[data-end='1']").wait_for()
        until(page, "HELD")
        assert page.locator("#verdict").get_attribute("class") == "held"
        assert page.locator(".user.seen").count() == 6
        assert page.locator(".user.hurt").count() == 0
        assert {one.partition("?")[0] for one in seen.asked} <= {f"{server.url}/", f"{server.url}/events", "data:,"}
        seen.check_quiet()


def test_a_record_that_cant_be_read_is_told_in_place_of_the_run(browser: Browser, server: PageServer) -> None:
    """There is no plan to be drawn, and the page does not wait for one."""
    server.feed.add([Said(t=0.0, text="the page stopped: events.jsonl: can't be read", tone="bad")])
    server.feed.end()
    with visit(browser, server.url) as seen:
        until(seen.page, "The page stopped: events.jsonl: can't be read", "#phase")
        until(seen.page, "ended", "#connection")
        seen.check_quiet()


def test_a_lost_state_turns_its_user_and_promise_red_and_nothing_else(browser: Browser, server: PageServer) -> None:
    """Red is for what is broken: one square, one promise, the verdict."""
    server.feed.add(page_events(a_run(hurt=True), "broken"))
    server.feed.end()
    with visit(browser, server.url) as seen:
        until(seen.page, "BROKEN")
        assert seen.page.locator(".user.hurt").count() == 1
        assert seen.page.locator(".promise.broken").count() == 1
        red = seen.page.evaluate(
            """() => [...document.querySelectorAll("#board *")].filter((one) => {
                const style = getComputedStyle(one);
                return [style.backgroundColor, style.color].includes("rgb(200, 21, 45)");
            }).map((one) => one.closest("#verdict, .user, .promise, #log .bad, #legend .hurt") ? "" : one.outerHTML)"""
        )
        assert red
        assert set(red) == {""}
        seen.check_quiet()


def test_a_stream_that_breaks_goes_on_without_a_gap(browser: Browser, feed: Feed) -> None:
    """The server goes away and comes back: the page says so, and has every event once and in order."""
    events, page_itself = page_events(a_run()), live_page(PLAN.title, PageConfig())
    half = len(events) // 2
    feed.add(events[:half])
    with ExitStack() as stack:
        first = stack.enter_context(PageServer(page_itself, feed))
        seen = stack.enter_context(visit(browser, first.url))
        until(seen.page, "6 of 6 users kept")
        assert tape_length(seen.page) == half
        first.__exit__(None, None, None)
        feed.add(events[half : half + 1])  # wakes up whoever streams, who then sees that the server is going
        until(seen.page, "reconnecting", "#connection")
        second = stack.enter_context(PageServer(page_itself, feed, port=first.port))
        until(seen.page, "live", "#connection")
        feed.add(events[half + 1 :])
        feed.end()
        seen.page.locator("body[data-end='1']").wait_for()
        assert second.wait_sent(5)
        assert seen.page.evaluate("tape") == json.loads(msgspec.json.encode(events))


STATE = "JSON.parse(JSON.stringify(S, (_, value) => (value instanceof Map ? [...value] : value)))"
"""All that the page knows at the moment that it shows, in a form that can be compared."""


def test_a_moment_is_the_same_live_and_looked_back_at(browser: Browser, server: PageServer, feed: Feed) -> None:
    """One fold: what was known while it went on is what the slider finds there later, and what another page finds."""
    events = page_events(a_run(hurt=True), "broken")
    moments = [events[len(events) * part // 4].t for part in (1, 2, 3)] + [events[-1].t]
    live: list[object] = []
    with visit(browser, server.url) as seen:
        done = 0
        for moment in moments:
            now = [one for one in events[done:] if one.t <= moment]
            done += len(now)
            feed.add(now)
            seen.page.wait_for_function("(count) => tape.length === count", arg=done)
            live.append(seen.page.evaluate(STATE))
        feed.end()
        for moment, known in zip(moments, live, strict=True):
            seen.page.evaluate("(t) => go(t)", moment)
            assert seen.page.evaluate(STATE) == known
    assert live[0] != live[1] != live[2] != live[3]
    with visit(browser, server.url) as late:
        late.page.locator("body[data-end='1']").wait_for()
        assert late.page.evaluate(STATE) == live[-1]


def test_who_was_killed_is_shown_until_another_one_comes(browser: Browser, server: PageServer, feed: Feed) -> None:
    """The engine forgets the dead at once; whoever looks must still see where somebody is missing."""
    told = [one for one in page_events(a_run()) if one.t <= 7]
    last = told[-1].t
    with visit(browser, server.url) as seen:
        feed.add([*told, Moved(t=last, slot="b1", id="b1-2", release=0, state="gone")])
        seen.page.locator(".slot.killed", has_text="b1-2").wait_for()
        feed.add([Moved(t=last, slot="b1", id="b1-4", release=1, state="starting")])
        seen.page.locator(".slot.starting.r1", has_text="b1-4").wait_for()
        assert seen.page.locator(".slot.killed").count() == 0
        feed.add(
            [Moved(t=last, slot="a1", id="a1-5", release=0, state=state) for state in ("draining", "killed", "gone")]
        )
        feed.add([Said(t=last, text="one that had given up its slot was killed and went")])
        until(seen.page, "had given up its slot", "#log")
        assert seen.page.locator(".slot.serving", has_text="a1-3").count() == 1
        assert seen.page.locator(".beside i").count() == 0


def test_a_zone_a_balancer_and_the_store_show_what_became_of_them(
    browser: Browser, server: PageServer, feed: Feed
) -> None:
    """Balancers stand above the zones and the store below; all of it by words and shapes."""
    up = [Turned(t=2, name=name, role=role, label=name, state="up") for role, name in TIERS]
    with visit(browser, server.url) as seen:
        page = seen.page
        feed.add([*(one for one in page_events(a_run()) if one.t <= 2), *up])
        until(page, "nginx a", "#balancers")
        until(page, "redis where state lives", "#stores")
        assert page.locator(".part.down, .zone.lost").count() == 0
        feed.add(
            [
                Turned(t=2.1, name="nginx b", role="balancer", label="nginx b", state="down"),
                Turned(t=2.1, name="redis", role="store", label="redis", state="frozen"),
                ZoneTurned(t=2.1, zone="b", state="lost"),
            ]
        )
        until(page, "✕ nginx b down", "#balancers .down")
        until(page, "‖ redis frozen", "#stores .held-up")
        until(page, "✕ lost", ".zone.lost")
        until(page, "Now: zone b lost, nginx b down, redis frozen", "#phase")
        feed.add([ZoneTurned(t=2.2, zone="b", state=""), *(msgspec.structs.replace(one, t=2.2) for one in up)])
        until(page, "redis where state lives", "#stores")
        assert page.locator(".part.down, .part.held-up, .zone.lost").count() == 0


TIERS = (("balancer", "nginx a"), ("balancer", "nginx b"), ("store", "redis"))


def test_a_broken_promise_is_the_verdict_even_if_no_one_user_was_hurt(browser: Browser, server: PageServer) -> None:
    """Too few served: nobody's state is lost, but the biggest thing on the page must not say that all is well."""
    events = [one for one in page_events(a_run()) if one.t <= 5]
    server.feed.add([*events, Hurt(t=events[-1].t, user=-1, promise="serving_floor", why="0 of 1 served")])
    with visit(browser, server.url) as seen:
        until(seen.page, "BROKEN")
        until(seen.page, "Enough replicas serve at all times: not so")
        assert seen.page.locator("#verdict.broken").count() == 1


def test_the_header_calls_promises_by_their_titles(browser: Browser, server: PageServer) -> None:
    """Each once: a name such as serving_floor is for files and programs."""
    promises = tuple(
        JudgedPromise(promise=name, title=PROMISES[name].title, verdict="broken", count=9, checks="", broken=2, note="")
        for name in ("serving_floor", "clean_stops")
    )
    title = PROMISES["serving_floor"].title
    lines = (f"BROKEN serving_floor: {title}: not so 2 times in 9 (first at 5.0 s); also clean_stops", "why", "")
    fold = PageFold(PLAN, tell=lambda _: "")
    server.feed.add([made for item in a_run() for made in fold.take(item)])
    server.feed.add(fold.finish(lambda t: Ended(t=t, verdict="broken", exit_code=1, lines=lines, promises=promises)))
    server.feed.end()
    with visit(browser, server.url) as seen:
        until(seen.page, "BROKEN")
        said = seen.page.locator("#phase").inner_text()
        assert said.startswith(f"{title}: not so 2 times in 9 (first at 5.0 s); also: {PROMISES['clean_stops'].title}")
        assert "_" not in said


def test_the_verdict_is_the_biggest_thing(browser: Browser, server: PageServer) -> None:
    """On every screen no other words are larger."""
    server.feed.add(page_events(a_run()))
    server.feed.end()
    for width, height in SCREENS:
        with visit(browser, server.url, viewport={"width": width, "height": height}) as seen:
            until(seen.page, "HELD")
            sizes = seen.page.evaluate(
                """() => [...document.querySelectorAll("#board *")].filter((one) => one.offsetParent
                    && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
                    .map((one) => [parseFloat(getComputedStyle(one).fontSize), one.parentElement.id])"""
            )
            largest = max(size for size, _ in sizes)
            assert [where for size, where in sizes if size == largest] == ["verdict"]
            assert max(size for size, where in sizes if where != "verdict") < 0.85 * largest


def test_nothing_needs_a_mouse(browser: Browser, server: PageServer) -> None:
    """Tab reaches the slider and what happened, arrows go through the run second by second, and back to its end."""
    server.feed.add(page_events(a_run()))
    server.feed.end()
    with visit(browser, server.url) as seen:
        page = seen.page
        until(page, "HELD")
        reached = set()
        for _ in range(20):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id"))
        assert reached >= {"slider", "sift-log", "hold", "promises"}
        page.evaluate("document.activeElement.blur()")
        end = page.evaluate("S.t")
        for back in (1, 2, 3):
            page.keyboard.press("ArrowLeft")
            page.wait_for_function("(t) => Math.abs(S.t - t) < 0.01", arg=end - back)
        until(page, "looking back", "#connection")
        assert abs(float(page.locator("#slider").input_value()) - (end - 3)) < 0.01
        page.locator(f"#slider[aria-valuetext='{end - 3:.1f} s of {end:.1f} s']").wait_for()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        until(page, "finished", "#connection")
        page.locator("#slider").focus()
        page.keyboard.press("Home")
        page.wait_for_function("() => S.t < 0.1")
        page.locator(f"#slider[aria-valuetext='0.0 s of {end:.1f} s']").wait_for()
        page.keyboard.press("End")
        until(page, "HELD")
        page.locator("#slider[aria-valuetext='the newest moment']").wait_for()


def test_going_back_shows_what_was(browser: Browser, server: PageServer) -> None:
    """The slider shows any moment as it looked then, and lets go again; space holds; t changes the theme."""
    server.feed.add(page_events(a_run()))
    server.feed.end()
    with visit(browser, server.url, color_scheme="light") as seen:
        page = seen.page
        until(page, "HELD")
        slider = page.locator("#slider")
        slider.fill("2")
        until(page, "looking back", "#connection")
        until(page, "6 of 6 users kept")
        page.locator(".slot.serving.r0", has_text="a1").wait_for()
        slider.fill("7")
        page.locator(".slot.killed", has_text="b1").wait_for()
        slider.press("End")
        until(page, "HELD")
        until(page, "finished", "#connection")
        page.locator("#title").click()
        page.keyboard.press("t")
        page.locator("html[data-theme='dark']").wait_for()
        page.keyboard.press("t")
        page.locator("html:not([data-theme])").wait_for()
        page.keyboard.press(" ")
        until(page, "looking back", "#connection")
        page.keyboard.press(" ")
        until(page, "finished", "#connection")
        seen.check_quiet()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SCREENS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_it_fits_the_screen(browser: Browser, server: PageServer, size: tuple[int, int], scheme: str) -> None:
    """Nothing sticks out; on a projector all of it is seen at once, and words stand out from what is behind them."""
    width, height = size
    server.feed.add(page_events(a_run(hurt=True), "broken"))
    server.feed.end()
    with visit(browser, server.url, viewport={"width": width, "height": height}, color_scheme=scheme) as seen:
        until(seen.page, "BROKEN")
        across, down = seen.page.evaluate(
            "(({scrollWidth, scrollHeight}) => [scrollWidth, scrollHeight])(document.documentElement)"
        )
        assert across <= width
        assert down <= height or width < 600
        faint = seen.page.evaluate(CONTRAST)
        assert not faint
        seen.check_quiet()


@pytest.mark.parametrize("size", SCREENS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_users_are_in_sight_whatever_breaks(browser: Browser, server: PageServer, size: tuple[int, int]) -> None:
    """Ten promises with long reasons scroll before the squares vanish, and the header tells the likely cause."""
    width, height = size
    asked = [one.name for one in PROMISES.values()][:10]
    wide = msgspec.structs.replace(PLAN, asked=tuple(asked), users=60)
    broken = [
        JudgedPromise(promise=name, title=PROMISES[name].title, verdict="broken", count=9, checks="", broken=9, note="")
        for name in asked
    ]
    why = "what was acknowledged before this read was asked for is not there, and nobody took it away " * 3
    likely = "likely: the store came back without what it had acknowledged"
    lines = (f"BROKEN state_kept: 60 of 60 users lost state; also {', '.join(asked)}", why, f"{likely}   repeat  x")
    fold = PageFold(wide, tell=lambda _: "")
    server.feed.add([made for item in a_run() for made in fold.take(item)])
    server.feed.add([Hurt(t=10, user=number, promise=name, why=why) for number, name in enumerate(asked)])
    end = partial(Ended, verdict="broken", exit_code=1, lines=lines, promises=tuple(broken))
    server.feed.add(fold.finish(lambda t: end(t=t)))
    server.feed.end()
    with visit(browser, server.url, viewport={"width": width, "height": height}) as seen:
        until(seen.page, "BROKEN")
        seen.page.locator(".user.hurt").first.wait_for()
        panel, *squares = seen.page.evaluate(
            """() => [$("users"), ...document.querySelectorAll(".user")].map((one) => {
                const { top, bottom } = one.getBoundingClientRect();
                return [top, bottom];
            })"""
        )
        assert len(squares) == 60
        assert min(bottom - top for top, bottom in squares) >= 12
        assert panel[0] < min(top for top, _ in squares)
        assert max(bottom for _, bottom in squares) < panel[1]
        told = seen.page.evaluate(
            """(text) => {
                const node = $("phase").firstChild, range = document.createRange();
                range.setStart(node, node.data.toLowerCase().indexOf(text));
                range.setEnd(node, node.data.toLowerCase().indexOf(text) + text.length);
                return range.getBoundingClientRect().bottom - $("phase").getBoundingClientRect().bottom;
            }""",
            likely,
        )
        assert told < 1
        seen.check_quiet()


CONTRAST = """() => {
    const light = (text) => {
        const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map((one) => one / 255)
            .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (one) => {
        for (let at = one; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (!/, 0\\)|transparent/.test(colour)) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    return [...document.querySelectorAll("#board *")].filter((one) =>
        [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && one.offsetParent
    ).map((one) => {
        const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
        return [(a + 0.05) / (b + 0.05), one.outerHTML.slice(0, 120)];
    }).filter(([ratio]) => ratio < 4.5);
}"""
"""What has less contrast than WCAG's 4.5 to 1."""


COUNT_PAINTINGS = """() => {
    const real = paint;
    window.paintings = 0;
    window.paint = () => { paintings++; real(); };
}"""


def lightness(colour: str) -> float:
    """Relative luminance of #rgb or #rrggbb, as WCAG has it."""
    digits = colour.lstrip("#")
    pairs = [one * 2 for one in digits] if len(digits) == 3 else [digits[i : i + 2] for i in (0, 2, 4)]
    parts = [int(one, 16) / 255 for one in pairs]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [":root {", ':root[data-theme="dark"] {'], ids=["light", "dark"])
def test_releases_differ_in_lightness_too(theme: str) -> None:
    """Whoever sees no hues, and whoever has a poor projector, tells releases apart all the same."""
    rules = (FOLDER / "page.css").read_text().partition(theme)[2].partition("}")[0]
    releases = [lightness(colour) for colour in re.findall(r"--v\d: (#[0-9a-f]+)", rules)]
    assert len(releases) == 4
    for one, other in itertools.combinations(sorted(releases), 2):
        assert (other + 0.05) / (one + 0.05) > 1.3


def test_a_large_run_stays_quick(browser: Browser, server: PageServer, feed: Feed) -> None:
    """600 users for ten minutes: a painting takes a small part of the fifth of a second that it has."""
    users, seconds, every = 600, 600, 0.25
    plan = page_events(a_run())[0]
    assert isinstance(plan, Planned)
    told: list[AnyPageEvent] = [msgspec.structs.replace(plan, users=users, every=every)]
    told += [NewRelease(t=0, i=number, name=f"v{number + 1}") for number in (0, 1)]
    told += [Moved(t=0, slot=slot, id=f"{slot}-1", release=0, state="serving") for slot in ("a1", "b1")]
    names = tuple(f"user-{number:03d}" for number in range(users))
    for n in range(round(seconds / every)):
        seen = tuple((user, (user + n) % 2, 1) for user in range(n % 2, users, 2))
        told.append(Sample(t=(n + 1) * every, by=(200, 200), names=() if n else names, users=seen))
        if n % 20 == 0:
            told.append(PageStrike(t=(n + 1) * every, n=n, fault="SIGKILL", victim="a1-1", slot="a1"))
    feed.add(told)
    with visit(browser, server.url, viewport={"width": 1920, "height": 1080}) as page_seen:
        until(page_seen.page, "600 of 600 users kept")
        page_seen.page.wait_for_function("(t) => S.t === t", arg=seconds)
        # The quickest of many: whatever else this machine does meanwhile is not the page's doing.
        took = page_seen.page.evaluate(
            """() => Array.from({ length: 21 }, (_, i) => {
                S.users.forEach((one, j) => { one.release = (i + j) % 2; one.compared = S.t - ((i + j) % 3); });
                const began = performance.now();
                paint();
                document.body.getBoundingClientRect();  // with the layout that it causes
                return performance.now() - began;
            }).sort((a, b) => a - b)[0]"""
        )
        assert 0 < took < 40
        page_seen.check_quiet()


def test_the_report_of_an_hour_with_a_thousand_users_opens_in_time(browser: Browser, tmp_path: Path) -> None:
    """As a report draws it: 600 samples, every user in half of them, and as many requests as it may hold."""
    users, samples, every = 1000, 600, 6.0
    lines = ("HELD", "", "")
    told = tell_run(ReadRecord(recorded(tmp_path / "run")), PLAN, HELD, SERVICE, lines, lambda _: "")
    plan = told.tape[0]
    assert isinstance(plan, Planned)
    tape: list[AnyPageEvent] = [msgspec.structs.replace(plan, users=users, every=every)]
    tape += [NewRelease(t=0, i=number, name=f"v{number + 1}") for number in (0, 1)]
    buckets = tuple(part for bucket in range(160, 220) for part in (bucket, 7))
    names = tuple(f"user-{number:04d}" for number in range(users))
    for n in range(samples):
        seen = tuple((user, (user + n) % 2, 1) for user in range(n % 2, users, 2))
        took, first = (buckets, buckets), () if n else names
        tape.append(Sample(t=(n + 1) * every, by=(300, 300), took=took, failed=(1, 2), names=first, users=seen))
    kept = KeptRequests(0)
    for number in range(60_000):
        kept.take(read(NS + number * 60 * MS, number, number % users, outcome=[*Outcome][number % 2]))
    page_itself = report_page(told.report, [*tape, told.tape[-1]], kept.table(), beside=False)
    assert len(page_itself) < 8_000_000
    (tmp_path / "hour.html").write_text(page_itself)
    opened = []
    for _ in range(3):  # the quickest: whatever else this machine does meanwhile is not the page's doing
        with visit(browser, (tmp_path / "hour.html").as_uri()) as shown:
            shown.page.locator("body[data-t]").wait_for()
            opened.append(shown.page.evaluate("performance.getEntriesByType('navigation')[0].domComplete"))
            painted = shown.page.evaluate(
                """() => {
                    const now = () => performance.now(), timed = (act) => { const t = now(); act(); return now() - t; };
                    return Math.min(...[900, 2700, 1800].map((t) => timed(() => { go(t); paint(); })));
                }"""
            )
            assert painted < 200
    assert min(opened) < 2000


def test_it_paints_at_most_five_times_a_second(browser: Browser, server: PageServer, feed: Feed) -> None:
    """However fast things happen: the page shares the machine with the lab."""
    with visit(browser, server.url) as seen:
        seen.page.evaluate(COUNT_PAINTINGS)
        began = seen.page.evaluate("performance.now()")
        for event in page_events(a_run()):
            feed.add([event])
            seen.page.evaluate("0")  # a round trip: the page takes them in one by one
        feed.end()
        until(seen.page, "HELD")
        took, painted = seen.page.evaluate("[performance.now(), paintings]")
        assert 0 < painted <= (took - began) / 1000 * 5.3 + 1


class Noting:
    """Controls that note what they are told."""

    def __init__(self) -> None:
        self.done: list[tuple[str, dict[str, str]]] = []

    def do(self, act: str, what: Mapping[str, str]) -> str:
        self.done.append((act, dict(what)))
        return f"did {act}"


def test_buttons_act_and_only_with_the_token(browser: Browser, feed: Feed) -> None:
    """Each button says what it means, by mouse and by keyboard; a page with another token gets nothing done."""
    feed.add([one for one in page_events(a_run()) if one.t < 3])
    noting = Noting()
    with PageServer(controlled("right"), feed, controls=noting, token="right") as server:
        with visit(browser, server.url) as seen:
            page = seen.page
            page.locator(".slot.serving").first.wait_for()
            page.get_by_role("button", name="Kill one").click()
            until(page, "did kill", "#told")
            page.get_by_role("button", name="Roll to shop:v2").press("Enter")
            until(page, "did roll", "#told")
            page.get_by_role("button", name="lose zone b").click()
            until(page, "did lose-zone", "#told")
            page.locator(".slot", has_text="a1").hover()
            page.get_by_role("button", name="kill a1").click()
            seen.page.wait_for_function("() => document.querySelector('[data-act=kill]').disabled === false")
            seen.check_quiet()
        server.page = controlled("wrong")
        with visit(browser, server.url) as seen:
            seen.page.get_by_role("button", name="Reverse").click()
            until(seen.page, "not sent by the page", "#told")
        feed.end()
    assert noting.done == [
        ("kill", {}),
        ("roll", {"image": "shop:v2"}),
        ("lose-zone", {"zone": "b"}),
        ("kill", {"slot": "a1"}),
    ]


PLACES = """() => [...document.querySelectorAll("section, button, .slot")].map((one) => {
    const { x, y, width, height } = one.getBoundingClientRect();
    return [x, y, width, height];
})"""


class Refusing:
    """Controls that say no at length."""

    def do(self, act: str, what: Mapping[str, str]) -> str:
        return f"{act} of {dict(what)} is refused: at most 1 replica, 1 zone and 1 tier may be away at once, and " * 2


@pytest.mark.parametrize("size", SCREENS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_buttons_cover_nothing(browser: Browser, feed: Feed, size: tuple[int, int]) -> None:
    """Six slots, each with a replica on its way, below an answer of two lines: every word of them can be read."""
    width, height = size
    slots = tuple(Slot(name=f"{zone}{place}", zone=zone) for place in (1, 2) for zone in "abc")
    first = page_events(a_run())[0]
    assert isinstance(first, Planned)
    zones = {zone: (f"{zone}1", f"{zone}2") for zone in "abc"}
    feed.add([msgspec.structs.replace(first, zones=zones, users=60), NewRelease(t=1, i=0, name="v1")])
    for state, number in (("serving", 3), ("starting", 14)):
        feed.add([Moved(t=2, slot=one.name, id=f"{one.name}-{number}", release=0, state=state) for one in slots])
    with PageServer(controlled("right"), feed, controls=Refusing(), token="right") as server:
        with visit(browser, server.url, viewport={"width": width, "height": height}) as seen:
            seen.page.locator(".slot.serving").first.wait_for()
            small = seen.page.evaluate(
                """() => [...document.querySelectorAll("button, input")].filter((one) => one.offsetParent)
                    .map((one) => [(one.closest("label") || one).getBoundingClientRect(), one.outerHTML])
                    .filter(([{ width, height }]) => Math.min(width, height) < 23.9).map(([, html]) => html)"""
            )
            assert small == []
            before = seen.page.evaluate(PLACES)
            seen.page.get_by_role("button", name="Kill one").click()
            until(seen.page, "is refused", "#told")
            assert seen.page.evaluate(PLACES) == before, "the answer moved what was there"
            covered = seen.page.evaluate(
                """() => [...document.querySelectorAll(".slot")].flatMap((slot) => {
                    const parts = [".name", ".release", ".words", ".acts", ".beside i"]
                        .map((one) => slot.querySelector(one));
                    const places = parts.map((one) => one.getBoundingClientRect());
                    return parts.flatMap((one, i) => parts.slice(i + 1).filter((_, j) => {
                        const [a, b] = [places[i], places[i + 1 + j]];
                        const over = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                        return over > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;
                    }).map((other) => `${one.outerHTML} ${other.outerHTML}`));
                })"""
            )
            assert covered == []
        feed.end()


def test_nobody_acts_on_a_moment_that_is_over(browser: Browser, feed: Feed) -> None:
    """While it is looked back the buttons stay where they are and do nothing; once the run is over they go."""
    events = page_events(a_run())
    feed.add([one for one in events if one.t < 3])
    with ExitStack() as stack:
        server = stack.enter_context(PageServer(controlled("right"), feed, controls=Noting(), token="right"))
        with visit(browser, server.url) as seen:
            page = seen.page
            kill = page.get_by_role("button", name="Kill one")
            page.locator(".slot.serving").first.wait_for()
            page.get_by_role("button", name="hold").click()
            until(page, "looking back", "#connection")
            assert page.locator("[data-act]:enabled").count() == 0
            assert kill.is_visible()
            page.get_by_role("button", name="hold").click()
            page.locator("[data-act=kill]:enabled").first.wait_for()
            feed.add([one for one in events if one.t >= 3])
            feed.end()
            page.locator("body[data-end='1']").wait_for()
            kill.wait_for(state="hidden")
            page.locator("#cluster.calm").wait_for()


@pytest.mark.parametrize("control", [False, True], ids=["looking", "controlled"])
@pytest.mark.parametrize("size", SCREENS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_no_panel_collapses_when_the_run_ends(
    browser: Browser, feed: Feed, size: tuple[int, int], control: bool
) -> None:
    """The end is what a person looks at longest: every replica keeps its room, and the tiers theirs."""
    width, height = size
    slots = tuple(Slot(name=f"{zone}{place}", zone=zone) for place in (1, 2, 3) for zone in "abc")
    wide = msgspec.structs.replace(PLAN, slots=slots, users=60)
    up = [Turned(t=1, name=name, role=role, label=name, state="up") for role, name in TIERS]
    shown = controlled("right") if control else live_page(PLAN.title, PageConfig())
    feed.add([*page_events(a_run(), plan=wide)[:-1], *up, *page_events(a_run(), plan=wide)[-1:]])
    feed.end()
    with ExitStack() as stack:
        server = stack.enter_context(PageServer(shown, feed, controls=Noting(), token="right"))
        with visit(browser, server.url, viewport={"width": width, "height": height}) as seen:
            seen.page.locator("body[data-end='1']").wait_for()
            until(seen.page, "HELD")
            high = seen.page.evaluate(
                """() => Object.fromEntries([
                    "section.panel:not(#promises)", ".slot", ".zone", ".tier", "#canvas", "#grid", "#log"
                ].map((what) => [what, [...document.querySelectorAll(what)]
                        .map((one) => one.getBoundingClientRect().height)]))"""
            )
    assert len(high[".slot"]) == 9
    assert min(high["section.panel:not(#promises)"]) >= 60
    assert min(high[".slot"]) >= 30
    assert max(high[".tier"]) <= 70 if width > 600 else max(high[".tier"]) <= 140
    assert min(*high["#canvas"], *high["#grid"], *high["#log"]) >= 60


def test_the_slider_stands_under_the_moment_that_is_drawn(browser: Browser, server: PageServer, feed: Feed) -> None:
    """While a run goes on, at its end and looking back: thumb, cursor and clock say the same second."""
    events = page_events(a_run())

    def check(page: Page) -> None:
        page.wait_for_function("() => document.body.dataset.t === S.t.toFixed(2) && !dirty")
        thumb, cursor, shown, t = page.evaluate(
            """() => {
                const { left, width } = $("slider").getBoundingClientRect();
                const share = Number($("slider").value) / Number($("slider").max);
                const drawn = $("canvas").getBoundingClientRect().left + geometry.x(S.t);
                return [left + 10 + (width - 20) * share, drawn, $("time").textContent, S.t];
            }"""
        )
        assert abs(thumb - cursor) < 1
        minutes, seconds = shown.split(":")
        assert 0 <= t - 60 * int(minutes) - float(seconds) < 0.11

    with visit(browser, server.url) as seen:
        feed.add([one for one in events if one.t <= 6])
        until(seen.page, "b1 killed", "#phase")
        check(seen.page)
        feed.add([one for one in events if one.t > 6])
        feed.end()
        until(seen.page, "HELD")
        check(seen.page)
        seen.page.get_by_role("button", name="a second back").click()
        until(seen.page, "looking back", "#connection")
        check(seen.page)


def test_the_tab_tells_the_verdict(browser: Browser, server: PageServer, feed: Feed) -> None:
    """By a word and by its icon, which is another one for each verdict."""
    events = page_events(a_run(hurt=True), "broken")
    with visit(browser, server.url) as seen:
        icons = []
        for until_t, word in ((5, "… 6 of 6"), (events[-2].t, "✕ 1 of 6"), (99, "✕ BROKEN")):
            feed.add([one for one in events[len(feed) :] if one.t <= until_t and (until_t == 99 or one != events[-1])])
            seen.page.wait_for_function("(word) => document.title.startsWith(word)", arg=word)
            icons.append(seen.page.locator("#icon").get_attribute("href"))
        assert PLAN.title in seen.page.title()
        assert icons[0] != icons[1]
        assert all(str(one).startswith("data:image/svg+xml,") for one in icons)
        seen.check_quiet()


def test_a_theme_is_kept(browser: Browser, server: PageServer) -> None:
    """Whoever chose one finds it again, by touch as by key."""
    server.feed.add(page_events(a_run()))
    server.feed.end()
    with visit(browser, server.url, color_scheme="light") as seen:
        until(seen.page, "HELD")
        seen.page.get_by_role("button", name="theme").click()
        seen.page.locator("html[data-theme='dark']").wait_for()
        seen.page.reload()
        until(seen.page, "HELD")
        assert seen.page.locator("html[data-theme='dark']").count() == 1


def test_a_page_that_only_looks_offers_nothing_else(browser: Browser, server: PageServer) -> None:
    """Without controls there is no button that acts."""
    server.feed.add(page_events(a_run()))
    server.feed.end()
    with visit(browser, server.url) as seen:
        until(seen.page, "HELD")
        assert seen.page.locator("[data-act]").count() == 0


def test_a_user_a_line_and_a_finding_lead_to_requests_and_to_their_moment(browser: Browser, tmp_path: Path) -> None:
    """What happened to this user is one click away, with replica, release, status and time of each request."""
    with visit(browser, broken_report(tmp_path).as_uri()) as seen:
        page = seen.page
        until(page, "BROKEN")
        page.get_by_role("button", name="user-000").click()
        until(page, "Requests: user-000", "#asked-title")
        page.locator(".request").first.wait_for()
        assert page.locator(".request").count() == 60
        until(page, "a1-1 v1", "#requests")
        assert page.evaluate("S.t") == pytest.approx(8.5, abs=0.3)
        page.locator(".request", has_text="4.58 s").click()
        page.wait_for_function("() => Math.abs(S.t - 4.6) < 0.01")
        until(page, "try 1, after 0 ms: 200 from a1-1 (v1), by way of a1", ".tries")
        page.locator("#sift").fill("nowhere")
        until(page, "none", "#requests")
        page.locator("#sift").fill("cart v1")
        page.locator(".request").first.wait_for()
        page.keyboard.press("Escape")
        page.locator("#asked").wait_for(state="hidden")
        page.evaluate("go(null)")
        page.locator("#log .line", has_text="SIGKILL to b1-2").click()
        until(page, "Requests: 6.0 s", "#asked-title")
        page.locator(".request", has_text="user-").first.wait_for()
        assert page.evaluate("S.t") == 6
        page.locator("#leave").click()
        page.locator("#finding-2 button[data-at]").click()
        until(page, "Requests: user-000", "#asked-title")
        assert page.evaluate("S.t") == pytest.approx(8)
        page.locator("#leave").click()
        box = page.locator("#canvas").bounding_box()
        assert box is not None
        page.locator("#canvas").click(position={"x": box["width"] * 0.5, "y": 40})
        page.locator("#asked").wait_for()
        moment = page.evaluate("S.t")
        assert 3 < moment < 6
        until(page, f"Requests: {moment:.1f} s", "#asked-title")
        seen.check_quiet()


def test_nothing_needs_a_mouse_to_be_asked(browser: Browser, tmp_path: Path) -> None:
    """Arrows go from user to user and from request to request; what was left gets the keyboard back."""
    with visit(browser, broken_report(tmp_path).as_uri()) as seen:
        page = seen.page
        until(page, "BROKEN")
        page.locator(".user").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        until(page, "Requests: user-001", "#asked-title")
        page.locator(".request").first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.locator(".request[aria-current]").wait_for()
        assert page.evaluate("document.activeElement.getAttribute('aria-current')") == "true"
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "user-001"
        page.keyboard.press("/")
        until(page, "all requests", "#asked-title")
        page.wait_for_function("() => document.activeElement.id === 'sift'")
        page.keyboard.type("user-003")
        page.locator(".request", has_text="user-003").first.wait_for()
        assert page.locator(".request", has_text="user-001").count() == 0


def test_a_served_page_asks_the_record(browser: Browser, server: PageServer, tmp_path: Path) -> None:
    """All requests are there, and a question that can't be answered is told."""
    server.requests = RequestFinder(recorded(tmp_path / "run")).answer
    server.feed.add(page_events(a_run()))
    server.feed.end()
    with visit(browser, server.url) as seen:
        until(seen.page, "HELD")
        seen.page.locator(".slot .name", has_text="a1").click()
        seen.page.locator(".request", has_text="a1-1 v1").first.wait_for()
        seen.check_quiet()
        (tmp_path / "run" / "history.jsonl").write_text("nonsense\n")
        server.requests = RequestFinder(tmp_path / "run").answer
        seen.page.locator(".slot .name", has_text="b1").click()
        until(seen.page, "can't be shown", "#asked-note")


def test_latency_and_kinds_are_shown_over_time(browser: Browser, tmp_path: Path) -> None:
    """The line is where the percentile is, and the table counts each kind up to the moment that is looked at."""
    with visit(browser, broken_report(tmp_path).as_uri()) as seen:
        page = seen.page
        until(page, "BROKEN")
        page.get_by_role("tab", name="latency").click()
        [p50, p99] = page.evaluate(
            "() => [0.5, 0.99].map((share) => within(latencies(spanOf()).bins.filter(Boolean)[3].by[0], share))"
        )
        assert p50 == p99 == pytest.approx(20, rel=0.09)
        page.get_by_role("tab", name="requests").click()
        row = page.locator("#kinds tbody tr")
        until(page, "360", "#kinds tbody tr")
        page.keyboard.press("Home")
        page.locator("#slider").fill("5")
        page.wait_for_function("() => Number(document.querySelector('#kinds td').textContent) < 200")
        row.get_by_role("button", name="cart").click()
        until(page, "Requests: cart", "#asked-title")
        seen.check_quiet()


def test_a_run_plays_at_a_speed(browser: Browser, server: PageServer) -> None:
    """From its beginning to its end, where it stops by itself; a touch holds it."""
    server.feed.add(page_events(a_run()))
    server.feed.end()
    with visit(browser, server.url) as seen:
        page = seen.page
        until(page, "HELD")
        page.locator("#speed").select_option("2")
        page.get_by_role("button", name="play").click()
        page.wait_for_function("() => S.t > 1 && S.t < 8")
        page.get_by_role("button", name="pause").click()
        held = page.evaluate("S.t")
        until(page, "looking back", "#connection")
        page.locator("#speed").select_option("60")
        page.get_by_role("button", name="play").click()
        until(page, "finished", "#connection")
        until(page, "HELD")
        assert held < page.evaluate("S.t")


def test_a_report_is_sifted_copied_and_linked(browser: Browser, tmp_path: Path) -> None:
    """A contents list, a filter over all of it, an anchor for each finding, and a copy of each block."""
    with visit(browser, broken_report(tmp_path).as_uri()) as seen:
        page = seen.page
        until(page, "BROKEN")
        assert page.locator(".story").count() == 12
        links = page.locator("nav a").evaluate_all("(all) => all.map((one) => one.getAttribute('href'))")
        assert len(links) >= 10
        assert page.evaluate("(all) => all.filter((one) => !document.querySelector(one))", links) == []
        page.locator("#sift-report").fill("SIGKILL")
        until(page, "match", "#sifted")
        assert page.locator(".story:visible").count() == 0
        assert page.locator("#strikes-section tbody tr:visible").count() == 1
        page.locator("#sift-report").fill("")
        assert page.locator(".story:visible").count() == 12
        page.goto(f"{page.url}#finding-7")
        seen.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.locator("#finding-7").get_by_role("button", name="copy this").click()
        until(page, "copied", "#finding-7 .copy")


@pytest.mark.parametrize("judgement", [HELD, HURTFUL], ids=["held", "hostile"])
def test_a_report_opens_from_disk(browser: Browser, tmp_path: Path, judgement: Judgement) -> None:
    """One file, no network: the page with its slider above, everything else below, whatever text is in it."""
    recorded(tmp_path / "run")
    environment = {"run": "run", "began": "2026-01-01T00:00:00+00:00", "host": HOSTILE}
    (tmp_path / "run" / "environment.json").write_bytes(msgspec.json.encode(environment))
    lines = (f"{judgement.verdict.upper()} {HOSTILE}", "much", "")
    told = tell_run(ReadRecord(tmp_path / "run"), PLAN, judgement, SERVICE, lines, lambda _: HOSTILE)
    [path] = told.write([Format.HTML], tmp_path / "elsewhere")
    with visit(browser, path.as_uri()) as seen:
        page = seen.page
        until(page, judgement.verdict.upper())
        page.locator("#slider").fill("7")
        page.locator(".slot.killed", has_text="b1").wait_for()
        page.locator("#slider").fill("2")
        page.locator(".slot.serving.r0", has_text="b1").wait_for()
        assert page.locator("#report h2.verdict").inner_text().startswith(judgement.verdict.upper())
        assert page.locator("#report table").count() >= 5
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert {one.partition(":")[0] for one in seen.asked} <= {"file", "data"}
        seen.check_quiet()


def test_a_report_is_printed_dark_on_light(browser: Browser, tmp_path: Path) -> None:
    """Also from a machine whose screen is dark: paper is white, and words and verdict stand out from it."""
    path = tmp_path / "report.html"
    path.write_text(tell_run_of(tmp_path))
    with visit(browser, path.as_uri(), color_scheme="dark") as seen:
        until(seen.page, "HELD")
        seen.page.locator("html[data-theme='dark']").wait_for()
        assert not seen.page.evaluate(CONTRAST.replace("#board", "#report"))
        seen.page.emulate_media(media="print")
        assert seen.page.locator("body").evaluate("(one) => getComputedStyle(one).backgroundColor") == PAPER
        assert not seen.page.evaluate(CONTRAST.replace("#board", "#report"))


PAPER = "rgb(255, 255, 255)"


def test_a_report_with_a_changed_script_is_refused_by_the_browser(browser: Browser, tmp_path: Path) -> None:
    """The policy is not for show: what was not there when it was written does not run."""
    page_itself = tell_run_of(tmp_path)
    path = tmp_path / "changed.html"
    path.write_text(page_itself.replace("</body>", "<script>document.title = 'taken over'</script></body>"))
    with visit(browser, path.as_uri()) as seen:
        until(seen.page, "HELD")
        assert "taken over" not in seen.page.title()
        assert any("Content Security Policy" in one for one in seen.said)


def tell_run_of(tmp_path: Path) -> str:
    with RunRecord(tmp_path / "run") as record:
        record.event(PhaseBegan(at=0, name="up", text="it begins"))
    told = tell_run(ReadRecord(tmp_path / "run"), PLAN, HELD, SERVICE, ("HELD", "", ""), lambda _: "")
    return told.text(Format.HTML)
