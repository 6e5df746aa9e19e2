"""A crowd logs in, shops, settles, reads back and stops, whatever happens."""

from __future__ import annotations

import asyncio
import random
import resource
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from lab.errors import LabFault, RecordError, SetupError, UsageError, WaitTimeout
from lab.model import Kind, Operation, Outcome, TryResult
from lab.retry import wait_until
from lab.users import Crowd, CrowdSize, Door, Journey, Tries
from lab.users import crowd as crowd_module
from lab.users.accounts import plan_accounts

if TYPE_CHECKING:
    from tests.unit.users.conftest import FakeShop

QUICK = Tries(first=0.002, factor=2, timeout=1.0)


class Book:
    """Keeps what a crowd tells, and lets a test wait for so many operations."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._more = threading.Condition()

    def operation(self, operation: Operation) -> None:
        with self._more:
            self.operations.append(operation)
            self._more.notify_all()

    def wait_for(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.operations) >= count, timeout=10)

    def of(self, device: str) -> list[Operation]:
        return [one for one in self.operations if one.device == device]


@pytest.fixture
def book() -> Book:
    return Book()


def crowd_of(
    users: int,
    target: Door,
    book: Book,
    *,
    seed: int = 1,
    think: float = 0.01,
    two_devices: float = 1 / 3,
    policy: Tries = QUICK,
    prefix: str = "user",
) -> Crowd:
    return Crowd(
        [target],
        CrowdSize(users=users, think=think, two_devices=two_devices, prefix=prefix),
        chance=random.Random(seed),
        on_operation=book.operation,
        policy=policy,
    )


def crowd_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "crowd"]


def test_a_whole_life(shop: FakeShop, book: Book) -> None:
    """Everybody logs in, shops, settles and reads back; the record is complete and the counts agree with it."""
    with crowd_of(12, shop.target, book) as crowd:
        crowd.log_in(within=10)
        counts = crowd.counts()
        assert (counts.users, counts.devices, counts.logged_in) == (12, 16, 16)
        assert {one.kind for one in book.operations} == {Kind.LOGIN}
        begun = sorted(book.operations, key=lambda one: one.begin)
        assert [one.device[-2:] for one in begun] == [".1"] * 12 + [".2"] * 4
        crowd.shop()
        crowd.shop()
        book.wait_for(500)
        crowd.settle(within=10)
        settled = len(book.operations)
        assert crowd.counts().in_flight == 0
        crowd.read_back(within=10)
        counts = crowd.counts()
    final = book.operations[settled:]
    assert Counter(one.kind for one in final if one.kind is not Kind.LOGIN) == dict.fromkeys(
        (Kind.HISTORY, Kind.CART, Kind.ORDERS, Kind.ACCOUNT), 16
    )
    refused = [one for one in book.operations if one.outcome is not Outcome.OK and one.kind is not Kind.INTRUDE]
    logouts = [one for one in book.operations if one.kind is Kind.LOGOUT]
    assert {one.session for one in refused} == {one.session for one in logouts}
    told = [one for one in book.operations if one.kind not in {Kind.BROWSE, Kind.JOIN} and one not in refused]
    guests = {one.argument for one in book.operations if one.kind is Kind.JOIN}
    assert {one.answered_as for one in told} - {None} == set(shop.accounts) - guests
    assert all(one.answered_as in {one.user, None} for one in book.operations)
    assert [one.id for one in book.operations] == list(range(len(book.operations)))
    assert (counts.operations, counts.lost) == (len(book.operations), 0)
    assert counts.by_release == {"v1": len(shop.seen)}
    assert 0 < counts.worst_lag < 5


def test_shopping_can_go_on_after_settling(shop: FakeShop, book: Book) -> None:
    """After settle nothing is sent, until shop is called again."""
    with crowd_of(3, shop.target, book) as crowd:
        crowd.log_in(within=10)
        for _ in range(2):
            before = len(book.operations)
            crowd.shop()
            book.wait_for(before + 30)
            crowd.settle(within=10)
            assert len(shop.seen) == sum(len(one.tries) for one in book.operations)


def test_settling_waits_for_no_pause_before_a_repeat(
    shop: FakeShop, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was to be sent once more, much later, is sent when nothing else is begun any more, and is not left out."""
    drawn = list[float]()

    def an_hour(luck: float) -> float:
        drawn.append(luck)
        return 3600.0

    monkeypatch.setattr("lab.users.device.pause_before_again", an_hour)
    with crowd_of(20, shop.target, book) as crowd:
        crowd.log_in(within=10)
        crowd.shop()
        wait_until("a few want to send once more", lambda: len(drawn) >= 3, within=20)
        crowd.settle(within=20)
    assert sum(one.repeats for one in book.operations) == len(drawn)


def test_two_devices_act_at_the_same_time(shop: FakeShop, book: Book) -> None:
    """A user's second device answers while the first one still waits, and both read one state in the end."""
    with crowd_of(1, shop.target, book, two_devices=1, policy=Tries(timeout=10)) as crowd:
        crowd.log_in(within=10)
        shop.misbehave("slow", to="(user-001.1)")
        before = len(book.operations)
        crowd.shop()
        assert shop.slow_ones.acquire(timeout=5)
        book.wait_for(before + 20)
        assert len(book.of("user-001.1")) == 1  # its login: it waits ever since
        shop.let_go()
        crowd.read_back(within=10)
    slow = book.of("user-001.1")[1]
    assert sum(slow.begin < one.begin and one.end < slow.end for one in book.of("user-001.2")) >= 10
    last = [{one.kind: one.answer for one in book.of(f"user-001.{number}")} for number in (1, 2)]
    for kind in (Kind.HISTORY, Kind.CART, Kind.ORDERS, Kind.ACCOUNT):
        assert last[0][kind] == last[1][kind]


def test_what_is_late_says_when_it_was_due(shop: FakeShop, book: Book) -> None:
    """Actions that were due while the device was busy begin late, and the record says when they were due."""
    with crowd_of(1, shop.target, book, seed=3, two_devices=0, policy=Tries(timeout=10)) as crowd:
        crowd.log_in(within=10)
        shop.misbehave("slow")
        crowd.shop()
        assert shop.slow_ones.acquire(timeout=5)
        until = time.monotonic_ns() + 10**8
        while time.monotonic_ns() < until:  # ten actions become due meanwhile
            assert len(book.operations) == 1
        shop.let_go()
        book.wait_for(8)
        crowd.settle(within=10)
    slow, *late = book.operations[1:6]  # this seed's plan has no logout there, after which a login takes the due time
    assert all(one.due is not None and one.due < slow.end < one.begin for one in late)
    dues = [one.due for one in late]
    assert dues == sorted(dues, key=lambda due: due or 0)


def test_an_operation_says_whether_nothing_of_its_user_is_in_flight(shop: FakeShop, book: Book) -> None:
    """The last one of a user does, and none while a device still waits."""
    with crowd_of(1, shop.target, book, two_devices=1, policy=Tries(timeout=10)) as crowd:
        crowd.log_in(within=10)
        assert book.operations[-1].quiet
        shop.misbehave("slow", to="(user-001.1)")
        crowd.shop()
        assert shop.slow_ones.acquire(timeout=5)
        waiting_from = len(book.operations)
        book.wait_for(waiting_from + 10)
        assert not any(one.quiet for one in book.operations[waiting_from:])
        shop.let_go()
        crowd.settle(within=10)
    assert book.operations[-1].quiet


def planned(shop: FakeShop, *, seed: int = 1, cut: str = "") -> dict[str, list[tuple[Kind, str | None]]]:
    """The first things that each of three users' devices did."""
    book = Book()
    if cut:
        for _ in range(10):
            shop.misbehave("lost", to=cut)
    with crowd_of(3, shop.target, book, seed=seed, two_devices=0, think=0.004) as crowd:
        crowd.log_in(within=10)
        crowd.shop()
        book.wait_for(140)
        crowd.settle(within=10)
    plans = defaultdict(list)
    for one in book.operations:
        plans[one.device].append((one.kind, one.key))
    return {device: plan[:20] for device, plan in plans.items()}


@pytest.mark.slow
def test_one_seed_gives_one_plan(new_shop: Callable[[], FakeShop]) -> None:
    """The same seed plans the same actions; one user's bad luck shifts nobody else's; another seed differs."""
    with new_shop() as first, new_shop() as second, new_shop() as third:
        calm, unlucky, other = planned(first), planned(second, cut="(user-001.1)"), planned(third, seed=2)
    assert {len(plan) for plan in calm.values()} == {20}
    assert calm["user-002.1"] == unlucky["user-002.1"]
    assert calm["user-003.1"] == unlucky["user-003.1"]
    assert calm != other


@pytest.mark.slow
def test_trouble_on_the_way_is_survived(shop: FakeShop, book: Book) -> None:
    """Cuts, refusals, lost sessions and nonsense cost tries and logins, never a user and never a fourth try."""
    with crowd_of(4, shop.target, book) as crowd:
        crowd.log_in(within=10)
        shop.misbehave("lost", "cut", "unavailable", "cut body", "garbage", "not applied", "wrong shape", to="/cart")
        shop.misbehave("unauthorised", "lost", "says close", "closes silently", "edge", to="/history")
        crowd.shop()
        book.wait_for(400)
        shop.expire_sessions()
        book.wait_for(600)
        crowd.read_back(within=10)
        counts = crowd.counts()
    ended = {one.session for one in book.operations if one.kind is Kind.LOGOUT}
    rejected = [one for one in book.operations if one.session_rejected and one.session not in ended]
    assert len(rejected) >= 4
    for one in rejected:
        after = next(other for other in book.of(one.device) if other.id > one.id)
        assert (after.kind, after.outcome) == (Kind.LOGIN, Outcome.OK)
        assert after.session != one.session
    assert max(len(one.tries) - one.repeats for one in book.operations) <= 3
    assert shop.most_tries_by_key() <= 4, "three tries, and once more on purpose"
    failed = [one for one in book.operations if not one.tries[0].answered or one.tries[0].result == "503"]
    garbled = [one for one in failed if one.final.result == TryResult.GARBLED and len(one.tries) == 1]
    assert counts.first_tries_failed == len(failed) - len(garbled) >= 3
    assert counts.saved_by_retry == sum(one.outcome is Outcome.OK for one in failed) >= 1
    assert counts.repeated_at_edge == 1
    assert counts.logged_in == counts.devices
    assert sum(one.final.result == TryResult.GARBLED for one in book.operations) == 2


def test_logging_in_gives_up_in_time(shop: FakeShop, book: Book) -> None:
    """Accounts that an earlier crowd made can't be logged in to: that is said in time, and tried slowly."""
    with crowd_of(2, shop.target, Book(), seed=1, two_devices=0) as first:
        first.log_in(within=10)
    with (
        crowd_of(2, shop.target, book, seed=2, two_devices=0) as crowd,
        pytest.raises(WaitTimeout, match=r"2 of 2 devices.*user-001.1 last got 4\d\d") as caught,
    ):
        crowd.log_in(within=0.3)
    assert "empty store" in caught.value.hint
    assert "users.prefix" not in caught.value.hint, "no scenario has such a key"
    assert len(book.operations) <= 6
    assert not crowd_threads()


def test_login_goes_on_until_it_works(shop: FakeShop, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that failed with all its tries is followed by another one, of a new session."""
    monkeypatch.setattr(crowd_module, "LOGIN_PAUSE", 0.01)
    shop.misbehave("cut", "cut", "cut")
    with crowd_of(1, shop.target, book, two_devices=0) as crowd:
        crowd.log_in(within=10)
    assert [(one.outcome, one.session) for one in book.operations] == [
        (Outcome.UNKNOWN, None),
        (Outcome.OK, "user-001/1#2"),
    ]


def test_settling_says_who_is_still_busy(shop: FakeShop, book: Book) -> None:
    """settle doesn't wait for ever, cancels nothing, and can be asked for again."""
    with crowd_of(1, shop.target, book, seed=2, two_devices=0, policy=Tries(timeout=10)) as crowd:
        crowd.log_in(within=10)
        shop.misbehave("slow")
        crowd.shop()
        assert shop.slow_ones.acquire(timeout=5)
        with pytest.raises(WaitTimeout, match=r"1 devices were not settled after 0.05 s"):
            crowd.settle(within=0.05)
        with pytest.raises(LabFault, match="still settling"):
            crowd.shop()
        shop.let_go()
        crowd.settle(within=10)
        crowd.shop()
        crowd.settle(within=10)
    assert {one.outcome for one in book.operations} == {Outcome.OK}


def test_reading_back_gives_up_in_time(shop: FakeShop, book: Book) -> None:
    """A read-back that hangs ends with what was missing; what it had sent is recorded as cut."""
    with crowd_of(1, shop.target, book, two_devices=0, policy=Tries(timeout=10)) as crowd:
        crowd.log_in(within=10)
        shop.misbehave("hang")
        with pytest.raises(WaitTimeout, match="only 0 of 1 users"):
            crowd.read_back(within=0.2)
    assert [one.final.result for one in book.operations] == ["200", "cut"]


def test_reading_back_says_who_could_not(shop: FakeShop, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is not let in again reads nothing, and neither that nor a read without an answer passes for one."""
    with crowd_of(3, shop.target, book, two_devices=0) as crowd:
        crowd.log_in(within=10)
        assert crowd.read_back(within=10) == ""
        first, second, _ = crowd.devices
        monkeypatch.setattr(first.user, "password", "forgotten")
        first.session = None
        shop.misbehave("garbage", to="GET /orders")
        begun = len(book.operations)
        said = crowd.read_back(within=10)
    assert said.startswith("2 of 3 devices could not read back their users' state: ")
    assert said.endswith(("was not logged in, last got 401", "was not shown all of it"))
    refused = book.of(first.name)[-2:]
    assert [one.kind for one in refused] == [Kind.LOGIN, Kind.LOGIN]
    assert len([one for one in book.operations[begun:] if one.device == second.name]) == 4


def test_a_session_that_ends_while_reading_back_hides_nothing(shop: FakeShop, book: Book) -> None:
    """Whoever is thrown out then logs in again and is shown everything."""
    with crowd_of(3, shop.target, book) as crowd:
        crowd.log_in(within=10)
        shop.expire_sessions()
        assert crowd.read_back(within=10) == ""


def test_stopping_in_the_middle(shop: FakeShop, book: Book) -> None:
    """stop ends the thread, closes every socket, and records what was under way as cut."""
    crowd = crowd_of(6, shop.target, book, policy=Tries(timeout=10))
    crowd.start()
    crowd.log_in(within=10)
    shop.misbehave("slow")
    crowd.shop()
    assert shop.slow_ones.acquire(timeout=5)
    crowd.stop()
    crowd.stop()
    assert not crowd_threads()
    assert crowd.counts().in_flight == 0
    assert any(one.final.result == TryResult.CUT and one.outcome is Outcome.UNKNOWN for one in book.operations)
    shop.let_go()
    deadline = time.monotonic() + 5
    while shop.open_connections and time.monotonic() < deadline:
        pass
    assert shop.open_connections == 0
    with pytest.raises(LabFault, match="isn't running"):
        crowd.shop()


def test_an_exception_in_the_with_block_stops_the_crowd(shop: FakeShop, book: Book) -> None:
    """Whatever the conductor raises leaves no thread behind, and isn't hidden."""
    with pytest.raises(KeyError, match="mine"), crowd_of(2, shop.target, book) as crowd:
        crowd.log_in(within=10)
        crowd.shop()
        raise KeyError("mine")
    assert not crowd_threads()


def test_a_callback_that_fails_reaches_the_conductor(shop: FakeShop) -> None:
    """A record that can't be written ends the run by its own error, at the next control and at the end."""
    failed = threading.Event()

    def full(operation: Operation) -> None:
        if operation.kind is not Kind.LOGIN:
            failed.set()
            raise RecordError("the disk is full")

    crowd = Crowd(
        [shop.target],
        CrowdSize(users=3, two_devices=0, think=0.01),
        chance=random.Random(1),
        on_operation=full,
        policy=QUICK,
    )
    with pytest.raises(RecordError, match="disk is full"), crowd:
        crowd.log_in(within=10)
        crowd.shop()
        assert failed.wait(5)
        with pytest.raises(RecordError, match="disk is full"):
            crowd.settle(within=10)
    assert not crowd_threads()


class Broken(Journey):
    """A journey with a mistake in it."""

    async def log_in(self) -> None:
        raise ZeroDivisionError("mine")

    async def act(self) -> None: ...

    async def read_back(self) -> bool:
        return True


def test_a_mistake_in_a_journey_reaches_the_conductor(shop: FakeShop, book: Book) -> None:
    """What a journey raises is raised by the control that made it act."""
    crowd = Crowd(
        [shop.target],
        CrowdSize(users=2),
        chance=random.Random(1),
        on_operation=book.operation,
        journey=Broken,
    )
    with pytest.raises(ZeroDivisionError, match="mine"), crowd:
        crowd.log_in(within=10)
    assert not crowd_threads()


def test_stopping_frees_a_waiting_conductor(shop: FakeShop, book: Book) -> None:
    """A thread that waits for a control is told when another one stops the crowd."""
    crowd = crowd_of(1, shop.target, book, two_devices=0, policy=Tries(timeout=30))
    crowd.start()
    shop.misbehave("slow")
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            crowd.log_in(within=30)
        except LabFault as exc:
            raised.append(exc)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert shop.slow_ones.acquire(timeout=5)
    crowd.stop()
    waiting.join(5)
    assert "stopped meanwhile" in str(raised[0])
    shop.let_go()


def test_the_drivers_own_lag_is_seen(shop: FakeShop, book: Book) -> None:
    """When the driver's thread is held up the counts say for how long."""

    class Held(Journey):
        async def log_in(self) -> None:
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                pass
            self.device.session = "held"

        async def act(self) -> None: ...

        async def read_back(self) -> bool:
            await asyncio.sleep(0.1)
            return True

    crowd = Crowd(
        [shop.target],
        CrowdSize(users=1, two_devices=0),
        chance=random.Random(1),
        on_operation=book.operation,
        journey=Held,
    )
    with crowd:
        crowd.log_in(within=10)
        crowd.read_back(within=10)
        assert crowd.counts().worst_lag > 0.2


def test_devices_take_turns_among_the_doors(new_shop: Callable[[], FakeShop], book: Book) -> None:
    """Several targets share the devices evenly."""
    with new_shop() as one, new_shop() as other:
        doors: Sequence[Door] = [one.target, other.target]
        size = CrowdSize(users=4, two_devices=0)
        with Crowd(doors, size, chance=random.Random(1), on_operation=book.operation) as crowd:
            crowd.log_in(within=10)
        assert (len(one.accounts), len(other.accounts)) == (2, 2)


def test_accounts() -> None:
    """A third of the users, evenly spread, have two devices; names and passwords follow from prefix and seed."""
    _, accounts = plan_accounts(CrowdSize(users=9, prefix="eve"), random.Random(1))
    assert [devices for _, devices in accounts] == [1, 1, 2, 1, 1, 2, 1, 1, 2]
    assert accounts[0][0].name == "eve-001"
    again = plan_accounts(CrowdSize(users=9, prefix="eve"), random.Random(1))[1]
    other = plan_accounts(CrowdSize(users=9, prefix="eve"), random.Random(2))[1]
    passwords = [user.password for user, _ in accounts]
    assert passwords == [user.password for user, _ in again]
    assert len({*passwords, *(user.password for user, _ in other)}) == 18


@pytest.mark.parametrize(
    "size",
    [
        CrowdSize(users=0),
        CrowdSize(users=1, two_devices=1.5),
        CrowdSize(users=1, think=0),
        CrowdSize(users=1, prefix="a b"),
        CrowdSize(users=1, prefix=""),
    ],
)
def test_sizes_that_can_not_be(size: CrowdSize) -> None:
    """A crowd that can't be is refused before anything starts."""
    with pytest.raises(UsageError):
        plan_accounts(size, random.Random(1))


def test_too_few_open_files(shop: FakeShop, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process may not open a socket for every device that is said, with the command that helps."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (300, 300))
    with pytest.raises(SetupError, match=r"60 devices need 316 open files") as caught:
        crowd_of(60, shop.target, book, two_devices=0).start()
    assert caught.value.hint == "ulimit -n 316"
    assert not crowd_threads()
