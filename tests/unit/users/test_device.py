"""A device tries at most three times with one key, and tells exactly what is known of the effect."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from lab.clock import SYSTEM_CLOCK
from lab.model import Kind, Operation, Outcome, TryResult
from lab.users import Device, Door, Shopper, Tries, User
from lab.users.head import slots_of

if TYPE_CHECKING:
    from tests.unit.users.conftest import Bad, FakeShop

QUICK = Tries(first=0.002, factor=2, timeout=0.1)


class Told:
    """Keeps what a device tells."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def ended(self, operation: Operation) -> None:
        self.operations.append(operation)


def use(target: Door, work: Callable[[Device], Awaitable[None]], policy: Tries = QUICK) -> Told:
    """Run `work` with a new device of user-001, and give what it told."""
    told = Told()

    async def run() -> None:
        device = Device(
            User("user-001", "secret"),
            1,
            targets=[target],
            seed="1",
            ids=itertools.count(),
            witness=told,
            policy=policy,
            clock=SYSTEM_CLOCK,
        )
        try:
            await work(device)
        finally:
            await device.close()
        assert device.user.in_flight == 0

    asyncio.run(run())
    return told


async def log_in(device: Device) -> Operation:
    body = {"account": device.user.name, "password": device.user.password}
    return await device.do(Kind.LOGIN, "POST", "/login", body, key=device.new_key())


async def add(device: Device) -> Operation:
    key = device.new_key()
    return await device.do(Kind.ADD, "POST", "/cart", {"sku": "tea", "quantity": 2}, key=key, argument=2)


def in_turn(*steps: Callable[[Device], Awaitable[object]]) -> Callable[[Device], Awaitable[None]]:
    async def work(device: Device) -> None:
        for step in steps:
            await step(device)

    return work


def test_a_good_operation_is_told_in_full(shop: FakeShop) -> None:
    """Account, session alias, replica, release, slots and key are all in the record."""
    told = use(shop.target, in_turn(log_in, add))
    login, added = told.operations
    assert (login.kind, login.outcome, login.session) == (Kind.LOGIN, Outcome.OK, "user-001/1#1")
    assert (added.user, added.device, added.session) == ("user-001", "user-001.1", "user-001/1#1")
    assert (added.key, added.argument, added.answered_as) == ("user-001.1.2", 2, "user-001")
    assert (added.id, added.outcome, added.due) == (1, Outcome.OK, None)
    assert [(one.result, one.replica, one.release, one.edge) for one in added.tries] == [("200", "a1-7", "v1", ("a1",))]
    assert added.begin == added.tries[0].begin < added.tries[0].end == added.end
    assert "secret" not in repr(told.operations)
    assert not any(token in repr(told.operations) for token in shop.sessions)


@pytest.mark.parametrize("bad", ["cut", "lost", "cut body", "hang", "unavailable", "not applied"])
def test_one_bad_try_is_saved_by_the_next(shop: FakeShop, bad: Bad) -> None:
    """After one bad try the same key is sent again, the operation is ok, and its effect is there once."""
    shop.misbehave(bad, to="/cart")
    told = use(shop.target, in_turn(log_in, add))
    operation = told.operations[-1]
    assert operation.outcome is Outcome.OK
    assert len(operation.tries) == 2
    assert operation.tries[0].end <= operation.tries[1].begin
    assert [seen.key for seen in shop.requests("/cart")] == [operation.key] * 2
    assert list(shop.accounts["user-001"].lines) == [operation.key]


@pytest.mark.parametrize(
    ("bads", "results", "outcome"),
    [
        (["cut", "lost", "cut body"], ["cut", "cut", "cut"], Outcome.UNKNOWN),
        (["hang", "hang", "hang"], ["timeout", "timeout", "timeout"], Outcome.UNKNOWN),
        (["unavailable", "unavailable", "unavailable"], ["503", "503", "503"], Outcome.UNKNOWN),
        (["not applied", "not applied", "not applied"], ["503", "503", "503"], Outcome.REFUSED),
        (["not applied", "unavailable", "not applied"], ["503", "503", "503"], Outcome.UNKNOWN),
        (["cut", "not applied", "not applied"], ["cut", "503", "503"], Outcome.UNKNOWN),
        (["unauthorised"], ["401"], Outcome.REFUSED),
        (["lost", "unauthorised"], ["cut", "401"], Outcome.UNKNOWN),
        (["garbage"], [TryResult.GARBLED], Outcome.UNKNOWN),
    ],
)
def test_outcome_after_bad_tries(shop: FakeShop, bads: list[Bad], results: list[str], outcome: Outcome) -> None:
    """Never more than three tries; refused only where no try can have had an effect."""
    shop.misbehave(*bads, to="/cart")
    told = use(shop.target, in_turn(log_in, add))
    operation = next(one for one in told.operations if one.kind is Kind.ADD)
    assert [one.result for one in operation.tries] == results
    assert all(one.sent for one in operation.tries)
    assert operation.outcome is outcome
    assert operation.answer is None
    assert len({seen.key for seen in shop.requests("/cart")}) == 1


def test_a_closed_port_refuses(closed_port: int) -> None:
    """Where nothing was ever sent the operation is refused, after three tries."""
    operation = use(Door(port=closed_port), in_turn(log_in)).operations[0]
    assert [(one.result, one.sent) for one in operation.tries] == [("unsent", False)] * 3
    assert (operation.outcome, operation.session) == (Outcome.REFUSED, None)


def test_the_policy_decides(shop: FakeShop) -> None:
    """A user who tries once tries once."""
    shop.misbehave("cut")
    assert len(use(shop.target, in_turn(log_in), policy=Tries(most=1)).operations[0].tries) == 1


@pytest.mark.parametrize("bad", ["garbage", "wrong shape"])
def test_an_answer_of_the_wrong_shape_has_its_own_result(shop: FakeShop, bad: Bad) -> None:
    """A 200 that makes no sense is GARBLED by a named replica, has no answer, and isn't asked for again."""
    shop.misbehave(bad, to="/cart")

    async def read(device: Device) -> None:
        await device.do(Kind.CART, "GET", "/cart", normalise=lambda said: {line["id"]: 1 for line in said["lines"]})

    operation = use(shop.target, in_turn(log_in, read)).operations[-1]
    assert (operation.outcome, operation.answer) == (Outcome.UNKNOWN, None)
    assert [(one.result, one.replica) for one in operation.tries] == [(TryResult.GARBLED, "a1-7")]
    assert not operation.final.answered
    assert operation.answered_as == ("somebody" if bad == "wrong shape" else None)


def test_after_a_401_the_device_logs_in_again(shop: FakeShop) -> None:
    """A rejected session is told with its alias, then a new session with a new alias goes on."""
    shop.misbehave("unauthorised", to="/cart")

    async def work(device: Device) -> None:
        Shopper(device)  # which knows how to log in
        await log_in(device)
        await add(device)
        assert device.session == "user-001/1#2"
        await add(device)

    told = use(shop.target, work)
    assert [(one.kind, one.session, one.final.result) for one in told.operations] == [
        (Kind.LOGIN, "user-001/1#1", "200"),
        (Kind.ADD, "user-001/1#1", "401"),
        (Kind.LOGIN, "user-001/1#2", "200"),
        (Kind.ADD, "user-001/1#2", "200"),
    ]
    assert [one.session_rejected for one in told.operations] == [False, True, False, False]


def test_a_rejected_login_is_not_repeated(shop: FakeShop) -> None:
    """A 401 to a login leaves the device logged out, without another login."""

    async def work(device: Device) -> None:
        Shopper(device)
        await log_in(device)
        device.user.password = "wrong"
        assert (await log_in(device)).outcome is Outcome.REFUSED
        assert not device.is_logged_in

    assert [one.session for one in use(shop.target, work).operations] == ["user-001/1#1", None]


def test_a_lost_login_answer_is_asked_for_again(shop: FakeShop) -> None:
    """The repeat of a login that was applied gives the session it made."""
    shop.misbehave("lost", to="/login")
    told = use(shop.target, in_turn(log_in, add))
    assert [one.outcome for one in told.operations] == [Outcome.OK, Outcome.OK]
    assert len(shop.sessions) == 1


def test_logging_out_ends_the_session_whatever_comes_back(shop: FakeShop) -> None:
    """After a logout, even one without an answer, nothing is done in that session."""

    async def log_out(device: Device) -> None:
        await device.do(Kind.LOGOUT, "POST", "/logout", key=device.new_key())

    shop.misbehave("lost", "lost", "lost", to="/logout")
    told = use(shop.target, in_turn(log_in, log_out, add))
    assert [(one.kind, one.session, one.outcome) for one in told.operations] == [
        (Kind.LOGIN, "user-001/1#1", Outcome.OK),
        (Kind.LOGOUT, "user-001/1#1", Outcome.UNKNOWN),
        (Kind.ADD, None, Outcome.REFUSED),
    ]


def test_cookies_of_the_balancer_are_kept_too(shop: FakeShop) -> None:
    """A second cookie is sent beside the session's."""
    shop.misbehave("route cookie", to="/login")
    use(shop.target, in_turn(log_in, add))
    cookie = shop.seen[-1].headers["cookie"]
    assert cookie.startswith("__Host-sid=user-001.")
    assert cookie.endswith("; route=r1")


def test_a_repeat_at_the_edge_is_told(shop: FakeShop) -> None:
    """The slots that the balancer tried are in the record, in order."""
    shop.misbehave("edge", to="/cart")
    assert use(shop.target, in_turn(log_in, add)).operations[-1].final.edge == ("b1", "a1")


@pytest.mark.parametrize(
    ("edge", "slots"),
    [
        ("", ()),
        ("-", ()),
        (" unix:/run/slots/a1.sock", ("a1",)),
        ("unix:/run/slots/a1.sock, unix:/run/slots/b1.sock", ("a1", "b1")),
        ("unix:/run/slots/a1.sock, -", ("a1",)),
        ("unix:/run/slots/a1.sock : unix:/run/slots/c2.sock", ("a1", "c2")),
        ("10.0.0.3:8000", ("10.0.0.3:8000",)),
    ],
)
def test_slots_of_the_edge_header(edge: str, slots: tuple[str, ...]) -> None:
    """Socket paths become slot names; what nginx leaves empty is left out."""
    assert slots_of(edge) == slots


def test_a_cancelled_operation_is_told_as_cut(shop: FakeShop) -> None:
    """Whoever stops in the middle still has the operation in the record: it may take effect."""
    shop.misbehave("slow", to="/cart")

    async def work(device: Device) -> None:
        await log_in(device)
        adding = asyncio.create_task(add(device))
        await asyncio.to_thread(shop.slow_ones.acquire, timeout=2)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        shop.let_go()

    operation = use(shop.target, work, policy=Tries()).operations[-1]
    assert (operation.kind, operation.outcome) == (Kind.ADD, Outcome.UNKNOWN)
    assert [one.result for one in operation.tries] == [TryResult.CUT]
    assert operation.is_broken_off


def test_who_is_stopped_before_the_next_try_says_so(shop: FakeShop) -> None:
    """The user would have tried again; what the app did with the first try is not all that it could have done."""
    shop.misbehave("unavailable", to="/cart")

    async def work(device: Device) -> None:
        await log_in(device)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(add(device), timeout=0.3)

    logged_in, operation = use(shop.target, work, policy=Tries(first=10**6)).operations
    assert [one.result for one in operation.tries] == ["503"]
    assert (logged_in.is_broken_off, operation.is_broken_off) == (False, True)


def test_one_thing_at_a_time(shop: FakeShop) -> None:
    """A device refuses to do two operations at once: its history would no longer be one device's."""
    shop.misbehave("slow", to="/login")

    async def work(device: Device) -> None:
        logging_in = asyncio.create_task(log_in(device))
        await asyncio.to_thread(shop.slow_ones.acquire, timeout=2)
        with pytest.raises(RuntimeError, match="two things at once"):
            await add(device)
        shop.let_go()
        await logging_in

    use(shop.target, work, policy=Tries())


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/ä"])
def test_a_path_can_not_smuggle(shop: FakeShop, path: str) -> None:
    """A path that would end the request line is refused before anything is sent."""

    async def work(device: Device) -> None:
        with pytest.raises(ValueError, match="not a path"):
            await device.do(Kind.BROWSE, "GET", path)

    use(shop.target, work)
    assert shop.seen == []


def test_the_user_meant_to_begin_earlier(shop: FakeShop) -> None:
    """`due` goes to the next operation only, and only if it began after it."""

    async def work(device: Device) -> None:
        device.due = 5
        await log_in(device)
        await add(device)
        device.due = SYSTEM_CLOCK.now() + 10**12
        await add(device)

    assert [one.due for one in use(shop.target, work).operations] == [5, None, None]


def test_no_pause_grows_for_ever() -> None:
    """However often somebody tries: the pauses grow, and then stay as they are."""
    pauses = [Tries().pause_before(number, 0.99) for number in (2, 3, 4, 100, 5000)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.05
    assert pauses[-1] == pytest.approx(9.9)
