"""The lab's words as frozen values: what a cluster is made of, what users did, what was found.

Times are monotonic nanoseconds (`lab.clock`) unless a name says otherwise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class _ValueMeta(msgspec.StructMeta):
    """Makes every value frozen and keyword-only, which msgspec would want said again of each class."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **settings: Any) -> Any:
        defaults = {"frozen": True, "kw_only": True, "omit_defaults": True, "forbid_unknown_fields": True}
        return super().__new__(mcls, name, bases, namespace, **{**defaults, **settings})


class Value(msgspec.Struct, metaclass=_ValueMeta):
    """A frozen value that is compared by content and written as one JSON object."""


# ---------------------------------------------------------------- the cluster


class Role(StrEnum):
    """What a container is for."""

    APP = "app"
    BALANCER = "balancer"
    STORE = "store"
    FRONT = "front"  # somebody's own balancer, before the lab's
    SENTINEL = "sentinel"  # watches the stores of a replicated tier, and says which is their primary
    ORDERS = "orders"  # the database that keeps the orders, where the store does not
    GATE = "gate"  # stands before a replica that knows nothing of slots, and shares its life
    WORKER = "worker"  # somebody's own service that does the app's work elsewhere, by the scenario's word
    SERVICE = "service"  # somebody's own service beside the app, which has no role and is never struck
    NODE = "node"  # a machine of a swarm; only ever struck
    DEPLOYER = "deployer"  # a process, not a container; only ever struck
    PATTERN = "pattern"  # never started: what compose made of the app's service, which replicas are cloned from


STORE_ROLES = frozenset({Role.STORE, Role.SENTINEL, Role.ORDERS})
"""What keeps the state: while one of them is struck no replica may be able to serve. One is struck only while all are
whole, so that never two are away at once."""


class Release(Value):
    """An image of the app, and the environment that it runs with beside what the compose file says."""

    name: str
    image: str
    env: Mapping[str, str] = {}


def release_name(image: str, env: Mapping[str, str] | None = None) -> str:
    """What a release of this image is called: "shop:v1" is release v1.

    One with an environment of its own is another release than the image alone: its name tells the variables, and by a
    few signs their values.
    """
    name, colon, tag = image.rpartition(":")
    plain = tag if colon and "/" not in tag and name else image
    if not env:
        return plain
    digest = hashlib.sha256(repr(sorted(env.items())).encode()).hexdigest()[:4]
    return f"{plain}+{','.join(sorted(env))}.{digest}"


_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?"  # the registry's host
    rf"{_PART}(?:/{_PART})*(?::\w[\w.-]{{0,127}})?(?:@[a-zA-Z][\w.+-]*:[0-9a-fA-F]{{32,}})?",
    re.ASCII,
)
MOST_IN_IMAGE_NAME = 255


def is_image_name(text: str) -> bool:
    """Whether an engine takes this for the name of an image: the grammar of its references."""
    return len(text) <= MOST_IN_IMAGE_NAME and _IMAGE.fullmatch(text) is not None


class Front(Value):
    """A balancer of one's own, which stays before the app: users come through it, and it finds the lab's behind it."""

    service: str
    """The service in the compose file, which asks the app under the name of the app's service."""
    port: int
    """Where users find it, inside its container."""


class Slot(Value):
    """A place for one replica. The balancer knows slots; which replica stands in a slot changes."""

    name: str
    zone: str


class ReplicaState(StrEnum):
    """Where a replica is in its life, as far as the engine knows."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    DEAD = "dead"  # exited, or being removed


class Replica(Value):
    """One app container, as the engine describes it. Every act on a replica names its full container id."""

    container: str
    name: str
    slot: str
    zone: str
    release: str
    state: ReplicaState
    generation: int = 0
    """Counts up with every replica made for the cluster: of two in one slot, the higher is the newer."""


# ---------------------------------------------------------------- what users did


class Outcome(StrEnum):
    """What is known of an operation's effect.

    refused: it surely had none. unknown: it was sent and got no full answer, so that it may take effect at any
    time after it began, or never.
    """

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class TryResult(StrEnum):
    """How one try ended when no full, well-formed answer came."""

    UNSENT = "unsent"  # no connection could be made, so nothing was sent
    CUT = "cut"  # sent, and the connection ended before a full answer
    TIMEOUT = "timeout"  # sent, and no full answer in time
    GARBLED = "garbled"  # answered in full with 2xx, but not in the shape that the operation's kind promises


TRIED_AGAIN = frozenset({TryResult.UNSENT, TryResult.CUT, TryResult.TIMEOUT, "500", "502", "503", "504"})
"""The results of a try after which a user tries again, if there are tries left and it may be repeated."""


class Try(Value, gc=False, kw_only=False):
    """One request of an operation. `result` is an HTTP status ("200") or a TryResult."""

    begin: int
    end: int
    result: str
    sent: bool = True
    replica: str | None = None
    """The replica that answered, by its own word ("a1-7")."""
    release: str | None = None
    edge: tuple[str, ...] = ()
    """The slots that the balancer tried, in order; more than one: the balancer repeated the request."""

    @property
    def answered(self) -> bool:
        return self.result.isdigit()


class Kind(StrEnum):
    """What an operation does. Writes carry a unique id as their argument's identity: the idempotency key."""

    LOGIN = "login"
    LOGOUT = "logout"
    VIEW = "view"  # append `key` to the recently viewed
    HISTORY = "history"  # -> [count, [newest ids, oldest first]]
    ADD = "add"  # put line `key` into the cart, `argument` items of it
    REMOVE = "remove"  # take line `argument` out -> whether it was there
    CART = "cart"  # -> {line: quantity}
    CHECKOUT = "checkout"  # order `key` takes the whole cart -> {line: quantity}, empty for no order
    ORDERS = "orders"  # -> [[order, {line: quantity}], ...] oldest first
    RENAME = "rename"  # set the display name to `argument`
    ACCOUNT = "account"  # -> the display name, null if never set
    BROWSE = "browse"  # reads nothing that belongs to the user
    ACT = "act"  # somebody's own app: one request that may change something
    READ = "read"  # somebody's own app: one request that changes nothing
    DEVICES = "devices"  # lists where the account is logged in
    INTRUDE = "wrong login"  # a login with a wrong password, which must be refused
    JOIN = "join"  # a login to account `argument`, which the user makes by it
    STATE = "state"  # somebody's own app: what its reads showed just before -> the user's state, see `allowed`


class Operation(Value, gc=False, kw_only=False):
    """One thing that a user did, with all its tries; a retry carries the same key, so it stays one operation.

    `begin` is taken before the first byte of the first try is sent, `end` after the last byte of the last
    answer was read (or when the user gave up), so that the true effect of an `ok` lies between the two.
    """

    id: int
    user: str
    device: str
    kind: Kind
    begin: int
    end: int
    outcome: Outcome
    tries: tuple[Try, ...]
    key: str | None = None
    argument: str | int | None = None
    answer: Any = None
    """What the app answered, in the shape that `kind` states."""
    session: str | None = None
    """An alias of the session the request carried or, for a login, was given; never the token itself."""
    answered_as: str | None = None
    """The account that the answer claims to be for."""
    due: int | None = None
    """When the user meant to begin, if the driver was behind."""
    quiet: bool = False
    """Nothing else of the user was in flight when it ended: what ended until here can be judged."""
    allowed: tuple[Any, ...] | None = None
    """The states that the user's own model allows; more than one while an action's outcome is unknown."""
    is_conclusion: bool = False
    """Drawn from the operations just before; `tries` are the last one's, and nothing was asked beside them."""
    turned_away: bool = False
    """The app sent the user to its login page."""
    is_repeatable: bool = True
    """Whether a user may repeat it though nobody knows what the last try did."""
    is_broken_off: bool = False
    """The lab itself ended it, as when it is interrupted: it says nothing of the app that no answer came."""
    ended_early: str | None = None
    """Of a STATE: why the action before it ended early, "" where it did not; None: no action came before it. Of an
    own app's LOGOUT: why it claims nothing, "" where it does."""
    could_not_fail: str = ""
    """Of a STATE: why comparing it could not have failed, "" where it could."""
    repeats: int = 0
    """So many of its tries, the last ones, were made on purpose once it had been answered; `answer` is the first."""
    answered_again: Any = None
    """What one of these was answered, where that is something else."""
    is_page: bool = False
    """It was read as a browser reads: a page."""
    foreign: str | None = None
    """A mark of another user that its answer holds."""
    wrong: str | None = None
    """What the answer shows that cannot be so, whatever was done before: one sentence."""
    cookies: Mapping[str, bool] | None = None
    """Of a LOGIN to somebody's own app: the names of the cookies that its browser has then, and whether each reads as a
    session that is signed; never what they hold."""

    @property
    def final(self) -> Try:
        return self.tries[-1]

    @property
    def answered(self) -> Try:
        """The try that ended it for its user: the last one that was not made on purpose."""
        return self.tries[-1 - self.repeats]

    @property
    def session_rejected(self) -> bool:
        """Whether the session that it carried was refused. Of somebody's own app its journey alone says so."""
        if self.turned_away:
            return True
        return self.final.result == "401" and self.kind not in _NO_WORD_ON_SESSIONS


_NO_WORD_ON_SESSIONS = frozenset({Kind.LOGIN, Kind.INTRUDE, Kind.JOIN, Kind.ACT, Kind.READ})
"""Where a 401 is about a password, or what somebody's own journey may have expected."""


# ---------------------------------------------------------------- what was found


class Verdict(StrEnum):
    """Worst wins: broken over could-not-tell over held."""

    HELD = "held"
    COULD_NOT_TELL = "could not tell"
    BROKEN = "broken"


class Finding(Value):
    """One broken promise, with the few operations that prove it."""

    promise: str
    anomaly: str
    user: str
    at: int
    why: str
    """One sentence that says what contradicts what."""
    witness: tuple[Operation, ...] = ()
    """In time order; enough to see the contradiction without the rest of the history."""
    cause: str = ""
    """One causal line: the strike, step or store event that explains it, if one does."""


class PromiseResult(Value):
    """How one promise fared: `checks` says what was counted, `count` how many were."""

    promise: str
    title: str
    verdict: Verdict
    count: int
    checks: str
    broken: int = 0
    note: str = ""
    upper: float | None = None
    """Where it never broke: the share of its checks below which, with 95 % confidence, breaches lie (3/count)."""
    occasions: dict[str, int] = {}
    """How often it could have failed, by what puts it to the test."""
