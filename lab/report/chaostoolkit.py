"""A report as a Chaos Toolkit journal, for those who collect such journals.

Its format: `experiment`, `status`, `deviated`, `start`, `end`, `duration`, `steady_states`, `run`, `rollbacks`. The
promises are the steady state's probes, the strikes and steps are the method's actions. As the toolkit itself writes
it, what deviated has also failed; a run that tells nothing was aborted.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from lab.model import Verdict
from lab.report.document import Report, StepRow, StrikeRow
from lab.report.events import JudgedPromise

_STATUS = {Verdict.HELD: "completed", Verdict.BROKEN: "failed", Verdict.COULD_NOT_TELL: "aborted"}


def chaostoolkit(report: Report) -> str:
    """The journal as JSON."""
    probes = [_probe(report, one) for one in report.promises]
    acts: list[StrikeRow | StepRow] = [*report.strikes, *report.steps]
    run = [_act(report, one) for one in sorted(acts, key=lambda one: one.at)]
    after = {"steady_state_met": report.verdict == Verdict.HELD, "probes": probes}
    journal = {
        "chaoslib-version": "none: written by cluster-lab",
        "platform": report.environment.system,
        "node": report.environment.host,
        "experiment": {
            "version": "1.0.0",
            "title": report.title,
            "description": report.about or report.title,
            "tags": ["cluster-lab", report.name],
            "steady-state-hypothesis": {
                "title": "Every logged-in user keeps their state",
                "probes": [one["activity"] for one in probes],
            },
            "method": [one["activity"] for one in run],
            "rollbacks": [],
        },
        "start": _wall(report, 0),
        "status": _STATUS[Verdict(report.verdict)],
        "deviated": report.verdict == Verdict.BROKEN,
        "steady_states": {"before": None, "after": after, "during": []},
        "run": run,
        "rollbacks": [],
        "end": _wall(report, report.seconds),
        "duration": report.seconds,
    }
    return msgspec.json.format(msgspec.json.encode(journal), indent=2).decode() + "\n"


def _probe(report: Report, one: JudgedPromise) -> dict[str, object]:
    activity = {
        "type": "probe",
        "name": one.promise,
        "tolerance": 0,
        "provider": {"type": "process", "path": "lab", "arguments": ["check", report.run, "--json"]},
    }
    told = [line for story in report.stories if story.promise == one.promise for line in story.lines]
    return {
        "activity": activity,
        "status": "failed" if one.verdict == Verdict.COULD_NOT_TELL else "succeeded",
        "start": _wall(report, 0),
        "end": _wall(report, report.seconds),
        "duration": report.seconds,
        "tolerance_met": one.verdict == Verdict.HELD,
        "output": "\n".join((f"{one.title}: {one.count} {one.checks}, {one.broken} broken", *told)),
    }


def _act(report: Report, one: StrikeRow | StepRow) -> dict[str, object]:
    if isinstance(one, StrikeRow):
        name, output = f"{one.fault} on {one.victim}", one.why
        succeeded, took = bool(one.hit), one.capacity or 0.0
        arguments = ["strike", one.fault, one.victim]
    else:
        name, output = f"{one.why} of {one.slot} by {one.release}", f"{one.new} took the place of {one.old or 'nobody'}"
        succeeded, took = True, one.ready or 0.0
        arguments = ["step", one.slot, one.release]
    return {
        "activity": {
            "type": "action",
            "name": name,
            "provider": {"type": "process", "path": "lab", "arguments": arguments},
        },
        "status": "succeeded" if succeeded else "failed",
        "start": _wall(report, one.at),
        "end": _wall(report, one.at + took),
        "duration": took,
        "output": output,
    }


def _wall(report: Report, at: float) -> str:
    """The time of day, as the journal wants it: in UTC."""
    try:
        began = datetime.fromisoformat(report.environment.began)
    except ValueError:
        began = datetime.fromtimestamp(0, UTC)
    return (began + timedelta(seconds=at)).astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
