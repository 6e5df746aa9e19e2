"""The users of a run, made from what its scenario says of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from random import Random

from lab.backends.protocol import OpenProject
from lab.clock import Clock
from lab.model import Operation
from lab.scenario.spec import UsersSpec
from lab.users import Crowd, CrowdSize, Device, Door, Journey, Shopper, Tries
from lab.users.driven import Driven, MakeUser, load_journey, maker_of
from lab.users.steps import StepsJourney
from lab.users.threads import UserThreads


def own_user_of(users: UsersSpec) -> MakeUser | None:
    """Who uses an app of one's own; None: it is the shop. Raises UsageError for a journey that can't be loaded."""
    if users.http is not None:
        return partial(StepsJourney, users.http)
    return load_journey(users.journey) if users.journey is not None else None


def make_crowd(
    live: OpenProject,
    users: UsersSpec,
    stack: ExitStack,
    *,
    own_user: MakeUser | None,
    first_user: int,
    random: Random,
    on_operation: Callable[[Operation], None],
    stuck: Callable[[str], None],
    clock: Clock,
) -> Crowd:
    """Nobody is logged in yet. Threads of users of one's own end with `stack`; `stuck` is told of one that does not."""
    journey: Callable[[Device], Journey] = Shopper
    if own_user is not None:
        threads = stack.enter_context(UserThreads(users.count, stuck=stuck))
        journey = partial(Driven, make=maker_of(own_user), threads=threads, origin=live.url)
    return Crowd(
        [Door(host=host, port=port) for host, port in live.doors],
        CrowdSize(
            users=users.count,
            two_devices=users.doubled / users.count,
            think=users.think,
            first=first_user,
        ),
        chance=Random(random.getrandbits(64)),
        on_operation=on_operation,
        journey=journey,
        policy=Tries(most=users.tries, timeout=users.answer_timeout),
        clock=clock,
    )
