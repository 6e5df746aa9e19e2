"""Findings that a machine which was too busy may have made itself: neither the app's fault nor green."""

from __future__ import annotations

from collections.abc import Sequence

from lab.clock import NS
from lab.model import Finding, TryResult
from lab.oracle.promises import PROMISES, TRIES, Anomaly
from lab.record import ContainerEvent, MachineBusy

BEFORE, AFTER = 30.0, 15.0
"""Seconds around the moment at which a machine was seen to be busy in which what comes late may be its doing: the load
average that says so is that of a minute, and it is looked at every few seconds."""
CRASHED = 2.0
"""Seconds around a container's end in which what its slot left unanswered is due to that; the engine speaks late."""
_LATE = frozenset({*TryResult, "502", "503", "504"}) - {TryResult.GARBLED}
"""What comes of a try that takes too long somewhere. Whoever answers something else had the time to."""

_NOT_LATE = frozenset({Anomaly.REFUSED, Anomaly.IGNORED_SIGNAL})
"""A refusal is an answer; and an app that had nothing else to do for all its time was told, and did not end."""


def may_be_the_machines(finding: Finding, busy: Sequence[MachineBusy], crashed: Sequence[ContainerEvent] = ()) -> bool:
    """Whether it judges time, and the machine was too busy then. What was lost, or shown wrong, never is; nor what
    nobody answered because a container had just `crashed`, which ended by itself with an error."""
    if not PROMISES[finding.promise].judges_time or finding.anomaly in _NOT_LATE:
        return False
    if finding.promise == TRIES and not all(one.result in _LATE for op in finding.witness for one in op.tries):
        return False
    slots = {slot for op in finding.witness for one in op.tries for slot in one.edge[-1:]}
    if any(one.slot in slots and abs(finding.at - one.at) <= CRASHED * NS for one in crashed):
        return False
    return any(-BEFORE * NS <= finding.at - one.at <= AFTER * NS for one in busy)


def busy_text(busy: Sequence[MachineBusy]) -> str:
    """For a person, by when it was busiest."""
    worst = max(busy, key=lambda one: one.load)
    return f"the machine was too busy (load average {worst.load:.1f} on {worst.cores} cores)"
