"""Whether a new release came to users of a deployment that somebody else performs, and by how many signs. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lab.clock import NS
from lab.model import Operation, Value
from lab.record import AnyEvent, CommandBegan, Observed, PhaseBegan

SEEN_WITHIN = 5 * NS
"""Nanoseconds by which a witness may be later than the first answer of what it has seen."""
ARRIVED = frozenset({"started", "ready"})


class Answerers:
    """When each release and each replica answered first, by the answers' own word; and how much users sent while they
    acted. Fed with every operation."""

    def __init__(self, events: Sequence[AnyEvent]) -> None:
        self.releases: dict[str, int] = {}
        self.replicas: dict[str, int] = {}
        self._acting = _acting(events)
        self.requests = 0

    def feed(self, operation: Operation) -> None:
        """The next operation."""
        begin, end = self._acting
        for one in () if operation.is_conclusion else operation.tries:
            self.requests += begin <= one.begin < end
            if one.release is not None:
                self.releases.setdefault(one.release, one.begin)
            if one.replica is not None:
                self.replicas.setdefault(one.replica, one.begin)

    @property
    def sent(self) -> float | None:
        """Requests a second while users acted; None where they did not."""
        begin, end = self._acting
        return self.requests * NS / (end - begin) if end > begin else None


class Crossing(Value):
    """What is known of a new release."""

    release: str | None = None
    """The one that two independent signs speak of: answers, and somebody else."""
    why_not: str = ""
    """Why none is known; "" where one is."""
    nobody_new: bool = False
    """Answers say who gives them, and nobody did who had not before the deployment began."""


def find_crossing(events: Sequence[AnyEvent], answered: Answerers) -> Crossing:
    """What crossed in a run with these events.

    The deployment begins with the first command, or, where the scenario has none, with the first step after the
    logins.
    """
    began = _began(events)
    if began is None:
        return Crossing(why_not="nothing was deployed: the run ended before")
    fresh = {name: at for name, at in answered.releases.items() if at >= began}
    says_who = bool(answered.releases or answered.replicas)
    nobody = says_who and not fresh and not any(at >= began for at in answered.replicas.values())
    if not fresh:
        why = "no answer named a release that had not answered before" if answered.releases else "no answer names one"
        return Crossing(why_not=why, nobody_new=nobody)
    newest = max(fresh, key=lambda name: (fresh[name], name))
    return Crossing(release=newest) if _is_attested(newest, fresh[newest], began, events) else _only_said(newest)


def _acting(events: Sequence[AnyEvent]) -> tuple[int, int]:
    """From the first step until no new actions begin, in nanoseconds; the same moment twice where there was no step.

    Of a run that goes on, or that ended early, until the last event.
    """
    phases = sorted((event.at, event.name) for event in events if isinstance(event, PhaseBegan))
    names = [name for _, name in phases]
    first = names.index("log in") + 1 if "log in" in names else len(names)
    if first >= len(names):
        return 0, 0
    if "read back" not in names:
        return phases[first][0], max(event.at for event in events)
    last = names.index("read back") - 1  # users come to rest before it
    return (phases[first][0], phases[last][0]) if first < last else (0, 0)


def _only_said(release: str) -> Crossing:
    return Crossing(why_not=f"answers name {release}, and nobody else has seen a new release")


def _began(events: Sequence[AnyEvent]) -> int | None:
    commands = [event.at for event in events if isinstance(event, CommandBegan)]
    if commands:
        return min(commands)
    begin, _ = _acting(events)
    return begin or None


def _is_attested(release: str, first_answer: int, began: int, events: Sequence[AnyEvent]) -> bool:
    """Whether a witness saw something arrive that was not there before, by the time at which it answered users.

    A witness may have another name for a release than the app has: what counts is that its own is new, too. Of one that
    has no names it counts that somebody arrived. What one sees first of all, after the deployment began, is no news.
    """
    seen = [event for event in events if isinstance(event, Observed)]
    old = {event.release for event in seen if event.at < began and event.release}
    knows_old = {event.source for event in seen if event.at < began}
    arrived = [event for event in seen if event.what in ARRIVED and began <= event.at <= first_answer + SEEN_WITHIN]
    return any(
        event.release == release or (event.source in knows_old and event.release not in old) for event in arrived
    )
