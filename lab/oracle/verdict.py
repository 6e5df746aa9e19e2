"""From what was found and how much was checked to one verdict: the worst wins, too little is never green."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import field

from lab.clock import NS
from lab.errors import ExitCode
from lab.model import Finding, PromiseResult, Value, Verdict
from lab.oracle.confidence import upper_bound
from lab.oracle.engine_away import EngineAwaySpan, away_text, is_engines
from lab.oracle.in_doubt import KilledWrites
from lab.oracle.lateness import busy_text, may_be_the_machines
from lab.oracle.loss import LossJudgement, StoreLoss
from lab.oracle.mute import MuteSpell
from lab.oracle.oracle import Oracle
from lab.oracle.promises import (
    LOSS_BOUND,
    OCCASIONS,
    PROMISES,
    SERVING_FLOOR,
    TRIES,
    RunTerms,
    asked_promises,
    due_occasions,
)
from lab.oracle.service import FirstTries, ServiceReport
from lab.oracle.workers import LONGEST_OPERATION, certain_until
from lab.record import ContainerEvent, MachineBusy, WorkerEnded

STATE_PROMISES = tuple(one.name for one in PROMISES.values() if one.is_of_state)
COMPARE_STATE = tuple(one.name for one in PROMISES.values() if one.compares)
ALWAYS_ASKED = asked_promises(RunTerms())
"""Of users of the lab's own shop, in every run."""
OWN_APP_ASKED = asked_promises(RunTerms(own_app=True))
"""Of somebody's own app only its own journey knows what its answers mean."""


class Enough(Value):
    """Below any of these the verdict is "could not tell": a green run always means something."""

    operations: int = 1000
    """What users did, all together."""
    checks: int = 1000
    """Comparisons of state: reads, writes, orders, names and last reads. Sessions and owners don't count in it."""
    strikes_that_hit: int = 0
    """Strikes whose victim was serving."""
    users_served_by_new: int = 0
    """Users who got an answer from the release that was rolled to last, if its image is another one than before."""
    occasions: dict[str, int] = field(default_factory=dict)
    """Of what puts a promise to the test, by the name that the reference gives it: at least so many."""


ANYTHING = Enough(operations=1, checks=1)


class Evidence(Value):
    """All that a verdict rests on."""

    operations: int
    users: int
    users_hurt: int
    checks: dict[str, int]
    """How many comparisons were made, by promise."""
    findings: tuple[Finding, ...] = ()
    broken: dict[str, int] = field(default_factory=dict)
    """How often a promise was broken, where more than its findings are counted."""
    undecided: int = 0
    unjudged: int = 0
    strikes: int = 0
    strikes_that_hit: int = 0
    users_served_by_new: int = 0
    first_tries: FirstTries = FirstTries()
    troubles: tuple[str, ...] = ()
    torn: int = 0
    """Lines of the record that could not be read."""
    lacks_operations: bool = False
    """Whether some of what the run made is not in the record, and nobody knows what it would explain."""
    crashed: str = ""
    """What a check died of, if one did."""
    why_nothing: str = ""
    """Of somebody's own app: why no comparison of its state could have failed, where none could."""
    why_no_logout: str = ""
    """And why nobody of those logged out who would have, where nobody did."""
    last: int = 0
    """When the last recorded operation ended."""
    rolled_back: bool = False
    failed_commands: tuple[str, ...] = ()
    """Commands of somebody's own that did not succeed, and how each ended."""
    is_mistaken: bool = False
    """Whether the journey makes every user fare like this, so that nothing that was found means anything."""
    proves_nothing: bool = False
    """Whether it does so because nothing that its users do or are shown could show a loss."""
    terms: RunTerms | None = None
    """What was asked for, where what put the promises to the test was counted."""
    occasions: dict[str, int] = field(default_factory=dict)
    """How often each came up."""
    notes: dict[str, str] = field(default_factory=dict)
    """What else there is to tell of a promise."""
    nothing_new: tuple[str, ...] = ()
    """Of a deployment that somebody else performs: why nothing is known to have been deployed."""
    doubtful: tuple[Finding, ...] = ()
    """What a machine that was too busy may have made itself; it is not among the findings."""
    busy: str = ""
    """How busy it was, where there is any of that."""
    engine_away: str = ""
    """What is laid at nobody because the engine itself was away."""
    taken_down: str = ""
    """Who was removed by somebody else, and so ended the run."""
    taken_down_at: int | None = None
    lost_workers: tuple[WorkerEnded, ...] = ()
    """Whose users did something that is not in the record."""
    store_loss: StoreLoss = StoreLoss()
    """What strikes on the store cost."""
    killed_writes: KilledWrites = KilledWrites()
    """Writes that were in a killed replica, and asked for no answer."""


class PartTested(Value):
    """Whether a run put one part of somebody's own app to the test, and how, or why not."""

    part: str
    is_tested: bool
    how: str

    @property
    def text(self) -> str:
        return f"{self.part}: {'tested' if self.is_tested else 'not tested'}: {self.how}"


class Judgement(Value):
    """The end of it: `reasons` say why nothing can be told, where that is so."""

    verdict: Verdict
    exit_code: ExitCode
    promises: tuple[PromiseResult, ...]
    findings: tuple[Finding, ...]
    reasons: tuple[str, ...]
    evidence: Evidence
    likely: str = ""
    not_checked: tuple[str, ...] = ()
    """What nothing is claimed about, and why."""
    tested: tuple[PartTested, ...] = ()
    """Of somebody's own app: what was tested, and what was not."""


def gather(
    oracle: Oracle,
    service: ServiceReport,
    *,
    last: int = 0,
    new_release: str | None = None,
    torn: int = 0,
    lacks_operations: bool = False,
    crashed: str = "",
    rolled_back: bool = False,
    failed_commands: tuple[str, ...] = (),
    is_mistaken: bool = False,
    proves_nothing: bool = False,
    nothing_new: tuple[str, ...] = (),
    lost: LossJudgement | None = None,
    terms: RunTerms | None = None,
    occasions: Mapping[str, int] | None = None,
    taken_down: tuple[str, int] | None = None,
    busy: Sequence[MachineBusy] = (),
    fallen: Sequence[ContainerEvent] = (),
    away: Sequence[EngineAwaySpan] = (),
    lost_workers: tuple[WorkerEnded, ...] = (),
) -> Evidence:
    """What a finished oracle and the service's report say, as one value; `lost` if the store's bound counts in it."""
    found = oracle.findings if lost is None else lost.findings
    checks = oracle.counts if lost is None else lost.checks
    loss = StoreLoss() if lost is None else lost.loss
    while_away = [one for one in service.findings if is_engines(one, away)]
    left = [one for one in service.findings if one not in while_away]
    doubtful = [one for one in left if may_be_the_machines(one, busy, fallen)]
    return Evidence(
        operations=oracle.operations,
        users=len(oracle.users),
        users_hurt=len(oracle.users_hurt) if lost is None else lost.hurt,
        checks={**checks, **service.checks},
        findings=(*found, *(one for one in left if one not in doubtful)),
        engine_away=away_text(away, dict.fromkeys(one.promise for one in while_away)) if while_away else "",
        doubtful=tuple(doubtful),
        busy=busy_text(busy) if doubtful else "",
        broken={**service.broken, LOSS_BOUND: loss.beyond},
        undecided=oracle.undecided if lost is None else lost.undecided,
        store_loss=loss,
        unjudged=oracle.unjudged,
        why_nothing=oracle.why_nothing,
        why_no_logout=oracle.why_no_logout,
        strikes=service.strikes,
        strikes_that_hit=service.strikes_that_hit,
        users_served_by_new=service.users_by_release.get(new_release, 0) if new_release else 0,
        first_tries=service.first_tries,
        troubles=service.troubles,
        torn=torn,
        lacks_operations=lacks_operations,
        crashed=crashed,
        last=last,
        killed_writes=service.killed_writes,
        rolled_back=rolled_back,
        failed_commands=failed_commands,
        is_mistaken=is_mistaken,
        proves_nothing=proves_nothing,
        nothing_new=nothing_new,
        terms=terms if occasions is not None else None,
        occasions=dict(occasions or {}),
        notes={
            SERVING_FLOOR: "; ".join(_mute_text(one) for one in service.mute),
            TRIES: service.killed_writes.text,
        },
        taken_down="" if taken_down is None else taken_down[0],
        taken_down_at=None if taken_down is None else taken_down[1],
        lost_workers=lost_workers,
    )


def _mute_text(spell: MuteSpell) -> str:
    told = f"answered none of {spell.tries} tries properly in {spell.seconds:.1f} s"
    return f"{spell.slot} said that it was ready and {told}"


def judge(evidence: Evidence, enough: Enough = ANYTHING, asked: Sequence[str] = ALWAYS_ASKED) -> Judgement:
    """The verdict on the promises that were `asked` for; an asked promise with nothing checked is never held.

    Broken, if anything asked for was certainly broken. Else could not tell: of the lab's own trouble, of a torn
    or empty record, of a crashed check (exit 4), or because too little was checked, the journey can't show a loss, or
    what every run is about was not put to the test (exit 5). Else held; exit 3 where the new release was rolled back,
    or a command failed, and no user was harmed.
    """
    certain = _certain(evidence)
    results = tuple(_result(name, evidence, certain) for name in asked)
    unwell = (*_unwell(evidence), *_late(evidence, asked))
    too_little = _too_little(evidence, enough, results)
    if any(one.verdict is Verdict.BROKEN for one in results):
        verdict, exit_code = Verdict.BROKEN, ExitCode.BROKEN
    elif unwell and not evidence.proves_nothing:
        verdict, exit_code = Verdict.COULD_NOT_TELL, ExitCode.COULD_NOT_TELL
    elif too_little or evidence.proves_nothing:
        verdict, exit_code = Verdict.COULD_NOT_TELL, ExitCode.TOO_LITTLE_CHECKED
    else:
        verdict = Verdict.HELD
        is_done = not (evidence.rolled_back or evidence.failed_commands)
        exit_code = ExitCode.HELD if is_done else ExitCode.ROLLED_BACK
    return Judgement(
        verdict=verdict,
        exit_code=exit_code,
        promises=results,
        findings=tuple(finding for finding in certain if finding.promise in asked),
        reasons=unwell if evidence.is_mistaken else (*unwell, *too_little),
        evidence=evidence,
    )


def _certain(evidence: Evidence) -> tuple[Finding, ...]:
    """A torn record may lack operations that explain what was seen at its end; and of what somebody else took down,
    nothing that comes after says anything. Of a journey that can't work, or a record that lacks operations, nothing
    does."""
    findings = () if evidence.is_mistaken or evidence.lacks_operations else evidence.findings
    if evidence.torn:
        until = evidence.last - int(LONGEST_OPERATION * NS)
        findings = tuple(finding for finding in findings if finding.at <= until)
    if evidence.lost_workers:
        until = certain_until(evidence.lost_workers)
        findings = tuple(finding for finding in findings if finding.at <= until)
    if evidence.taken_down_at is not None:
        findings = tuple(finding for finding in findings if finding.at < evidence.taken_down_at)
    return findings


def _result(name: str, evidence: Evidence, certain: Sequence[Finding]) -> PromiseResult:
    promise, count = PROMISES[name], evidence.checks.get(name, 0)
    due = () if evidence.terms is None else due_occasions(name, evidence.terms)
    occasions = {one.name: evidence.occasions.get(one.name, 0) for one in due}
    untried = _untried(name, evidence)
    found = sum(1 for finding in certain if finding.promise == name)
    broken = max(found, evidence.broken.get(name, 0)) if found else 0
    note = ""
    if broken:
        verdict = Verdict.BROKEN
    elif not count:
        verdict, note = Verdict.COULD_NOT_TELL, "nothing was checked"
    elif _unwell(evidence):
        verdict, note = Verdict.COULD_NOT_TELL, "the run itself was in trouble"
    elif any(one.promise == name for one in evidence.doubtful):
        verdict, note = Verdict.COULD_NOT_TELL, evidence.busy
    elif untried:
        verdict, note = Verdict.COULD_NOT_TELL, untried
    else:
        verdict = Verdict.HELD
    note = "; ".join(filter(None, (note, evidence.notes.get(name, ""))))
    if name == LOSS_BOUND and count:
        note = "; ".join(filter(None, (note, evidence.store_loss.text)))
    return PromiseResult(
        promise=name,
        title=promise.title,
        verdict=verdict,
        count=count,
        checks=promise.checks,
        broken=broken,
        note=note,
        upper=None if broken or not count else upper_bound(count),
        occasions=occasions,
    )


def _untried(name: str, evidence: Evidence) -> str:
    """Why a promise was not put to the test; empty where it was, or where nobody counted."""
    for one in () if evidence.terms is None else due_occasions(name, evidence.terms):
        count = evidence.occasions.get(one.name, 0)
        if one.gates and count < one.least:
            return f"not put to the test: {count} {one.what}"
    return ""


def _late(evidence: Evidence, asked: Sequence[str]) -> list[str]:
    """What may have been the machine's own lateness: nobody's fault, and no proof of anything either."""
    names = [name for name in asked if any(one.promise == name for one in evidence.doubtful)]
    return [f"{evidence.busy} to judge time by it: {', '.join(names)} may have failed for that"] if names else []


def _never_tried(evidence: Evidence, results: Sequence[PromiseResult]) -> list[str]:
    """What the run is about and did not put to the test. Of somebody's own app a comparison is counted only where it
    could have failed, so that there its count says it all."""
    if evidence.terms is None or evidence.terms.own_app:
        return []
    named = [(one.promise, _untried(one.promise, evidence)) for one in results if one.count and not one.broken]
    return [f"{name}: {untried}" for name, untried in named if untried and PROMISES[name].must_be_tried]


def _unwell(evidence: Evidence) -> tuple[str, ...]:
    if evidence.is_mistaken:  # all else follows from it
        return evidence.troubles
    reasons: list[str] = []
    if evidence.crashed:
        reasons.append(f"a check ended early: {evidence.crashed}")
    if evidence.torn:
        reasons.append(f"the record is torn: {evidence.torn} lines can't be read")
    if not evidence.troubles:  # which say the same of each
        reasons += [f"worker {one.worker} of the users is lost: {one.lost}" for one in evidence.lost_workers]
    if not evidence.operations:
        reasons.append("the record holds no operation")
    if evidence.taken_down:
        reasons.append(f"somebody took it down: {evidence.taken_down}")
    if evidence.first_tries.dropped:
        reasons.append(f"{evidence.first_tries.dropped} actions were broken off: the run ended early")
    if evidence.unjudged:
        reasons.append(f"{evidence.unjudged} users were called quiet while something of theirs was in flight")
    return (*reasons, *evidence.troubles)


def _too_little(evidence: Evidence, enough: Enough, results: Sequence[PromiseResult]) -> tuple[str, ...]:
    checks = sum(evidence.checks.get(name, 0) for name in COMPARE_STATE)
    floors = [
        ("operations", evidence.operations, enough.operations),
        ("comparisons of state", checks, enough.checks),
        ("strikes that hit a serving replica", evidence.strikes_that_hit, enough.strikes_that_hit),
    ]
    if not (evidence.rolled_back or evidence.failed_commands):
        floors.append(("users served by the new release", evidence.users_served_by_new, enough.users_served_by_new))
    reasons = [evidence.why_nothing] if evidence.why_nothing else []
    reasons += [] if evidence.failed_commands else evidence.nothing_new
    reasons += [f"{count} {what}, at least {least} are needed" for what, count, least in floors if count < least]
    reasons += [
        f"{evidence.occasions.get(name, 0)} {OCCASIONS[name].what}, at least {least} are needed"
        for name, least in enough.occasions.items()
        if evidence.occasions.get(name, 0) < least
    ]
    reasons += [f"{one.promise}: nothing was checked" for one in results if not one.count and not one.broken]
    reasons += _never_tried(evidence, results)
    if evidence.undecided:
        reasons.append(f"{evidence.undecided} users did too much at once, or got too few answers, to be judged")
    return tuple(reasons)
