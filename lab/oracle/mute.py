"""Replicas that say they are ready and answer nobody properly: what they say is not what users get."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lab.clock import NS
from lab.model import Try, Value
from lab.record import AnyEvent, Step

MUTE_FOR = 3.0
"""Seconds without a proper answer from which on a slot that is asked does not serve."""
MUTE_TRIES = 4
"""Tries that must have failed there meanwhile. A balancer that passes on what failed asks such a slot again only every
other second: more would never come."""

BUCKET = NS // 50
"""Nanoseconds within which only the first and the last proper answer of a slot are remembered."""

_LEAVES = {"drain", "stop", "stopped", "remove"}


class MuteSpell(Value):
    """A slot that was asked again and again, and answered nobody properly; times in monotonic nanoseconds."""

    slot: str
    begin: int
    end: int
    tries: int

    @property
    def seconds(self) -> float:
        return (self.end - self.begin) / NS


class MuteNotes:
    """What several processes, each with some of the users, note for `MuteSpells` of all of them.

    What failed is kept as it is; of what was answered properly only the first and the last within each BUCKET of a
    slot, so that memory grows with the run's length and not with its operations.
    """

    __slots__ = ("_failed", "_good", "at")

    is_any_silent = True
    """For all that is known here."""

    def __init__(self) -> None:
        self.at = 0
        self._failed: list[tuple[int, str, Try | None]] = []
        self._good: dict[tuple[str, int], tuple[int, int]] = {}

    def note_failed(self, slot: str, one: Try) -> None:
        """A try at this slot got no proper answer."""
        self._failed.append((self.at, slot, one))

    def note_good(self, slot: str) -> None:
        """Somebody was answered properly there."""
        place, at = (slot, self.at // BUCKET), self.at
        first, last = self._good.get(place, (at, at))
        self._good[place] = (min(first, at), max(last, at))

    def in_order(self) -> list[tuple[int, str, Try | None]]:
        """When each was noted, where, and which try failed; None: it was answered."""
        good = [(at, slot, None) for (slot, _), both in self._good.items() for at in both]
        return [*self._failed, *good]


class MuteSpells:
    """Fed with every try in the order of its end. Memory grows with what fails."""

    __slots__ = ("_found", "_open", "at")

    def __init__(self) -> None:
        self.at = 0
        """When the operation ended that is taken in."""
        self._open: dict[str, MuteSpell] = {}
        self._found: list[MuteSpell] = []

    @property
    def is_any_silent(self) -> bool:
        """Whether any slot has failed since it last answered."""
        return bool(self._open)

    def note_failed(self, slot: str, one: Try) -> None:
        """A try at this slot got no proper answer."""
        spell = self._open.get(slot)
        begin, tries = (one.begin, 0) if spell is None else (spell.begin, spell.tries)
        self._open[slot] = MuteSpell(slot=slot, begin=begin, end=one.end, tries=tries + 1)

    def note_good(self, slot: str) -> None:
        """Somebody was answered properly there."""
        spell = self._open.pop(slot, None)
        if spell is not None and _is_long(spell):
            self._found.append(spell)

    @classmethod
    def of_all(cls, notes: Iterable[MuteNotes]) -> MuteSpells:
        """Those of all users, from what was noted of some each."""
        spells = cls()
        for _, slot, failed in sorted((one for some in notes for one in some.in_order()), key=lambda one: one[0]):
            if failed is None:
                spells.note_good(slot)
            else:
                spells.note_failed(slot, failed)
        return spells

    def of_the_ready(self, events: Sequence[AnyEvent]) -> list[MuteSpell]:
        """Those of slots whose replica had entered before and did not begin to leave; `events` are in order of time."""
        found = [*self._found, *(spell for spell in self._open.values() if _is_long(spell))]
        return sorted((one for one in found if _was_held(one, events)), key=lambda one: one.begin)


def _is_long(spell: MuteSpell) -> bool:
    return spell.seconds >= MUTE_FOR and spell.tries >= MUTE_TRIES


def _was_held(spell: MuteSpell, events: Sequence[AnyEvent]) -> bool:
    holder = ""
    for event in events:
        if not isinstance(event, Step) or event.slot != spell.slot or event.at > spell.end:
            continue
        if event.action == "enter":
            holder = event.replica
        elif event.action in _LEAVES and event.replica == holder:
            holder = ""
        if event.at >= spell.begin and not holder:
            return False
    return bool(holder)
