"""`lab repeat` and `lab shrink`: a recorded run again, and the fewest of its strikes that still break the promise."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec
import yaml

from lab.backends.choose import make_backend
from lab.backends.protocol import Backend
from lab.chaos.shrink import shrink
from lab.console.reports import folder_of, short
from lab.errors import ExitCode, LabFault, UsageError
from lab.experiments.replay import Recorded, check_same, read_recorded, strikes_in, told_one_by_one, with_strikes
from lab.machine.engine import connect
from lab.machine.images import ImageShelf
from lab.machine.places import find_places
from lab.model import Verdict
from lab.operate.runs import ChosenRun, Say, run_one, unsaid
from lab.oracle.verdict import Judgement
from lab.record import ReadRecord
from lab.run.judge import judge_run, plan_of
from lab.run.variables import changes_to, interpolated
from lab.scenario.spec import Scenario, ScheduledStrike, all_images_of

SHRUNK = "shrunk.yaml"


def repeat_run(named: str, *, port: int | None, say: Say) -> int:
    """Do a recorded run again: the same scenario, seed and images, its strikes by slot and moment.

    Raises UsageError where an image or a file is not what it was.
    """
    recorded, backend = _same_again(named, say)
    scenario = told_one_by_one(recorded.scenario, recorded.events)
    then = judge_run(ReadRecord(recorded.folder)).judgement
    chosen = ChosenRun(scenario=scenario, seed=recorded.seed)
    judged, folder = run_one(chosen, backend, say=say, port=port)
    now = read_recorded(folder)
    say(f"       then: {_told(then)}; now: {_told(judged.judgement)}")
    if recorded.slots_struck or now.slots_struck:
        say(f"       struck then: {' '.join(recorded.slots_struck)}; now: {' '.join(now.slots_struck)}")
    return judged.judgement.exit_code


def shrink_run(named: str, *, most_runs: int, say: Say) -> int:
    """Find the fewest strikes of a broken run that still break any of its promises, and write them as a scenario.

    Exit 1 with what was found, since it is a broken promise; 4 where the run with all its strikes does not break it
    again, so that nothing can be told.
    """
    recorded, backend = _same_again(named, say)
    promises = broken_promises(judge_run(ReadRecord(recorded.folder)).judgement, recorded)
    either = " or ".join(promises)
    whole = told_one_by_one(recorded.scenario, recorded.events)
    strikes = strikes_in(whole)
    broken_last = promises
    say(f"{recorded.folder.name} broke {' and '.join(promises)} with {_strikes(strikes)}; at most {most_runs} runs")

    def breaks(kept: Sequence[int]) -> bool:
        nonlocal broken_last
        what = _strikes([strikes[place] for place in kept])
        broken = _breaks(with_strikes(whole, kept), recorded.seed, promises, backend)
        broken_last = broken or broken_last
        by = f": {', '.join(broken)}" if broken and len(promises) > 1 else ""
        say(f"  {'broken' if broken else 'held  '}  {what}{by}")
        return bool(broken)

    if strikes and not breaks(range(len(strikes))):
        say(f"COULD NOT TELL   {either} was not broken again: it takes more than these strikes, or luck")
        return ExitCode.COULD_NOT_TELL
    found = shrink(range(len(strikes)), breaks, most_runs=most_runs)
    left = [strikes[place] for place in found.kept]
    path = recorded.folder / SHRUNK
    path.write_text(scenario_text(with_strikes(whole, found.kept), recorded.seed), encoding="utf-8")
    least = "the fewest" if found.is_minimal else "the fewest found before the runs were used up"
    say(f"BROKEN {', '.join(broken_last)} by {_strikes(left)}: {least}, after {found.runs + bool(strikes)} runs")
    say(f"       lab run {short(path)}")
    return ExitCode.BROKEN


def broken_promises(judgement: Judgement, recorded: Recorded) -> list[str]:
    """The promises that a run broke. Raises UsageError where it broke none."""
    broken = _broken(judgement)
    if not broken:
        raise UsageError(
            f"broke no promise ({judgement.verdict}), so there is nothing to shrink",
            at=str(recorded.folder),
            hint="lab runs   # shows which are broken",
        )
    return broken


def scenario_text(scenario: Scenario, seed: int) -> str:
    """A scenario as a file that can be read again."""
    told = msgspec.to_builtins(msgspec.structs.replace(scenario, seed=seed))
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=110)


def _same_again(named: str, say: Say) -> tuple[Recorded, Backend]:
    recorded = read_recorded(folder_of(named))
    if recorded.scenario.target is not None:
        what = "watched a target, and what its owner deployed there the lab can't do again"
        raise UsageError(what, at=str(recorded.folder), hint=plan_of(ReadRecord(recorded.folder)).repeat)
    _take_variables(recorded, say)
    places = find_places()
    check_same(recorded, ImageShelf(connect(), places.images))
    backend = make_backend(say, all_images_of(recorded.scenario), on=recorded.backend)
    backend.sweep_abandoned(say)
    return recorded, backend


def _take_variables(recorded: Recorded, say: Say) -> None:
    """Give this process what the compose file took from its environment then."""
    if recorded.variables is None:
        return
    now = interpolated(recorded.scenario.cluster.compose_files, os.environ)
    changes = changes_to(recorded.variables, now, os.environ)
    os.environ.update(changes.sets)
    for name in changes.drops:
        del os.environ[name]
    if changes.sets or changes.drops:
        told = [*(f"{name}={value}" for name, value in changes.sets.items()), *(f"no {one}" for one in changes.drops)]
        say(f"       variables as then: {' '.join(told)}")


def _breaks(scenario: Scenario, seed: int, promises: Sequence[str], backend: Backend) -> list[str]:
    """Which of the promises are broken by this. Raises LabFault where the lab itself was unwell."""
    judged, folder = run_one(ChosenRun(scenario=scenario, seed=seed), backend, say=unsaid, is_shown=False)
    if judged.judgement.exit_code == ExitCode.COULD_NOT_TELL:
        raise LabFault("; ".join(judged.judgement.reasons), at=short(folder), hint=f"lab check {folder.name}")
    return [one for one in _broken(judged.judgement) if one in promises]


def _broken(judgement: Judgement) -> list[str]:
    return [one.promise for one in judgement.promises if one.verdict is Verdict.BROKEN]


def _told(judgement: Judgement) -> str:
    broken = ", ".join(_broken(judgement))
    return f"{judgement.verdict}{f' ({broken})' if broken else ''}"


def _strikes(strikes: Sequence[ScheduledStrike]) -> str:
    if not strikes:
        return "no strike at all"
    return ", ".join(_told_strike(one) for one in strikes)


def _told_strike(strike: ScheduledStrike) -> str:
    what = "" if strike.do == "kill" else f"{strike.do} of "
    since = f"{strike.after} + " if strike.after else ""
    return f"{what}{strike.slot} at {since}{strike.at:g} s"
