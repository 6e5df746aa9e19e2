"""Before everybody of somebody's own app acts, one user tries the journey on one replica, and nobody is told.

What goes wrong there is a mistake of the journey, or of the app without any help of the lab's. Alone it ends no run,
since accounts may be made beforehand and the trial has one of its own; where all users fare alike, it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from lab.errors import JourneyMistake, ProvesNothing, UsageError
from lab.oracle import Oracle
from lab.oracle.promises import OWN_DATA
from lab.scenario.spec import UsersSpec
from lab.users import Door, Tries, User
from lab.users.loading import MakeUser
from lab.users.trial import Trial, user_to_try

TRIED_WITHIN = 5.0
"""Seconds for the trial before anybody else acts."""
BEYOND = 9000
"""Its account's number is so much beyond the first user's, where no other crowd of the cluster comes to."""
ACTIONS_EACH = 10
"""So many operations of each user, in the mean, without a single comparison are no accident."""


class FirstTry:
    """The trial of one run, and what becomes of the run because of it."""

    def __init__(self, make: MakeUser, door: Callable[[], Door], policy: Tries, *, first_user: int, seed: int) -> None:
        self._make, self._door, self._policy = make, door, policy
        self._stranger = user_to_try(BEYOND + first_user, seed)
        self._mistake = ""

    def run(self) -> None:
        """Let a stranger try it; what is found is kept for `check`. Raises UsageError where it does not return."""
        tried = self._trial(self._stranger).run_apart(2, within=TRIED_WITHIN)
        if tried.is_stuck:
            raise UsageError(tried.mistake, at="journey", hint="every request and every wait of a journey must end")
        self._mistake = tried.mistake if tried.is_in else ""

    async def nobody_is_in(self, one: User) -> str:
        """No login of the crowd worked: let one of its users try it alone. Raises JourneyMistake where that fails too.

        Says what there is to know of it otherwise.
        """
        tried = await self._trial(one).run(0, within=TRIED_WITHIN)
        if tried.is_in:
            return f"; {one.name} gets in alone on one replica, so sessions or secrets may be each replica's own"
        raise _mistaken(JourneyMistake, tried.mistake)

    def check(self, oracle: Oracle, users: int) -> None:
        """Raise ProvesNothing where everybody fares as the one did who tried it first, and may do so by a mistake."""
        if not self._mistake or any(one.promise == OWN_DATA for one in oracle.findings):
            return  # whoever shows what is another user's is no journey
        is_idle = oracle.why_nothing and oracle.operations > ACTIONS_EACH * users
        if oracle.always_ends_early or is_idle or len(oracle.users_hurt) >= users:
            raise _mistaken(ProvesNothing, self._mistake)

    def note_broken(self, why: UsageError) -> None:
        """The journey itself broke: raise ProvesNothing where whoever tried it first had made a mistake before that."""
        if self._mistake:
            raise _mistaken(ProvesNothing, self._mistake) from why

    def _trial(self, user: User) -> Trial:
        return Trial(self._make, self._door(), user=user, policy=self._policy)


def first_try_of(
    make: MakeUser | None,
    to_slot: Callable[[str], Door] | None,
    slots: Sequence[str],
    users: UsersSpec,
    *,
    first_user: int,
    seed: int,
) -> FirstTry | None:
    """The trial on the first of the slots; None where users are the lab's own, or nobody can be kept to one replica."""
    if make is None or to_slot is None or not slots:
        return None
    policy = Tries(most=users.tries, timeout=users.answer_timeout)
    return FirstTry(make, partial(to_slot, slots[0]), policy, first_user=first_user, seed=seed)


def _mistaken(kind: type[JourneyMistake], mistake: str) -> JourneyMistake:
    return kind(
        f"every user makes the same mistake: {mistake}", at="journey", hint="lab try FILE   # shows each request"
    )
