"""Tries, planned stops and the floor of serving replicas, judged from operations and events."""

from __future__ import annotations

from time import process_time

import pytest
from msgspec.structs import replace

from lab.clock import NS
from lab.model import Kind, Operation, Outcome, Try
from lab.oracle.promises import CLEAN_STOPS, SERVING_FLOOR, TRIES
from lab.oracle.service import Service, ServiceReport, ServiceRules
from lab.record import AnyEvent, Serving, Step, Strike, StrikeProved, StrikeUndone, Trouble
from tests.unit.oracle.making import op


def step(action: str, at: float, replica: str = "a1-1", why: str = "upgrade") -> Step:
    return Step(at=int(at * NS), action=action, slot=replica[:2], replica=replica, release="v1", why=why)


def strike(at: float, victim: str = "a1-1", serving: int = 6) -> Strike:
    return Strike(
        at=int(at * NS),
        strike=1,
        fault="SIGKILL",
        victim=victim,
        container="c",
        slot=victim[:2],
        zone="a",
        release="v1",
        serving=serving,
    )


def serving(at: float, total: int) -> Serving:
    return Serving(at=int(at * NS), by_release={"v1": total}, total=total)


STOP = (step("drain", 10), step("remove", 12))


def acted(
    begin: float, *results: str, edge: tuple[str, ...] = (), replica: str | None = None, seconds: float = 0.1
) -> Operation:
    """An operation whose tries ended as `results`, one after another."""
    tries = tuple(
        Try(
            begin=int((begin + number * seconds) * NS),
            end=int((begin + (number + 1) * seconds) * NS),
            result=result,
            replica=replica,
            release="v2" if replica else None,
            edge=edge,
        )
        for number, result in enumerate(results)
    )
    answered = results[-1] == "200"
    outcome = Outcome.OK if answered else Outcome.UNKNOWN
    return op(Kind.BROWSE, tries[0].begin, tries[-1].end, outcome=outcome, tries=tries)


def report(*fed: Operation | AnyEvent, floor: int = 0) -> ServiceReport:
    service = Service(ServiceRules(tries=3, floor=floor))
    for one in fed:
        if isinstance(one, Operation):
            service.feed(one)
        else:
            service.event(one)
    return service.report()


def test_actions_are_counted_by_how_they_fared() -> None:
    """Clean on the first try, saved by a retry, lost, repeated by the balancer: each is counted for itself."""
    seen = report(
        acted(1, "200", replica="a1-1"),
        acted(2, "cut", "200", replica="a1-1"),
        acted(3, "cut", "timeout", "502"),
        acted(4, "200", edge=("a1", "b1"), replica="b1-1"),
        acted(5, "garbled"),
    )
    tries = seen.first_tries
    assert (tries.actions, tries.clean, tries.saved, tries.lost) == (5, 2, 1, 2)
    assert (tries.repeated_at_the_edge, tries.most_tries) == (1, 3)
    assert seen.requests_by_release == {"v2": 4}
    assert seen.users_by_release == {"v2": 1}
    assert seen.checks[TRIES] == 5
    assert seen.broken[TRIES] == 2
    assert 0.09 < seen.latency.half < 0.35
    assert seen.latency.slowest == pytest.approx(0.3)


def test_a_stall_counts_from_when_users_meant_to_begin() -> None:
    """The one who met the stall and the nine who had to wait for it: each from its due time."""
    stalled = acted(10, "200", seconds=2.0)
    waited = [replace(acted(12, "200", seconds=0.01), due=int((10 + 0.2 * number) * NS)) for number in range(1, 10)]
    seen = report(stalled, *waited)
    assert seen.latency.half == pytest.approx(1.0, rel=0.2)
    begun = report(stalled, *(replace(one, due=None) for one in waited))
    assert begun.latency.half < 0.05


def test_what_the_lab_broke_off_is_nobodys_fault() -> None:
    """The user says that it was ended from outside, and it is not held against the service, repeatable or not."""
    cut = [replace(acted(11, *results), is_broken_off=True) for results in (("cut",), ("502", "timeout"))]
    once = replace(cut[0], kind=Kind.ACT, is_repeatable=False)
    seen = report(*STOP, *cut, once, acted(1, "200"))
    assert (seen.first_tries.dropped, seen.first_tries.actions, seen.first_tries.lost) == (3, 1, 0)
    assert not seen.broken[TRIES]
    assert not seen.broken[CLEAN_STOPS]


def test_what_was_broken_off_in_an_old_record_is_nobodys_fault_either() -> None:
    """It does not say so, but a user would have tried again."""
    seen = report(*STOP, acted(11, "cut"), acted(11, "502", "timeout"), acted(1, "200"))
    assert (seen.first_tries.dropped, seen.first_tries.actions, seen.first_tries.lost) == (2, 1, 0)
    assert not seen.broken[TRIES]
    assert not seen.broken[CLEAN_STOPS]


@pytest.mark.parametrize("result", ["501", "505", "507", "520"])
def test_an_error_that_nobody_tries_again_is_no_answer(result: str) -> None:
    """However many tries were left."""
    assert report(acted(1, result)).broken[TRIES] == 1


def refused(kind: Kind, result: str, *, session: str | None = "s", outcome: Outcome = Outcome.REFUSED) -> Operation:
    return op(kind, 10, 11, outcome=outcome, result=result, session=session)


def test_too_many_tries_are_told_whatever_came_of_them() -> None:
    """Three without a proper answer, or a fourth that got one."""
    assert report(acted(1, "503", "503", "503")).broken[TRIES] == 1
    assert report(acted(1, "503", "503", "503", "200")).broken[TRIES] == 1


@pytest.mark.parametrize(
    "one",
    [
        refused(Kind.ADD, "403"),
        refused(Kind.CART, "404"),
        refused(Kind.CART, "404", session=None),
        refused(Kind.VIEW, "409"),
        refused(Kind.RENAME, "422", outcome=Outcome.UNKNOWN),
        refused(Kind.BROWSE, "401"),
        refused(Kind.ACT, "403"),
        refused(Kind.READ, "404"),
        refused(Kind.ACT, "401"),  # its journey says that nobody is logged out
        refused(Kind.ADD, "409"),  # the cart holds nothing yet
        refused(Kind.INTRUDE, "403", session=None),
    ],
)
def test_who_may_do_it_is_not_refused(one: Operation) -> None:
    """A 4xx is an answer, and the user still could not do it: that is told, and no first try failed."""
    seen = report(one)
    [finding] = seen.findings
    assert (finding.promise, finding.anomaly, seen.broken[TRIES]) == (TRIES, "refused", 1)
    assert f"{one.kind} was refused with {one.final.result}" in finding.why
    assert (seen.first_tries.lost, seen.available) == (0, 1.0)


@pytest.mark.parametrize(
    "one",
    [
        refused(Kind.CART, "401"),  # `logged_in` judges it
        refused(Kind.CART, "401", session=None),
        refused(Kind.BROWSE, "409", session=None),  # a step of somebody's own login
        refused(Kind.ACT, "409", outcome=Outcome.UNKNOWN),  # an earlier try did it
        replace(refused(Kind.ACT, "401"), turned_away=True),
        replace(refused(Kind.READ, "403"), turned_away=True),
        refused(Kind.ACT, "409", outcome=Outcome.OK),  # the journey expects it
    ],
)
def test_what_is_refused_rightly_is_well(one: Operation) -> None:
    """Others judge it, or a healthy app says so to a user who does nothing wrong."""
    assert report(one).findings == ()


def test_who_was_let_in_once_is_let_in_again() -> None:
    """A login that is refused from the beginning may be that of an account which somebody else has made."""
    again = op(Kind.LOGIN, 20, 21, outcome=Outcome.REFUSED, result="401")
    assert not report(again).broken[TRIES]
    first = op(Kind.LOGIN, 1, 2, session="s")
    assert report(first, again).broken[TRIES] == 1
    too_often = op(Kind.LOGIN, 20 * NS, 21 * NS, outcome=Outcome.REFUSED, result="429")
    assert report(first, too_often).broken[TRIES] == 1, "nobody had given a wrong password"


@pytest.mark.parametrize(("seconds", "broken"), [(10, 0), (70, 1)])
def test_a_lockout_is_forgiven_after_wrong_passwords(seconds: int, broken: int) -> None:
    """As long as the shop keeps them in mind, and not longer."""
    first = op(Kind.LOGIN, 1, 2, session="s")
    wrong = op(Kind.INTRUDE, 3, 4, outcome=Outcome.REFUSED, result="401")
    locked = op(Kind.LOGIN, seconds * NS, seconds * NS + 1, outcome=Outcome.REFUSED, result="429")
    assert report(first, wrong, locked).broken[TRIES] == broken


def test_a_full_cart_is_forgiven_by_the_users_own_count() -> None:
    """What the account has put in and nobody has taken out; a checkout empties it."""
    added = [op(Kind.ADD, at, at + 1, f"u.1.{at}") for at in range(0, 1000, 2)]
    full = op(Kind.ADD, 2000, 2001, "u.1.a", outcome=Outcome.REFUSED, result="409")
    assert not report(*added, full).broken[TRIES]
    bought = op(Kind.CHECKOUT, 1500, 1501, "u.1.b", answer={str(one.key): 1 for one in added})
    assert report(*added, bought, full).broken[TRIES] == 1


@pytest.mark.parametrize("result", ["302", "303", "304", "307"])
def test_a_redirect_is_no_answer_to_a_write(result: str) -> None:
    """Nothing was done by its word; a redirect to the login page says so, and one that a journey follows is well."""
    strayed = op(Kind.ADD, 10, 11, "u.1.1", outcome=Outcome.UNKNOWN, result=result)
    seen = report(strayed)
    assert (seen.broken[TRIES], seen.first_tries.lost, seen.available) == (1, 1, 0.0)
    assert f"answered with {result}, which is not what was asked for" in seen.findings[0].why
    assert not report(replace(strayed, outcome=Outcome.REFUSED, turned_away=True)).broken[TRIES]
    assert not report(op(Kind.ACT, 10, 11, result=result)).broken[TRIES]


def test_a_repeat_on_purpose_is_no_retry() -> None:
    """It was answered by the first try, in its time; a repeat that is refused says that its key is not known."""
    again = acted(1, "200", "200", replica="a1-1", seconds=1.0)
    seen = report(replace(again, repeats=1))
    assert (seen.first_tries.clean, seen.first_tries.saved, seen.first_tries.most_tries) == (1, 0, 1)
    assert seen.latency.slowest == pytest.approx(1.0)
    refused_then = replace(op(Kind.ADD, 1, 2, "u.1.1"), tries=acted(1, "200", "409").tries, repeats=1)
    [finding] = report(refused_then).findings
    assert (finding.promise, finding.anomaly) == (TRIES, "refused")
    cut = replace(op(Kind.ADD, 1, 2, "u.1.1"), tries=acted(1, "200", "cut").tries, repeats=1)
    assert not report(cut).broken[TRIES]


def test_a_request_cut_by_a_planned_stop_is_found() -> None:
    """A failed try at the stopping replica's slot, or one that names no slot, breaks the promise."""
    for failed in (
        acted(11, "cut", "200"),
        acted(11, "502", "200", edge=("a1",)),
        acted(11, "500", "200", replica="a1-1"),
    ):
        seen = report(*STOP, failed)
        assert [one.promise for one in seen.findings if one.promise == CLEAN_STOPS] == [CLEAN_STOPS]
        assert seen.checks[CLEAN_STOPS] == 1


def test_what_a_planned_stop_did_not_cut_is_not_laid_at_it() -> None:
    """Another time, another slot, or a try that was never sent."""
    for failed in (
        acted(9, "cut", "200"),
        acted(13, "cut", "200"),
        acted(11, "502", "200", edge=("b1",)),
        acted(11, "unsent", "200"),
        acted(11, "500", "200", replica="b1-4"),
    ):
        assert not report(*STOP, step("enter", 1, "b1-4"), failed).broken[CLEAN_STOPS]


def test_a_strike_explains_only_what_it_can() -> None:
    """A strike excuses what was under way around it, and its victim's slot until that has a new replica."""
    cut = acted(11, "cut", "200")
    assert not report(*STOP, strike(10.5, "b2-1"), cut).broken[CLEAN_STOPS]
    assert report(*STOP, strike(8, "b2-1"), cut).broken[CLEAN_STOPS] == 1
    assert report(*STOP, strike(11.5, "b2-1"), cut).broken[CLEAN_STOPS] == 1
    here = acted(11, "502", "200", edge=("a1",))
    assert report(*STOP, strike(10.5, "b2-1"), here).broken[CLEAN_STOPS] == 1
    assert not report(*STOP, strike(7, "a1-2"), here).broken[CLEAN_STOPS]
    assert report(*STOP, strike(7, "a1-2"), step("enter", 8, "a1-3"), here).broken[CLEAN_STOPS] == 1


@pytest.mark.parametrize(
    ("slot", "failed"),
    [
        ("", acted(15, "timeout", "200")),
        ("", acted(15, "503", "200", edge=("a1",), replica="a1-1")),
        ("b1", acted(15, "timeout", "200")),
    ],
)
def test_a_strike_explains_as_long_as_it_lasts(slot: str, failed: Operation) -> None:
    """Who asks while a store, a balancer or another replica is frozen waits in vain, though no stop cuts them off."""
    frozen = replace(strike(10, "victim"), fault="freeze", slot=slot)
    stop = (step("drain", 12), step("remove", 18))
    undone = StrikeUndone(at=20 * NS, strike=frozen.strike, fault="freeze", victim="victim")
    assert not report(frozen, *stop, undone, failed).broken[CLEAN_STOPS]
    assert report(frozen, *stop, failed).broken[CLEAN_STOPS] == 1
    assert report(frozen, *stop, replace(undone, at=14 * NS), failed).broken[CLEAN_STOPS] == 1


def test_a_login_that_is_told_to_come_later_was_not_cut() -> None:
    """Passwords are checked one at a time, and whoever waits for long is told so, also by a replica that leaves."""
    busy = acted(11, "503", "200", edge=("a1",), replica="a1-1")
    assert report(*STOP, busy).broken[CLEAN_STOPS] == 1
    assert not report(*STOP, replace(busy, kind=Kind.LOGIN)).broken[CLEAN_STOPS]
    nobody = acted(11, "503", "200", edge=("a1",))
    assert report(*STOP, replace(nobody, kind=Kind.LOGIN)).broken[CLEAN_STOPS] == 1


def test_an_error_that_a_release_answers_anyhow_is_no_stops() -> None:
    """As often while it is not stopped, whichever of its replicas; what a stop brings alone is laid at it."""
    anyhow = [acted(2 + number, "500", "200", replica="b1-4") for number in range(3)]
    at_stop = [acted(11 + number / 10, "500", "200", replica="a1-1") for number in range(3)]
    assert not report(*STOP, *anyhow, *at_stop).broken[CLEAN_STOPS]
    assert report(*STOP, *anyhow[1:], *at_stop[1:]).broken[CLEAN_STOPS] == 2
    assert report(*STOP, *anyhow, *at_stop, acted(11.5, "500", "200", replica="a1-1")).broken[CLEAN_STOPS] == 4
    other = [acted(2 + number, "503", "200", replica="b1-4") for number in range(3)]
    assert report(*STOP, *other, *at_stop).broken[CLEAN_STOPS] == 3
    elsewhere = [replace(one, kind=Kind.VIEW) for one in anyhow]
    assert report(*STOP, *elsewhere, *at_stop).broken[CLEAN_STOPS] == 3
    busy = [replace(acted(2 + number, "503", "200", replica="b1-4"), kind=Kind.LOGIN) for number in range(3)]
    assert report(*STOP, *busy, acted(11, "503", "200", replica="a1-1")).broken[CLEAN_STOPS] == 1
    nobodys = [acted(2 + number, "500", "200", edge=("a1",)) for number in range(3)]
    assert report(*STOP, *nobodys, *at_stop).broken[CLEAN_STOPS] == 3


def test_a_struck_replica_is_no_planned_stop() -> None:
    """Tidying up what a strike left is not counted as a stop that went well."""
    assert report(strike(9), *STOP).checks[CLEAN_STOPS] == 0


def test_the_floor_excuses_what_was_struck_and_not_replaced() -> None:
    """One fewer after a strike is excused until the slot has a new replica; two fewer is not."""
    begin = (acted(0, "200"), serving(0, 3), serving(1, 6))
    after = acted(60, "200")
    assert not report(*begin, strike(10), serving(10.2, 5), serving(14, 6), after, floor=6).broken[SERVING_FLOOR]
    assert report(*begin, strike(10), serving(10.2, 4), after, floor=6).broken[SERVING_FLOOR] == 1
    replaced = (strike(10), serving(10.2, 5), step("enter", 13, "a1-9"), serving(13.1, 6))
    assert report(*begin, *replaced, serving(20, 5), after, floor=6).broken[SERVING_FLOOR] == 1
    healed = (strike(10), serving(10.2, 5), serving(15, 6))
    assert report(*begin, *healed, serving(20, 5), after, floor=6).broken[SERVING_FLOOR] == 1
    assert report(*begin, after, floor=6).checks[SERVING_FLOOR] == 1


@pytest.mark.parametrize("role", ["deployer", "balancer", "front", ""])
def test_a_strike_at_what_is_no_replica_excuses_none(role: str) -> None:
    """All replicas are there yet: where one does not serve, nobody struck it."""
    struck = replace(strike(10, "somebody"), role=role, slot="")
    events = (acted(0, "200"), serving(1, 6), struck, serving(11, 5), acted(60, "200"))
    assert report(*events, floor=6).broken[SERVING_FLOOR] == 1


def test_while_a_store_is_struck_the_floor_is_not_judged() -> None:
    """Nobody can serve then; from when all serve again, or long after it was undone, it is judged as ever."""
    begin, after = (acted(0, "200"), serving(1, 6)), acted(60, "200")
    killed = replace(strike(10), role="store", slot="", victim="store")
    undone = StrikeUndone(at=13 * NS, strike=killed.strike, fault="kill", victim="store")
    assert not report(*begin, killed, serving(11, 0), undone, serving(14, 6), after, floor=6).broken[SERVING_FLOOR]
    for events in ((killed, serving(11, 0), undone, serving(14, 6)), (killed, undone)):
        assert report(*begin, *events, serving(30, 0), after, floor=6).broken[SERVING_FLOOR] == 1


def test_counts_after_the_last_operation_are_not_judged() -> None:
    """When the cluster is taken down at the end nothing is asked of it any more."""
    assert not report(serving(1, 6), acted(5, "200"), serving(9, 0), floor=6).broken[SERVING_FLOOR]


def test_a_long_run_is_judged_in_no_time() -> None:
    """Hours of strikes, steps and failed tries: the work grows with what happened, not with its square."""
    service = Service(ServiceRules(tries=3))
    for number in range(1500):
        at, slot = 6 * number, "abc"[number % 3] + "1"
        struck = replace(strike(at, f"{slot}-{number}"), strike=number)
        entered = step("enter", at + 2, f"{slot}-{number}x")
        steps = (step(action, at + 3, f"{slot}-{number}y") for action in ("drain", "stop", "stopped", "remove"))
        events: list[AnyEvent] = [struck, StrikeProved(at=at * NS + 1, strike=number, hit=True), entered, *steps]
        for event in events:
            service.event(event)
        for failed in range(10):
            service.feed(acted(at + failed / 2, "cut", "200", edge=(slot,)))
    began = process_time()
    assert service.report().broken[CLEAN_STOPS] > 0
    assert process_time() - began < 5


def test_strikes_and_troubles_are_passed_on() -> None:
    """The verdict needs them: how many strikes hit, and what went wrong in the lab."""
    seen = report(
        strike(1), StrikeProved(at=2, strike=1, hit=True), strike(3), Trouble(at=9, what="the engine was slow")
    )
    assert (seen.strikes, seen.strikes_that_hit, seen.troubles) == (2, 1, ("the engine was slow",))
