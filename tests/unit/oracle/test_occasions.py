"""What puts a promise to the test is counted; what nothing tried is not kept, and is told."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from lab.clock import NS
from lab.errors import ExitCode
from lab.model import Kind, Operation, Outcome, Try, Verdict
from lab.oracle import Enough, Evidence, judge
from lab.oracle.confidence import bound_text, upper_bound
from lab.oracle.occasions import OccasionCounts
from lab.oracle.promises import (
    APPLIED_ONCE,
    CLEAN_STOPS,
    LOGGED_IN,
    OCCASIONS,
    PROMISES,
    SERVING_FLOOR,
    STATE_KEPT,
    TRIES,
    RunTerms,
    asked_promises,
)
from lab.oracle.service import Service, ServiceReport, ServiceRules
from lab.oracle.taken_down import find_taken_down
from lab.oracle.telling import not_checked
from lab.record import AnyEvent, AppStopped, ContainerEvent, Serving, Step, Strike
from tests.unit.oracle.making import op

TERMS = RunTerms(rolls=True, serving_at_least=2)


def step(action: str, at: float, replica: str = "a1-1", why: str = "upgrade") -> Step:
    return Step(at=int(at * NS), action=action, slot=replica[:2], replica=replica, release="v1", why=why)


def counts(*operations: Operation, events: tuple[AnyEvent, ...] = ()) -> dict[str, int]:
    counted = OccasionCounts(events, new_release="v2")
    for one in operations:
        counted.feed(one)
    return {name: count for name, count in counted.counts().items() if count}


def asked(kind: Kind, at: float, replica: str, **more: object) -> Operation:
    one = op(kind, int(at * NS), int(at * NS) + 5, replica=replica, release="v1")
    return replace(one, **more)


def test_every_occasion_is_counted() -> None:
    """Each row's name, and no other."""
    assert OccasionCounts(()).counts().keys() == OCCASIONS.keys()
    assert all(len([one for one in promise.occasions if one.gates]) <= 1 for promise in PROMISES.values())


def test_a_read_elsewhere_is_one_of_what_another_replica_wrote() -> None:
    """Of the same belongings of the same user."""
    written = asked(Kind.ADD, 1, "a1-1", key="u.1.1", argument=1)
    assert "read_elsewhere" not in counts(written, asked(Kind.CART, 2, "a1-1"), asked(Kind.ACCOUNT, 3, "b1-1"))
    assert counts(written, asked(Kind.CART, 2, "b1-1"))["read_elsewhere"] == 1
    assert "read_elsewhere" not in counts(written, asked(Kind.CART, 2, "b1-1", user="another"))


def test_sessions_are_told_by_where_and_when_they_were_made() -> None:
    """Elsewhere, before the replica was, by another release."""
    login = asked(Kind.LOGIN, 2, "a1-1", session="u/1#1")
    assert counts(login, asked(Kind.CART, 3, "a1-1", session="u/1#1")) == {"neighbours": 1}
    other = asked(Kind.CART, 3, "b1-1", session="u/1#1")
    seen = counts(login, other, events=(step("create", 1, "b1-1"),))
    assert (seen["sessions_elsewhere"], "older_sessions" in seen, "sessions_across" in seen) == (1, False, False)
    new = replace(other, tries=(replace(other.final, release="v2"),))
    seen = counts(login, new, events=(step("create", 2.5, "b1-1"),))
    assert (seen["older_sessions"], seen["sessions_across"]) == (1, 1)


def test_repeats_pages_and_strangers_are_counted() -> None:
    """Each by its own words."""
    twice = (Try(1, 2, "200", replica="a1-1"), Try(3, 4, "200", replica="b1-1"))
    bought = replace(op(Kind.CHECKOUT, 1, 4, "u.1.1", answer={"u.1.0": 1}, tries=twice), repeats=1)
    assert counts(bought) == {"neighbours": 1, "sent_again": 1, "sent_again_elsewhere": 1, "orders_sent_again": 1}
    assert counts(asked(Kind.CART, 1, "a1-1", is_page=True))["pages"] == 1
    wrong = asked(Kind.INTRUDE, 1, "a1-1", outcome=Outcome.REFUSED)
    assert counts(wrong)["wrong_passwords"] == 1
    assert counts(asked(Kind.RENAME, 1, "a1-1", argument="u.1.1 Zoë"))["odd_names"] == 1
    assert "odd_names" not in counts(asked(Kind.RENAME, 1, "a1-1", argument="u.1.1"))
    joined = op(Kind.JOIN, 1, 2, replica="a1-1", release="v2")
    assert counts(joined)["newcomers"] == 1


def test_logins_at_the_older_release_after_the_new_one_are_told() -> None:
    """Of an account of whoever it is, once for each login that the new one let in; a refusal by the old one counts."""

    def login(at: float, release: str, kind: Kind = Kind.LOGIN, **more: Any) -> Operation:
        return op(kind, int(at * NS), int(at * NS) + 5, replica=f"{release}-1", release=release, **more)

    assert "logins_back" not in counts(login(1, "v1"), login(2, "v2"))
    assert "logins_back" not in counts(login(1, "v2"), login(2, "v1", user="another"))
    assert "logins_back" not in counts(login(1, "v2", outcome=Outcome.UNKNOWN, result="500"), login(2, "v1"))
    assert counts(login(1, "v2"), login(2, "v1"), login(3, "v1"))["logins_back"] == 1
    failed = login(2, "v1", outcome=Outcome.UNKNOWN, result="500")
    assert counts(login(1, "v2"), failed)["logins_back"] == 1
    beside = login(1, "v2", Kind.JOIN, argument="k1"), login(2, "v1", Kind.JOIN, argument="k1")
    assert counts(*beside)["logins_back"] == 1
    assert "logins_back" not in counts(login(1, "v2", Kind.JOIN, argument="k1"), login(2, "v1"))


def test_a_session_that_was_ended_and_one_that_was_left() -> None:
    """Shown again after its logout; and a login while the device is logged in."""
    first, out = asked(Kind.LOGIN, 1, "a1-1", session="u/1#1"), asked(Kind.LOGOUT, 2, "a1-1", session="u/1#1")
    shown = op(Kind.ACCOUNT, 3, 4, session="u/1#1", outcome=Outcome.REFUSED, result="401", replica="a1-1")
    again = asked(Kind.LOGIN, 5, "a1-1", session="u/1#2")
    assert counts(first, out, shown, again).get("ended_sessions") == 1
    assert "logins_again" not in counts(first, out, again)
    assert counts(first, again)["logins_again"] == 1


def test_a_busy_stop_had_requests_in_it() -> None:
    """Answered by the replica after it was told to leave."""
    events = (step("drain", 10), step("remove", 11))
    assert "busy_stops" not in counts(asked(Kind.CART, 9, "a1-1"), events=events)
    assert counts(asked(Kind.CART, 10.1, "a1-1"), events=events)["busy_stops"] == 1


def test_a_stop_of_an_own_app_is_busy_only_where_a_request_was_in_it_at_its_signal() -> None:
    """Its gate takes nobody in before that, so what came after the first word and before the signal proves nothing."""
    signal = AppStopped(at=int(10.5 * NS), replica="a1-1", slot="a1", service="web", signal="SIGTERM", grace=10)
    events = (step("drain", 10), signal, step("remove", 11))
    assert "busy_stops" not in counts(op(Kind.READ, int(10.1 * NS), int(10.4 * NS), replica="a1-1"), events=events)
    assert "busy_stops" not in counts(op(Kind.READ, int(10.6 * NS), int(10.7 * NS), replica="a1-1"), events=events)
    act = op(Kind.ACT, int(10.4 * NS), int(10.6 * NS), replica="a1-1")
    assert counts(act, events=events)["busy_stops"] == 1
    late = (events[0], replace(signal, heard=int(10.7 * NS)), events[2])
    assert "busy_stops" not in counts(act, events=late), "it was answered before the engine had delivered the signal"


@pytest.mark.parametrize(
    ("edge", "replica", "is_busy"), [(("a1",), None, 1), (("a1", "b1"), "b1-2", 1), (("b1",), None, 0)]
)
def test_a_stop_that_cut_a_request_had_it_in_it(edge: tuple[str, ...], replica: str | None, is_busy: int) -> None:
    """Though nobody, or another one, answered it."""
    signal = AppStopped(at=int(10.5 * NS), replica="a1-1", slot="a1", service="web", signal="SIGTERM", grace=10)
    cut = Try(int(10.4 * NS), int(10.6 * NS), "200" if replica else "502", edge=edge, replica=replica)
    operation = op(Kind.ACT, cut.begin, cut.end, outcome=Outcome.OK if replica else Outcome.UNKNOWN, tries=(cut,))
    events = (step("drain", 10), signal, step("remove", 11))
    assert counts(operation, events=events).get("busy_stops", 0) == is_busy


FULL = {one.name: one.least for one in OCCASIONS.values()}
GOOD = Evidence(
    operations=5000, users=60, users_hurt=0, checks=dict.fromkeys(PROMISES, 1500), terms=TERMS, occasions=FULL
)


def test_what_was_put_to_the_test_is_held() -> None:
    """With its upper bound, and with how often it could have failed."""
    judgement = judge(GOOD, asked=asked_promises(TERMS))
    assert {one.verdict for one in judgement.promises} == {Verdict.HELD}
    once = next(one for one in judgement.promises if one.promise == APPLIED_ONCE)
    assert once.occasions == {"sent_again": 5, "sent_again_elsewhere": 3}
    assert once.upper == pytest.approx(3 / 1500)


@pytest.mark.parametrize("name", [one.name for one in OCCASIONS.values()])
def test_what_nothing_tried_is_told(name: str) -> None:
    """Under not checked; and its promise is not held where it is what it stands on. The run is held all the same,
    unless it is the very thing that every run is about."""
    judgement = judge(replace(GOOD, occasions={**FULL, name: 0}), asked=asked_promises(TERMS))
    is_it = name in {"read_elsewhere", "sessions_elsewhere"}
    assert judgement.exit_code is (ExitCode.TOO_LITTLE_CHECKED if is_it else ExitCode.HELD)
    assert [OCCASIONS[name].what in reason for reason in judgement.reasons] == [True] * is_it
    untried = [one for one in judgement.promises if one.verdict is Verdict.COULD_NOT_TELL]
    assert len(untried) == OCCASIONS[name].gates
    assert all("not put to the test" in one.note for one in untried)
    assert any(f"0 {OCCASIONS[name].what}" in line for line in not_checked(judgement, Service().report()))


def test_a_scenario_may_ask_for_more() -> None:
    """Then it is too little."""
    judgement = judge(GOOD, Enough(operations=1, checks=1, occasions={"sent_again": 6}), asked_promises(TERMS))
    assert judgement.exit_code is ExitCode.TOO_LITTLE_CHECKED
    assert judgement.reasons == ("5 writes sent again with their key, at least 6 are needed",)


def test_an_own_app_is_not_asked_for_what_only_the_shop_does() -> None:
    """No pages, no keys: only what is known of any app; and nothing of a rollout where there is none."""
    terms = RunTerms(own_app=True)
    judgement = judge(replace(GOOD, terms=terms), asked=asked_promises(terms))
    assert {one.promise: [*one.occasions] for one in judgement.promises if one.occasions} == {
        STATE_KEPT: ["read_elsewhere"],
        LOGGED_IN: ["sessions_elsewhere"],
    }


def test_the_rule_of_three() -> None:
    """3/n, and never more than all."""
    assert upper_bound(0) == 1
    assert upper_bound(2) == 1
    assert upper_bound(3000) == pytest.approx(1e-3)
    assert bound_text(5677) == "under 0.00053 at 95 %"


# ---------------------------------------------------------------- stops, floors and who took it down


def served(*fed: Operation | AnyEvent, floor: int = 0) -> ServiceReport:
    service = Service(ServiceRules(floor=floor))
    for one in fed:
        if isinstance(one, Operation):
            service.feed(one)
        else:
            service.event(one)
    return service.report()


def repeated(begin: float, end: float, *edge: str) -> Operation:
    one = Try(int(begin * NS), int(end * NS), "200", True, f"{edge[-1]}-1", "v1", edge)
    return op(Kind.CART, one.begin, one.end, tries=(one,))


STOP = (step("enter", 9, "a1-9"), step("drain", 10), step("remove", 12))


@pytest.mark.parametrize(
    ("begin", "edge", "stops", "cuts"),
    [
        (9.9, ("a1", "b1"), STOP, 1),
        (10.1, ("a1", "b1"), STOP, 0),  # another one has the slot: it is that one's, or the machine's
        (10.1, ("c1", "b1"), STOP, 0),
        (10.1, ("a1",), STOP, 0),
        (20.0, ("a1", "b1"), STOP, 0),
        (9.9, ("a1", "b1"), STOP[1:], 1),  # the slot is given up: only what was under way can have been cut
        (10.1, ("a1", "b1"), STOP[1:], 0),
    ],
)
def test_what_the_balancer_repeats_at_a_planned_stop_was_cut(
    begin: float, edge: tuple[str, ...], stops: tuple[Step, ...], cuts: int
) -> None:
    """Users get their answer, and somebody was cut off all the same."""
    assert served(*stops, repeated(begin, begin + 0.3, *edge)).broken[CLEAN_STOPS] == cuts


def test_a_strike_explains_what_is_repeated() -> None:
    """As it explains what is cut."""
    strike = Strike(
        at=int(10.05 * NS), strike=1, fault="SIGKILL", victim="a1-9", container="c", slot="a1", zone="a",
        release="v1", serving=3,
    )  # fmt: skip
    assert not served(*STOP, strike, repeated(9.9, 10.3, "a1", "b1")).broken[CLEAN_STOPS]


def test_a_write_without_a_key_is_in_doubt_where_a_strike_hit() -> None:
    """Whoever does not repeat it does right; without a strike it is a broken promise."""
    one = Try(10 * NS, 11 * NS, "502", True, None, None, ("a1",))
    write = replace(op(Kind.ACT, 10 * NS, 11 * NS, outcome=Outcome.UNKNOWN, tries=(one,)), is_repeatable=False)
    strike = Strike(
        at=int(10.5 * NS), strike=1, fault="SIGKILL", victim="a1-9", container="c", slot="a1", zone="a",
        release="v1", serving=3,
    )  # fmt: skip
    seen = served(strike, write)
    assert (seen.broken[TRIES], seen.killed_writes.writes, seen.findings) == (0, 1, ())
    seen = served(write)
    assert (seen.broken[TRIES], seen.killed_writes.writes, len(seen.findings)) == (1, 0, 1)
    keyed = replace(write, is_repeatable=True, tries=(one, one, one))
    assert served(strike, keyed).broken[TRIES] == 1


def test_silence_is_laid_at_no_stop_where_there_is_silence_without_one() -> None:
    """A machine that is too slow for everybody cuts somebody off at a stop, too."""

    def silent(begin: float) -> Operation:
        tries = (Try(int(begin * NS), int((begin + 1) * NS), "timeout"), Try(40 * NS, 41 * NS, "200", replica="b1-1"))
        return op(Kind.CART, tries[0].begin, tries[1].end, tries=tries)

    assert served(*STOP, silent(9.5)).broken[CLEAN_STOPS] == 1
    assert served(*STOP, silent(9.5), silent(30)).broken[CLEAN_STOPS] == 0
    cut = replace(silent(9.5), tries=(replace(silent(9.5).tries[0], result="cut"), silent(9.5).tries[1]))
    assert served(*STOP, cut, silent(30)).broken[CLEAN_STOPS] == 1


def serving(at: float, total: int) -> Serving:
    return Serving(at=int(at * NS), by_release={"v1": total}, total=total)


def failing(slot: str, first: float, *, until: float) -> list[Operation]:
    made = []
    at = first
    while at < until:
        one = Try(int(at * NS), int((at + 0.1) * NS), "503", True, f"{slot}-1", "v1", (slot,))
        good = Try(int((at + 0.1) * NS), int((at + 0.15) * NS), "200", True, "b1-1", "v1", ("b1",))
        made.append(op(Kind.CART, one.begin, good.end, tries=(one, good)))
        at += 0.2
    return made


HELD_SLOTS = (step("enter", 1, "a1-1"), step("enter", 1, "b1-1"), serving(2, 2))


def test_who_is_ready_and_answers_nobody_does_not_serve() -> None:
    """The floor counts what users get, and the report tells of it in any case."""
    seen = served(*HELD_SLOTS, *failing("a1", 5, until=9), floor=2)
    [finding] = [one for one in seen.findings if one.promise == SERVING_FLOOR]
    assert "1 replicas served where 2 must: the one in a1 said that it was ready" in finding.why
    seen = served(*HELD_SLOTS, *failing("a1", 5, until=9), floor=1)
    assert not seen.broken[SERVING_FLOOR]
    assert [one.slot for one in seen.mute] == ["a1"]


def test_who_is_asked_only_now_and_then_may_be_mute_all_the_same() -> None:
    """A balancer that passes on what failed asks such a slot again only every other second."""
    now_and_then = [repeated(at, at + 0.1, "a1", "b1") for at in (5.0, 7.0, 9.0, 11.0)]
    assert [one.slot for one in served(*HELD_SLOTS, *now_and_then, floor=2).mute] == ["a1"]
    assert served(*HELD_SLOTS, *now_and_then[:3], floor=2).mute == ()


@pytest.mark.parametrize(
    "fed",
    [
        (*HELD_SLOTS, *failing("a1", 5, until=7)),  # too short
        (*HELD_SLOTS, step("drain", 4), *failing("a1", 5, until=9)),  # it had left
        (*HELD_SLOTS, *failing("a1", 5, until=7), repeated(7.1, 7.2, "a1"), *failing("a1", 7.3, until=9)),
    ],
)
def test_who_answers_now_and_then_or_has_left_is_not_mute(fed: tuple[Operation | AnyEvent, ...]) -> None:
    """A second of trouble is for other promises."""
    assert served(*fed, floor=2).mute == ()


def gone(at: float, name: str, role: str = "app", action: str = "destroy") -> ContainerEvent:
    return ContainerEvent(at=int(at * NS), action=action, container=f"id-{name}", name=name, role=role)


def test_somebody_elses_removal_is_not_the_apps_fault() -> None:
    """Whatever comes after it says nothing; what was broken before it is broken."""
    events: list[AnyEvent] = [serving(2, 2), gone(5, "a1-1", action="die"), gone(5.2, "a1-1")]
    found = find_taken_down(events, until=100 * NS)
    assert found == ("the app a1-1 was removed, and not by the lab", 5 * NS)
    assert find_taken_down([*events[1:]], until=100 * NS) is None, "before anybody served"
    assert find_taken_down(events, until=4 * NS) is None, "after users were done"
    assert find_taken_down([serving(2, 2), step("remove", 4.9), *events[1:]], until=100 * NS) is None
    pattern = find_taken_down([serving(2, 2), gone(6, "shop", role="pattern")], until=100 * NS)
    assert pattern is not None
    assert "template container" in pattern[0]


def killed(at: float, name: str, signal: int = 9) -> ContainerEvent:
    return ContainerEvent(at=int(at * NS), action="kill", container=f"id-{name}", name=name, role="app", signal=signal)


@pytest.mark.parametrize(
    ("before", "began"),
    [
        (killed(5, "b1-1"), 5),
        (killed(5, "b1-1", signal=1), 6),  # to read its files again
        (killed(5, "a1-1"), 6),  # the deployer's own, which said so
    ],
)
def test_a_removal_begins_with_the_first_that_is_killed_for_it(before: ContainerEvent, began: int) -> None:
    """The deployer may be faster to remove what is dead, and what users met until then was laid at the app."""
    removed = step("remove", 5.1, before.name)
    events: list[AnyEvent] = [
        serving(2, 2),
        step("stop", 4.9),
        before,
        removed,
        gone(5.2, before.name),
        gone(6, "b2-1"),
    ]
    found = find_taken_down(events, until=100 * NS)
    assert found == ("the app b2-1 was removed, and not by the lab", began * NS)


@pytest.mark.parametrize(("at", "code"), [(6, ExitCode.COULD_NOT_TELL), (4, ExitCode.BROKEN)])
def test_what_follows_a_removal_is_not_certain(at: int, code: ExitCode) -> None:
    """BROKEN only by what was before."""
    lost = served(op(Kind.CART, at * NS, at * NS, outcome=Outcome.UNKNOWN, result="garbled")).findings
    evidence = replace(GOOD, findings=lost, taken_down="a1-1 was removed", taken_down_at=5 * NS)
    judgement = judge(evidence, asked=asked_promises(TERMS))
    assert judgement.exit_code is code
    assert "somebody took it down: a1-1 was removed" in judgement.reasons
