"""The parts of a divided crowd: shares of accounts, streams, clocks, the merge, and what is left uncertain."""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from lab.clock import NS
from lab.errors import LabFault, UsageError
from lab.model import Kind, Operation, Role
from lab.oracle.workers import certain_until, lost_workers, uncertainty, widened
from lab.record import AnyEvent, Strike, StrikeProved, StrikeSource, StrikeUndone, WorkerBegan, WorkerEnded
from lab.users.accounts import CrowdSize, plan_accounts
from lab.workers.clocks import DRIFT, WINDOW, ClockOffset
from lab.workers.merge import CrowdMerge
from lab.workers.messages import (
    LONGEST,
    CrowdLook,
    Done,
    Frames,
    Pong,
    WorkerOver,
    from_worker,
    packed,
    packed_operations,
)
from tests.unit.oracle.making import op

DRIFTED = int(DRIFT * WINDOW)
MS = 1_000_000


@pytest.mark.parametrize(("users", "parts"), [(1, 1), (7, 3), (60, 3), (100, 7)])
def test_every_account_is_in_one_part_with_all_its_devices(users: int, parts: int) -> None:
    """Together they are the accounts of one crowd, with the same passwords; no part has two more than another."""
    whole = plan_accounts(CrowdSize(users=users), Random(1))
    shares = [plan_accounts(CrowdSize(users=users, part=one, parts=parts), Random(1)) for one in range(parts)]
    assert {seed for seed, _ in shares} == {whole[0]}
    together = [(user.name, user.password, devices) for _, share in shares for user, devices in share]
    assert together == [(user.name, user.password, devices) for user, devices in whole[1]]
    sizes = [len(share) for _, share in shares]
    assert max(sizes) - min(sizes) <= 1
    doubled = [sum(devices - 1 for _, devices in share) for _, share in shares]
    assert max(doubled) - min(doubled) <= 1


def test_there_is_no_part_beyond_the_last() -> None:
    """More workers than users are refused, too: one would have nobody."""
    for size in (CrowdSize(users=5, part=3, parts=3), CrowdSize(users=2, part=2, parts=3)):
        with pytest.raises(UsageError, match="no part"):
            plan_accounts(size, Random(1))


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_is_cut_into_frames_wherever_it_is_torn(seed: int) -> None:
    """Whatever pieces it comes in; nothing is left over."""
    chance, said = Random(seed), [Done(number=1, text="x" * 700), CrowdLook(now=5), Pong(number=2, now=7)]
    done = [op(Kind.VIEW, 1, 2, "k1"), op(Kind.HISTORY, 3, 4)]
    stream = b"".join(packed(one) for one in said) + packed_operations(done) + packed(WorkerOver(operations=2))
    frames, heard = Frames(), []
    while stream:
        cut = chance.randint(1, 40)
        heard += [from_worker(*one) for one in frames.take(stream[:cut])]
        stream = stream[cut:]
    assert heard == [*said, done, WorkerOver(operations=2)]
    assert frames.is_between


@pytest.mark.parametrize("torn", [b"z\0\0\0\1x", b"m" + (LONGEST + 1).to_bytes(4, "big")])
def test_what_is_no_frame_is_said_to_be_none(torn: bytes) -> None:
    """A stream that went wrong is never read on."""
    with pytest.raises(LabFault, match="torn"):
        list(Frames().take(torn))


@pytest.mark.parametrize("content", [b"{}", b"{", b'{"kind":"nothing"}', b"\xff"])
def test_a_frame_of_another_shape_can_not_be_read(content: bytes) -> None:
    """Neither as a message nor as operations."""
    for sort in (b"m", b"o"):
        with pytest.raises(LabFault, match="can't be read"):
            from_worker(sort, content)


def test_clocks_that_may_be_one_are_taken_for_one() -> None:
    """How little is known of that is the uncertainty."""
    clocks = ClockOffset()
    clocks.note(100 * MS, 103 * MS, 110 * MS)
    clocks.note(200 * MS, 201 * MS, 204 * MS)
    clocks.fix()
    assert clocks.offset == 0
    assert clocks.uncertainty == 3 * MS + DRIFTED


def test_the_quickest_answer_says_how_far_a_clock_is_off() -> None:
    """By half the time that it took."""
    clocks = ClockOffset()
    clocks.note(0, -5000 * MS, 900 * MS)
    clocks.note(1000 * MS, -3999 * MS, 1002 * MS)
    clocks.fix()
    assert clocks.offset == 5000 * MS
    assert clocks.uncertainty == 1 * MS + DRIFTED


def test_a_clock_that_runs_away_grows_uncertain() -> None:
    """The offset stays, so that order stays; one late answer among quick ones says nothing."""
    clocks = ClockOffset()
    clocks.note(0, 0, MS)
    clocks.fix()
    for second in range(1, 40):
        gone = second * NS // 100  # one second of a hundred
        clocks.note(second * NS, second * NS + gone, second * NS + MS)
        clocks.note(second * NS, second * NS + gone, second * NS + 700 * MS)
    assert clocks.offset == 0
    assert 200 * MS < clocks.uncertainty < 320 * MS
    steady = ClockOffset()
    steady.note(0, 0, MS)
    steady.fix()
    for second in range(1, 40):
        steady.note(second * NS, second * NS, second * NS + (MS if second % 5 else 700 * MS))
    assert steady.uncertainty < 2 * MS + DRIFTED


def merged(workers: int) -> tuple[CrowdMerge, list[Operation]]:
    told: list[Operation] = []
    return CrowdMerge(workers, told.append), told


def test_operations_are_told_in_the_order_of_their_ends() -> None:
    """Each once all workers have sent what ended before; numbered anew, without a gap."""
    merge, told = merged(2)
    merge.take([op(Kind.VIEW, 1, 10, "a", user="a"), op(Kind.VIEW, 11, 30, "b", user="a")], 0)
    merge.passed(0, 30)
    assert told == []
    merge.take([op(Kind.VIEW, 2, 20, "c", user="b")], 0)
    merge.passed(1, 25)
    assert [(one.id, one.key) for one in told] == [(0, "a"), (1, "c")]
    merge.passed(1, None)
    assert [(one.id, one.key) for one in told] == [(0, "a"), (1, "c"), (2, "b")]


def test_what_ended_at_once_stays_in_the_order_in_which_it_came() -> None:
    """Else a user's own operations could change places."""
    merge, told = merged(1)
    merge.take([op(Kind.VIEW, 1, 10, str(number)) for number in range(20)], 0)
    merge.passed(0, None)
    assert [one.key for one in told] == [str(number) for number in range(20)]


def test_times_are_moved_to_the_conductors_clock() -> None:
    """All of an operation's."""
    merge, told = merged(1)
    before = replace(op(Kind.VIEW, 5, 10, "a"), due=4)
    merge.take([replace(before, tries=tuple(replace(one) for one in before.tries))], 1000)
    merge.passed(0, None)
    one = told[0]
    assert (one.due, one.begin, one.end) == (1004, 1005, 1010)
    assert [(made.begin, made.end) for made in one.tries] == [(1005, 1010)]


def strike(at: int) -> Strike:
    return Strike(
        at=at,
        strike=1,
        fault="SIGKILL",
        victim="a1-1",
        container="x",
        slot="a1",
        zone="a",
        release="v1",
        serving=3,
        role=Role.APP,
        fault_kind="kill",
        source=StrikeSource.STEP,
    )


def test_a_strike_lasts_as_long_as_it_may_have_lasted_by_any_clock() -> None:
    """Without workers nothing is moved."""
    events: list[AnyEvent] = [
        strike(100),
        StrikeProved(at=200, strike=1, hit=True),
        StrikeUndone(at=300, strike=1, fault="", victim=""),
    ]
    assert widened(events) == events
    began = WorkerBegan(at=1, worker=1, where="here", users=1, devices=1, offset=0, uncertainty=20)
    ended = WorkerEnded(at=900, worker=1, operations=1, uncertainty=30)
    moved = widened([began, *events, ended])
    assert uncertainty([began, ended]) == 30
    assert [one.at for one in moved] == [1, 70, 230, 330, 900]


def test_only_what_was_found_long_before_a_worker_was_lost_is_certain() -> None:
    """What it did not tell may explain what others of its users saw."""
    lost = WorkerEnded(at=99 * NS, worker=2, operations=1, uncertainty=0, lost="gone", heard_until=90 * NS)
    well = WorkerEnded(at=99 * NS, worker=1, operations=1, uncertainty=0, heard_until=50 * NS)
    assert lost_workers([well, lost]) == (lost,)
    assert certain_until((lost,)) == 60 * NS
