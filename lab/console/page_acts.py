"""What a person may do to a run from its page: the same acts as the scenario's own, recorded the same way."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from lab.chaos.faults import FAULTS, FaultName
from lab.chaos.striker import StrikeResult
from lab.deploy.rollout import RolloutRequest, strategy_from
from lab.errors import UsageError
from lab.record import StrikeSource
from lab.run.controls import Reach

FROZEN_FOR = 3.0
"""Seconds that a replica stays frozen."""
LOST_FOR = 6.0
"""Seconds that a zone stays lost."""


class PageActs:
    """Does one act at a time. Between `take_hold` and `let_go` there is something to act on."""

    def __init__(self, images: Sequence[str]) -> None:
        self.images = tuple(images)
        self._lock = threading.Lock()
        self._reach: Reach | None = None
        self._open: list[tuple[threading.Timer, Callable[[], None]]] = []

    def take_hold(self, reach: Reach) -> None:
        """There is a cluster."""
        with self._lock:
            self._reach = reach

    def let_go(self) -> None:
        """The cluster is about to go: nothing may be done to it any more, and what is open is undone.

        All of it is, whatever fails; then what was raised last is raised.
        """
        with self._lock, ExitStack() as undoing:
            self._reach = None
            for timer, undo in self._open:
                timer.cancel()
                undoing.callback(undo)
            self._open.clear()

    def do(self, act: str, what: Mapping[str, str]) -> str:
        """Do it and say what was done.

        Raises UsageError where it is not known, beyond the blast radius, or there is nothing to do it to.
        """
        if act not in ACTS:
            raise UsageError("no such action", at=act, hint=", ".join(ACTS))
        with self._lock:
            if self._reach is None:
                raise UsageError("there is no cluster to act on", at=act, hint="wait until users are logged in")
            return ACTS[act](self, self._reach, what)

    def _kill(self, reach: Reach, what: Mapping[str, str]) -> str:
        struck = self._strike(reach, "kill", what)
        return f"{struck.victim.name} was killed" if struck.hit else f"{struck.victim.name}: {struck.why}"

    def _freeze(self, reach: Reach, what: Mapping[str, str]) -> str:
        struck = self._strike(reach, "freeze", what)
        self._undo_after(FROZEN_FOR, partial(reach.striker.undo, [struck.strike]))
        name = struck.victim.name
        return f"{name} is frozen for {FROZEN_FOR:g} s" if struck.hit else f"{name}: {struck.why}"

    def _lose_zone(self, reach: Reach, what: Mapping[str, str]) -> str:
        zone = what.get("zone", "")
        lost = reach.striker.lose_zone(zone, cut_off=False, source=StrikeSource.PAGE)
        self._undo_after(LOST_FOR, partial(reach.striker.regain_zone, zone))
        return f"zone {zone} is lost for {LOST_FOR:g} s: {', '.join(one.victim.name for one in lost)}"

    def _roll(self, reach: Reach, what: Mapping[str, str]) -> str:
        image = what.get("image", "")
        if image not in self.images:
            raise UsageError(f"not an image of this scenario: {image}", at="roll", hint=", ".join(self.images))
        number = secrets.token_hex(4)
        reach.desk.roll(reach.release(image), strategy_from("rolling", {}), id=number, by="the page")
        return f"rolling to {image}"

    def _reverse(self, reach: Reach, _: Mapping[str, str]) -> str:
        rollout = reach.desk.ask(RolloutRequest.REVERSE)
        return f"back to {rollout.before.name}"

    def _strike(self, reach: Reach, fault: FaultName, what: Mapping[str, str]) -> StrikeResult:
        slot = what.get("slot")
        there = {one.container for one in reach.serving() if slot in {None, one.slot}}
        victims = [one for one in reach.striker.victims() if one.container in there]
        if not victims:
            raise UsageError(f"nobody serves in {slot}" if slot else "nobody serves", at="the page")
        [struck] = reach.striker.strike(FAULTS[fault], [secrets.choice(victims)], source=StrikeSource.PAGE)
        return struck

    def _undo_after(self, seconds: float, undo: Callable[[], None]) -> None:
        def ring() -> None:
            with self._lock:
                if entry in self._open:
                    undo()
                    self._open.remove(entry)  # what could not be undone now is undone in the end

        timer = threading.Timer(seconds, ring)
        timer.daemon = True
        entry = (timer, undo)
        self._open.append(entry)
        timer.start()


ACTS: Mapping[str, Callable[[PageActs, Reach, Mapping[str, str]], str]] = {
    "kill": PageActs._kill,
    "freeze": PageActs._freeze,
    "lose-zone": PageActs._lose_zone,
    "roll": PageActs._roll,
    "reverse": PageActs._reverse,
}
