"""What a store lost when it was struck: measured from the record, and held against the bound that its tier states.

A store that forgets goes back to an instant: what took effect before it is there, what came after it and before the
strike is not. So the latest such instant is looked for that explains what users saw, by judging the history again with
everything since as if it had never been. A bound of so many seconds says how far back it may lie; whatever is a
contradiction even with the store gone back so far, no loss within the bound explains.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome, Role, Value
from lab.oracle.interval import NEVER, READS
from lab.oracle.oracle import Oracle, check
from lab.oracle.promises import LOSS_BOUND, Anomaly
from lab.record import AnyEvent, Strike, StrikeProved, StrikeUndone

LOOKS_AT_MOST = 100
"""How many instants are looked at one by one."""
NOTED_LATE = 1.0
"""Seconds after a strike was proved in which an answer that had left the store before may still have reached a user."""

LOSING = frozenset(
    {
        Anomaly.LOST_WRITE,
        Anomaly.STALE_READ,
        Anomaly.ORDER_CHANGED,
        Anomaly.REMOVED_BACK,
        Anomaly.BOUGHT_BACK,
        Anomaly.CONTRADICTION,
        Anomaly.WRONG_QUANTITY,
        Anomaly.ORDER_MISSING,
        Anomaly.PARTIAL_ORDER,
        Anomaly.SOLD_TWICE,  # the checkout is forgotten, its lines are back, and are bought again
        Anomaly.FORCED_LOGOUT,
        Anomaly.ALIVE_AFTER_LOGOUT,
        Anomaly.FLAPPING,
        Anomaly.DEVICES_DIFFER,
        Anomaly.DONE_AGAIN,  # what it had answered is forgotten with its effect
    }
)
"""What it looks like where a store has forgotten; nothing else is ever excused by a bound."""

History = Callable[[], Iterable[Operation]]
"""The recorded operations from the beginning, as often as they are asked for."""


class StoreStrike(Value):
    """One proved strike on a store: from when until when what it did to it may have cost something."""

    victim: str
    fault: str
    at: int
    until: int


class StoreLoss(Value):
    """What the strikes on the store cost, in all."""

    strikes: int = 0
    """Those that hit."""
    followed: int = 0
    """Writes acknowledged before the last of them: each had to be there afterwards."""
    losses: int = 0
    """Contradictions that a loss explains, one at most for each of a user's belongings."""
    users: int = 0
    oldest: float | None = None
    """Seconds before its strike at which the oldest of what was lost had been acknowledged; None: nothing was lost, or
    no loss explains it all."""
    bound: float = 0.0
    """What may be lost, by the tier or by the scenario."""
    beyond: int = 0
    """Contradictions that no loss within the bound explains."""

    @property
    def text(self) -> str:
        """For a person."""
        if not self.losses:
            return f"nothing was lost in {self.strikes} strikes on the store" if self.strikes else ""
        old = "at no time that explains it" if self.oldest is None else f"{self.oldest:.2f} s before it was struck"
        many = f"{self.losses} losses of {self.users} users"
        return f"the store lost: {many}, the oldest acknowledged {old}; {self.bound:g} s are stated"


class LossJudgement(Value):
    """`findings` are those that count after all; `checks` what was compared where it says anything."""

    loss: StoreLoss
    findings: tuple[Finding, ...]
    checks: dict[str, int]
    hurt: int
    undecided: int


def store_strikes(events: Sequence[AnyEvent]) -> tuple[StoreStrike, ...]:
    """The strikes that hit a store, in order. One that lasts is over when it was undone."""
    proved = {event.strike: event.at for event in events if isinstance(event, StrikeProved) and event.hit}
    undone = {event.strike: event.at for event in events if isinstance(event, StrikeUndone)}
    last = max((event.at for event in events), default=0)
    found = []
    for event in events:
        if isinstance(event, Strike) and event.role == Role.STORE and event.strike in proved:
            end = undone.get(event.strike, last) if event.lasts else proved[event.strike]
            found.append(
                StoreStrike(victim=event.victim, fault=event.fault, at=event.at, until=end + int(NOTED_LATE * NS))
            )
    return tuple(sorted(found, key=lambda one: one.at))


def judge_loss(strict: Oracle, history: History, strikes: Sequence[StoreStrike], bound: float) -> LossJudgement:
    """Judge what a finished oracle found by what the store may lose."""
    losing = [one for one in strict.findings if _is_loss(one, strikes)]
    last = max((one.at for one in strikes), default=0)
    followed = sum(1 for one in history() if _is_write(one) and one.end <= last) if strikes else 0
    loss = StoreLoss(strikes=len(strikes), followed=followed, bound=bound)
    if not losing:
        return _judged(strict, tuple(strict.findings), loss)
    back, judged, is_explained = _measure(strict, history, strikes)
    farthest = max(one.at - since for one, since in zip(strikes, back, strict=True)) / NS
    if not bound:
        judged = strict
    elif farthest > bound:
        allowed = [max(since, one.at - int(bound * NS)) for one, since in zip(strikes, back, strict=True)]
        judged = _gone_back(strict, history, strikes, allowed)
    others = tuple(one for one in strict.findings if one.anomaly not in LOSING)
    beyond = tuple(one for one in judged.findings if _is_loss(one, strikes))
    kept = (*others, *(one for one in judged.findings if one.anomaly in LOSING))
    loss = msgspec.structs.replace(
        loss,
        losses=len(losing),
        users=len({one.user for one in losing}),
        oldest=farthest if is_explained else None,
        beyond=len(beyond),
    )
    return _judged(judged, (*kept, *_beyond_bound(loss, beyond, strikes)), loss)


def _judged(oracle: Oracle, findings: tuple[Finding, ...], loss: StoreLoss) -> LossJudgement:
    return LossJudgement(
        loss=loss,
        findings=findings,
        checks={**oracle.counts, LOSS_BOUND: loss.followed},
        hurt=len({one.user for one in findings}),
        undecided=oracle.undecided,
    )


def _beyond_bound(loss: StoreLoss, beyond: Sequence[Finding], strikes: Sequence[StoreStrike]) -> tuple[Finding, ...]:
    """One finding for all of them, with the first as its proof."""
    if not beyond:
        return ()
    first = min(beyond, key=lambda one: one.at)
    struck = max((one for one in strikes if one.at <= first.at), key=lambda one: one.at)
    why = f"{struck.victim} was struck ({struck.fault}); {loss.text}"
    return (
        Finding(
            promise=LOSS_BOUND,
            anomaly=str(Anomaly.LOST_MORE),
            user=first.user,
            at=first.at,
            why=why,
            witness=first.witness,
        ),
    )


def _is_loss(finding: Finding, strikes: Sequence[StoreStrike]) -> bool:
    """Seen after a strike on the store, with something that had ended before it or while it lasted.

    The operations of a contradiction can't all be true, but what was lost need not be among them.
    """
    if finding.anomaly not in LOSING:
        return False
    struck = [one for one in strikes if one.at <= finding.at]
    if finding.anomaly == Anomaly.CONTRADICTION:
        return bool(struck)
    return any(operation.end <= one.until for one in struck for operation in finding.witness)


def _measure(strict: Oracle, history: History, strikes: Sequence[StoreStrike]) -> tuple[list[int], Oracle, bool]:
    """To which instant each strike took the store back, what is found then, and whether that explains all losses.

    What a strike cost may show only after the next one. So each is first given the earliest instant that nothing seen
    speaks against, and then, from the last one on, the latest that leaves no more losses: so all that was lost is laid
    at the first strike after it was acknowledged that explains it. One that is not over when the next begins gets only
    what shows before: all that is acknowledged while it lasts may be gone, which would hide what the next one cost.
    """
    ends = sorted(one.end for one in history() if _is_write(one))
    back, judged = [one.at for one in strikes], strict

    def judge(place: int, instant: int) -> Oracle:
        return _gone_back(strict, history, strikes, [*back[:place], instant, *back[place + 1 :]])

    for place, strike in enumerate(strikes):
        after = strikes[place + 1].at if place + 1 < len(strikes) else None
        until = NEVER if after is None or strike.until <= after else after
        if any(strike.at <= one.at < until for one in _losses(judged, strikes)):
            found = _earliest(ends, place, partial(judge, place), strict, strikes)
            if found is not None:
                back[place], judged = found
    for place in reversed(range(len(strikes))):
        since, at = back[place], strikes[place].at
        if since < at:
            instants = [since, *(end - 1 for end in ends if since < end - 1 < at), at]
            back[place], judged = _latest(instants, partial(judge, place), judged, strikes)
    return back, judged, not _losses(judged, strikes)


def _earliest(
    ends: Sequence[int], place: int, judge: Callable[[int], Oracle], strict: Oracle, strikes: Sequence[StoreStrike]
) -> tuple[int, Oracle] | None:
    """The earliest instant just before an acknowledgement that explains what was seen until the next strike.

    Too early a one takes back what was still seen, so that something shows that never was, or a user is hurt who was
    not: where that ends is found by halving. From there on the first that explains it is looked for one by one. None
    where none does.
    """
    until = strikes[place + 1].at if place + 1 < len(strikes) else None
    shown, hurt = _shown_though_gone(strict), strict.users_hurt
    low, struck = 0, bisect_left(ends, strikes[place].at)
    high = struck
    while low < high:
        middle = (low + high) // 2
        judged = judge(ends[middle] - 1)
        if _shown_though_gone(judged) > shown or not judged.users_hurt <= hurt:
            low = middle + 1
        else:
            high = middle
    for number in range(low, min(struck, low + LOOKS_AT_MOST)):
        judged = judge(ends[number] - 1)
        if all(until is not None and until <= one.at for one in _losses(judged, strikes)):
            return ends[number] - 1, judged
    return None


def _latest(
    instants: Sequence[int], judge: Callable[[int], Oracle], first: Oracle, strikes: Sequence[StoreStrike]
) -> tuple[int, Oracle]:
    """The latest of the instants that leaves no more losses than the first one does; the last, if it can be."""
    left = len(_losses(first, strikes))
    best, low, high = first, 0, len(instants)
    middle = high - 1
    while low < middle:
        judged = judge(instants[middle])
        if len(_losses(judged, strikes)) <= left:
            low, best = middle, judged
        else:
            high = middle
        middle = (low + high) // 2
    return instants[low], best


def _losses(judged: Oracle, strikes: Sequence[StoreStrike]) -> list[Finding]:
    return [one for one in judged.findings if _is_loss(one, strikes)]


def _shown_though_gone(judged: Oracle) -> int:
    return sum(1 for one in judged.findings if one.anomaly in {Anomaly.REFUSED_APPLIED, Anomaly.PHANTOM})


def _gone_back(strict: Oracle, history: History, strikes: Sequence[StoreStrike], back: Sequence[int]) -> Oracle:
    """The history judged as if each strike had taken the store back to that instant; some took it nowhere."""
    spans = [(since, one.at, one.until) for one, since in zip(strikes, back, strict=True) if since < one.at]
    return check((_since(one, spans) for one in history()), is_cut_off=strict.is_cut_off)


def _since(operation: Operation, spans: Sequence[tuple[int, int, int]]) -> Operation:
    """What is left of an operation: nothing of a write that came after the instant, and no word of a read.

    What overlaps the instant, or was acknowledged while the store was struck, may be there or not.
    """
    if operation.outcome is not Outcome.OK and not operation.session_rejected:
        return operation
    is_read = operation.kind in READS or operation.session_rejected
    for since, at, until in spans:
        if operation.end <= since or (operation.begin if is_read else operation.end) > until:
            continue
        is_gone = not is_read and operation.begin > since + 1 and operation.end <= at
        session = operation.session if operation.kind in {Kind.LOGIN, Kind.LOGOUT} else None
        outcome = Outcome.REFUSED if is_gone else Outcome.UNKNOWN
        return msgspec.structs.replace(operation, outcome=outcome, answer=None, session=session)
    return operation


def _is_write(operation: Operation) -> bool:
    return operation.outcome is Outcome.OK and operation.key is not None
