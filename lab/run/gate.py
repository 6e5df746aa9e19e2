"""Whether whoever deploys may go on while a run goes on: 200 yes, 409 no, 425 too early to say. Decided purely."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from lab.clock import NS
from lab.errors import ExitCode
from lab.model import Value, Verdict
from lab.record import AnyEvent, CommandEnded
from lab.run.judge import JudgedRun
from lab.scenario.spec import Scenario, rolled_to, walk_steps


class GateStatus(IntEnum):
    """What a gate answers, as HTTP says it."""

    GO_ON = 200
    STOP = 409
    TOO_EARLY = 425


class GateAnswer(Value):
    """An answer, with what it rests on."""

    status: GateStatus
    why: str
    run: str
    is_over: bool = False
    operations: int = 0
    comparisons: int = 0
    users: int = 0
    users_hurt: int = 0
    users_served_by_new: int = 0
    failed_first_tries: int = 0
    saved: int = 0
    lost: int = 0
    broken: tuple[str, ...] = ()
    """The promises that were broken so far."""
    first: str = ""
    """What was found first."""
    seconds: float = 0.0
    """How old the run is."""


def answer(run: str, judged: JudgedRun, scenario: Scenario, events: Sequence[AnyEvent], *, is_over: bool) -> GateAnswer:
    """What a gate says of a run, judged as far as it has come.

    Go on: nothing is broken, and there is as much evidence as the scenario calls enough; where it deploys something,
    users have met that, and no command is still to come. What is over and not green will never be: stop.
    """
    judgement, evidence = judged.judgement, judged.judgement.evidence
    broken = tuple(one.promise for one in judgement.promises if one.verdict is Verdict.BROKEN)
    first = min(judgement.findings, key=lambda one: one.at, default=None)
    status, why = _decide(judged, scenario, events, is_over=is_over)
    tries = evidence.first_tries
    return GateAnswer(
        status=status,
        why=why,
        run=run,
        is_over=is_over,
        operations=evidence.operations,
        comparisons=sum(one.count for one in judgement.promises if one.promise in {"state_kept", "applied_once"}),
        users=evidence.users,
        users_hurt=evidence.users_hurt,
        users_served_by_new=evidence.users_served_by_new,
        failed_first_tries=tries.saved + tries.lost,
        saved=tries.saved,
        lost=tries.lost,
        broken=broken,
        first="" if first is None else " ".join(filter(None, (f"{first.user}:" if first.user else "", first.why))),
        seconds=round((max((event.at for event in events), default=judged.began) - judged.began) / NS, 1),
    )


def _decide(
    judged: JudgedRun, scenario: Scenario, events: Sequence[AnyEvent], *, is_over: bool
) -> tuple[GateStatus, str]:
    judgement = judged.judgement
    if judgement.verdict is Verdict.BROKEN:
        return GateStatus.STOP, "a promise is broken"
    if judgement.evidence.failed_commands:
        return GateStatus.STOP, "; ".join(judgement.evidence.failed_commands)
    if judgement.evidence.rolled_back:
        return GateStatus.STOP, "the new release was rolled back"
    if judgement.exit_code == ExitCode.COULD_NOT_TELL and judgement.evidence.troubles:
        return GateStatus.STOP, "; ".join(judgement.reasons)
    if judgement.exit_code == ExitCode.HELD:
        missing = "" if is_over else _still_to_come(judged, scenario, events)
        return (GateStatus.TOO_EARLY, missing) if missing else (GateStatus.GO_ON, "nothing is broken, and it is enough")
    status = GateStatus.STOP if is_over else GateStatus.TOO_EARLY
    return status, "; ".join(judgement.reasons) or "too little is known"


def _still_to_come(judged: JudgedRun, scenario: Scenario, events: Sequence[AnyEvent]) -> str:
    """What must have happened before anything can be said of a deployment, and has not; "" for nothing."""
    commands = sum(step.command is not None for _, step in walk_steps(scenario.steps))
    ended = sum(isinstance(event, CommandEnded) for event in events)
    if ended < commands:
        return f"{ended} of {commands} commands have ended"
    knows_new = scenario.target is None or scenario.enough.users_served_by_new > 0
    deploys = bool(rolled_to(scenario.steps)) or scenario.target is not None
    if deploys and knows_new and not judged.judgement.evidence.users_served_by_new:
        return "no user was served by the new release yet"
    return ""
