"""Why a read of the recently viewed items contradicts what came before, in one sentence and few operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lab.model import Kind, Operation, Outcome
from lab.oracle.breach import Breach, breach, seconds
from lab.oracle.interval import begin_of, precedes
from lab.oracle.promises import APPLIED_ONCE, STATE_KEPT, Anomaly


class KnownHistory(Protocol):
    """What the history knows when a read does not fit."""

    views: dict[str, Operation]
    unseen: dict[str, Operation]
    unknown: dict[str, Operation]
    refused: dict[str, Operation]
    last_read: Operation | None


def cut_short(read: Operation, expected: int) -> Breach:
    """The count and the entries of one answer don't agree."""
    why = f"the read counts {read.answer[0]} views, of which it must show {expected}, but shows {len(read.answer[1])}"
    return breach(STATE_KEPT, Anomaly.LOST_WRITE, why, read)


def shrunk(known: KnownHistory, read: Operation) -> Breach:
    """The read counts fewer entries than an earlier one."""
    gone = [entry for entry in known.views if entry not in set(read.answer[1])]
    entry = gone[-1] if gone else None
    before = known.last_read
    was = before.answer[0] if before else "more"
    why = f"{read.answer[0]} viewed items are shown, where a read that had ended before showed {was}"
    view = known.views.get(entry) if entry else None
    return breach(STATE_KEPT, Anomaly.LOST_WRITE, why, view, before, read, missing=entry)


def rewritten(known: KnownHistory, read: Operation, before: Sequence[str]) -> Breach:
    """The part of the list that was known already reads differently now."""
    shown: Sequence[str] = read.answer[1]
    twice = next((entry for entry in shown if shown.count(entry) > 1), None)
    if twice is not None:
        return _twice(known, read, twice)
    for entry in shown:
        if not _written(known, entry):
            return unexplained(known, read, entry)
    gone = [entry for entry in before if entry not in shown]
    if gone:
        why = f"the view {gone[0]}, which an earlier read showed, is no longer in the list"
        view = known.views.get(gone[0])
        return breach(STATE_KEPT, Anomaly.LOST_WRITE, why, view, known.last_read, read, missing=gone[0])
    why = "two reads show the same viewed items in a different order"
    return breach(STATE_KEPT, Anomaly.ORDER_CHANGED, why, known.last_read, read)


def unexplained(known: KnownHistory, read: Operation, entry: str) -> Breach:
    """An entry that no view can have put where it is."""
    if entry in known.views:
        return _twice(known, read, entry)
    refused = known.refused.get(entry)
    if refused is not None:
        why = f"the view {entry} was refused, which means that it had no effect, yet the list shows it"
        return breach(STATE_KEPT, Anomaly.REFUSED_APPLIED, why, refused, read)
    why = f"the list shows {entry}, though no view that could put it there had begun"
    return breach(STATE_KEPT, Anomaly.PHANTOM, why, read)


def too_many(read: Operation, hidden: int, could: int) -> Breach:
    """More entries than were ever sent."""
    why = f"the count grew by {hidden} more than the entries shown, but only {could} views had been sent"
    return breach(APPLIED_ONCE, Anomaly.APPLIED_TWICE, why, read)


def out_of_order(view: Operation, latest: Operation, read: Operation) -> Breach:
    """An entry that was acknowledged before something began that the list puts ahead of it."""
    if latest.kind is Kind.VIEW:
        why = f"{view.key} was acknowledged before {latest.key} was sent, yet the list shows {latest.key} first"
        return breach(STATE_KEPT, Anomaly.ORDER_CHANGED, why, view, latest, read)
    why = (
        f"the view {view.key} was acknowledged {seconds(begin_of(latest) - view.end)} before a read began "
        "that does not show it; another read does"
    )
    return breach(STATE_KEPT, Anomaly.STALE_READ, why, view, read, latest)


def too_early(read: Operation, latest: Operation) -> Breach:
    """The read ended before something began that must come before it."""
    if latest.kind is Kind.VIEW:
        why = f"the list shows {latest.key} before its view was even sent"
        return breach(STATE_KEPT, Anomaly.PHANTOM, why, read, latest)
    why = (
        f"{latest.answer[0]} viewed items are shown, where a read that had ended "
        f"{seconds(begin_of(latest) - read.end)} earlier showed {read.answer[0]}"
    )
    return breach(STATE_KEPT, Anomaly.STALE_READ, why, read, latest)


def missing(view: Operation, latest: Operation, read: Operation, reads: Sequence[Operation]) -> Breach:
    """An acknowledged view is not where it must be."""
    blind = [one for one in reads if precedes(view, one) and view.key not in one.answer[1]]
    if not blind:
        why = f"{view.key} was acknowledged before {latest.key} was sent; a read shows {latest.key} but not {view.key}"
        return breach(STATE_KEPT, Anomaly.LOST_WRITE, why, view, latest, read, missing=view.key)
    first = blind[0]
    again = next((one for one in reads if view.key in one.answer[1]), None)
    why = (
        f"the view {view.key} was acknowledged {seconds(begin_of(first) - view.end)} before this read began, "
        "which does not show it"
    )
    if again is not None:
        return breach(STATE_KEPT, Anomaly.STALE_READ, f"{why}; another read does", view, again, first)
    return breach(STATE_KEPT, Anomaly.LOST_WRITE, why, view, first, missing=view.key)


def _twice(known: KnownHistory, read: Operation, entry: str) -> Breach:
    view = known.views.get(entry) or known.unseen.get(entry) or known.unknown.get(entry)
    tries = "" if view is None or len(view.tries) < 2 else f" in {len(view.tries)} tries"
    why = f"the item was viewed once{tries}, but {entry} is in the list twice"
    return breach(APPLIED_ONCE, Anomaly.APPLIED_TWICE, why, known.last_read, view, read)


def _written(known: KnownHistory, entry: str) -> bool:
    written: tuple[Mapping[str, Operation], ...] = (known.views, known.unseen, known.unknown)
    return any(entry in views and views[entry].outcome is not Outcome.REFUSED for views in written)
