"""What a store lost when it was struck: measured from the record, and held against the bound that its tier states.

A bound of so many seconds says that what was acknowledged longer before a strike is never lost. What was acknowledged
within them may be there or not. So the history is judged a second time, with those operations of unknown outcome:
whatever is a contradiction even then, no loss within the bound explains. The loss is measured the same way, as the
shortest time before the strikes in which everything that was lost had been acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome, Value
from lab.oracle.interval import READS
from lab.oracle.oracle import Oracle, check
from lab.oracle.promises import LOSS_BOUND, Anomaly
from lab.record import AnyEvent, Strike, StrikeProved, StrikeUndone

STORE = "store"
EXACT_TO = 0.05
"""Seconds to which the loss is measured."""
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
        Anomaly.FORCED_LOGOUT,
        Anomaly.ALIVE_AFTER_LOGOUT,
        Anomaly.FLAPPING,
        Anomaly.DEVICES_DIFFER,
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
        if isinstance(event, Strike) and event.role == STORE and event.strike in proved:
            lives_on = event.fault in {"freeze", "slow", "cut"}
            end = undone.get(event.strike, last) if lives_on else proved[event.strike]
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
    judged = _relaxed(history, strikes, bound) if bound else strict
    others = tuple(one for one in strict.findings if one.anomaly not in LOSING)
    beyond = tuple(one for one in judged.findings if _is_loss(one, strikes))
    kept = (*others, *(one for one in judged.findings if one.anomaly in LOSING))
    loss = msgspec.structs.replace(
        loss,
        losses=len(losing),
        users=len({one.user for one in losing}),
        oldest=_measure(history, strikes),
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
    """Seen after a strike on the store, with something that was acknowledged before it or while it lasted."""
    if finding.anomaly not in LOSING:
        return False
    struck = [one for one in strikes if one.at <= finding.at]
    return any(
        operation.outcome is Outcome.OK and operation.end <= one.until
        for one in struck
        for operation in finding.witness
    )


def _measure(history: History, strikes: Sequence[StoreStrike]) -> float | None:
    """The shortest time before each strike within which all that was lost had been acknowledged."""

    def explains(seconds: float) -> bool:
        return not any(_is_loss(one, strikes) for one in _relaxed(history, strikes, seconds).findings)

    began = min((one.begin for one in history()), default=0)
    most = (max(one.at for one in strikes) - began) / NS + 1
    if not explains(most):
        return None
    low, high = 0.0, EXACT_TO
    while high < most and not explains(high):
        low, high = high, min(2 * high, most)
    while high - low > EXACT_TO:
        middle = (low + high) / 2
        low, high = (low, middle) if explains(middle) else (middle, high)
    return high


def _relaxed(history: History, strikes: Sequence[StoreStrike], seconds: float) -> Oracle:
    """The history judged where nothing is claimed of what was acknowledged so shortly before a strike."""
    spans = [(one.at - int(seconds * NS), one.until) for one in strikes]
    return check(_relax(one, spans) for one in history())


def _relax(operation: Operation, spans: Sequence[tuple[int, int]]) -> Operation:
    """A write of unknown outcome, if it was acknowledged in a span; a read that says nothing, if it touches one."""
    if operation.outcome is not Outcome.OK and not operation.session_rejected:
        return operation
    is_read = operation.kind in READS or operation.session_rejected
    begin = operation.begin if is_read else operation.end
    if not any(since <= operation.end and begin <= until for since, until in spans):
        return operation
    session = operation.session if operation.kind in {Kind.LOGIN, Kind.LOGOUT} else None
    return msgspec.structs.replace(operation, outcome=Outcome.UNKNOWN, answer=None, session=session)


def _is_write(operation: Operation) -> bool:
    return operation.outcome is Outcome.OK and operation.key is not None
