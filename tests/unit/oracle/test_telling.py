"""Stories, and what was not checked."""

from __future__ import annotations

from lab.clock import NS
from lab.model import Finding, Kind, Outcome, Try
from lab.oracle import Service, ServiceRules, gather, judge
from lab.oracle.oracle import check
from lab.oracle.promises import AVAILABLE, STATE_KEPT, TRIES
from lab.oracle.telling import NEVER_CHECKED, not_checked, story
from tests.unit.oracle.making import op


def test_a_story_is_told_in_time_order_with_who_answered() -> None:
    """What contradicts what, the operations, the cause; a long answer is cut at its beginning."""
    tries = (
        Try(begin=2 * NS, end=2 * NS + 5, result="cut"),
        Try(begin=3 * NS, end=3 * NS + 5, result="200", replica="a1-7", release="v2"),
    )
    added = op(Kind.ADD, 2 * NS, 3 * NS + 5, tries=tries, key="user-1.1.4", argument=2)
    read = op(Kind.HISTORY, 4 * NS, 4 * NS + 5, answer=[9, ["x" * 100, "the last"]])
    finding = Finding(
        promise=STATE_KEPT,
        anomaly="lost write",
        user="user-1",
        at=4 * NS,
        why="it is gone",
        witness=(added, read),
        cause="a1-7 was struck",
    )
    head, first, second, last = story(finding, began=NS)
    assert head == "lost write: user-1: it is gone"
    assert "1.00 s" in first
    assert "add user-1.1.4" in first
    assert "2 tries, by a1-7 (v2)" in first
    assert "the last']]" in second
    assert len(second) < 160
    assert last == "  because a1-7 was struck"


def test_what_was_not_asked_for_or_never_came_up_is_told() -> None:
    """And what no run can show."""
    oracle, service = check([]), Service(ServiceRules(tries=1))
    service.feed(op(Kind.BROWSE, 1, 2, outcome=Outcome.UNKNOWN, tries=(Try(begin=1, end=2, result="cut"),)))
    judgement = judge(gather(oracle, service.report()), asked=(STATE_KEPT, TRIES))
    lines = not_checked(judgement, service.report())
    assert f"{AVAILABLE}: not asked for (promises.available)" in lines
    assert f"{STATE_KEPT}: nothing came up that it could be checked by" in lines
    assert any(line.startswith("1 operations ended without an answer") for line in lines)
    assert not any(line.startswith(TRIES) for line in lines)
    assert lines[-len(NEVER_CHECKED) :] == NEVER_CHECKED
