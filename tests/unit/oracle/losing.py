"""Users who shop while their store is struck, and a store that comes back without the last of what it acknowledged."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

from lab.model import Kind, Operation
from lab.record import AnyEvent, Strike, StrikeProved, StrikeUndone
from tests.unit.oracle.making import op, with_quiet_points

S = 1_000_000_000
MS = 1_000_000
STRUCK_AT = 20 * S


def strike_of(
    role: str = "store",
    *,
    hit: bool = True,
    fault: str = "SIGKILL",
    undone: int = 23 * S,
    number: int = 1,
    at: int = STRUCK_AT,
) -> list[AnyEvent]:
    """A strike as the record has it."""
    return [
        Strike(
            at=at,
            strike=number,
            fault=fault,
            victim="store-a",
            container="c",
            slot="",
            zone="a",
            release="",
            serving=6,
            role=role,
        ),
        StrikeProved(at=at + 200 * MS, strike=number, hit=hit),
        StrikeUndone(at=undone, strike=number, fault=fault, victim="store-a"),
    ]


@cache
def history(seed: int, *, loses: float, users: int = 6) -> Sequence[Operation]:
    """Users who shop before and after a strike at which the store forgets the last `loses` seconds of everything."""
    made = (_of_one(f"u{number}", Random(f"{seed}/{number}"), loses) for number in range(users))
    return tuple(with_quiet_points([one for ones in made for one in ones]))


class _Shopper:
    """One user, whose belongings are kept as the store keeps them."""

    def __init__(self, user: str, random: Random) -> None:
        self.user, self.random = user, random
        self.state: dict[str, Any] = {"views": [], "cart": {}, "orders": [], "name": None, "sessions": []}
        self.device, self.session = f"{user}.1", f"{user}#1"
        self.at, self.ended = random.randrange(S), 0
        self.made: list[Operation] = []

    def note(self, kind: Kind, key: str | None = None, **told: Any) -> None:
        """An operation of four milliseconds; the next one comes a little later."""
        end = self.ended = self.at + 4 * MS
        replica = f"{'abc'[len(self.made) % 3]}1-1"  # another one each time, so that all of it is put to the test
        told = {"user": self.user, "device": self.device, "session": self.session, "replica": replica, **told}
        self.made.append(op(kind, self.at, end, key, **told))
        self.at += self.random.randrange(60 * MS, 160 * MS)

    def log_in(self, key: str) -> None:
        self.note(Kind.LOGIN, f"{self.user}.{key}")
        self.state["sessions"].append(self.session)

    def change(self, key: str) -> None:
        """Something that the store must not forget."""
        state = self.state
        match self.random.choice(("view", "add", "add", "checkout", "rename")):
            case "view":
                self.note(Kind.VIEW, key)
                state["views"].append(key)
            case "add":
                self.note(Kind.ADD, key, argument=1)
                state["cart"][key] = 1
            case "checkout":
                self.note(Kind.CHECKOUT, key, answer=dict(state["cart"]))
                state["orders"] += [[key, dict(state["cart"])]] if state["cart"] else []
                state["cart"] = {}
            case _:
                self.note(Kind.RENAME, key, argument=key)
                state["name"] = key

    def look(self, kind: Kind) -> None:
        state = self.state
        answers = {
            Kind.HISTORY: [len(state["views"]), state["views"][-100:]],
            Kind.CART: dict(state["cart"]),
            Kind.ORDERS: copy.deepcopy(state["orders"]),
            Kind.ACCOUNT: state["name"],
        }
        self.note(kind, answer=answers[kind])


LOOKS = (Kind.HISTORY, Kind.CART, Kind.ORDERS, Kind.ACCOUNT)


def _of_one(user: str, random: Random, loses: float) -> list[Operation]:
    shopper, is_over, number = _Shopper(user, random), False, 0
    kept = copy.deepcopy(shopper.state)
    shopper.log_in("login")
    while shopper.at < 32 * S:
        if not is_over and shopper.ended < STRUCK_AT - int(loses * S):
            kept = copy.deepcopy(shopper.state)  # what was acknowledged until now is on the disk in time
        if shopper.at + 4 * MS >= STRUCK_AT and not is_over:
            shopper.state, is_over, shopper.at = copy.deepcopy(kept), True, 24 * S
        if shopper.session not in shopper.state["sessions"]:
            shopper.note(Kind.HISTORY, result="401", outcome="unknown")
            shopper.session = f"{user}#2"
            shopper.log_in("login2")
        number += 1
        if random.random() < 0.5:
            shopper.change(f"{user}.{number}")
        else:
            shopper.look(random.choice(LOOKS))
    for kind in LOOKS:
        shopper.look(kind)
    shopper.device, shopper.session = f"{user}.2", f"{user}#3"
    shopper.log_in("login3")
    for kind in LOOKS:
        shopper.look(kind)
    return shopper.made
