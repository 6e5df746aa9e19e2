"""The state that somebody's own app keeps for a user: what was acknowledged must be what is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.model import Operation
from lab.oracle.breach import Breach, breach
from lab.oracle.counts import CheckCounts
from lab.oracle.promises import STATE_KEPT, Anomaly
from lab.oracle.words import ACT, OK, REFUSED

WRITES_REMEMBERED = 2
SHOWN = 60
"""Characters of a state that a sentence shows."""


class OwnState:
    """Compares each state that was read with those that the user's model allowed.

    What the app does is not modelled here: the user's own journey says which states the acknowledged actions lead
    to, and both with and without an action of unknown outcome, until a read settles it. So this is as sound as that
    journey, for actions whose effect shows by the next read if it ever does.
    """

    __slots__ = ("_counts", "_writes")

    def __init__(self, counts: CheckCounts) -> None:
        self._counts = counts
        self._writes: list[Operation] = []

    def judge(self, window: Sequence[Operation]) -> Breach | None:
        """Take in every action and state between two quiet points; the first contradiction, or None."""
        for operation in window:
            if not self.fits(operation) and operation.allowed is not None:
                self._counts.reads_compared += 1
                return self._breach(operation, operation.allowed)
        return None

    def fits(self, operation: Operation) -> bool:
        """Take it in where it contradicts nothing; False: nothing was changed."""
        if operation.kind is ACT:
            if operation.outcome is not REFUSED:
                self._writes = [*self._writes, operation][-WRITES_REMEMBERED:]
        elif operation.allowed is not None and operation.outcome is OK:
            if operation.answer not in operation.allowed:
                return False
            self._counts.reads_compared += 1
        return True

    def shows(self, operation: Operation, identifier: str) -> bool:  # noqa: ARG002 -- as all objects
        """A state has no ids that could come back."""
        return False

    def _breach(self, read: Operation, allowed: Sequence[Any]) -> Breach:
        wanted, got = _where_they_differ(allowed[-1], read.answer)
        doubt = " (an action of unknown outcome is allowed for)" if len(allowed) > 1 else ""
        why = f"{_short(wanted)} had been acknowledged{doubt}, and {_short(got)} was read"
        anomaly = Anomaly.LOST_WRITE if _lacks(got, wanted) else Anomaly.CONTRADICTION
        return breach(STATE_KEPT, anomaly, why, *self._writes, read)


def _where_they_differ(wanted: Any, got: Any) -> tuple[Any, Any]:
    """The parts that differ, as deep as both are objects with the same keys."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        keys = [key for key in wanted if wanted[key] != got.get(key)]
        if len(keys) == 1 and keys[0] in got and all(key in wanted for key in got):
            one, other = _where_they_differ(wanted[keys[0]], got[keys[0]])
            return {keys[0]: one}, {keys[0]: other}
    if isinstance(wanted, list) and isinstance(got, list):
        return [one for one in wanted if one not in got] or wanted, [one for one in got if one not in wanted] or got
    return wanted, got


def _lacks(got: Any, wanted: Any) -> bool:
    """Whether something that is wanted is not there at all."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return any(key not in got or _lacks(got[key], value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(got, list):
        return len(got) < len(wanted) or any(one not in got for one in wanted)
    return wanted is not None and got in (None, "", 0)


def _short(state: Any) -> str:
    text = repr(state)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
