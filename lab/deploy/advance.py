"""Decides when a rollout enters its next phase: pure, from how far the cluster got, the gate and what people asked."""

from __future__ import annotations

import msgspec

from lab.deploy.gate import GateFinding, GateVerdict
from lab.deploy.rollout import HISTORY_KEPT, NEVER_READY_LIMIT, Desired, Ending, Note, Phase, Rollout, RolloutRequest
from lab.model import Value


class RolloutProgress(Value):
    """What the deployer sees of a rollout."""

    at: int
    """Wall-clock nanoseconds."""
    in_phase: float
    """Seconds that the present phase has lasted, whatever was done to the wall clock meanwhile."""
    is_settled: bool
    """Whether every slot has what the present phase wants of it."""
    failed: str = ""
    """Why the new release is given up, if it did not get ready."""
    judged: GateFinding | None = None
    """What the gate says; None where nobody asked it."""


def advance(desired: Desired, progress: RolloutProgress, *, by: str) -> Desired:
    """The desired state after one look; the same object where nothing changes.

    Whatever phase a deployer died in, the next one finds it here and goes on from what it sees.
    """
    rollout = desired.under_way
    if rollout is None:
        return desired
    turn = _turn_back(rollout, progress)
    if turn is not None:
        return _with(desired, _enter(rollout, Phase.BACK, turn, progress, by))
    return _go_on(desired, rollout, progress, by) if progress.is_settled else desired


def _go_on(desired: Desired, rollout: Rollout, progress: RolloutProgress, by: str) -> Desired:
    """Every slot has what the phase wants: what comes next."""
    match rollout.phase:
        case Phase.PREPARE:
            return _with(desired, _enter(rollout, Phase.MOVE, "the new group is ready", progress, by))
        case Phase.MOVE:
            share = f"{rollout.strategy.stages[rollout.stage]:.0%} of the slots serve {rollout.to.name}"
            return _with(desired, _enter(rollout, Phase.WATCH, share, progress, by))
        case Phase.WATCH:
            return _leave_stage(desired, rollout, progress, by)
        case Phase.KEEP:
            if progress.in_phase < rollout.strategy.keeps_old:
                return desired
            return _end(desired, rollout, Ending.DONE, "the old group is no longer kept", progress, by)
        case _:
            return _end(desired, rollout, _how_back(rollout), rollout.why, progress, by)


def _turn_back(rollout: Rollout, progress: RolloutProgress) -> str | None:
    """Why the rollout goes back, if it does."""
    if rollout.phase is Phase.BACK:
        return None
    if progress.failed:
        return progress.failed
    if rollout.never_ready >= NEVER_READY_LIMIT:
        return f"{rollout.never_ready} replicas of {rollout.to.name} died before they were ready"
    if rollout.asked is not None:
        return f"a person asked to {rollout.asked}"
    if progress.judged is not None and progress.judged.verdict is GateVerdict.ROLL_BACK:
        return progress.judged.why
    return None


def _leave_stage(desired: Desired, rollout: Rollout, progress: RolloutProgress, by: str) -> Desired:
    """The stage's share is reached: on to the next once it was held, judged and approved."""
    held = progress.in_phase >= rollout.strategy.least_hold
    judged = progress.judged is None or progress.judged.verdict is GateVerdict.GO
    approved = not rollout.strategy.approve or rollout.approved > rollout.stage
    if not (held and judged and approved):
        return desired
    why = progress.judged.why if progress.judged is not None else ""
    if rollout.stage + 1 < len(rollout.strategy.stages):
        further = msgspec.structs.replace(rollout, stage=rollout.stage + 1)
        return _with(desired, _enter(further, Phase.MOVE, why or "the next share", progress, by))
    if rollout.strategy.keeps_old:
        return _with(desired, _enter(rollout, Phase.KEEP, why or "all moved; the old group stands by", progress, by))
    return _end(desired, rollout, Ending.DONE, why, progress, by)


def _how_back(rollout: Rollout) -> Ending:
    if rollout.asked is RolloutRequest.REVERSE:
        return Ending.REVERSED
    return Ending.ABORTED if rollout.asked is RolloutRequest.ABORT else Ending.ROLLED_BACK


def _end(desired: Desired, rollout: Rollout, ending: Ending, why: str, progress: RolloutProgress, by: str) -> Desired:
    ended = msgspec.structs.replace(_enter(rollout, Phase.ENDED, why, progress, by), ending=ending, why=why)
    release = rollout.to if ending is Ending.DONE else rollout.before
    return msgspec.structs.replace(desired, release=release, rollout=ended)


def _enter(rollout: Rollout, phase: Phase, why: str, progress: RolloutProgress, by: str) -> Rollout:
    note = Note(at=progress.at, holder=by, phase=phase, stage=rollout.stage, why=why)
    history = (*rollout.history, note)[-HISTORY_KEPT:]
    return msgspec.structs.replace(rollout, phase=phase, since=progress.at, why=why, history=history)


def _with(desired: Desired, rollout: Rollout) -> Desired:
    return msgspec.structs.replace(desired, rollout=rollout)
