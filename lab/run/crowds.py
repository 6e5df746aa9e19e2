"""The users of a run, made from what its scenario says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from lab import record
from lab.clock import Clock
from lab.model import Operation
from lab.scenario.spec import UsersSpec
from lab.users import Crowd, CrowdSize, Device, Door, Journey, Shopper, Tries
from lab.users.loading import MakeUser, OwnUsers, load_journey
from lab.users.steps import StepsJourney
from lab.users.turns import Turns
from lab.workers.crowd import SharedCrowd
from lab.workers.line import Line


def own_user_of(users: UsersSpec) -> MakeUser | None:
    """Who uses an app of one's own; None: it is the shop. Raises UsageError for a journey that can't be loaded."""
    if users.http is not None:
        return partial(StepsJourney, users.http)
    return load_journey(users.journey) if users.journey is not None else None


def make_crowd(
    doors: Sequence[Door],
    users: UsersSpec,
    *,
    own_user: MakeUser | None,
    first_user: int,
    random: Random,
    on_operation: Callable[[Operation], None],
    clock: Clock,
    turns: Turns | None = None,
    prefix: str = "user",
) -> Crowd:
    """Nobody is logged in yet.

    Accounts are `<prefix>-001` and so on. `turns` bound how much all together send.
    """
    journey: Callable[[Device], Journey] = Shopper
    if own_user is not None:
        journey = OwnUsers(own_user, *(door.origin for door in doors))
    return Crowd(
        doors,
        _size_of(users, first_user, prefix),
        chance=Random(random.getrandbits(64)),
        on_operation=on_operation,
        journey=journey,
        turns=turns,
        policy=Tries(most=users.tries, timeout=users.answer_timeout),
        clock=clock,
    )


def share_crowd(
    doors: Sequence[tuple[str, int]],
    lines: Sequence[Line],
    users: UsersSpec,
    *,
    first_user: int,
    random: Random,
    on_operation: Callable[[Operation], None],
    report: Callable[[record.AnyEvent], None],
    clock: Clock,
) -> SharedCrowd:
    """The same users of the lab's own shop, divided among workers, who find it at `doors`."""
    return SharedCrowd(
        lines,
        _size_of(users, first_user),
        doors=doors,
        seed=random.getrandbits(64),
        on_operation=on_operation,
        report=report,
        policy=Tries(most=users.tries, timeout=users.answer_timeout),
        clock=clock,
    )


def _size_of(users: UsersSpec, first_user: int, prefix: str = "user") -> CrowdSize:
    return CrowdSize(
        users=users.count,
        two_devices=users.doubled / users.count,
        think=users.think,
        first=first_user,
        prefix=prefix,
    )
