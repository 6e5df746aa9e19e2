"""How users were served while the engine was away is laid at nobody; what was lost is red all the same."""

from __future__ import annotations

import pytest

from lab.clock import NS
from lab.errors import ExitCode
from lab.model import Finding, Kind, Outcome, Try
from lab.oracle.engine_away import away_spans, is_engines
from lab.oracle.oracle import Oracle
from lab.oracle.promises import CLEAN_STOPS, STATE_KEPT, TRIES, Anomaly
from lab.oracle.service import Service, ServiceRules
from lab.oracle.telling import not_checked
from lab.oracle.verdict import gather, judge
from lab.record import AnyEvent, EngineBack, EngineGone, Serving
from tests.unit.oracle.making import op


def serving(at: float, total: int) -> Serving:
    return Serving(at=int(at * NS), by_release={"v1": total}, total=total)


EVENTS: list[AnyEvent] = [
    serving(2, 3),
    serving(95, 1),  # it stops what runs on it before it is gone
    EngineGone(at=100 * NS),
    EngineBack(at=106 * NS),
    serving(107, 0),
    serving(109, 2),
    serving(112, 3),
    serving(115, 2),
]


def test_it_is_away_until_as_many_serve_as_before() -> None:
    """From when it began to stop things; a minute at most; and also where it never came back."""
    [span] = away_spans(EVENTS)
    assert (span.begin, span.end) == (80 * NS, 112 * NS)
    assert away_spans(EVENTS[:5])[0].end == 166 * NS
    assert away_spans(EVENTS[:3])[0].end == 160 * NS
    assert away_spans(EVENTS[:2]) == []


@pytest.mark.parametrize(
    ("promise", "at", "is_its"),
    [(TRIES, 104, True), (CLEAN_STOPS, 90, True), (TRIES, 120, False), (TRIES, 70, False), (STATE_KEPT, 104, False)],
)
def test_only_how_users_were_served_then(promise: str, at: int, *, is_its: bool) -> None:
    """Nothing before, nothing after, and nothing that was lost."""
    found = Finding(promise=promise, anomaly=str(Anomaly.NOT_ANSWERED), user="u", at=at * NS, why="w")
    assert is_engines(found, away_spans(EVENTS)) is is_its


@pytest.mark.parametrize(("at", "code"), [(103, ExitCode.HELD), (120, ExitCode.BROKEN)])
def test_a_run_through_a_restart_may_hold(at: int, code: ExitCode) -> None:
    """What it did not judge stands under "not checked"."""
    one = Try(at * NS, at * NS + 9, "unsent")
    service, oracle = Service(ServiceRules()), Oracle()
    service.feed(op(Kind.CART, at * NS, at * NS + 9, outcome=Outcome.REFUSED, tries=(one, one, one)))
    oracle.feed(op(Kind.CART, 1, 2, answer={}))
    oracle.finish()
    judgement = judge(gather(oracle, service.report(), away=away_spans(EVENTS)), asked=(TRIES,))
    assert judgement.exit_code is code
    told = "how users were served while the engine was away for 6.0 s (tries)"
    assert (told in not_checked(judgement, service.report())) is (code is ExitCode.HELD)
