"""What the app may show of one account, by what its devices were told: one device's, or that of two together."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from lab.errors import UsageError
from lab.users.merge import Act, merges, states_after

_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
LONG = 256
"""Bytes of a state from which on the record holds only its digest, where it is as it must be."""
MOST_LATE = 8
"""So many actions of an account that may still take effect are kept in mind."""


class AccountModel:
    """The states that the acknowledged actions of all devices of an account allow.

    While an action's outcome is unknown nobody acts on the account but to read, until a read says which it was. A read
    that another device's action overlaps is compared with nothing: it may show what nobody has acknowledged yet.
    """

    __slots__ = ("_acts", "_doubtful", "_late", "_turns", "_under_way", "allowed", "begun", "has_read", "live", "seen")

    def __init__(self, begun: Any) -> None:
        self.begun = plain(begun)
        self.allowed: tuple[Any, ...] | None = None if begun is None else (self.begun,)
        """None: any, as before the first read of a state that is the app's own."""
        self.live = self.begun
        """The state with all that has been acknowledged so far."""
        self.seen = self.begun
        """What was read last."""
        self.has_read = False
        self._acts: list[Act] = []
        """Those that have ended since nobody acted."""
        self._doubtful: list[Act] = []
        """Those among them of unknown outcome, until a read."""
        self._late: list[Act] = []
        """Those that no read has shown so far: what was sent and not answered may take effect at any time."""
        self._under_way = self._turns = 0

    @property
    def may_act(self) -> bool:
        """Whether it is known what an action would change."""
        if self.allowed is None or len(self.allowed) != 1:
            return False
        return all(act.outcomes is not None and len(act.outcomes) == 1 for act in self._acts)

    def begin_act(self) -> Any:
        """An action begins; the model for it, not to be changed."""
        self._under_way += 1
        self._turns += 1
        return self.live

    def end_act(self, act: Act) -> None:
        """It has ended."""
        self._under_way -= 1
        self._acts.append(act)
        base = self.allowed[0] if self.allowed is not None else self.seen
        if self._under_way == 0:
            acts, self._acts = self._acts, []
            # Only what is in doubt may come later, not what was acknowledged before it in the same action.
            in_doubt = [one for one in acts if one.outcomes is not None and len(one.outcomes) > 1]
            self._doubtful = [one._replace(before=one.outcomes[0]) for one in in_doubt if one.outcomes]
            only = acts[0] if len(acts) == 1 else None
            self.allowed = states_after(base, acts) if only is None else only.outcomes
            self.live = self.allowed[-1] if self.allowed is not None else self.seen
        elif act.outcomes is not None:
            states = states_after(base, self._acts)
            self.live = states[-1] if states is not None else self.live

    def begin_read(self) -> int:
        """A read begins; a word for `is_alone`."""
        return -1 if self._under_way else self._turns

    def is_alone(self, turn: int) -> bool:
        """Whether no action was under way since `begin_read` gave this word."""
        return turn == self._turns and not self._under_way

    def allow_late(self, seen: Any) -> None:
        """Allow what was read if an action that was in doubt before explains it, which took effect only now."""
        allowed = self.allowed
        if allowed is None or seen in allowed:
            return
        for late in self._late:
            if any(seen in merges(state, late.before, late.after) for state in allowed):
                self._late.remove(late)
                self.allowed = (seen, *allowed)
                return

    def take(self, seen: Any) -> None:
        """This was read while nobody acted: it is the state from now on."""
        if self.allowed is not None and seen != self.allowed[-1]:
            self._late = [*self._late, *self._doubtful][-MOST_LATE:]
        self._doubtful = []
        self.allowed, self.seen, self.live, self.has_read = (seen,), seen, seen, True

    def may_have_nothing(self) -> bool:
        """Whether there may be nothing to show yet: no state was ever read, and none need have been written."""
        return not self.has_read and self.allowed is not None and self.begun in self.allowed


def plain(state: Any) -> Any:
    """The state as it stands in the record. Raises UsageError for what is no plain data."""
    return _decode(encode(state))


def encode(state: Any) -> bytes:
    """Raises UsageError for what is no plain data."""
    try:
        return _encode(state)
    except (TypeError, msgspec.MsgspecError) as exc:
        raise UsageError(
            f"a state must be plain data: {exc}", at="journey", hint="lists, dicts, texts, numbers"
        ) from exc


def recorded(seen: Any, allowed: tuple[Any, ...] | None) -> tuple[Any, tuple[Any, ...] | None]:
    """A state that was read and those that were allowed, as the record holds them: whole where they differ.

    Where they don't, nobody wants to read them, and lists that only grow would fill the disk with the square of the
    actions.
    """
    if allowed is None or seen not in allowed:
        return seen, allowed
    size = len(_encode(seen))
    if size <= LONG and all(one == seen or len(_encode(one)) <= LONG for one in allowed):
        return seen, allowed
    digest = _digest(seen)
    return digest, tuple(digest if one == seen else _digest(one) for one in allowed)


def _digest(state: Any) -> Any:
    """The state itself where it is short."""
    text = msgspec.json.encode(state, order="sorted")
    return f"{len(text)} bytes, sha256 {sha256(text).hexdigest()}" if len(text) > LONG else state


def members_once(state: Any) -> int:
    """How many members the lists in a state have, if each is there once; 0 where one is there twice."""
    found = 0
    waiting = [state]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            try:
                different = len(set(one))
            except TypeError:  # they are lists or objects themselves
                different = len({encode(member) for member in one})
            if different != len(one):
                return 0
            found += len(one)
    return found
