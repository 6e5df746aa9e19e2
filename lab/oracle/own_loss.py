"""What somebody's own store lost when it was struck, measured from what its users' reads showed and held to a bound.

What an app does with a write is its own business, so a history can't be judged anew as if some of it had never been.
But each state that was read and allowed is an instant to which the store may have gone back: a state that contradicts,
read after a strike, is explained by the latest earlier one that it equals. What the same device had acknowledged since
then and before the strike is what was lost. What was acknowledged once the strike was over, or was read then where it
is missing now, no strike explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome, Value
from lab.oracle.loss import LOSING, LossJudgement, StoreLoss, StoreStrike
from lab.oracle.oracle import Oracle
from lab.oracle.own_state import leaves
from lab.oracle.promises import LOSS_BOUND, Anomaly

History = Callable[[], Iterable[Operation]]


class _Lost(Value):
    """One contradiction after a strike: how old the oldest of what was lost was; None: no loss explains it."""

    finding: Finding
    strike: StoreStrike
    age: float | None


def judge_own_loss(strict: Oracle, history: History, strikes: Sequence[StoreStrike], bound: float) -> LossJudgement:
    """Judge what a finished oracle found by what the store may lose: `bound` seconds before each strike."""
    last = max((one.at for one in strikes), default=0)
    acts = [one for one in history() if one.kind is Kind.ACT and one.outcome is Outcome.OK]
    lost = [found for one in strict.findings if (found := _lost(one, history, strikes)) is not None]
    beyond = [one for one in lost if one.age is None or one.age > bound]
    ages = [one.age for one in lost if one.age is not None]
    loss = StoreLoss(
        strikes=len(strikes),
        followed=sum(1 for one in acts if one.end <= last),
        losses=len(lost),
        users=len({one.finding.user for one in lost}),
        oldest=max(ages) if lost and len(ages) == len(lost) else None,
        bound=bound,
        beyond=len(beyond),
    )
    excused = [one.finding for one in lost if one not in beyond]
    kept = tuple(one for one in strict.findings if one not in excused)
    findings = (*kept, *(_beyond(one, loss) for one in beyond[:1]))
    return LossJudgement(
        loss=loss,
        findings=findings,
        checks={**strict.counts, LOSS_BOUND: loss.followed},
        hurt=len({one.user for one in findings}),
        undecided=strict.undecided,
    )


def _lost(finding: Finding, history: History, strikes: Sequence[StoreStrike]) -> _Lost | None:
    """None: no strike on the store comes into it."""
    struck = [one for one in strikes if one.at <= finding.at]
    if finding.anomaly not in LOSING or not struck or not finding.witness:
        return None
    strike, read = max(struck, key=lambda one: one.at), finding.witness[-1]
    own = [one for one in history() if one.device == read.device and one.begin <= read.begin and one is not read]
    if read.allowed is None:  # not a state: a session that is gone, which was there since its login
        logins = [one.end for one in own if one.kind is Kind.LOGIN and one.outcome is Outcome.OK]
        if logins and logins[-1] > strike.until:
            return None
        return _Lost(finding=finding, strike=strike, age=_age(logins[-1:], strike))
    states = [one for one in own if one.allowed and one.end <= strike.until]
    known = states[-1].allowed[-1] if states and states[-1].allowed else None
    if _is_newer(read, own, strike, known, since=states[-1].end if states else 0):
        return None
    shown = _of_before(read.answer, known)
    same = [one for one in states if one.allowed is not None and shown in one.allowed]
    if not same and not _is_empty(shown):
        return _Lost(finding=finding, strike=strike, age=None)
    since = max((one.end for one in same), default=0)  # nothing at all is how it began, whether or not that was read
    later = [one.end for one in own if one.kind is Kind.ACT and one.outcome is Outcome.OK and one.end > since]
    return _Lost(finding=finding, strike=strike, age=_age(later, strike))


def _is_newer(read: Operation, own: Sequence[Operation], strike: StoreStrike, known: Any, *, since: int) -> bool:
    """Whether what is missed was done, or read at this very replica, when the strike was over.

    `known` is the state that was allowed last before that, at `since`.
    """
    after = [one for one in own if one.begin > strike.until]
    if any(one.allowed and one.answer in one.allowed and one.final.replica == read.final.replica for one in after):
        return True
    done = [one for one in own if one.kind is Kind.ACT and one.outcome is Outcome.OK and one.end > since]
    late = sum(one.begin > strike.until for one in done)
    wanted = read.allowed[-1] if read.allowed else None
    missed = leaves(wanted) - leaves(read.answer) - leaves(known)
    return late > 0 and len(missed) > len(done) - late


def _of_before(shown: Any, known: Any) -> Any:
    """What a state still shows of what was known before the strike: of its lists without what was added since."""
    if isinstance(shown, dict) and isinstance(known, dict):
        return {key: _of_before(value, known.get(key)) for key, value in shown.items()}
    if isinstance(shown, list) and isinstance(known, list):
        return [one for one in shown if one in known]
    return shown


def _is_empty(state: Any) -> bool:
    """Whether there is nothing in it, however deep."""
    if isinstance(state, dict):
        return all(map(_is_empty, state.values()))
    return state in (None, "", 0, [])


def _age(ends: Sequence[int], strike: StoreStrike) -> float | None:
    """How long before its strike the first of these was acknowledged; None where there is none."""
    return max(0.0, (strike.at - min(ends)) / NS) if ends else None


def _beyond(lost: _Lost, loss: StoreLoss) -> Finding:
    return Finding(
        promise=LOSS_BOUND,
        anomaly=str(Anomaly.LOST_MORE),
        user=lost.finding.user,
        at=lost.finding.at,
        why=f"{lost.strike.victim} was struck ({lost.strike.fault}); {loss.text}",
        witness=lost.finding.witness,
    )
