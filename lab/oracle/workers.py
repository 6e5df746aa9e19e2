"""What a crowd that was divided among workers leaves uncertain: what one of them did not tell, and when it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from lab.clock import NS
from lab.record import AnyEvent, Strike, StrikeProved, StrikeUndone, WorkerBegan, WorkerEnded

LONGEST_OPERATION = 30.0
"""Seconds: so long before its end a record that lacks something may lack what explains the rest."""


def lost_workers(events: Iterable[AnyEvent]) -> tuple[WorkerEnded, ...]:
    """Those whose users did something that is not in the record."""
    return tuple(event for event in events if isinstance(event, WorkerEnded) and event.lost)


def certain_until(lost: Iterable[WorkerEnded]) -> int:
    """Until when what was found is certain, though what these workers' users did later is not all there."""
    return min(one.heard_until for one in lost) - int(LONGEST_OPERATION * NS)


def uncertainty(events: Iterable[AnyEvent]) -> int:
    """The most nanoseconds by which the times of any worker's users may be wrong beside those of the events."""
    return max((event.uncertainty for event in events if isinstance(event, WorkerBegan | WorkerEnded)), default=0)


def widened(events: Sequence[AnyEvent]) -> Sequence[AnyEvent]:
    """The same events in time order, with every strike lasting as long as it may have lasted by any worker's clock."""
    most = uncertainty(events)
    if not most:
        return events
    moved: list[AnyEvent] = []
    for event in events:
        if isinstance(event, Strike):
            moved.append(replace(event, at=event.at - most))
        elif isinstance(event, StrikeProved | StrikeUndone):
            moved.append(replace(event, at=event.at + most))
        else:
            moved.append(event)
    return sorted(moved, key=lambda event: event.at)
