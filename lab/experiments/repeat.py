"""`lab repeat` and `lab shrink`: a recorded run again, and the fewest of its strikes that still break the promise."""

from __future__ import annotations

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
from lab.run.judge import judge_run
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
    """Find the fewest strikes of a broken run that still break the same promise, and write them as a scenario.

    Exit 1 with what was found, since it is a broken promise; 4 where the run with all its strikes does not break it
    again, so that nothing can be told.
    """
    recorded, backend = _same_again(named, say)
    promise = broken_promise(judge_run(ReadRecord(recorded.folder)).judgement, recorded)
    whole = told_one_by_one(recorded.scenario, recorded.events)
    strikes = strikes_in(whole)
    say(f"{recorded.folder.name} broke {promise} with {_strikes(strikes)}; at most {most_runs} runs")

    def breaks(kept: Sequence[int]) -> bool:
        what = _strikes([strikes[place] for place in kept])
        is_broken = _breaks(with_strikes(whole, kept), recorded.seed, promise, backend)
        say(f"  {'broken' if is_broken else 'held  '}  {what}")
        return is_broken

    if strikes and not breaks(range(len(strikes))):
        say(f"COULD NOT TELL   {promise} was not broken again: it takes more than these strikes, or luck")
        return ExitCode.COULD_NOT_TELL
    found = shrink(range(len(strikes)), breaks, most_runs=most_runs)
    left = [strikes[place] for place in found.kept]
    path = recorded.folder / SHRUNK
    path.write_text(scenario_text(with_strikes(whole, found.kept), recorded.seed), encoding="utf-8")
    least = "the fewest" if found.is_minimal else "the fewest found before the runs were used up"
    say(f"BROKEN {promise} by {_strikes(left)}: {least}, after {found.runs + bool(strikes)} runs")
    say(f"       lab run {short(path)}")
    return ExitCode.BROKEN


def broken_promise(judgement: Judgement, recorded: Recorded) -> str:
    """The first promise that a run broke. Raises UsageError where it broke none."""
    broken = [one.promise for one in judgement.promises if one.verdict is Verdict.BROKEN]
    if not broken:
        raise UsageError(
            f"broke no promise ({judgement.verdict}), so there is nothing to shrink",
            at=str(recorded.folder),
            hint="lab runs   # shows which are broken",
        )
    return broken[0]


def scenario_text(scenario: Scenario, seed: int) -> str:
    """A scenario as a file that can be read again."""
    told = msgspec.to_builtins(msgspec.structs.replace(scenario, seed=seed))
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=110)


def _same_again(named: str, say: Say) -> tuple[Recorded, Backend]:
    recorded = read_recorded(folder_of(named))
    places = find_places()
    check_same(recorded, ImageShelf(connect(), places.images))
    backend = make_backend(say, all_images_of(recorded.scenario))
    backend.sweep_abandoned(say)
    return recorded, backend


def _breaks(scenario: Scenario, seed: int, promise: str, backend: Backend) -> bool:
    """Whether the promise is broken by this. Raises LabFault where the lab itself was unwell."""
    judged, folder = run_one(ChosenRun(scenario=scenario, seed=seed), backend, say=unsaid, is_shown=False)
    if judged.judgement.exit_code == ExitCode.COULD_NOT_TELL:
        raise LabFault("; ".join(judged.judgement.reasons), at=short(folder), hint=f"lab check {folder.name}")
    return any(one.promise == promise and one.verdict is Verdict.BROKEN for one in judged.judgement.promises)


def _told(judgement: Judgement) -> str:
    broken = ", ".join(one.promise for one in judgement.promises if one.verdict is Verdict.BROKEN)
    return f"{judgement.verdict}{f' ({broken})' if broken else ''}"


def _strikes(strikes: Sequence[ScheduledStrike]) -> str:
    if not strikes:
        return "no strike at all"
    return ", ".join(_told_strike(one) for one in strikes)


def _told_strike(strike: ScheduledStrike) -> str:
    what = "" if strike.do == "kill" else f"{strike.do} of "
    since = f"{strike.after} + " if strike.after else ""
    return f"{what}{strike.slot} at {since}{strike.at:g} s"
