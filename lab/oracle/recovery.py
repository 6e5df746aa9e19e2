"""How long it took, after each strike, until as many replicas served as before and users' requests were answered."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from lab.clock import NS
from lab.model import STORE_ROLES, Finding, Role, Value
from lab.oracle.breach import seconds
from lab.oracle.promises import RECOVERS, Anomaly
from lab.oracle.serving import HEALED_AFTER
from lab.record import AnyEvent, ContainerEvent, Serving, Step, Strike, StrikeProved

_BENEATH = frozenset({*STORE_ROLES, Role.NODE})
"""What replicas need to serve, and is none."""


class Recovery(Value):
    """What one strike that hit cost. Seconds from the strike; None: not within the run."""

    strike: int
    fault: str
    victim: str
    at: int
    capacity: float | None
    """Until another replica had the victim's slot, or as many served as before."""
    users: float
    """Until the last failed try that the strike may have caused had ended; 0 where none failed."""

    @property
    def whole(self) -> float | None:
        """Until both were as before."""
        return None if self.capacity is None else max(self.capacity, self.users)


def find_recoveries(events: Sequence[AnyEvent], failed: Sequence[tuple[int, int]]) -> list[Recovery]:
    """One for each strike that hit, in order. `failed` holds begin and end of every try without a proper answer.

    A failed try is counted for the last strike before its end, if it began before capacity was back. A strike at
    something that is no replica takes no capacity away by itself: there users have recovered once no try that fails
    has begun for HEALED_AFTER. None fails because of a deployer: of that one only what was under way is counted.
    Without a store or their node replicas don't serve: there it is capacity until all do again.
    """
    events = sorted(events, key=lambda event: event.at)
    hits = {event.strike for event in events if isinstance(event, StrikeProved) and event.hit}
    strikes = [event for event in events if isinstance(event, Strike) and event.strike in hits]
    times = [event.at for event in events]
    paused = {one.container: one.at for one in events if isinstance(one, ContainerEvent) and one.action == "pause"}
    failed = sorted(failed, key=lambda one: one[1])
    ends = [end for _, end in failed]
    found = []
    for number, strike in enumerate(strikes):
        until = bisect_left(ends, strikes[number + 1].at) if number + 1 < len(strikes) else None
        since = failed[bisect_left(ends, strike.at) : until]
        is_paused = paused.get(strike.container, -1) >= strike.at
        back = _capacity_back(strike, _from(bisect_left(times, strike.at), events), is_paused=is_paused)
        if strike.slot or strike.role in {*_BENEATH, Role.DEPLOYER}:
            last = max((end for begin, end in since if back is None or begin <= back), default=strike.at)
        else:
            last = _end_of_failures(strike.at, since)
        found.append(
            Recovery(
                strike=strike.strike,
                fault=strike.fault,
                victim=strike.victim,
                at=strike.at,
                capacity=None if back is None else (back - strike.at) / NS,
                users=(last - strike.at) / NS,
            )
        )
    return found


def judge_recoveries(recoveries: Sequence[Recovery], within: float, until: int) -> tuple[int, list[Finding]]:
    """How many strikes could be judged, and those that were not made good `within` seconds of them.

    One that was too near the end of the run, at `until`, to be judged is not counted.
    """
    checks, found = 0, list[Finding]()
    for one in recoveries:
        took = one.whole
        lasted = (until - one.at) / NS
        if took is None and lasted <= within:
            continue
        checks += 1
        if took is None or took > within:
            how = f"was not made good in the {lasted:.1f} s that were left" if took is None else f"took {took:.1f} s"
            found.append(
                Finding(
                    promise=RECOVERS,
                    anomaly=str(Anomaly.SLOW_RECOVERY),
                    user="",
                    at=one.at + int(within * NS),
                    why=f"the strike on {one.victim} ({one.fault}) {how}, {seconds(int(within * NS))} are allowed",
                )
            )
    return checks, found


def _end_of_failures(at: int, failed: Sequence[tuple[int, int]]) -> int:
    """When the failures were over that go on from `at`, each begun at most HEALED_AFTER after another one's end."""
    for begin, end in sorted(failed):
        if begin > at + HEALED_AFTER * NS:
            break
        at = max(at, end)
    return at


def _from(first: int, events: Sequence[AnyEvent]) -> Iterator[AnyEvent]:
    """Without a copy, since mostly only the next few are looked at."""
    return (events[number] for number in range(first, len(events)))


def _capacity_back(strike: Strike, since: Iterable[AnyEvent], *, is_paused: bool) -> int | None:
    if strike.role in _BENEATH:
        return _all_serve_again(strike, since)
    if not strike.slot:
        return strike.at
    if is_paused:
        return _thawed_or_replaced(strike, since)
    has_dipped = False
    for event in since:
        if _is_replaced(strike, event):
            return event.at
        if isinstance(event, Serving):
            if event.total < strike.serving:
                has_dipped = True
            elif has_dipped or event.at - strike.at >= HEALED_AFTER * NS:
                return event.at
    return None


def _thawed_or_replaced(strike: Strike, since: Iterable[AnyEvent]) -> int | None:
    """A frozen replica is counted as serving until somebody notices, so that counts say nothing of it."""
    back = (event.at for event in since if _is_replaced(strike, event) or _is_thawed(strike, event))
    return next(back, None)


def _is_replaced(strike: Strike, event: AnyEvent) -> bool:
    if not isinstance(event, Step):
        return False
    return (event.action, event.slot) == ("enter", strike.slot) and event.replica != strike.victim


def _is_thawed(strike: Strike, event: AnyEvent) -> bool:
    return isinstance(event, ContainerEvent) and (event.container, event.action) == (strike.container, "unpause")


def _all_serve_again(strike: Strike, since: Iterable[AnyEvent]) -> int | None:
    """When as many served as before, if they did not all the while; None if that was not within the run."""
    fewer_since: int | None = None
    for event in since:
        if isinstance(event, Strike) and event.strike != strike.strike and fewer_since is None:
            break
        if isinstance(event, Serving):
            if event.total < strike.serving:
                fewer_since = event.at
            elif fewer_since is not None:
                return event.at
    return strike.at if fewer_since is None else None
