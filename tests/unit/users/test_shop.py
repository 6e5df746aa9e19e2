"""The journey does everything a user of the shop does, and reads enough to judge it by."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from lab.clock import SYSTEM_CLOCK
from lab.model import Kind, Operation, Outcome, TryResult
from lab.oracle import check
from lab.users import Device, Shopper, Tries, User, answers
from lab.users.answers import LONGEST_NAME
from lab.users.device import pause_before_again
from lab.users.head import read_head
from lab.users.shop import JOINED_FOR, LOGINS_AT_ONCE, READS_DUE, WEIGHTS, WRITTEN, WRONG_PASSWORDS
from lab.users.story import OperationDraft

if TYPE_CHECKING:
    from tests.unit.users.conftest import FakeShop

ACTIONS = 1400
READINGS = answers.readings_of(())


class Told:
    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def ended(self, operation: Operation) -> None:
        self.operations.append(operation)


def live(shop: FakeShop, actions: int, *, seed: str = "1") -> list[Operation]:
    """One user on one device does so many things and reads back; what was told."""
    told = Told()

    async def run() -> None:
        device = Device(
            User("user-001", "secret"),
            1,
            targets=[shop.target],
            seed=seed,
            ids=itertools.count(),
            witness=told,
            policy=Tries(first=0.001, factor=1),
            clock=SYSTEM_CLOCK,
        )
        device.hurry(is_wanted=True)
        journey = Shopper(device)
        for _ in range(actions):
            if not device.is_logged_in:
                await journey.log_in()
            await journey.act()
        if not device.is_logged_in:
            await journey.log_in()
        await journey.read_back()
        await device.close()

    asyncio.run(run())
    return told.operations


@pytest.fixture(scope="module")
def lived_in(new_shop: Callable[[], FakeShop]) -> Iterator[FakeShop]:
    with new_shop() as shop:
        yield shop


@pytest.fixture(scope="module")
def long_life(lived_in: FakeShop) -> list[Operation]:
    return live(lived_in, ACTIONS)


def test_every_kind_is_done_and_answered(long_life: list[Operation]) -> None:
    """A healthy shop answers all that a long life does, and every kind of operation is in it."""
    assert {one.kind for one in long_life} == set(Kind) - {Kind.ACT, Kind.READ, Kind.STATE}
    good = [one for one in long_life if not one.session_rejected and one.kind is not Kind.INTRUDE]
    assert {one.outcome for one in good} == {Outcome.OK}
    assert {(one.wrong, one.foreign, one.answered_again) for one in long_life} == {(None, None, None)}
    assert sum(WEIGHTS.values()) == 200


def test_after_a_logout_the_old_session_is_shown_again(long_life: list[Operation]) -> None:
    """Each logout is followed by a look at the account with the cookies from before it, and that is refused."""
    logouts = [number for number, one in enumerate(long_life) if one.kind is Kind.LOGOUT]
    assert len(logouts) > 5
    for number in logouts:
        shown = long_life[number + 1]
        assert (shown.kind, shown.session) == (Kind.ACCOUNT, long_life[number].session)
        assert shown.session_rejected
    again = Counter(one.session for one in long_life if one.session_rejected)
    assert set(again) == {long_life[number].session for number in logouts}
    assert max(again.values()) == 2, "and once more later"


def test_kinds_have_sensible_weights(long_life: list[Operation]) -> None:
    """Users mostly look, add and read; they check out, rename and log out now and then."""
    count = Counter(one.kind for one in long_life)
    assert min(count[Kind.VIEW], count[Kind.ADD]) > ACTIONS / 10
    assert sum(count[kind] for kind in READS_DUE) > ACTIONS / 4
    assert max(count[Kind.CHECKOUT], count[Kind.RENAME], count[Kind.LOGOUT]) < ACTIONS / 10


def test_writes_are_read_soon(long_life: list[Operation]) -> None:
    """No more writes to an object go unread than the journey promises, and a few more for queueing reads."""
    unread: Counter[Kind] = Counter()
    for operation in long_life:
        unread[operation.kind] = 0
        unread.update(WRITTEN.get(operation.kind, ()))
        assert all(unread[read] <= most + len(READS_DUE) for read, most in READS_DUE.items())


def test_removals_are_of_lines_that_the_device_knows(long_life: list[Operation]) -> None:
    """On one device every removal finds its line."""
    removals = [one for one in long_life if one.kind is Kind.REMOVE]
    assert removals
    assert all(one.answer is True for one in removals)


def test_answers_have_the_models_shapes(long_life: list[Operation], lived_in: FakeShop) -> None:
    """What is read back is what the shop holds, in the shape that each kind states."""
    mine = lived_in.accounts["user-001"]
    read = {one.kind: one.answer for one in long_life}  # the last of each kind
    assert read[Kind.HISTORY] == [len(mine.views), [view["id"] for view in mine.views[-100:]]]
    assert read[Kind.CART] == {line["id"]: line["quantity"] for line in mine.lines.values()}
    assert read[Kind.ORDERS] == [
        [order["id"], {line["id"]: line["quantity"] for line in order["lines"]}] for order in mine.orders
    ]
    assert read[Kind.ACCOUNT] == mine.name
    assert mine.orders
    bought = [one for one in long_life if one.kind is Kind.CHECKOUT and one.answer]
    assert [[one.key, one.answer] for one in bought] == read[Kind.ORDERS]
    renames = [one for one in long_life if one.kind is Kind.RENAME]
    assert all(str(one.argument).startswith(str(one.key)) for one in renames)
    assert any(len(str(one.argument)) == LONGEST_NAME for one in renames)
    assert any("<" in str(one.argument) for one in renames)
    assert len({one.argument for one in renames}) == len(renames)


def test_keys_are_unique_and_name_their_owner(long_life: list[Operation]) -> None:
    """Every state change has a key of its own, `<account>.<device>.<counter>`; reads have none."""
    reads = {*READS_DUE, Kind.BROWSE, Kind.DEVICES}
    keys = [one.key for one in long_life if one.kind not in reads]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert all(key is not None and key.startswith("user-001.1.") for key in keys)
    assert all(one.key is None for one in long_life if one.kind in reads)


def test_bad_luck_does_not_shift_the_plan(new_shop: Callable[[], FakeShop]) -> None:
    """Under one seed the same actions are planned though tries fail; another seed plans others."""

    def planned(*, seed: str, cuts: int) -> list[tuple[Kind, str | None, str | int | None]]:
        with new_shop() as shop:
            for number in range(1, cuts + 1):
                shop.misbehave("lost", to=f"Idempotency-Key: user-001.1.{number}\r\n")
            operations = live(shop, 150, seed=seed)
        assert sum(len(one.tries) - one.repeats > 1 for one in operations) >= cuts * 0.95  # an account takes a key
        return [(one.kind, one.key, one.argument) for one in operations]

    calm = planned(seed="1", cuts=0)
    assert calm == planned(seed="1", cuts=40)
    assert calm != planned(seed="2", cuts=0)


def test_nonsense_from_the_app_never_ends_the_journey(shop: FakeShop) -> None:
    """Whatever route answers nonsense, the user goes on and it is told as garbled."""
    for path in ("POST /login", "GET / ", "/view", "/cart", "/checkout", "/orders", "/account", "/history"):
        shop.misbehave("garbage", "wrong shape", to=path)
    operations = live(shop, 300)
    garbled = [one for one in operations if one.final.result == TryResult.GARBLED]
    assert len(garbled) >= 14
    assert {one.outcome for one in garbled} == {Outcome.UNKNOWN}
    assert operations[-1].outcome is Outcome.OK


def test_read_back_reads_again_after_a_lost_session(shop: FakeShop) -> None:
    """A session that is gone at the end doesn't hide what became of the state."""
    shop.misbehave("unauthorised", to="GET /history")
    kinds = [(one.kind, one.final.result) for one in live(shop, 0)]
    assert kinds[1:5] == [
        (Kind.HISTORY, "401"),
        (Kind.LOGIN, "200"),
        (Kind.HISTORY, "200"),
        (Kind.CART, "200"),
    ]


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (READINGS.history, {"account": "a", "count": "3", "entries": []}),
        (READINGS.history, {"account": "a", "count": 1, "entries": [{"sku": "tea"}]}),
        (READINGS.history, {"count": 0, "entries": []}),
        (READINGS.cart, {"account": "a", "lines": {"x": 1}}),
        (READINGS.orders, {"account": "a", "orders": [{"id": "k"}]}),
        (answers.removed, {"account": "a", "removed": "yes"}),
        (answers.account_name, {"account": "a"}),
        (answers.account_name, []),
        (answers.viewed, {"account": "a", "view": "k2"}),
        (answers.added, {"account": "a", "line": None}),
        (answers.renamed, {"account": "a", "name": None}),
        (READINGS.bought, {"account": "a", "order": "k2", "lines": []}),
        (answers.for_account, {"error": "?"}),
        (answers.sold, {"items": [{"name": "Tea"}]}),
        (READINGS.item, None),
    ],
)
def test_other_shapes_than_promised_are_rejected(reading: Any, said: Any) -> None:
    """A missing field, another type or somebody else's key is no answer."""
    story = OperationDraft(Kind.VIEW, "k1", None, None, None)
    assert not story.read(msgspec.json.encode(said), reading)
    assert story.answer is None


def test_whom_an_answer_is_for_is_heard_in_any_case() -> None:
    """An answer of another shape than promised still says whose data it shows, even one that is for anybody."""
    for reading, said in (
        (READINGS.history, {"account": "other", "count": 7}),
        (answers.viewed, {"account": "other", "view": "k2"}),
        (READINGS.item, {"account": "other", "item": {"sku": "tea"}}),
    ):
        story = OperationDraft(Kind.VIEW, "k1", None, None, None)
        story.read(msgspec.json.encode(said), reading)
        assert story.answered_as == "other"


def test_writes_are_sent_again_on_purpose(long_life: list[Operation], lived_in: FakeShop) -> None:
    """Some of each kind, with their keys, after they were answered; and nothing is done twice."""
    again = [one for one in long_life if one.repeats]
    assert {one.kind for one in again} == {Kind.VIEW, Kind.ADD, Kind.REMOVE, Kind.CHECKOUT, Kind.RENAME}
    assert len(again) > len([one for one in long_life if one.kind in WRITTEN]) / 32
    for one in again[:5]:
        assert [seen.key for seen in lived_in.seen].count(one.key) == len(one.tries) == 2
    assert not check(long_life).findings


def test_pages_say_the_same(long_life: list[Operation]) -> None:
    """Some of every read are of pages, and fit what programs are told."""
    assert {one.kind for one in long_life if one.is_page} == set(READS_DUE)


def test_strangers_are_refused_and_newcomers_are_let_in(long_life: list[Operation]) -> None:
    """Few wrong passwords; new accounts, each logged in to again at once and later."""
    wrong = [one for one in long_life if one.kind is Kind.INTRUDE]
    assert 0 < len(wrong) <= WRONG_PASSWORDS
    assert {one.final.result for one in wrong} == {"401"}
    joined = Counter(one.argument for one in long_life if one.kind is Kind.JOIN)
    assert {count % LOGINS_AT_ONCE for count in joined.values()} == {0}
    assert max(joined.values()) == LOGINS_AT_ONCE * JOINED_FOR


LINE = {"id": "user-001.1.1", "sku": "cup", "quantity": 1, "gift": False}
SOLD = answers.sold({"items": [{"sku": sku, "name": sku, "price": 100} for sku in ("tea", "cup", "pot")]})
RIGHT = answers.sku_of("user-001.1.1", SOLD)
OTHER = next(one.sku for one in SOLD if one.sku != RIGHT)


@pytest.mark.parametrize("sku", [RIGHT, OTHER])
def test_another_item_than_was_put_in_is_wrong(sku: str) -> None:
    """Whichever answer shows it; what it shows else is read all the same."""
    known = answers.readings_of(SOLD)
    line = {**LINE, "sku": sku, "gift": answers.is_gift("user-001.1.1")}
    shown: list[tuple[Any, dict[str, Any]]] = [
        (known.history, {"count": 1, "entries": [line]}),
        (known.cart, {"lines": [line]}),
        (known.orders, {"orders": [{"id": "user-001.1.2", "lines": [line]}]}),
        (known.bought, {"order": "k1", "lines": [line]}),
    ]
    for reading, said in shown:
        story = OperationDraft(Kind.CHECKOUT, "k1", None, None, None)
        assert story.read(msgspec.json.encode({"account": "user-001", **said}), reading)
        assert story.answer
        assert (story.wrong is None) is (sku == RIGHT)


def test_a_lost_gift_mark_another_price_and_another_item_are_wrong() -> None:
    """What is not kept by quantity alone."""
    known = answers.readings_of(SOLD)
    cart = {"account": "a", "lines": [{**LINE, "sku": RIGHT, "gift": not answers.is_gift("user-001.1.1")}]}
    for argument, reading, said in (
        (None, known.cart, cart),
        ("tea", known.item, {"item": {"sku": "tea", "name": "tea", "price": 101}}),
        ("tea", known.item, {"item": {"sku": "cup", "name": "cup", "price": 100}}),
    ):
        story = OperationDraft(Kind.BROWSE, None, argument, None, None)
        assert story.read(msgspec.json.encode(said), reading)
        assert story.wrong


@pytest.mark.parametrize(
    ("current", "is_wrong"), [([], False), ([False], False), ([True, False], False), ([True, True], True)]
)
def test_a_list_of_devices_claims_one_at_most_for_who_asks(current: list[bool], *, is_wrong: bool) -> None:
    """Sessions that are kept nowhere can't be listed."""
    listed = [{"id": f"d{number}", "current": one} for number, one in enumerate(current)]
    story = OperationDraft(Kind.DEVICES, None, None, None, None)
    assert story.read(msgspec.json.encode({"account": "a", "devices": listed}), answers.devices)
    assert (story.wrong is not None) == is_wrong
    assert story.answer == len(current)


def test_a_mark_of_another_user_is_seen_anywhere() -> None:
    """In fields that nobody reads, in pages, in ids; the user's own are left alone."""
    user = User("user-001", "")
    assert user.foreign_mark(b'{"account":"user-001","id":"user-001.2.7","last":"user-012.1.3"}') == "user-012"
    assert user.foreign_mark(b'{"account":"user-001","id":"user-001.1.4","sku":"user-friendly"}') is None


def test_a_mark_in_a_header_is_seen_too() -> None:
    """Of an answer of whatever status."""
    head = read_head(200, {b"x-cached-for": b"user-012", b"date": b"now"}, (b"a=b",))
    assert User("user-001", "").foreign_mark(head.said) == "user-012"
    assert User("user-012", "").foreign_mark(head.said) is None


def test_what_is_sent_again_is_now_and_then_as_late_as_a_last_try() -> None:
    """A key that is forgotten after a second would do for most."""
    chance = Random(1)
    pauses = [pause_before_again(chance.random()) for _ in range(1000)]
    late = [one for one in pauses if one > 1]
    assert 50 <= len(late) <= 150
    assert max(late) > 4
    assert sum(one <= 0.3 for one in pauses) > 800


def test_a_mark_that_begins_with_ones_own_is_another_users() -> None:
    """User 1000 does not hide behind user 100, nor the other way round."""
    user = User("user-100", "")
    assert user.foreign_mark(b'{"account":"user-100","last":"user-1000.1.3"}') == "user-1000"
    assert user.foreign_mark(b'{"account":"user-100","id":"user-100.1.3","n":1000}') is None
    assert User("user-1000", "").foreign_mark(b'{"account":"user-1000","id":"user-100.1.3"}') == "user-100"
    assert User("user-010", "").foreign_mark(b'{"account":"user-010","id":"user-100.1.3"}') == "user-100"


def test_a_line_listed_twice_shows() -> None:
    """A doubled line can't hide in the normalised cart."""
    line = {"id": "k", "sku": "tea", "quantity": 2, "gift": True}
    assert answer(READINGS.cart, {"account": "a", "lines": [line, line]}) == {"k": 4}


def test_an_empty_checkout_is_no_order() -> None:
    """A checkout of nothing answers an empty order."""
    assert answer(READINGS.bought, {"account": "a", "order": None, "lines": []}) == {}


def answer(reading: Any, said: Any) -> Any:
    """What an operation with key k1 reads in an answer that is accepted."""
    story = OperationDraft(Kind.VIEW, "k1", None, None, None)
    assert story.read(msgspec.json.encode(said), reading)
    return story.answer
