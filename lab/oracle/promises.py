"""The promises, one self-describing row each, and the anomalies that break them.

Whatever speaks of promises reads these rows: the verdict, the closing lines, reports, the reference. A new promise is a
row here and the code that finds it broken (an object of the `ledger`, or `service`).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from lab.model import Value

STATE_KEPT = "state_kept"
APPLIED_ONCE = "applied_once"
ORDERS_ONCE = "orders_once"
LOGGED_IN = "logged_in"
OWN_DATA = "own_data"
NAME_REGISTER = "name_register"
DEVICES_AGREE = "devices_agree"
TRIES = "tries"
CLEAN_STOPS = "clean_stops"
SERVING_FLOOR = "serving_floor"
RECOVERS = "recovers"
AVAILABLE = "available"
ANSWERS_IN_TIME = "answers_in_time"
ROLLOUTS_END = "rollouts_end"
LOSS_BOUND = "loss_bound"


class Anomaly(StrEnum):
    """What went wrong, in the words of a finding."""

    LOST_WRITE = "lost write"
    STALE_READ = "stale read"
    PHANTOM = "phantom"
    REFUSED_APPLIED = "refused yet applied"
    ORDER_CHANGED = "order changed"
    REMOVED_BACK = "removed item back"
    BOUGHT_BACK = "bought item back"
    CONTRADICTION = "contradiction"
    APPLIED_TWICE = "applied twice"
    WRONG_QUANTITY = "wrong quantity"
    ORDER_MISSING = "order missing"
    ORDER_DOUBLED = "order doubled"
    PARTIAL_ORDER = "partial order"
    SOLD_TWICE = "item sold twice"
    FORCED_LOGOUT = "forced logout"
    KEPT_OUT = "kept out"
    ALIVE_AFTER_LOGOUT = "alive after logout"
    FLAPPING = "flapping"
    LEAK = "leak"
    SWAP = "swap"
    LET_IN = "let in with a wrong password"
    WRONG_CONTENT = "wrong content"
    DONE_AGAIN = "done again"
    DEVICES_DIFFER = "devices differ"
    NOT_ANSWERED = "not answered"
    REFUSED = "refused"
    CUT_BY_STOP = "cut by a planned stop"
    KILLED_AT_STOP = "killed at a planned stop"
    IGNORED_SIGNAL = "ignored its stop signal"
    UNPREPARED = "not prepared for its stop"
    BELOW_FLOOR = "too few serving"
    MUTE = "ready and answers nobody"
    SLOW_RECOVERY = "slow recovery"
    UNAVAILABLE = "unavailable"
    SLOW_ANSWERS = "slow answers"
    ROLLOUT_STUCK = "rollout not ended"
    MOVED_TWICE = "slot moved twice"
    LOST_MORE = "lost more than stated"


class RunTerms(Value):
    """What a scenario asks for, as far as it decides which promises its verdict rests on."""

    own_app: bool = False
    """The users are those of an app of somebody's own, whose journey alone knows what its answers mean."""
    watched: bool = False
    """Somebody else's deployment is watched, of whose inside nothing is known."""
    two_devices: bool = True
    """Any account is used on two devices at once."""
    rolls: bool = False
    """A release is rolled out."""
    rolled_back: bool = False
    """It came back."""
    serving_at_least: int = 0
    recovers_within: float = 0.0
    available: float = 0.0
    p99_within: float = 0.0
    rollout_within: float = 0.0
    bounds_loss: bool = False
    """A bound of loss is stated, and a step strikes the store that states it; or the scenario sets one."""


class Occasion(Value):
    """Something that must have come up for a promise to have been put to the test: else it could not have failed."""

    name: str
    """As `enough.occasions` knows it."""
    what: str
    """What is counted."""
    least: int
    """Fewer are told under "not checked"."""
    gates: bool = False
    """With fewer of these the promise itself was not put to the test."""
    needs_rollout: bool = False
    """It can only come up where a release is rolled out."""
    of_own_apps: bool = False
    """It is known of the users of any app, and not only of the shop's."""


class Promise(Value):
    """One promise: all that anything says of it."""

    name: str
    title: str
    """For people."""
    checks: str
    """What its count counts."""
    rule: str
    """When it is broken, in words."""
    asked_if: Callable[[RunTerms], bool]
    """Whether a run's verdict rests on it."""
    ask: str
    """How a scenario asks for it, or why this one did not; for people."""
    is_seen_outside: bool = True
    """It is judged by what users get alone, so that it can be asked of a deployment whose inside nobody sees."""
    is_of_state: bool = False
    """Judged by the oracle, of each user."""
    compares: bool = False
    """Its checks compare what the app shows with what was acknowledged. (That users are logged in and see what is
    theirs is looked at with every answer, so thousands of those say nothing of any state.)"""
    hurt: str = "were hurt"
    """What became of users where it is broken; empty: it is counted in breaches, not in users."""
    maker: str = "answered first"
    """What the first replica of a finding had done."""
    occasions: tuple[Occasion, ...] = ()
    """What puts it to the test."""
    judges_time: bool = False
    """Whoever comes too late breaks it, which a machine that is too busy may be."""
    must_be_tried: bool = False
    """It is what every run is about: one that did not put it to the test tells nothing, whatever else it shows."""
    explains_itself: bool = False
    """Its findings say who did what: nothing that happened just before adds to them."""


def _always(_: RunTerms) -> bool:
    return True


def _of_the_shop(terms: RunTerms) -> bool:
    return not terms.own_app


_EVERY_RUN = "every run asks for it"
_SHOP_ONLY = "only the lab's own shop is known well enough"

PROMISES: dict[str, Promise] = {
    promise.name: promise
    for promise in (
        Promise(
            name=STATE_KEPT,
            title="Users keep their state",
            checks="reads compared",
            rule="no order of a user's operations within their times explains what a read shows",
            asked_if=_always,
            ask=_EVERY_RUN,
            is_of_state=True,
            compares=True,
            hurt="lost state",
            must_be_tried=True,
            occasions=(
                Occasion(
                    name="read_elsewhere",
                    what="reads of what another replica had written",
                    least=5,
                    gates=True,
                    of_own_apps=True,
                ),
            ),
        ),
        Promise(
            name=APPLIED_ONCE,
            title="Every write is applied once",
            checks="writes found once",
            rule="a write shows twice, or does something else where it is sent again with its key",
            asked_if=_of_the_shop,
            ask=_SHOP_ONLY,
            is_of_state=True,
            compares=True,
            occasions=(
                Occasion(name="sent_again", what="writes sent again with their key", least=5, gates=True),
                Occasion(name="sent_again_elsewhere", what="of these answered by another replica", least=3),
            ),
        ),
        Promise(
            name=ORDERS_ONCE,
            title="Every order is placed once, whole",
            checks="orders counted once",
            rule="an acknowledged order is missing, doubled or not whole, or something is sold twice",
            asked_if=_of_the_shop,
            ask=_SHOP_ONLY,
            is_of_state=True,
            compares=True,
            occasions=(Occasion(name="orders_sent_again", what="checkouts sent again with their key", least=1),),
        ),
        Promise(
            name=LOGGED_IN,
            title="Users stay logged in",
            checks="requests with a session",
            rule="a live session is refused, or one that was ended is accepted",
            asked_if=_always,
            ask=_EVERY_RUN,
            is_of_state=True,
            maker="made the session",
            must_be_tried=True,
            occasions=(
                Occasion(
                    name="sessions_elsewhere",
                    what="requests with a session that another replica had made",
                    least=5,
                    gates=True,
                    of_own_apps=True,
                ),
                Occasion(
                    name="older_sessions",
                    what="requests with a session older than the replica",
                    least=5,
                    needs_rollout=True,
                    of_own_apps=True,
                ),
                Occasion(
                    name="sessions_across",
                    what="requests with a session that another release had made",
                    least=5,
                    needs_rollout=True,
                    of_own_apps=True,
                ),
                Occasion(name="ended_sessions", what="ended sessions shown again", least=1),
                Occasion(name="logins_again", what="logins of devices that were logged in", least=1),
                Occasion(name="device_lists", what="lists of devices read", least=1),
                Occasion(name="newcomers", what="accounts made at the new release", least=1, needs_rollout=True),
                Occasion(name="logins_back", what="logins back at an older release", least=1, needs_rollout=True),
            ),
        ),
        Promise(
            name=OWN_DATA,
            title="Users see only what is theirs",
            checks="answers checked for their owner",
            rule="an answer is for, or shows anything of, another user; or a wrong password lets somebody in",
            asked_if=_of_the_shop,
            ask=_SHOP_ONLY,
            is_of_state=True,
            occasions=(
                Occasion(
                    name="neighbours",
                    what="answers by a replica that had just answered somebody else",
                    least=20,
                    gates=True,
                ),
                Occasion(name="pages", what="pages read as a browser does", least=5),
                Occasion(name="wrong_passwords", what="logins with a wrong password", least=1),
            ),
        ),
        Promise(
            name=NAME_REGISTER,
            title="The display name is the last one set",
            checks="names compared",
            rule="a read shows a display name that is not the last one set",
            asked_if=_of_the_shop,
            ask=_SHOP_ONLY,
            is_of_state=True,
            compares=True,
            occasions=(Occasion(name="odd_names", what="display names that are long or hard to write", least=1),),
        ),
        Promise(
            name=DEVICES_AGREE,
            title="All devices show the same in the end",
            checks="last reads compared",
            rule="two devices of one account still show something else after all writes have ended",
            asked_if=lambda terms: not terms.own_app and terms.two_devices,
            ask="users.on_two_devices",
            is_of_state=True,
            compares=True,
        ),
        Promise(
            name=TRIES,
            title="Every action is answered within its tries",
            checks="actions",
            rule="an action gets no proper answer in any try, or is refused though the user may do it",
            judges_time=True,
            asked_if=_always,
            ask=_EVERY_RUN,
            hurt="",
        ),
        Promise(
            name=CLEAN_STOPS,
            title="A planned stop cuts nobody off",
            checks="planned stops",
            is_seen_outside=False,
            rule="a request is cut, or repeated by the balancer, because a replica is stopped on purpose",
            judges_time=True,
            asked_if=lambda terms: terms.rolls and not terms.rolled_back,
            ask="no replica was stopped on purpose, or a release was rolled back",
            hurt="",
            occasions=(
                Occasion(
                    name="busy_stops",
                    what="planned stops while requests were being answered there, at its signal if it is your app",
                    least=1,
                    gates=True,
                    needs_rollout=True,
                    of_own_apps=True,
                ),
            ),
        ),
        Promise(
            name=SERVING_FLOOR,
            title="Enough replicas serve at all times",
            checks="looks at who serves",
            is_seen_outside=False,
            rule="fewer replicas serve than promised, and no strike explains it",
            judges_time=True,
            asked_if=lambda terms: terms.serving_at_least > 0,
            ask="promises.serving_at_least",
            hurt="",
        ),
        Promise(
            name=RECOVERS,
            title="Every strike is made good in time",
            checks="strikes recovered from",
            is_seen_outside=False,
            rule="too long after a strike fewer serve than before, or tries still fail",
            judges_time=True,
            asked_if=lambda terms: terms.recovers_within > 0,
            ask="promises.recovers_within",
        ),
        Promise(
            name=AVAILABLE,
            title="Nearly every first try is answered",
            checks="first tries",
            rule="too small a share of first tries gets a proper answer",
            judges_time=True,
            asked_if=lambda terms: terms.available > 0,
            ask="promises.available",
        ),
        Promise(
            name=ANSWERS_IN_TIME,
            title="99 of 100 answers come in time",
            checks="answers timed",
            rule="more than one operation of a hundred takes too long",
            judges_time=True,
            asked_if=lambda terms: terms.p99_within > 0,
            ask="promises.p99_within",
        ),
        Promise(
            name=ROLLOUTS_END,
            title="A rollout ends, no slot moved twice",
            checks="slots moved",
            is_seen_outside=False,
            rule="a rollout does not end in time, or moves a slot twice",
            judges_time=True,
            asked_if=lambda terms: terms.rollout_within > 0,
            ask="promises.rollout_within",
            explains_itself=True,
        ),
        Promise(
            name=LOSS_BOUND,
            title="The store loses no more than it says",
            checks="writes before its strikes",
            is_seen_outside=False,
            rule="a strike on the store loses what no loss within its bound explains",
            asked_if=lambda terms: terms.bounds_loss,
            ask="promises.loses_at_most, or a strike on a store that states a bound",
        ),
    )
}
"""In the order in which they are shown."""


def asked_promises(terms: RunTerms) -> tuple[str, ...]:
    """The promises that a run on these terms is judged by, in the order in which they are shown."""
    return tuple(name for name, promise in PROMISES.items() if promise.asked_if(terms))


OCCASIONS: dict[str, Occasion] = {one.name: one for promise in PROMISES.values() for one in promise.occasions}
"""All of them, by name."""


def due_occasions(name: str, terms: RunTerms) -> tuple[Occasion, ...]:
    """Those of a promise that can come up in a run on these terms."""
    return tuple(
        one
        for one in PROMISES[name].occasions
        if (one.of_own_apps or not terms.own_app) and (terms.rolls or not one.needs_rollout)
    )
