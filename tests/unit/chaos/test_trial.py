"""What an engine can't do is found out by doing it, and so is what it does without a word."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from lab.chaos.trial import TRIED, find_impossible
from lab.clock import FakeClock
from lab.cluster.harm import AnyHarm, Limit, Pause, Sever, Squeeze, Unpause, Victim
from lab.errors import EngineError
from lab.model import Role

WORDS = {
    "Crash": "die",
    "Pause": "pause",
    "Throttle": "update",
    "Squeeze": "oom",
    "Leave": "disconnect",
    "Sever": "severed",
}


class Engine:
    """Does everything but what it refuses, and confirms everything but what it is silent about."""

    def __init__(self, *, refuses: type[AnyHarm] | None = None, silent: type[AnyHarm] | None = None) -> None:
        self._refuses, self._silent = refuses, silent
        self.did: list[AnyHarm] = []
        self._said: dict[str, list[str]] = {}
        self._names = itertools.count()

    def make(self) -> Victim:
        name = f"c{next(self._names)}"
        return Victim(
            container=name, name=name, role=Role.APP, slot="a1", zone="a", release="", addresses=("10.0.0.9",)
        )

    def victims(self) -> list[Victim]:
        return []

    def read(self, container: str) -> Victim | None:  # noqa: ARG002
        return None

    def do(self, container: str, harm: AnyHarm) -> bool:
        if self._refuses is not None and isinstance(harm, self._refuses):
            raise EngineError("no such controller")
        self.did.append(harm)
        if self._silent is None or not isinstance(harm, self._silent):
            self._said.setdefault(container, []).append(WORDS.get(type(harm).__name__, "other"))
        return True

    def mark(self) -> str:
        return "0"

    def said(self, container: str, since: str) -> Sequence[str]:  # noqa: ARG002
        return self._said.get(container, [])


def test_an_engine_that_does_all_lacks_nothing() -> None:
    """Each fault is tried on a container of its own, and undone."""
    engine = Engine()
    assert find_impossible(engine, engine.make, TRIED, clock=FakeClock()) == {}
    assert [type(one) for one in engine.did if isinstance(one, Pause | Unpause)] == [Pause, Unpause]


def test_only_what_is_done_to_containers_is_tried() -> None:
    """A node is drained by its managers, and no engine alone has any."""
    assert set(TRIED) == {"crash", "freeze", "slow", "squeeze", "cut", "cut from"}


def test_what_is_refused_is_told_with_the_engines_words() -> None:
    """And nothing else is."""
    engine = Engine(refuses=Squeeze)
    assert find_impossible(engine, engine.make, TRIED, clock=FakeClock()) == {"squeeze": "no such controller"}
    assert any(isinstance(one, Limit) for one in engine.did), "what may have been done by halves is undone"


def test_what_is_never_confirmed_is_as_good_as_not_done() -> None:
    """A run counts only strikes that the engine confirms."""
    engine = Engine(silent=Sever)
    found = find_impossible(engine, engine.make, TRIED, clock=FakeClock())
    assert found == {"cut from": "the engine does it, but never reports 'severed'"}
