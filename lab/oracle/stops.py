"""Planned stops: no request may be cut because the deployer takes a replica away on purpose."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Generic, NamedTuple, TypeVar

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Role, Try, TryResult
from lab.oracle.breach import seconds
from lab.oracle.promises import CLEAN_STOPS, Anomaly
from lab.record import AnyEvent, AppStopped, ContainerEvent, Step, Strike, StrikeUndone

STOP_LINGERS = 0.5
"""Seconds after a replica is removed in which a failed try may still be due to its stop."""
STRIKE_EXPLAINS = 2.0
"""Seconds after a strike in which it explains a failed try that names no slot, and longer where it lasts longer."""
REPLACED_WITHIN = 30.0
"""Seconds after a strike in which it explains a failed try at its victim's slot, unless a replica is ready before."""
STOPPED_WITHIN = 15.0
"""Seconds that a stop is taken to last where the record does not say when it was over."""


USUAL = 3
"""So many of an error show that a release answers it by itself."""
WITNESSES = 3
"""Operations that are shown of those that one app cut."""


_Error = tuple[Kind, str | None, str]
"""An answer that is one: to what, of which release, with which status."""


class PlannedStop(NamedTuple):
    """A replica that the deployer takes away, from the first word to its end."""

    replica: str
    slot: str
    begin: int
    end: int


def planned_stops(events: Iterable[AnyEvent]) -> list[PlannedStop]:
    """The planned stops that the deployer's steps tell of; a replica that was struck before is none."""
    begun: dict[str, Step] = {}
    ended: dict[str, int] = {}
    struck: dict[str, int] = {}
    for event in events:
        if isinstance(event, Strike):
            struck.setdefault(event.victim, event.at)
        elif isinstance(event, Step):
            if event.action in {"drain", "stop"} and event.at < struck.get(event.replica, event.at + 1):
                begun.setdefault(event.replica, event)
            elif event.action in {"stopped", "remove"}:
                ended.setdefault(event.replica, event.at)
    return [
        PlannedStop(name, step.slot, step.at, ended.get(name, step.at + int(STOPPED_WITHIN * NS)))
        for name, step in begun.items()
    ]


def is_cut(one: Try) -> bool:
    """Did this try get no proper answer, though it was sent?"""
    if one.result in {TryResult.CUT, TryResult.TIMEOUT}:
        return True
    return one.answered and int(one.result) >= 500


def find_cut(
    failed: Iterable[tuple[Operation, Try]],
    events: Sequence[AnyEvent],
    repeated: Iterable[tuple[Operation, Try]] = (),
    *,
    patience: float = inf,
) -> list[Finding]:
    """The tries that a planned stop cut and that no strike explains. Sound only as far as times tell.

    A failed try is laid at a planned stop if they overlap (STOP_LINGERS longer), and the try was answered by the
    stopping replica, or by none and went to its slot, or names no slot either. A strike explains it if the try
    names no slot, or the strike none, and it began until STRIKE_EXPLAINS after the strike or while that lasted; or if
    it went to the victim's slot while it lasted or before that one had a new replica. A timeout that names no slot
    is laid at no stop where others came while nobody was stopped or struck: then the machine, or the app as a whole,
    was too slow for somebody's patience, and that is for other promises to tell. Neither is what the shop says to a
    login that waited for long, nor an error that a release answers as often while it is not stopped. `events` are in
    time order.

    Of an app that got its own stop signal it is told app by app: what it cut, those among `repeated` too that the
    balancer then made good elsewhere, and that it was killed because it did not end in its time. What takes longer than
    the balancer's `patience` (seconds) is slow, and not cut.
    """
    stops = _InTime(planned_stops(events), lambda stop: (stop.begin, stop.end + int(STOP_LINGERS * NS)))
    strikes = _InTime(_strikes(events), lambda struck: (struck.strike.at, struck.here_until))
    slots = {event.replica: event.slot for event in events if isinstance(event, Step)}
    failed = list(failed)
    silent = [one for _, one in failed if _is_silence(one)]
    is_slow = any(next(stops.during(one), None) is None and not any(strikes.during(one)) for one in silent)
    told = {event.replica: event for event in events if isinstance(event, AppStopped)}
    usual = _usual_errors(failed, stops, strikes)
    cut: dict[str, list[_Cut]] = {}
    found: list[Finding] = []
    for operation, one in failed:
        if (is_slow and _is_silence(one)) or _is_told_to_come_later(operation, one):
            continue
        if one.replica is not None and (operation.kind, one.release, one.result) in usual:
            continue
        places = {*one.edge} | ({slots.get(one.replica, one.replica)} if one.replica else set())
        under_way = (stop for stop in stops.during(one) if not places or stop.slot in places)
        stop = next((stop for stop in under_way if one.replica in {stop.replica, None}), None)
        if stop is None or any(_explains(struck, one, places) for struck in strikes.during(one)):
            continue
        if stop.replica in told:
            if one.result in {TryResult.TIMEOUT, "504"}:
                continue  # it was slow: what it still had when it was killed is told below
            cut.setdefault(stop.replica, []).append(_Cut(operation, one, is_saved=False))
            continue
        how = f"answered with {one.result}" if one.answered else f"ended as {one.result}"
        why = (
            f"a request {how} {seconds(max(0, one.end - stop.begin))} after {stop.replica} "
            "had been told to leave, and no strike explains it"
        )
        found.append(_cut(operation, one, why))
    for operation, one in repeated:
        left = {slot for slot in one.edge[:-1] if slot != one.edge[-1]}
        stop = next((stop for stop in stops.during(one) if stop.slot in left and _was_in(one, told, stop)), None)
        if one.end - one.begin >= patience * NS:
            continue  # the balancer gave it up because it was slow
        if stop is not None and not any(_explains(struck, one, left) for struck in strikes.during(one)):
            cut.setdefault(stop.replica, []).append(_Cut(operation, one, is_saved=True))
    found += [_cut_by_app(told[replica], those) for replica, those in cut.items()]
    return [*found, *_unprepared(told), *_killed(told, planned_stops(events), events)]


def _usual_errors(
    failed: Iterable[tuple[Operation, Try]], stops: _InTime[PlannedStop], strikes: _InTime[_Struck]
) -> frozenset[_Error]:
    """What releases answer by themselves, and as often while the replica that does so is not stopped."""
    at_stops, otherwise = Counter[_Error](), Counter[_Error]()
    for operation, one in failed:
        if one.replica is None or not one.answered or any(strikes.during(one)):
            continue
        is_stopped = any(stop.replica == one.replica for stop in stops.during(one))
        (at_stops if is_stopped else otherwise)[operation.kind, one.release, one.result] += 1
    return frozenset(one for one, count in otherwise.items() if count >= max(USUAL, at_stops[one]))


class _Cut(NamedTuple):
    """A try that an app cut when it stopped; whether the balancer made it good."""

    operation: Operation
    one: Try
    is_saved: bool


def _was_in(one: Try, told: Mapping[str, AppStopped], stop: PlannedStop) -> bool:
    """Whether a try was under way when the app was told: a later one was its successor's."""
    return stop.replica in told and one.begin <= told[stop.replica].at


def _cut_by_app(told: AppStopped, those: Sequence[_Cut]) -> Finding:
    first = min(those, key=lambda one: one.one.end)
    after = f"{max(0, first.one.end - told.at) / NS:.1f} s"
    saved = sum(one.is_saved for one in those)
    many = "1 request" if len(those) == 1 else f"{len(those)} requests"
    process = f" (process 1 is {told.process})" if told.process else ""
    why = f"{told.service} cut {many} {after} after {told.signal}{process}: {told.replica}"
    if saved:
        why += f"; the balancer repeated {saved} of them elsewhere"
    return Finding(
        promise=CLEAN_STOPS,
        anomaly=str(Anomaly.CUT_BY_STOP),
        user=first.operation.user,
        at=first.one.end,
        why=why,
        witness=tuple(one.operation for one in sorted(those, key=lambda one: one.one.end)[:WITNESSES]),
    )


def _unprepared(told: Mapping[str, AppStopped]) -> Iterator[Finding]:
    """The apps of which a command failed that should have prepared their stop."""
    for app in told.values():
        if app.hook:
            why = f"{app.service} was not prepared for its stop: {app.hook}: {app.replica}"
            yield Finding(promise=CLEAN_STOPS, anomaly=str(Anomaly.UNPREPARED), user="", at=app.at, why=why)


def _killed(
    told: Mapping[str, AppStopped], stops: Iterable[PlannedStop], events: Sequence[AnyEvent]
) -> Iterator[Finding]:
    """The apps that had to be killed, as they had not ended in their time."""
    killed: dict[str, int] = {}
    """When it was first: whoever looks before the engine is done with it kills it once more, and it ends meanwhile."""
    for event in events:
        if isinstance(event, Step) and event.action == "stop":
            killed.setdefault(event.replica, event.at)
    for stop in stops:
        if stop.replica not in told or stop.replica not in killed:
            continue
        app, at = told[stop.replica], killed[stop.replica]
        ended = {
            event.role
            for event in events
            if isinstance(event, ContainerEvent)
            and event.action == "die"
            and event.name == stop.replica
            and event.at <= at
        }
        if Role.APP in ended:
            continue  # by itself, just before
        was_idle = Role.GATE in ended
        process = f" (process 1 is {app.process})" if app.process else ""
        how = f"{app.signal} ignored" if was_idle else "requests were still in it"
        yield Finding(
            promise=CLEAN_STOPS,
            anomaly=str(Anomaly.IGNORED_SIGNAL if was_idle else Anomaly.KILLED_AT_STOP),
            user="",
            at=at,
            why=f"{app.service} took its whole {app.grace:g} s and was killed: {how}{process}: {stop.replica}",
        )


def _is_told_to_come_later(operation: Operation, one: Try) -> bool:
    """Whether a replica said itself that too many log in just now."""
    return operation.kind in _MAY_BE_BUSY and one.replica is not None and one.result == "503"


def _is_silence(one: Try) -> bool:
    """A timeout of which nothing says who let it happen."""
    return one.result == TryResult.TIMEOUT and one.replica is None and not one.edge


def find_repeated(repeated: Iterable[tuple[Operation, Try]], events: Sequence[AnyEvent]) -> list[Finding]:
    """The tries that the balancer repeated elsewhere because a planned stop cut them, and that no strike explains.

    Only what was begun before the stop can have been under way there: what comes after goes to the replica that has the
    slot by then, or is refused where none has, and nothing of that is lost. `events` are in time order.
    """
    stops = _InTime(planned_stops(events), lambda stop: (stop.begin, stop.end + int(STOP_LINGERS * NS)))
    strikes = _InTime(_strikes(events), lambda struck: (struck.strike.at, struck.here_until))
    told = {event.replica for event in events if isinstance(event, AppStopped)}
    found: list[Finding] = []
    for operation, one in repeated:
        places = {*one.edge[:-1]}
        stop = next((stop for stop in stops.during(one) if stop.slot in places), None)
        if stop is None or any(_explains(struck, one, places) for struck in strikes.during(one)):
            continue
        if stop.replica in told:
            continue  # of an app that was told by itself it is told app by app
        if one.begin > stop.begin or operation.kind in _MAY_BE_BUSY:
            continue
        why = (
            f"the balancer had to repeat a request elsewhere: {stop.replica} did not answer it, which had been told to"
            f" leave {seconds(max(0, one.end - stop.begin))} before, and no strike explains it"
        )
        found.append(_cut(operation, one, why))
    return found


def _cut(operation: Operation, one: Try, why: str) -> Finding:
    return Finding(
        promise=CLEAN_STOPS,
        anomaly=str(Anomaly.CUT_BY_STOP),
        user=operation.user,
        at=one.end,
        why=why,
        witness=(operation,),
    )


_MAY_BE_BUSY = frozenset({Kind.LOGIN, Kind.INTRUDE, Kind.JOIN})
"""Passwords are checked one at a time, and whoever waits for long is told so: the balancer then asks somebody else."""

T = TypeVar("T")


class _InTime(Generic[T]):
    """Things that last, found by when a try was under way without a look at all of them."""

    def __init__(self, those: Iterable[T], span: Callable[[T], tuple[int, int]]) -> None:
        self._those = sorted(((*span(one), one) for one in those), key=lambda one: one[0])
        self._begins = [begin for begin, _, _ in self._those]
        self._longest = max((end - begin for begin, end, _ in self._those), default=0)

    def during(self, one: Try) -> Iterator[T]:
        """Those that last at any time from the try's begin to its end, in the order of their begins."""
        first = bisect_left(self._begins, one.begin - self._longest)
        for _, end, this in self._those[first : bisect_right(self._begins, one.end)]:
            if one.begin <= end:
                yield this


class _Struck(NamedTuple):
    """A strike, and until when it explains what fails at its victim's slot, and what fails anywhere (not longer)."""

    strike: Strike
    here_until: int
    anywhere_until: int


def _strikes(events: Sequence[AnyEvent]) -> list[_Struck]:
    found: list[_Struck] = []
    undone: dict[int, int] = {}
    entered: dict[str, list[Step]] = {}  # by slot, those after the event, the next one last
    for event in reversed(events):
        if isinstance(event, StrikeUndone):
            undone[event.strike] = event.at
        elif isinstance(event, Step) and event.action == "enter":
            entered.setdefault(event.slot, []).append(event)
        elif isinstance(event, Strike):
            anywhere = max(event.at + int(STRIKE_EXPLAINS * NS), undone.get(event.strike, 0))
            later = (one for one in reversed(entered.get(event.slot, ())) if one.at > event.at)
            ready = next((one.at for one in later if one.replica != event.victim), None)
            here = event.at + int(REPLACED_WITHIN * NS) if ready is None else ready
            found.append(_Struck(event, max(here, anywhere), anywhere))
    return found


def _explains(struck: _Struck, one: Try, places: set[str]) -> bool:
    if not places or not struck.strike.slot:
        return one.begin <= struck.anywhere_until
    return struck.strike.slot in places and one.begin <= struck.here_until
