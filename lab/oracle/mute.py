"""Replicas that say they are ready and answer nobody properly: what they say is not what users get."""

from __future__ import annotations

from collections.abc import Sequence

from lab.clock import NS
from lab.model import Try, Value
from lab.record import AnyEvent, Step

MUTE_FOR = 3.0
"""Seconds without a proper answer from which on a slot that is asked does not serve."""
MUTE_TRIES = 10
"""Tries that must have failed there meanwhile."""

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


class MuteSpells:
    """Fed with every try in the order of its end. Memory grows with what fails."""

    __slots__ = ("_found", "_open")

    def __init__(self) -> None:
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
