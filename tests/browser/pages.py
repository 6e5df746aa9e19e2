"""Runs made up for the page, and what shows them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lab.clock import NS
from lab.model import Operation, Slot
from lab.oracle.service import ServiceRules
from lab.oracle.verdict import ALWAYS_ASKED
from lab.record import PhaseBegan, ReadRecord, RunRecord, Serving, StrikeProved
from lab.report.events import AnyPageEvent, Ended, JudgedPromise
from lab.report.fold import PageFold
from lab.report.html import LivePage, PageConfig, PageControl, live_page
from lab.report.merge import Item
from lab.report.plan import RunPlan
from lab.report.sentences import tell_event
from lab.report.write import Format, tell_run
from tests.unit.report.judging import BROKEN, SERVICE
from tests.unit.report.making import MS, in_time, read, step, strike

if TYPE_CHECKING:
    from playwright.sync_api import Page

PLAN = RunPlan(
    run="20260101-000000-abcd",
    name="small",
    title="A <b>small</b> run & more",
    about="",
    seed=7,
    slots=(Slot(name="a1", zone="a"), Slot(name="b1", zone="b")),
    users=6,
    asked=(*ALWAYS_ASKED, "serving_floor"),
    rules=ServiceRules(floor=1),
)


def a_run(*, hurt: bool = False) -> list[Item]:
    """Ten seconds: two replicas of v1, one upgraded to v2, the other killed at 6 s; one user may lose their cart."""
    items: list[Item] = [
        PhaseBegan(at=0, name="up", text="it begins"),
        step(NS, "create", "a1-1", why="first"),
        step(NS, "enter", "a1-1", why="first"),
        step(NS, "create", "b1-2", why="first"),
        step(NS, "enter", "b1-2", why="first"),
        Serving(at=NS, by_release={"v1": 2}, total=2),
        PhaseBegan(at=2 * NS, name="together", text="an upgrade and a kill"),
        step(3 * NS, "create", "a1-3", "v2"),
        step(4 * NS, "enter", "a1-3", "v2"),
        step(4 * NS, "drain", "a1-1"),
        step(5 * NS, "remove", "a1-1"),
        strike(6 * NS, "b1-2"),
        StrikeProved(at=6 * NS, strike=1, hit=True),
    ]
    for number in range(360):
        end = NS + number * 25 * MS
        lost = {"never put in": 1} if hurt and number == 300 else {}
        items.append(read(end, number, number % 6, answer=lost))
    return in_time(items)


def page_events(items: list[Item], verdict: str = "held", plan: RunPlan = PLAN) -> list[AnyPageEvent]:
    """The whole run as page events, its verdict among them."""
    fold = PageFold(plan, tell=lambda event: event.text if isinstance(event, PhaseBegan) else "")
    promise = JudgedPromise(
        promise="state_kept",
        title="Users keep their state",
        verdict=verdict,
        count=9,
        checks="reads",
        broken=1,
        note="",
    )
    lines = (f"{verdict.upper()} 6 of 6 users kept their state through 1 kill", "  9 reads compared", "")
    ended = partial(Ended, verdict=verdict, exit_code=0, lines=lines, promises=(promise,))
    return [*(made for item in items for made in fold.take(item)), *fold.finish(lambda t: ended(t=t))]


def until(page: Page, words: str, where: str = "#verdict") -> None:
    page.locator(where, has_text=words).wait_for()


def controlled(token: str) -> LivePage:
    acts = PageControl(
        token=token, acts=("kill", "freeze", "lose-zone", "roll", "reverse"), images=("shop:v1", "shop:v2")
    )
    return live_page(PLAN.title, PageConfig(control=acts))


def recorded(folder: Path, *, hurt: bool = False) -> Path:
    """A run's record on disk."""
    with RunRecord(folder) as record:
        for item in a_run(hurt=hurt):
            if isinstance(item, Operation):
                record.operation(item)
            else:
                record.event(item)
    return folder


def broken_report(tmp_path: Path) -> Path:
    """The report of a run in which user-000 lost their state, with 12 counter-examples."""
    lines = ("BROKEN state_kept: 1 of 6 users lost state", "why", "likely: x")
    judgement = msgspec.structs.replace(
        BROKEN,
        findings=tuple(
            msgspec.structs.replace(one, user="user-000", at=8 * NS + number - 1)
            for number, one in enumerate(BROKEN.findings)
        ),
    )
    told = tell_run(ReadRecord(recorded(tmp_path / "run", hurt=True)), PLAN, judgement, SERVICE, lines, tell_event)
    [path] = told.write([Format.HTML], tmp_path / "elsewhere")
    return path
