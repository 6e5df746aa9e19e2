"""The three lines with which a run ends: the verdict, what it rests on, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from lab.clock import NS
from lab.model import Finding, Value, Verdict
from lab.oracle.confidence import bound_text
from lab.oracle.promises import ORDERS_ONCE, PROMISES, STATE_KEPT
from lab.oracle.service import FirstTries
from lab.oracle.verdict import Judgement
from lab.record import AnyEvent, Step

_INDENT = " " * 7
_REASONS_SHOWN = 3


class Interference(Value):
    """What a run did to the cluster, counted the same way while it goes on and when it is over."""

    replacements: int = 0
    """Replicas that took another's place: in an upgrade, or because the other one was dead."""
    kills: int = 0
    other_strikes: int = 0
    """Whoever was frozen, slowed, cut off and the like."""
    zones_lost: int = 0


class RunFacts(Interference):
    """What the closing lines tell of the run beside the verdict."""

    began: int = 0
    """When the run began, monotonic nanoseconds: times are told from there."""
    seconds: float = 0.0
    report: str = ""
    repeat: str = ""


def takes_a_place(event: AnyEvent, entered: set[str]) -> bool:
    """Whether a replica takes another's place for the first time; `entered` are those that did, and grow by it.

    One that enters again, since its app had not listened for a moment, replaces nobody.
    """
    if not isinstance(event, Step) or event.action != "enter" or event.replica in entered:
        return False
    entered.add(event.replica)
    return event.why != "first"


def closing_lines(judgement: Judgement, facts: RunFacts) -> tuple[str, str, str]:
    """The last three lines of a run, an interface for people: they keep their form."""
    if judgement.verdict is Verdict.HELD:
        return _held(judgement, facts)
    if judgement.verdict is Verdict.BROKEN:
        return _broken(judgement, facts)
    return _could_not_tell(judgement, facts)


def _held(judgement: Judgement, facts: RunFacts) -> tuple[str, str, str]:
    evidence = judgement.evidence
    kept = evidence.users - evidence.users_hurt
    back = "; the new release was rolled back" if evidence.rolled_back else ""
    back += "".join(f"; {_one_line(one)}" for one in evidence.failed_commands[:_REASONS_SHOWN])
    met = f" through {through(facts)}" if through(facts) else ""
    lost = f"; {evidence.store_loss.text}" if evidence.store_loss.losses else ""
    lost += f"; {evidence.killed_writes.text}" if evidence.killed_writes.writes else ""
    lost += f"; not judged: {evidence.engine_away}" if evidence.engine_away else ""
    return (
        f"HELD   {_number(kept)} of {_plural(evidence.users, 'user')} kept their state{met}{back}{lost}",
        _INDENT + _checked(judgement),
        _INDENT + _pointers(facts) + f"     {facts.seconds:.1f} s",
    )


def _broken(judgement: Judgement, facts: RunFacts) -> tuple[str, str, str]:
    broken = [one for one in judgement.promises if one.verdict is Verdict.BROKEN]
    worst = broken[0]
    of_it = sorted((one for one in judgement.findings if one.promise == worst.promise), key=lambda one: one.at)
    first = of_it[0]
    at = f"first at {_seconds_in(first, facts):.1f} s"
    also = f"; also {', '.join(one.promise for one in broken[1:])}" if len(broken) > 1 else ""
    also = f"; state was kept{also}" if _kept_state(judgement) else also
    promise = PROMISES[worst.promise]
    if not promise.hurt:
        head = f"{promise.title}: not so {_plural(worst.broken, 'time')} in {_number(worst.count)}"
    elif not first.user:
        head = f"{promise.title}: not so"
    else:
        users = len({one.user for one in of_it})
        head = f"{_number(users)} of {_plural(judgement.evidence.users, 'user')} {promise.hurt}"
    cause = f"; {first.cause}" if first.cause else ""
    who = f"{first.user}: " if first.user else ""
    likely = f"likely: {judgement.likely}      " if judgement.likely else ""
    return (
        f"BROKEN {worst.promise}: {head} ({at}){also}",
        f"{_INDENT}{who}{first.why}{cause}",
        _INDENT + likely + _pointers(facts),
    )


def _kept_state(judgement: Judgement) -> bool:
    """Whether, whatever else is broken, nobody lost anything: which is what most people ask first."""
    verdicts = {one.promise: one.verdict for one in judgement.promises}
    is_lost = any(one.user and PROMISES[one.promise].hurt for one in judgement.findings)
    return verdicts.get(STATE_KEPT) is Verdict.HELD and not is_lost


def _could_not_tell(judgement: Judgement, facts: RunFacts) -> tuple[str, str, str]:
    reasons = judgement.reasons or ("no reason is known",)
    more = f" (and {_plural(len(reasons) - _REASONS_SHOWN, 'more reason')})" if len(reasons) > _REASONS_SHOWN else ""
    return (
        f"COULD NOT TELL   {'; '.join(_one_line(reason) for reason in reasons[:_REASONS_SHOWN])}{more}",
        _INDENT + _checked(judgement),
        _INDENT + _pointers(facts) + f"     {facts.seconds:.1f} s",
    )


def _checked(judgement: Judgement) -> str:
    evidence, tries = judgement.evidence, judgement.evidence.first_tries
    reads = evidence.checks.get(STATE_KEPT, 0)  # as that promise counts them, on the page and in every report
    most = f"{tries.most_tries} {'try' if tries.most_tries == 1 else 'tries'}"
    has_orders = any(one.promise == ORDERS_ONCE for one in judgement.promises)
    orders = [f"{_plural(evidence.checks.get(ORDERS_ONCE, 0), 'order')} counted once"] if has_orders else []
    parts = [
        f"{_plural(reads, 'read')} compared",
        *orders,
        f"{_plural(tries.saved, 'action')} needed a retry (max {most})",
        f"{_number(tries.lost)} failed{_bound(tries)}",
    ]
    return ", ".join(parts)


def _bound(tries: FirstTries) -> str:
    """What it says that none of so many failed."""
    return "" if tries.lost or not tries.actions else f" of {_number(tries.actions)} ({bound_text(tries.actions)})"


def through(facts: Interference) -> str:
    """As "9 replacements, 4 kills and 1 lost zone"; nothing where nothing was done."""
    parts = [
        _plural(count, what)
        for count, what in (
            (facts.replacements, "replacement"),
            (facts.kills, "kill"),
            (facts.other_strikes, "other strike" if facts.kills else "strike"),
            (facts.zones_lost, "lost zone"),
        )
        if count
    ]
    return _listed(parts)


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""


def _pointers(facts: RunFacts) -> str:
    return "     ".join(
        f"{what}  {value}" for what, value in (("report", facts.report), ("repeat", facts.repeat)) if value
    )


def _seconds_in(finding: Finding, facts: RunFacts) -> float:
    return (finding.at - facts.began) / NS


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _plural(count: int, what: str) -> str:
    return f"{_number(count)} {what}{'' if count == 1 else 's'}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
