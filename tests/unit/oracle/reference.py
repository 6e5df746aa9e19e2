"""Valid histories of many users from a reference model: several devices, retries, cut answers, late effects."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random
from typing import Any

from lab.model import Kind, Operation, Outcome, Try, TryResult, Value
from tests.unit.oracle.dense import READS, Shop

MS = 1_000_000
WEIGHTS: dict[Kind, int] = {
    Kind.VIEW: 22,
    Kind.HISTORY: 16,
    Kind.ADD: 16,
    Kind.REMOVE: 7,
    Kind.CART: 18,
    Kind.CHECKOUT: 3,
    Kind.ORDERS: 3,
    Kind.RENAME: 8,
    Kind.ACCOUNT: 10,
    Kind.BROWSE: 4,
    Kind.LOGOUT: 1,
}


class Weather(Value):
    """What users and network are like. Times in nanoseconds."""

    users: int = 10
    prefix: str = "user"
    operations: int = 60
    """Of each user."""
    devices: tuple[int, ...] = (1, 2, 3)
    think: int = 40 * MS
    latency: int = 6 * MS
    unsent: float = 0.02
    cut: float = 0.03
    late: float = 0.2
    """The share of cut requests that take effect only long after."""
    storm: float = 0.03
    """The share of operations that begin while most requests fail."""


class _Device:
    def __init__(self, name: str) -> None:
        self.name = name
        self.keys = count(1)
        self.logins = 0
        self.session: str | None = None


class _Doing:
    """An operation under way."""

    def __init__(self, device: _Device, kind: Kind, key: str, argument: Any, session: str | None) -> None:
        self.device, self.kind, self.key, self.argument, self.session = device, kind, key, argument, session
        self.tries: list[Try] = []
        self.answer: Any = None
        self.rejected = False


class _User:
    """One user's timeline: what the devices do, and when each request reaches the shop."""

    def __init__(self, name: str, weather: Weather, chance: Random, ids: count[int]) -> None:
        self.name, self.weather, self.chance, self.ids = name, weather, chance, ids
        self.shop = Shop()
        self.alive: set[str] = set()
        self.stored: dict[str, Any] = {}
        self.left = weather.operations
        self.lines: dict[str, None] = {}
        self.made: list[Operation] = []
        self._queue: list[tuple[int, int, Callable[[int], None]]] = []
        self._order = count()
        self.devices = [_Device(f"{name}.{number}") for number in range(1, chance.choice(weather.devices) + 1)]

    def live(self) -> list[Operation]:
        for device in self.devices:
            self._at(int(self.chance.random() * self.weather.think), partial(self._start, device))
        end = self._drain()
        for device in self.devices:
            for kind in (Kind.HISTORY, Kind.CART, Kind.ORDERS, Kind.ACCOUNT):
                if device.session in self.alive:
                    end += self.weather.latency * 100
                    self._at(end, partial(self._read_back, device, kind))
                    end = max(end, self._drain())
        return self.made

    def _read_back(self, device: _Device, kind: Kind, now: int) -> None:
        self._send_all(device, kind, now, calm=True)

    def _at(self, when: int, what: Callable[[int], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), what))

    def _drain(self) -> int:
        now = 0
        while self._queue:
            now, _, what = heapq.heappop(self._queue)
            what(now)
        return now

    def _start(self, device: _Device, now: int) -> None:
        if self.left <= 0:
            return
        self.left -= 1
        if device.session is None:
            self._send_all(device, Kind.LOGIN, now)
        else:
            kind = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            self._send_all(device, Kind.CART if kind is Kind.REMOVE and not self.lines else kind, now)

    def _send_all(self, device: _Device, kind: Kind, now: int, *, calm: bool = False) -> None:
        key, argument, session = f"{device.name}.{next(device.keys)}", None, device.session
        chosen: Any = argument
        if kind is Kind.ADD:
            chosen = self.chance.randint(1, 3)
        elif kind is Kind.REMOVE:
            chosen = self.chance.choice(list(self.lines))
        elif kind is Kind.RENAME:
            chosen = key
        elif kind is Kind.LOGIN:
            device.logins += 1
            session = f"{device.name}#{device.logins}"
        doing = _Doing(device, kind, key, chosen, session)
        storm = not calm and self.chance.random() < self.weather.storm
        self._try(doing, now, calm, storm)

    def _try(self, doing: _Doing, now: int, calm: bool, storm: bool) -> None:
        weather, chance = self.weather, self.chance
        took = 1 + int(chance.expovariate(1 / weather.latency))
        luck = 1.0 if calm else chance.random()
        unsent, cut = (0.3, 0.6) if storm else (weather.unsent, weather.cut)
        reaches = now + int(chance.random() * took)
        result: str = "200"
        if luck < unsent:
            result = TryResult.UNSENT
        elif luck < unsent + cut:
            result = chance.choice([TryResult.CUT, TryResult.TIMEOUT, "502"])
            if chance.random() < 0.5:
                late = int(chance.random() * 60 * weather.latency) if chance.random() < weather.late else 0
                self._at(reaches + late, lambda _: self._reach(doing))
        else:
            self._at(reaches, lambda _: self._reach(doing, answered=True))

        def end(at: int) -> None:
            final = "401" if result == "200" and doing.rejected else result
            sent = result != TryResult.UNSENT
            doing.tries.append(Try(begin=now, end=at, result=final, sent=sent, replica="a1-1", release="v1"))
            if result == "200" or len(doing.tries) == 3:
                self._end(doing)
            else:
                self._at(at + int(chance.random() * weather.latency), lambda then: self._try(doing, then, calm, storm))

        self._at(now + took, end)

    def _reach(self, doing: _Doing, *, answered: bool = False) -> None:
        """The request takes effect in the shop, at one instant, once for its key."""
        kind, session = doing.kind, doing.session
        answer: Any = None
        if kind is Kind.LOGIN and session is not None:
            if answered:
                self.alive.add(session)
        elif kind is Kind.LOGOUT and session is not None:
            self.alive.discard(session)
        elif kind is not Kind.BROWSE and session not in self.alive:
            doing.rejected = answered
            return
        elif kind in READS:
            answer = self.shop.read(kind)
        elif kind is not Kind.BROWSE:
            if doing.key not in self.stored:
                self.stored[doing.key] = self.shop.apply(kind, doing.key, doing.argument)
            answer = self.stored[doing.key]
        if answered:
            doing.answer = answer

    def _end(self, doing: _Doing) -> None:
        device, last = doing.device, doing.tries[-1]
        outcome = Outcome.OK if last.result == "200" else Outcome.UNKNOWN
        if all(one.result in {TryResult.UNSENT, "401"} for one in doing.tries):
            outcome = Outcome.REFUSED
        session = doing.session if doing.kind is not Kind.LOGIN or outcome is Outcome.OK else None
        writes = doing.kind not in READS and doing.kind not in {Kind.LOGIN, Kind.LOGOUT, Kind.BROWSE}
        self.made.append(
            Operation(
                id=next(self.ids),
                user=self.name,
                device=device.name,
                kind=doing.kind,
                begin=doing.tries[0].begin,
                end=last.end,
                outcome=outcome,
                tries=tuple(doing.tries),
                key=doing.key if writes else None,
                argument=doing.argument,
                answer=doing.answer if outcome is Outcome.OK else None,
                session=session,
                answered_as=self.name if outcome is Outcome.OK and doing.kind is not Kind.BROWSE else None,
            )
        )
        self._learn(doing, outcome, last.result)
        pause = 1 + int(self.chance.expovariate(1 / self.weather.think))
        self._at(last.end + pause, lambda now: self._start(device, now))

    def _learn(self, doing: _Doing, outcome: Outcome, result: str) -> None:
        if doing.kind is Kind.LOGIN and outcome is Outcome.OK:
            doing.device.session = doing.session
        elif doing.kind is Kind.LOGOUT:
            stubborn = outcome is not Outcome.OK and self.chance.random() < 0.5
            doing.device.session = doing.session if stubborn else None
        elif result == "401":
            doing.device.session = None
        elif doing.kind is Kind.ADD:
            self.lines[doing.key] = None
        elif doing.kind is Kind.CART and outcome is Outcome.OK:
            self.lines = dict.fromkeys(doing.answer)


def simulate(seed: int, weather: Weather | None = None) -> list[Operation]:
    """A valid history, in the order in which its operations ended."""
    chance, ids = Random(seed), count()
    weather = weather or Weather()
    made: list[Operation] = []
    for number in range(weather.users):
        made += _User(f"{weather.prefix}-{number:03}", weather, chance, ids).live()
    return sorted(made, key=lambda one: (one.end, one.id))
