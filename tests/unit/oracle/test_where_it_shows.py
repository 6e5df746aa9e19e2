"""What findings have in common is said only where that would be a rare accident, by all that went well."""

from __future__ import annotations

from collections.abc import Iterator

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome, Try
from lab.oracle import blame
from lab.oracle.promises import (
    ANSWERS_IN_TIME,
    APPLIED_ONCE,
    CLEAN_STOPS,
    DEVICES_AGREE,
    NAME_REGISTER,
    OWN_DATA,
    SERVING_FLOOR,
    STATE_KEPT,
    TRIES,
    Anomaly,
)
from lab.oracle.went_well import what_went_well
from lab.record import AnyEvent, RolloutMoved, Step
from tests.unit.oracle.making import op

ROLLED: tuple[AnyEvent, ...] = (
    *(Step(at=0, action="enter", slot=f"{slot}1", replica=f"{slot}1-1", release="v1") for slot in "abc"),
    RolloutMoved(at=10 * NS, rollout="r", to="v2", before="v1", phase="move"),
    *(
        Step(at=(10 + 4 * number) * NS, action="enter", slot=f"{slot}1", replica=f"{slot}1-2", release="v2")
        for number, slot in enumerate("abc")
    ),
)
"""v2 comes at 10, 14 and 18 to the slots of v1."""


def serving(when: float) -> list[tuple[str, str]]:
    """Replica and release of each slot then."""
    return [
        (f"{slot}1-2", "v2") if when >= 10 + 4 * number else (f"{slot}1-1", "v1") for number, slot in enumerate("abc")
    ]


def one(kind: Kind, when: float, by: tuple[str, str], key: str = "", *, user: str = "u", **more: object) -> Operation:
    """One operation of a millisecond."""
    begin = int(when * NS)
    return op(kind, begin, begin + NS // 1000, key or None, user=user, replica=by[0], release=by[1], **more)  # type: ignore[arg-type]


def shopping(users: int = 4, until: int = 30) -> Iterator[Operation]:
    """Everybody does a bit of everything at every slot, and it is well."""
    for second in range(until):
        for user in range(users):
            for number, by in enumerate(serving(second)):
                when, name = second + user / 10 + number / 100, f"o{user}"
                yield one(Kind.RENAME, when, by, f"{name}.1.{second}{number}", user=name)
                yield one(Kind.ACCOUNT, when + 0.001, by, user=name, answer="x")
                yield one(Kind.ADD, when + 0.002, by, f"{name}.2.{second}{number}", user=name, argument=1)


def likely(findings: list[Finding], history: list[Operation] | None = None) -> str:
    history = sorted([*(shopping() if history is None else history)], key=lambda each: each.end)
    witnesses = {each.id for each in history}
    history += [each for finding in findings for each in finding.witness if each.id not in witnesses]
    history.sort(key=lambda each: each.end)
    return blame(findings, ROLLED, None, {}, what_went_well(history, ROLLED, findings))[1]


def lost_name(when: float, maker: tuple[str, str], reader: tuple[str, str]) -> Finding:
    """A name that was set and is not shown a bit later."""
    user = f"u{when}"
    name = one(Kind.RENAME, when, maker, f"{user}.1.1", user=user, argument="n")
    read = one(Kind.ACCOUNT, when + 0.3, reader, user=user)
    return finding(NAME_REGISTER, Anomaly.LOST_WRITE, name, read)


def finding(promise: str, anomaly: Anomaly, *witness: Operation, why: str = "") -> Finding:
    last = witness[-1]
    return Finding(promise=promise, anomaly=anomaly, user=last.user, at=last.end, why=why, witness=witness)


MIXED = [10.5 + number / 4 for number in range(12)]
"""Times at which one of three replicas is v2."""
A2, B1, C1 = ("a1-2", "v2"), ("b1-1", "v1"), ("c1-1", "v1")


def test_what_one_release_did_shows_whoever_is_asked() -> None:
    """It is named by what it did; one that shows what others did, too, is not."""
    done = [lost_name(when, A2, (B1, C1, A2)[number % 3]) for number, when in enumerate(MIXED)]
    assert "what a1-2 alone was told" not in likely(done), "no other replica of its release serves yet"
    assert "it comes with v2: rename goes wrong there alone" in likely(done)
    both = [lost_name(when, (B1, A2)[number % 2], (C1, A2)[number % 2]) for number, when in enumerate(MIXED)]
    assert "alone" not in likely(both)


def test_what_one_release_shows_is_named_only_while_the_other_serves_beside_it() -> None:
    """After the rollout all is shown by the new one, whoever did it."""
    shown = [lost_name(when, (B1, C1, A2)[number % 3], A2) for number, when in enumerate(MIXED)]
    assert "it comes with v2: nothing of it shows where the other release answers" in likely(shown)
    late = [lost_name(25 + number / 9, serving(25)[number % 3], serving(25)[1 - number % 2]) for number in range(4)]
    assert likely(late) == ""


def test_it_began_with_a_release_only_where_it_would_have_shown_before() -> None:
    """Many that came after it are no accident; few may be."""
    many = [lost_name(19 + number / 10, (B1, A2)[number % 2], (B1, A2)[number % 2]) for number in range(40)]
    assert likely(many) == "it began with v2: there was nothing of it before its first replica"
    before = lost_name(5, B1, C1)
    assert likely([before, *many]) == ""
    assert likely(many[:3]) == ""


def test_one_replica_that_keeps_nothing_it_is_told() -> None:
    """Whoever is asked misses it, and what others of its release were told is there."""
    late = [21 + number / 4 for number in range(12)]
    own = [lost_name(when, A2, serving(25)[number % 3]) for number, when in enumerate(late)]
    assert likely(own).startswith("what a1-2 alone was told is not kept")
    others = [lost_name(when, serving(25)[number % 3], serving(25)[number % 2]) for number, when in enumerate(late)]
    assert "alone was told" not in likely(others)


def entry(when: float, reader: tuple[str, str], *, shown: bool, is_page: bool = False) -> Operation:
    answer = {"v.1.1": 1} if shown else {}
    read = one(Kind.CART, when, reader, user="v", answer=answer)
    return (
        read if not is_page else Operation(**{**{f: getattr(read, f) for f in read.__struct_fields__}, "is_page": True})
    )


def gone_at_times(*, is_page: bool) -> list[Finding]:
    """Something that is there before and after, at the same replica, and is missed in between."""
    found = []
    for when in MIXED:
        added = one(Kind.ADD, 8, C1, "v.1.1", user="v", argument=1)
        before, after = entry(when - 0.1, A2, shown=True), entry(when + 0.1, A2, shown=True)
        missed = entry(when, A2, shown=False, is_page=is_page)
        found.append(finding(STATE_KEPT, Anomaly.STALE_READ, added, before, missed, after))
    return found


def test_a_copy_never_gets_older() -> None:
    """What a replica had shown itself it misses for another reason than that its copy is old."""
    cause = likely(gone_at_times(is_page=False))
    assert "old copies" not in cause
    assert "it comes with v2: nothing of it shows" in cause


def test_pages_alone() -> None:
    """Nobody whom a program asks misses it."""
    reads = [entry(number / 10, B1, shown=True) for number in range(90, 300)]
    pages = [entry(number / 10 + 0.01, B1, shown=True, is_page=True) for number in range(90, 120)]
    assert likely(gone_at_times(is_page=True), [*shopping(), *reads, *pages]).startswith("pages alone show it")
    assert "pages" not in likely(gone_at_times(is_page=False), [*shopping(), *reads, *pages])


def leaked(*, owner_sees_it: bool) -> tuple[list[Finding], list[Operation]]:
    """Things of one user that another is shown, by whoever is asked, and whether their owner is shown them too."""
    found, history = [], list(shopping())
    for number, when in enumerate(MIXED):
        key = f"w{number}.1.1"
        history.append(one(Kind.ADD, when, A2, key, user=f"w{number}", argument=1))
        if owner_sees_it:
            history.append(one(Kind.CART, when + 0.1, B1, user=f"w{number}", answer={key: 1}))
        read = one(Kind.CART, when + 0.2, (A2, B1)[number % 2], user="x", answer={key: 1})
        found.append(finding(OWN_DATA, Anomaly.LEAK, read, why=f"{key} belongs to w{number}, and is shown to x"))
    return found, history


def test_what_was_put_with_somebody_else_was_put_there_wrongly() -> None:
    """But not where its owner has it, too."""
    assert "add goes wrong there alone" in likely(*leaked(owner_sees_it=False))
    assert "add goes wrong" not in likely(*leaked(owner_sees_it=True))


def test_devices_that_differ_hide_no_cause() -> None:
    """They follow from what the others were shown, and are of another sort."""
    by = (("a1-2", "v2"), ("b1-2", "v2"), ("c1-2", "v2"))
    reads = [one(Kind.ACCOUNT, 20 + number, by[number % 3], user=f"x{number}") for number in range(8)]
    leaks = [finding(OWN_DATA, Anomaly.LEAK, read) for read in reads]
    differing = [finding(DEVICES_AGREE, Anomaly.DEVICES_DIFFER, read) for read in reads[:3]]
    assert likely(leaks) == "it comes with v2: nothing of it shows where the other release answers"
    assert likely([*leaks, *differing]) == likely(leaks)


def failed(when: float, by: tuple[str, str], result: str = "500") -> Finding:
    act = one(Kind.RENAME, when, by, f"f{when}.1.1", user=f"f{when}", outcome=Outcome.UNKNOWN, result=result)
    return finding(TRIES, Anomaly.NOT_ANSWERED, act)


def test_an_old_release_that_does_not_read_the_new_one_s() -> None:
    """It began with that one, which answers well itself."""
    assert likely([failed(when, (B1, C1)[number % 2]) for number, when in enumerate(MIXED)]) == (
        "v1 answers with 500 since v2 is there: it does not read what that writes (formats, schema)"
    )
    assert "since v2" not in likely([failed(5, B1), *(failed(when, B1) for when in MIXED)])


def edge(when: float, slot: str) -> Finding:
    """Nobody is known to have answered but by the slot that was asked."""
    begin = int(when * NS)
    tries = (Try(begin=begin, end=begin + NS // 1000, result="504", sent=True, edge=(slot,)),)
    act = op(Kind.RENAME, begin, begin + NS // 1000, "k", outcome=Outcome.UNKNOWN, tries=tries, user=f"e{when}")
    return finding(TRIES, Anomaly.NOT_ANSWERED, act)


def test_who_was_asked_is_known_by_the_slot() -> None:
    """Where no answer names a replica. Only who had not answered before is called too early."""
    asked = [edge(when, "a1") for when in MIXED]
    assert likely(asked) == "it comes with v2: it answers with 504"
    before = [each for each in shopping() if each.final.replica != "a1-2" or each.begin > MIXED[-1] * NS]
    assert "too early" in likely(asked, before)
    assert likely([edge(when, ("a1", "b1")[number % 2]) for number, when in enumerate(MIXED)]) == ""


def test_what_fails_only_while_somebody_leaves_beside_it() -> None:
    """Is cut off by that one, though the slot has a new replica by then, which would fail later, too."""
    asked = [edge(when, "a1") for when in MIXED[:4]]
    cut = [finding(CLEAN_STOPS, Anomaly.CUT_BY_STOP, *one.witness) for one in asked]
    before = [each for each in shopping() if each.final.replica != "a1-2" or each.begin > MIXED[-1] * NS]
    assert likely([*asked, *cut], before).startswith("replicas leave before they have answered")
    assert "too early" in likely([*asked, *cut[:2]], before)


def test_a_release_that_is_slow() -> None:
    """By what its answers take; a bit longer is nothing."""
    slow = Finding(promise=ANSWERS_IN_TIME, anomaly=Anomaly.SLOW_ANSWERS, user="", at=30 * NS, why="slow")

    def answers(seconds: float) -> list[Operation]:
        times = [(when / 10, by) for when in range(300) for by in serving(when / 10)]
        ends = [0.01 if by[1] == "v1" else seconds for _, by in times]
        return [
            op(Kind.CART, int(at * NS), int((at + took) * NS), replica=by[0], release=by[1])
            for (at, by), took in zip(times, ends, strict=True)
        ]

    assert likely([slow], answers(0.5)) == "it comes with v2: its answers take 0.50 s in the mean, others 0.01 s"
    assert likely([slow], answers(0.02)) == ""


def test_who_is_ready_and_answers_nobody() -> None:
    """Says so; too few that serve have many causes."""
    mute = Finding(promise=SERVING_FLOOR, anomaly=Anomaly.MUTE, user="", at=20 * NS, why="c1")
    few = Finding(promise=SERVING_FLOOR, anomaly=Anomaly.BELOW_FLOOR, user="", at=20 * NS, why="2 of 3")
    assert "answer nobody" in likely([mute])
    assert likely([few, mute]) == ""


def again(when: float, *replicas: tuple[str, str]) -> Finding:
    begin = int(when * NS)
    tries = tuple(
        Try(begin=begin + n, end=begin + n, result="200", sent=True, replica=name, release=release)
        for n, (name, release) in enumerate(replicas)
    )
    act = op(Kind.ADD, begin, begin + 9, f"r{when}.1.1", argument=1, tries=tries, user=f"r{when}")
    return finding(APPLIED_ONCE, Anomaly.DONE_AGAIN, act)


def test_keys_that_one_replica_knows() -> None:
    """What was repeated at the same one was not done again, though as much was."""
    occasions = {"sent_again": 90, "sent_again_elsewhere": 60}
    elsewhere = [again(when, A2, B1) for when in MIXED]
    assert "each has keys of its own" in blame(elsewhere, ROLLED, None, occasions)[1]
    anywhere = [again(when, A2, (A2, B1)[number % 2]) for number, when in enumerate(MIXED)]
    assert "writes have no idempotency key" in blame(anywhere, ROLLED, None, occasions)[1]
