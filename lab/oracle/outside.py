"""What somebody else's doing has to do with a finding: their commands, and what was seen of their replicas. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lab.clock import NS
from lab.model import Value
from lab.oracle.breach import seconds
from lab.record import AnyEvent, CommandBegan, CommandEnded, CommandSaid, Observed

JUST_BEFORE = 5.0
"""Seconds in which what did not touch the replicas involved still counts as just before."""
_GOING = {"leaving": "being told to leave", "ended": "ending"}


class OutsideFate(Value):
    """The last of each kind before a moment, for a person; "" where there was none."""

    own: str = ""
    """What was seen of the replica itself."""
    just_before: str = ""
    """What a command said, or how it ended."""
    meanwhile: str = ""
    """The command that was running."""


def outside_fate(replica: str | None, at: int, events: Sequence[AnyEvent]) -> OutsideFate:
    """What had happened to `replica`, or anywhere, before `at`; events in the order of time."""
    own, said, began = "", "", ""
    running = dict[int, str]()
    for event in events:
        if event.at > at:
            break
        ago = at - event.at
        is_new = ago <= JUST_BEFORE * NS
        match event:
            case Observed() if event.who == replica and event.what in _GOING:
                own = f"{event.who} was seen {_GOING[event.what]} {seconds(ago)} before ({event.source})"
            case CommandSaid() if is_new and event.command in running:
                said = f'the command {running[event.command]} had printed "{event.line}" {seconds(ago)} before'
            case CommandBegan():
                running[event.command] = " ".join(event.argv)
                began = f"the command {running[event.command]} had begun {seconds(ago)} before"
            case CommandEnded():
                ended = running.pop(event.command, "")
                said = f"the command {ended} had ended {seconds(ago)} before" if is_new else said
    return OutsideFate(own=own, just_before=said, meanwhile=began if running else "")
