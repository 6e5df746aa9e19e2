"""What a judged run tells beside its verdict: counter-examples as short stories, and what was not checked."""

from __future__ import annotations

from collections.abc import Iterator

from lab.clock import NS
from lab.model import Finding, Kind, Operation
from lab.oracle.promises import OCCASIONS, PROMISES
from lab.oracle.service import ServiceReport
from lab.oracle.verdict import Judgement

LONGEST_ANSWER = 60
"""Characters of an answer that a story shows."""

OWN_KINDS = frozenset({Kind.ACT, Kind.READ, Kind.BROWSE})
"""Whose argument may be the request itself."""

NEVER_CHECKED = (
    "what becomes of writes at a loss of power: containers can't show it",
    "sessions that run out by themselves, and what a store evicts when it is full",
)
"""True of every run, so that nobody takes a green one for more than it is."""


def not_checked(judgement: Judgement, service: ServiceReport) -> tuple[str, ...]:
    """What nothing is claimed about, one sentence each."""
    asked, terms = {one.promise for one in judgement.promises}, judgement.evidence.terms
    is_watched = terms is not None and terms.watched
    lines = [
        f"{name}: can't be seen of a deployment that the lab does not make"
        if is_watched and not one.is_seen_outside
        else f"{name}: not asked for ({one.ask})"
        for name, one in PROMISES.items()
        if name not in asked
    ]
    lines += _untried(judgement)
    lines += [
        f"{one.promise}: nothing came up that it could be checked by" for one in judgement.promises if not one.count
    ]
    evidence = judgement.evidence
    if service.killed_writes.writes:
        lines.append(
            f"{service.killed_writes.text}: either is allowed (promises.tries_through_kills asks for an answer)"
        )
    if service.unknown:
        lines.append(
            f"{service.unknown} operations ended without an answer that says what became of them: whether each was"
            " applied is known only where a later read showed it"
        )
    if evidence.engine_away:
        lines.append(evidence.engine_away)
    if evidence.undecided:
        lines.append(f"{evidence.undecided} users did too much at once, or got too few answers, to be judged in full")
    if evidence.users_hurt:
        lines.append("what came after the first contradiction of a user's cart, history, name or session")
    return (*lines, *NEVER_CHECKED)


def _untried(judgement: Judgement) -> Iterator[str]:
    """What did not come up, or not often enough to say anything."""
    for result in judgement.promises:
        for name, count in result.occasions.items():
            occasion = OCCASIONS[name]
            if count < occasion.least and result.count:
                but = "not put to the test" if occasion.gates else "in part"
                yield f"{result.promise}: {but}, {count} {occasion.what} ({name}; {occasion.least} would be)"


def story(finding: Finding, *, began: int) -> list[str]:
    """A finding as a few lines: what contradicts what, the operations that prove it in time order, and the cause."""
    who = f"{finding.user}: " if finding.user else ""
    lines = [f"{finding.anomaly}: {who}{finding.why}"]
    lines += [f"  {_told(operation, began)}" for operation in finding.witness]
    if finding.cause:
        lines.append(f"  because {finding.cause}")
    return lines


def _told(operation: Operation, began: int) -> str:
    last = operation.final
    subject = None if operation.kind is Kind.STATE else operation.key or operation.argument
    what = _asked(operation) or " ".join(str(part) for part in (operation.kind, subject) if part is not None)
    came = "" if operation.answer is None else f" -> {_short(operation.answer)}"
    by = f", by {last.replica} ({last.release})" if last.replica else ""
    tries = f", {len(operation.tries)} tries" if len(operation.tries) > 1 else ""
    at = (operation.begin - began) / NS
    return f"{at:7.2f} s  {operation.device:<14} {what}{came}  {operation.outcome} ({last.result}{tries}{by})"


def _asked(operation: Operation) -> str | None:
    """A request of somebody's own app: "POST /cart -> 302 (to /login)"; None for anything else."""
    if operation.kind not in OWN_KINDS or not isinstance(operation.argument, str):
        return None
    asked, to, where = operation.argument.partition(" (to ")
    return f"{asked} -> {operation.final.result}{to}{where}"


def _short(answer: object) -> str:
    text = str(answer)
    # The end tells more than the beginning: it is what was written last.
    return text if len(text) <= LONGEST_ANSWER else f"...{text[-LONGEST_ANSWER:]}"
