"""One verdict from all the evidence: the worst wins, and a run that checked too little is never held."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lab.errors import ExitCode
from lab.model import Finding, Kind, PromiseResult, Verdict
from lab.oracle import Enough, Evidence, Judgement, Oracle, RunFacts, Service, closing_lines, gather, judge
from lab.oracle.closing import takes_a_place
from lab.oracle.promises import CLEAN_STOPS, PROMISES, ROLLOUTS_END, SERVING_FLOOR, STATE_KEPT, TRIES
from lab.oracle.service import FirstTries
from lab.oracle.verdict import ALWAYS_ASKED, OWN_APP_ASKED
from lab.oracle.workers import LONGEST_OPERATION
from lab.record import Step, WorkerEnded
from tests.unit.oracle.making import op
from tests.unit.oracle.reference import Weather, simulate

S = 1_000_000_000
GOOD = Evidence(
    operations=14_000,
    users=120,
    users_hurt=0,
    checks=dict.fromkeys(PROMISES, 1500),
    strikes=4,
    strikes_that_hit=4,
    users_served_by_new=120,
    first_tries=FirstTries(actions=14_000, clean=13_902, saved=98, most_tries=2),
    last=60 * S,
)
FINDING = Finding(promise=STATE_KEPT, anomaly="lost write", user="user-049", at=11 * S, why="the cart is empty")
FACTS = RunFacts(
    began=0, seconds=61.2, replacements=9, kills=4, zones_lost=1, report="runs/7/report.html", repeat="lab repeat 7"
)


def result_of(judgement: Judgement, promise: str) -> PromiseResult:
    return next(one for one in judgement.promises if one.promise == promise)


def test_a_good_run_is_held() -> None:
    """Everything was checked and nothing is broken."""
    judgement = judge(GOOD, Enough(operations=2000, checks=2000, strikes_that_hit=4, users_served_by_new=60))
    assert (judgement.verdict, judgement.exit_code) == (Verdict.HELD, ExitCode.HELD)
    assert not judgement.reasons
    assert [one.promise for one in judgement.promises] == list(ALWAYS_ASKED)
    assert result_of(judgement, STATE_KEPT).title == PROMISES[STATE_KEPT].title


@pytest.mark.parametrize(
    ("changed", "exit_code"),
    [
        ({"operations": 0}, ExitCode.COULD_NOT_TELL),
        ({"torn": 1}, ExitCode.COULD_NOT_TELL),
        ({"crashed": "KeyError: 7"}, ExitCode.COULD_NOT_TELL),
        ({"troubles": ("the driver lagged",)}, ExitCode.COULD_NOT_TELL),
        ({"unjudged": 1}, ExitCode.COULD_NOT_TELL),
        ({"first_tries": FirstTries(actions=14_000, dropped=1)}, ExitCode.COULD_NOT_TELL),
        ({"undecided": 1}, ExitCode.TOO_LITTLE_CHECKED),
        ({"operations": 99}, ExitCode.TOO_LITTLE_CHECKED),
        ({"strikes_that_hit": 3}, ExitCode.TOO_LITTLE_CHECKED),
        ({"users_served_by_new": 59}, ExitCode.TOO_LITTLE_CHECKED),
        ({"checks": {}}, ExitCode.TOO_LITTLE_CHECKED),
        *(({"checks": {**dict.fromkeys(PROMISES, 1500), one: 0}}, ExitCode.TOO_LITTLE_CHECKED) for one in ALWAYS_ASKED),
    ],
)
def test_a_vacuous_or_unwell_run_is_never_held(changed: dict[str, object], exit_code: ExitCode) -> None:
    """Whatever is missing is said, and nothing is green for it."""
    enough = Enough(operations=100, checks=100, strikes_that_hit=4, users_served_by_new=60)
    judgement = judge(replace(GOOD, **changed), enough)
    assert judgement.verdict is Verdict.COULD_NOT_TELL
    assert judgement.exit_code is exit_code
    assert judgement.reasons
    assert closing_lines(judgement, FACTS)[0].startswith("COULD NOT TELL   ")
    broken = judge(replace(GOOD, **changed, findings=(FINDING,)), enough)
    assert broken.exit_code is ExitCode.BROKEN, "a certain violation wins over whatever is missing"


def test_thousands_of_sessions_are_no_comparison_of_state() -> None:
    """One state compared is one, however many requests were logged in and answered to their owner."""
    evidence = replace(GOOD, checks={"state_kept": 1, "logged_in": 4999, "own_data": 4999, "tries": 5000})
    judgement = judge(evidence, Enough(), OWN_APP_ASKED)
    assert judgement.exit_code is ExitCode.TOO_LITTLE_CHECKED
    assert judgement.reasons == ("1 comparisons of state, at least 1000 are needed",)


def test_nothing_at_all_is_not_held() -> None:
    """An oracle and a service that saw nothing can't tell."""
    oracle = Oracle()
    oracle.finish()
    judgement = judge(gather(oracle, Service().report()))
    assert judgement.exit_code is ExitCode.COULD_NOT_TELL
    assert all(one.verdict is Verdict.COULD_NOT_TELL for one in judgement.promises)


def test_reads_of_nothing_are_too_little() -> None:
    """Users who only browse leave every promise about their state unchecked."""
    oracle, service = Oracle(), Service()
    for number in range(100):
        seen = op(Kind.BROWSE, number, number)
        oracle.feed(seen)
        service.feed(seen)
    oracle.finish()
    assert judge(gather(oracle, service.report())).exit_code is ExitCode.TOO_LITTLE_CHECKED


def test_what_a_torn_record_shows_at_its_end_is_not_certain() -> None:
    """The operation that explains it may be what was torn off; what is older than any operation lasts is certain."""
    old = replace(GOOD, torn=1, findings=(FINDING,), users_hurt=1)
    assert judge(old).exit_code is ExitCode.BROKEN
    fresh = replace(FINDING, at=GOOD.last - int(LONGEST_OPERATION * S) + 1)
    assert judge(replace(old, findings=(fresh,))).exit_code is ExitCode.COULD_NOT_TELL


def test_a_promise_that_was_not_asked_for_breaks_nothing() -> None:
    """The scenario says what is asserted."""
    cut = Finding(promise=CLEAN_STOPS, anomaly="cut by a planned stop", user="u", at=S, why="cut")
    evidence = replace(GOOD, findings=(cut,), broken={CLEAN_STOPS: 1})
    assert judge(evidence).exit_code is ExitCode.HELD
    assert judge(evidence, asked=(*ALWAYS_ASKED, CLEAN_STOPS)).exit_code is ExitCode.BROKEN


def test_a_rollback_without_harm_has_its_own_exit() -> None:
    """The upgrade was judged bad and the users kept everything: exit 3, and nobody need have met the new release."""
    evidence = replace(GOOD, rolled_back=True, users_served_by_new=0)
    assert judge(evidence, Enough(users_served_by_new=60)).exit_code is ExitCode.ROLLED_BACK
    assert judge(replace(evidence, findings=(FINDING,))).exit_code is ExitCode.BROKEN


def test_a_real_history_gives_real_counts() -> None:
    """Oracle, service and verdict together: a valid history is held, with all its comparisons counted."""
    oracle, service = Oracle(), Service()
    for one in simulate(3, Weather(users=12, operations=80, cut=0, storm=0, unsent=0)):
        oracle.feed(one)
        service.feed(one)
    oracle.finish()
    judgement = judge(
        gather(oracle, service.report(), new_release="v1"), Enough(operations=900, checks=900, users_served_by_new=12)
    )
    assert judgement.exit_code is ExitCode.HELD, judgement.reasons
    assert all(one.count for one in judgement.promises)
    assert judgement.evidence.first_tries.clean == judgement.evidence.operations


def test_closing_lines_of_a_held_run() -> None:
    """Three lines with the real numbers."""
    checks = {**GOOD.checks, "state_kept": 12_339, "name_register": 1500, "orders_once": 871}
    lines = closing_lines(judge(replace(GOOD, checks=checks)), FACTS)
    assert lines == (
        "HELD   120 of 120 users kept their state through 9 replacements, 4 kills and 1 lost zone",
        "       12 339 reads compared, 871 orders counted once, 98 actions needed a retry (max 2 tries),"
        " 0 failed of 14 000 (under 0.00021 at 95 %)",
        "       report  runs/7/report.html     repeat  lab repeat 7     61.2 s",
    )


@pytest.mark.parametrize(
    ("kills", "others", "told"),
    [(1, 0, "1 kill"), (0, 2, "2 strikes"), (2, 1, "2 kills and 1 other strike")],
)
def test_only_a_kill_is_called_a_kill(kills: int, others: int, told: str) -> None:
    """Whoever was frozen or cut off was struck otherwise."""
    facts = replace(FACTS, replacements=0, kills=kills, other_strikes=others, zones_lost=0)
    assert closing_lines(judge(GOOD), facts)[0].endswith(f"kept their state through {told}")


def test_closing_lines_of_a_broken_run() -> None:
    """The promise, how many and when; then the first story; then the likely cause and what to do."""
    findings = (
        replace(FINDING, user="user-050", at=12 * S),
        replace(FINDING, cause="answered by a2-1 (v1)"),
    )
    judgement = judge(replace(GOOD, findings=findings, users_hurt=2))
    judgement = replace(judgement, likely="sessions live in the instance's memory")
    assert closing_lines(judgement, FACTS) == (
        "BROKEN state_kept: 2 of 120 users lost state (first at 11.0 s)",
        "       user-049: the cart is empty; answered by a2-1 (v1)",
        "       likely: sessions live in the instance's memory      "
        "report  runs/7/report.html     repeat  lab repeat 7",
    )


def test_closing_lines_of_a_broken_service() -> None:
    """A promise of the service counts what it is about, not users."""
    below = Finding(promise=SERVING_FLOOR, anomaly="too few serving", user="", at=3 * S, why="4 served where 5 must")
    tries = Finding(promise=TRIES, anomaly="not answered", user="u", at=4 * S, why="cart was not answered")
    evidence = replace(GOOD, findings=(below, tries), broken={SERVING_FLOOR: 7, TRIES: 1})
    lines = closing_lines(judge(evidence, asked=(SERVING_FLOOR, TRIES)), FACTS)
    assert lines[0] == (
        "BROKEN serving_floor: Enough replicas serve at all times: not so 7 times in 1 500 (first at 3.0 s); also tries"
    )
    assert lines[1] == "       4 served where 5 must"


def test_what_broke_for_nobody_in_particular_hurt_no_user() -> None:
    """A promise about the run as a whole is told as that."""
    stuck = Finding(promise=ROLLOUTS_END, anomaly="rollout not ended", user="", at=3 * S, why="it never ended")
    evidence = replace(GOOD, findings=(stuck,), checks={**GOOD.checks, ROLLOUTS_END: 3}, broken={ROLLOUTS_END: 1})
    lines = closing_lines(judge(evidence, asked=(ROLLOUTS_END,)), FACTS)
    assert lines[0] == "BROKEN rollouts_end: A rollout ends, no slot moved twice: not so (first at 3.0 s)"


@pytest.mark.parametrize(("lost", "said"), [((), "; state was kept"), ((FINDING,), "")])
def test_whatever_else_is_broken_it_is_said_that_state_was_kept(lost: tuple[Finding, ...], said: str) -> None:
    """It is what most people ask first; and not said where it was not."""
    stuck = Finding(promise=ROLLOUTS_END, anomaly="rollout not ended", user="", at=3 * S, why="it never ended")
    broken = {ROLLOUTS_END: 1} | ({STATE_KEPT: 1} if lost else {})
    evidence = replace(GOOD, findings=(stuck, *lost), broken=broken)
    [head, *_] = closing_lines(judge(evidence, asked=(ROLLOUTS_END, STATE_KEPT)), FACTS)
    assert ("; state was kept" in head) == bool(said)


def test_closing_lines_are_lines() -> None:
    """A trouble of several lines stays on one, and a long list is cut."""
    troubles = ("engine: no answer\n  try: docker info", "b", "c", "d", "e")
    lines = closing_lines(judge(replace(GOOD, troubles=troubles)), FACTS)
    assert lines[0] == "COULD NOT TELL   engine: no answer try: docker info; b; c (and 2 more reasons)"
    assert not any("\n" in line for line in lines)
    lines = closing_lines(judge(replace(GOOD, troubles=troubles[:-1])), FACTS)
    assert lines[0].endswith("; c (and 1 more reason)")


def test_a_replica_that_enters_again_replaces_nobody() -> None:
    """Its gate had let go of the slot for a moment, while its app did not listen."""
    steps = [
        Step(at=at, action="enter", slot="a1", replica=replica, release="v2", why=why)
        for at, (replica, why) in enumerate([("a1-1", "first"), ("a1-2", "upgrade"), ("a1-2", "upgrade"), ("a1-1", "")])
    ]
    entered = set[str]()
    assert [takes_a_place(one, entered) for one in steps] == [False, True, False, False]


def test_what_was_found_near_the_loss_of_a_worker_is_not_certain() -> None:
    """Its users' last operations are in no record; what was found long before stays broken, and nothing is green."""
    lost = WorkerEnded(at=59 * S, worker=2, operations=5, uncertainty=0, lost="gone", heard_until=58 * S)
    judgement = judge(replace(GOOD, lost_workers=(lost,)))
    assert judgement.exit_code is ExitCode.COULD_NOT_TELL
    assert judgement.reasons == ("worker 2 of the users is lost: gone",)
    fresh = replace(FINDING, at=lost.heard_until - int(LONGEST_OPERATION * S) + 1)
    early = replace(FINDING, at=lost.heard_until - int(LONGEST_OPERATION * S))
    spoilt = replace(GOOD, lost_workers=(lost,), users_hurt=1)
    assert judge(replace(spoilt, findings=(fresh,))).exit_code is ExitCode.COULD_NOT_TELL
    assert judge(replace(spoilt, findings=(early,))).exit_code is ExitCode.BROKEN
