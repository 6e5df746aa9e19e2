"""The promises by name: what each says, what is counted for it, and which anomalies break it."""

from __future__ import annotations

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
    ALIVE_AFTER_LOGOUT = "alive after logout"
    FLAPPING = "flapping"
    LEAK = "leak"
    SWAP = "swap"
    DEVICES_DIFFER = "devices differ"
    NOT_ANSWERED = "not answered"
    REFUSED = "refused"
    CUT_BY_STOP = "cut by a planned stop"
    KILLED_AT_STOP = "killed at a planned stop"
    BELOW_FLOOR = "too few serving"
    SLOW_RECOVERY = "slow recovery"
    UNAVAILABLE = "unavailable"
    SLOW_ANSWERS = "slow answers"
    ROLLOUT_STUCK = "rollout not ended"
    MOVED_TWICE = "slot moved twice"
    LOST_MORE = "lost more than stated"


class Promise(Value):
    """One promise: its title for people and what its count counts."""

    name: str
    title: str
    checks: str


PROMISES: dict[str, Promise] = {
    promise.name: promise
    for promise in (
        Promise(name=STATE_KEPT, title="Users keep their state", checks="reads compared"),
        Promise(name=APPLIED_ONCE, title="Every write is applied once", checks="writes found once"),
        Promise(name=ORDERS_ONCE, title="Every order is placed once, whole", checks="orders counted once"),
        Promise(name=LOGGED_IN, title="Users stay logged in", checks="requests with a session"),
        Promise(name=OWN_DATA, title="Users see only what is theirs", checks="answers checked for their owner"),
        Promise(name=NAME_REGISTER, title="The display name is the last one set", checks="names compared"),
        Promise(name=DEVICES_AGREE, title="All devices show the same in the end", checks="last reads compared"),
        Promise(name=TRIES, title="Every action is answered within its tries", checks="actions"),
        Promise(name=CLEAN_STOPS, title="A planned stop cuts nobody off", checks="planned stops"),
        Promise(name=SERVING_FLOOR, title="Enough replicas serve at all times", checks="counts of the serving"),
        Promise(name=RECOVERS, title="Every strike is made good in time", checks="strikes recovered from"),
        Promise(name=AVAILABLE, title="Nearly every first try is answered", checks="first tries"),
        Promise(name=ANSWERS_IN_TIME, title="99 of 100 answers come in time", checks="answers timed"),
        Promise(name=ROLLOUTS_END, title="A rollout ends, no slot moved twice", checks="slots moved"),
        Promise(name=LOSS_BOUND, title="The store loses no more than it says", checks="writes before its strikes"),
    )
}
"""In the order in which they are shown."""
