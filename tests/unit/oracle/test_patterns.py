"""The engine's own words explain first; a pattern only where most findings share it and nothing contradicts it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome, Try
from lab.oracle import blame
from lab.oracle.promises import APPLIED_ONCE, CLEAN_STOPS, LOGGED_IN, STATE_KEPT, TRIES, Anomaly
from lab.record import AnyEvent, ContainerEvent, Step, Strike
from tests.unit.oracle.making import op

ENTERED = tuple(
    Step(at=NS, action="enter", slot=slot, replica=f"{slot}-{number}", release=release)
    for slot, number, release in (("a1", 1, "v1"), ("b1", 1, "v1"), ("c1", 1, "v1"), ("a1", 7, "v2"), ("b1", 8, "v2"))
)


def likely(findings: list[Finding], *events: AnyEvent) -> str:
    return blame(findings, [*ENTERED, *events])[1]


def finding(promise: str, anomaly: str, *witness: Operation) -> Finding:
    return Finding(promise=promise, anomaly=anomaly, user="u", at=witness[-1].end, why="", witness=witness)


def unanswered(at: float, result: str = "503", *, replica: str | None = "a1-7", release: str | None = "v2") -> Finding:
    one = op(
        Kind.ADD,
        int(at * NS),
        int(at * NS) + 9,
        outcome=Outcome.UNKNOWN,
        result=result,
        replica=replica,
        release=release,
    )
    return finding(TRIES, Anomaly.NOT_ANSWERED, one)


def refused_session(maker: str, reader: str, release: str = "v1") -> Finding:
    login = op(Kind.LOGIN, 2 * NS, 3 * NS, session="s", replica=maker, release=release)
    away = op(
        Kind.CART, 9 * NS, 10 * NS, session="s", outcome=Outcome.REFUSED, result="401", replica=reader, release=release
    )
    return finding(LOGGED_IN, Anomaly.FORCED_LOGOUT, login, away)


def late(user: int, *, stale: bool = True, shown: bool = False, reader: str = "a1-1", after: float = 0.5) -> Finding:
    """Something that a read misses; `stale`: a later one shows it; `shown`: an earlier one had."""
    written = op(Kind.VIEW, 5 * NS, 6 * NS, f"u{user}.1.1", replica="a1-1", release="v1")
    whole = [1, [f"u{user}.1.1"]]
    seen = [op(Kind.HISTORY, int(6.1 * NS), int(6.2 * NS), replica="b1-1", release="v1", answer=whole)] if shown else []
    at = 6 + after
    missed = op(Kind.HISTORY, int(at * NS), int(at * NS) + 5, replica=reader, release="v1", answer=[0, []])
    again = op(Kind.HISTORY, int(at * NS) + NS, int(at * NS) + NS + 5, replica=reader, release="v1", answer=whole)
    proof = (written, *seen, missed, *((again,) if stale else ()))
    return finding(STATE_KEPT, Anomaly.STALE_READ if stale else Anomaly.LOST_WRITE, *proof)


def container(action: str, at: float, name: str, code: int | None = None) -> ContainerEvent:
    return ContainerEvent(at=int(at * NS), action=action, container=name, name=name, role="app", exit_code=code)


MANY = [unanswered(10 + number) for number in range(5)]


def test_out_of_memory_is_said_by_the_engine() -> None:
    """However much it looks like being ready too early."""
    ooms = [container("oom", 9 + number, f"a1-{number}") for number in range(3)]
    assert likely(MANY, *ooms).startswith("replicas run out of memory: the engine says so of 3 containers")
    assert "memory" not in likely(MANY, *(replace(one, at=100 * NS) for one in ooms)), "after all of it"


@pytest.mark.parametrize(
    ("events", "is_told"),
    [
        ([container("die", 9, "a1-7", 1), container("die", 11, "a1-9", 1)], True),
        ([container("die", 9, "a1-7", 1)], False),
        ([container("die", 9, "a1-7", 0), container("die", 11, "a1-9", 0)], False),
        (
            [
                Step(at=8 * NS, action="stop", slot="a1", replica="a1-7", release="v2"),
                Step(at=8 * NS, action="drain", slot="a1", replica="a1-9", release="v2"),
                container("die", 9, "a1-7", 137),
                container("die", 11, "a1-9", 143),
            ],
            False,
        ),
        (
            [
                *(
                    Strike(
                        at=8 * NS, strike=1, fault="SIGKILL", victim=name, container=name, slot="a1", zone="a",
                        release="v2", serving=3,
                    )
                    for name in ("a1-7", "a1-9")
                ),
                container("die", 9, "a1-7", 137),
                container("die", 11, "a1-9", 137),
            ],
            False,
        ),
    ],
)  # fmt: skip
def test_a_crash_loop_is_said_by_the_engine(events: list[AnyEvent], *, is_told: bool) -> None:
    """With its exit code; not what the lab itself ended."""
    said = likely(MANY, *events)
    assert (said == "replicas crash: 2 containers ended by themselves with exit 1") == is_told


def test_one_replica_that_stands_alone_is_no_mixed_format() -> None:
    """Whoever had made them, c1-1 refuses them, and others of its release don't."""
    alone = [refused_session(maker, "c1-1") for maker in ("a1-1", "b1-1", "c1-1")]
    assert likely(alone).startswith("c1-1 alone refuses sessions")
    spread = [
        refused_session(maker, reader) for maker, reader in (("a1-1", "c1-1"), ("b1-1", "a1-1"), ("c1-1", "b1-1"))
    ]
    assert "alone" not in likely(spread)
    replaced = [*alone, refused_session("a1-1", "c1-2")]
    again = replace(ENTERED[2], replica="c1-2")
    assert likely(replaced, again).startswith("whatever serves c1 alone refuses sessions")


def test_what_goes_well_elsewhere_all_the_time_is_in_no_memory() -> None:
    """A few refusals beside thousands of requests that other replicas answered."""
    few = [refused_session("a1-1", "b1-1") for _ in range(6)]
    assert blame(few, [], None, {"sessions_elsewhere": 20})[1] == "sessions live in the instance's memory"
    assert blame(few, [], None, {"sessions_elsewhere": 2000})[1] == ""


def test_formats_are_mixed_only_where_sessions_are_taken_within_a_release() -> None:
    """What no other replica ever takes, of whatever release it is, is in the instance's memory."""
    refused = [
        finding(LOGGED_IN, Anomaly.FORCED_LOGOUT, *(one.witness[0], replace(one.witness[1], tries=(by_v2(one),))))
        for one in (refused_session(f"{'abc'[number % 3]}1-1", ("a1-7", "b1-8")[number % 2]) for number in range(6))
    ]
    assert "formats are mixed" in blame(refused, ENTERED, None, {"sessions_elsewhere": 90, "sessions_across": 10})[1]
    memory = blame(refused, ENTERED[:4], None, {"sessions_elsewhere": 0, "sessions_across": 0})[1]
    assert memory == "sessions live in the instance's memory"


def by_v2(one: Finding) -> Try:
    return replace(one.witness[1].tries[0], release="v2")


def test_some_that_show_later_do_not_make_the_lost_late() -> None:
    """Where most of it never shows again, it was lost."""
    assert "too soon" in likely([*(late(user) for user in range(9)), late(9, stale=False)])
    assert "too soon" not in likely([late(user, stale=user < 3) for user in range(9)])


def test_a_new_release_of_which_one_replica_serves_stands_not_alone() -> None:
    """It is first, and everybody comes to it: that others of its release do better is known only once they serve."""
    at = [one.at for one in ENTERED if one.release == "v2"]
    by_first = [refused_session(f"{'abc'[number % 3]}1-1", "a1-7", "v2") for number in range(6)]
    early = tuple(replace(one, at=99 * NS) if one.replica == "b1-8" else one for one in ENTERED)
    assert at
    assert "a1-7 alone" in blame(by_first, ENTERED)[1]
    assert "alone" not in blame(by_first, early)[1]


def test_what_had_been_shown_and_never_is_again_is_no_old_copy() -> None:
    """It was dropped, or lost."""
    assert "old copies" in likely([late(user, shown=True, reader="b1-1") for user in range(6)])
    assert "old copies" not in likely([late(user, shown=True, stale=False, reader="b1-1") for user in range(6)])


def test_acknowledged_too_early_is_told_by_when_reads_miss_it() -> None:
    """At the very replica that wrote it, and shown a little later; what never shows again was lost."""
    assert likely([late(number) for number in range(4)]).startswith("writes are acknowledged before they are done")
    assert "before they are done" not in likely([late(number, stale=False) for number in range(4)])
    assert "before they are done" not in likely([late(number, after=8) for number in range(4)])


def test_a_cache_of_each_replica_is_told_by_what_was_shown_before() -> None:
    """One replica had shown it, and another one did not any more."""
    kept = [late(number, shown=True, reader="c1-1") for number in range(4)]
    assert likely(kept).startswith("replicas show old copies")
    assert "copies" not in likely([late(number, reader="c1-1") for number in range(4)])


def test_what_most_findings_share_explains() -> None:
    """Twenty doubled by repeats are not hidden by one that misses something."""
    add = op(Kind.ADD, 1, 4, "u.1.1", argument=1, tries=(Try(1, 2, "cut"), Try(3, 4, "200", replica="a1-1")))
    doubled = [finding(APPLIED_ONCE, Anomaly.WRONG_QUANTITY, add, op(Kind.CART, 5, 6)) for _ in range(20)]
    assert likely([*doubled, late(1)]).startswith("a repeated request is applied again")


def test_a_release_that_answers_otherwise_is_named_with_its_answers() -> None:
    """As long as another one serves beside it; a few that nobody answered say nothing of whose they are."""
    strayed = [unanswered(10 + number, "303") for number in range(4)]
    assert likely(strayed) == "it comes with v2: it answers with 303"
    mixed = [*strayed, unanswered(20, "303", replica="b1-1", release="v1")]
    assert "comes with" not in likely(mixed)
    assert likely([unanswered(10 + number, "cut", replica=None, release=None) for number in range(4)]) == ""


def test_of_somebody_s_own_app_no_release_is_named_by_its_findings_alone() -> None:
    """What went well there is not known to these patterns; most users are harmed by whichever release came first."""
    strayed = [unanswered(10 + number, "303") for number in range(4)]
    own = [replace(one, witness=(replace(one.witness[0], kind=Kind.ACT),)) for one in strayed]
    assert likely(strayed) == "it comes with v2: it answers with 303"
    assert likely(own) == ""


def test_two_causes_may_fit() -> None:
    """Then both are told: at a replica that had just entered, and that was told to leave."""
    one = op(Kind.ACT, 10 * NS, 11 * NS, outcome=Outcome.UNKNOWN, result="502")
    one = replace(one, tries=(replace(one.tries[0], edge=("a1",)),), is_repeatable=False)
    lost, cut = finding(TRIES, Anomaly.NOT_ANSWERED, one), finding(CLEAN_STOPS, Anomaly.CUT_BY_STOP, one)
    entered = Step(at=8 * NS, action="enter", slot="a1", replica="a1-9", release="v2")
    said = likely([lost, cut], entered)
    assert said.startswith("two causes fit: replicas get users before they can serve them")
    assert "can't be repeated without a key" in said
    left = Step(at=9 * NS, action="drain", slot="a1", replica="a1-9", release="v2")
    assert likely([lost, cut], entered, left).startswith("replicas leave before they have answered")
