"""The state that somebody's own app keeps for a user: what was acknowledged must be what is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from lab.model import Operation
from lab.oracle.breach import Breach, breach
from lab.oracle.counts import CheckCounts
from lab.oracle.promises import APPLIED_ONCE, OWN_DATA, STATE_KEPT, Anomaly
from lab.oracle.words import ACT, OK, REFUSED

WRITES_REMEMBERED = 2
SHOWN = 60
"""Characters of a state that a sentence shows."""


class OwnState:
    """Compares each state that was read with those that the user's model allowed.

    What the app does is not modelled here: the user's own journey says which states the acknowledged actions lead
    to, and both with and without an action of unknown outcome, until a read settles it. So this is as sound as that
    journey, for actions whose effect shows by the next read if it ever does.

    A comparison is counted where it could have failed: something had changed, and was read back through another
    replica than the one that took it.
    """

    __slots__ = ("_counts", "_members", "_takers", "_unproved", "_writes")

    def __init__(self, counts: CheckCounts) -> None:
        self._counts = counts
        self._writes: list[Operation] = []
        self._takers: set[str] = set()
        """The replicas that took the writes since the last state."""
        self._unproved: set[str] = set()
        """Those whose changes no other replica has shown yet."""
        self._members = 0
        """How many members, each there once, the last state showed."""

    def judge(self, window: Sequence[Operation]) -> Breach | None:
        """Take in every action and state between two quiet points; the first contradiction, or None."""
        for operation in window:
            if not self.fits(operation) and operation.allowed is not None:
                return self._breach(operation, operation.allowed)
        return None

    def fits(self, operation: Operation) -> bool:
        """Take it in where it contradicts nothing; False: nothing was changed."""
        if operation.kind is ACT:
            if operation.outcome is not REFUSED:
                self._note_write(operation)
        elif operation.outcome is OK:
            if operation.allowed is not None and operation.answer not in operation.allowed:
                return False
            self._note_state(operation)
        return True

    def _note_write(self, operation: Operation) -> None:
        self._writes = [*self._writes, operation][-WRITES_REMEMBERED:]
        last = operation.final
        if operation.outcome is OK and last.result < "4":  # what a journey expects may be a refusal
            self._counts.own_app.writes += 1
            if last.replica is not None:
                self._takers.add(last.replica)

    def _note_state(self, read: Operation) -> None:
        """Count it if it could have been otherwise: a change that another replica had taken is shown."""
        own_app = self._counts.own_app
        if read.ended_early:
            own_app.ended_early[read.ended_early] += 1
        elif read.ended_early is not None:
            own_app.ended_whole += 1
        members = read.argument if isinstance(read.argument, int) else 0
        if read.allowed is None:
            self._takers.clear()
        elif not read.could_not_fail:
            own_app.changes += 1
            self._unproved |= self._takers
            self._takers.clear()
        else:
            own_app.could_not_fail[read.could_not_fail] += 1
        reader = read.tries[-1].replica if read.tries else None
        if reader is not None and not self._unproved <= {reader}:
            self._unproved &= {reader}
            self._counts.reads_compared += 1
            self._counts.writes_found += max(0, members - self._members)
            self._counts.answers_owned += members > 0
        self._members = members

    def shows(self, operation: Operation, identifier: str) -> bool:  # noqa: ARG002 -- as all objects
        """A state has no ids that could come back."""
        return False

    def _breach(self, read: Operation, allowed: Sequence[Any]) -> Breach:
        self._counts.reads_compared += 1
        foreign = _foreign(read.user, read.answer, allowed)
        if foreign is not None:
            self._counts.answers_owned += 1
            what, owner = foreign
            why = f"{what!r} belongs to {owner}, and is shown to {read.user}"
            return breach(OWN_DATA, Anomaly.LEAK, why, read)
        doubled = _doubled(allowed[-1], read.answer)
        if doubled is not None:
            self._counts.writes_found += 1
            why = f"{_short(doubled)} was acknowledged once, and is there twice"
            return breach(APPLIED_ONCE, Anomaly.APPLIED_TWICE, why, *self._writes, read)
        wanted, got = _where_they_differ(allowed[-1], read.answer)
        doubt = " (an action of unknown outcome is allowed for)" if len(allowed) > 1 else ""
        if _lacks(got, wanted):
            why = f"{_short(wanted)} had been acknowledged{doubt}, and is not in what was read: {_short(got)}"
            return breach(STATE_KEPT, Anomaly.LOST_WRITE, why, *self._writes, read)
        why = f"{_short(wanted)} had been acknowledged{doubt}, and {_short(got)} was read"
        return breach(STATE_KEPT, Anomaly.CONTRADICTION, why, *self._writes, read)


def _foreign(user: str, got: Any, allowed: Sequence[Any]) -> tuple[str, str] | None:
    """What a state shows that another user made, by its mark, and whose it is: a journey's texts begin with the name of
    its user, a number, and a point. None where there is no such thing that the model does not know of."""
    stem = user.rpartition("-")[0]
    if not stem:
        return None
    mark = re.compile(rf"{re.escape(stem)}-\d+(?=\.\d)".encode())
    known = {found for state in allowed for leaf in leaves(state) for found in mark.findall(leaf)}
    for leaf in sorted(leaves(got)):
        for found in mark.findall(leaf):
            if found not in known and found.decode() != user:
                return leaf.decode("utf-8", "replace").strip('"'), found.decode()
    return None


def leaves(state: object) -> frozenset[bytes]:
    """The members of all lists in a state, and all other values with their keys."""
    if isinstance(state, dict):
        return frozenset(key.encode() + b"=" + leaf for key, value in state.items() for leaf in leaves(value))
    if isinstance(state, list):
        return frozenset(msgspec.json.encode(one, order="sorted") for one in state)
    return frozenset((msgspec.json.encode(state),))


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


def _doubled(wanted: Any, got: Any) -> Any:
    """A member that is in a list more than once where the members of the one that is wanted are unique, and that is
    all that is wrong; None where there is no such thing."""
    if isinstance(wanted, dict) and isinstance(got, dict) and wanted.keys() == got.keys():
        differ = [key for key in wanted if wanted[key] != got[key]]
        found = [_doubled(wanted[key], got[key]) for key in differ]
        return found[0] if found and None not in found else None
    if not isinstance(wanted, list) or not isinstance(got, list):
        return None
    twice = [one for place, one in enumerate(got) if one in got[:place]]
    is_all = all(one in got for one in wanted) and all(one in wanted for one in got)
    return twice[0] if twice and is_all and len(wanted) == len(got) - len(twice) else None


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
