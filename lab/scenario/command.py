"""`lab run`: read the scenario, make the machine ready, conduct, judge, and say how it ended."""

from __future__ import annotations

import secrets
import shlex
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from lab.clock import NS, SYSTEM_CLOCK
from lab.cluster.places import find_places
from lab.cluster.setup import make_ready
from lab.cluster.sweep import find_clusters, sweep
from lab.errors import ExitCode, LabError
from lab.model import Verdict
from lab.record import ReadRecord, RunRecord, Trouble
from lab.scenario.file import find_scenario, read_scenario
from lab.scenario.judge import judge_run, run_seconds
from lab.scenario.run import Conductor
from lab.scenario.show import choose_view

STORIES = 5
Say = Callable[[str], None]


def run_scenario(named: str, *, seed: int | None, port: int | None, say: Say) -> int:
    """Run one scenario and return its exit code. Nothing is started before the scenario has been read whole."""
    scenario = read_scenario(find_scenario(named))
    places = find_places()
    toolbox = make_ready(places, say)
    abandoned = [one for one in find_clusters(toolbox.engine, now=SYSTEM_CLOCK.wall()) if one.is_abandoned]
    for what in sweep(toolbox.engine, places, abandoned):
        say(f"removed {what}, which a killed lab had left")
    seed = next(one for one in (seed, scenario.seed, secrets.randbelow(10**6)) if one is not None)
    run = f"{SYSTEM_CLOCK.wall():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    folder = places.runs / run
    began = SYSTEM_CLOCK.now()
    view = choose_view(scenario.title)
    say(f"{scenario.title}\n  run {run}, seed {seed}")
    with RunRecord(folder) as run_record:
        conductor = Conductor(scenario, seed, toolbox, run_record, view, port=port)
        try:
            with view:
                conductor.run()
        except LabError as exc:
            run_record.event(Trouble(at=SYSTEM_CLOCK.now(), what=str(exc)))
        except Exception as exc:  # noqa: BLE001 -- the lab's own fault; what was seen until then is judged all the same
            what = f"a fault of the lab itself: {type(exc).__name__}: {exc}"
            (folder / "fault.txt").write_text(traceback.format_exc())
            run_record.event(Trouble(at=SYSTEM_CLOCK.now(), what=what))
    judged = judge_run(ReadRecord(folder))
    run_record.write("verdict.json", judged.judgement)
    seconds = (SYSTEM_CLOCK.now() - began) / NS
    repeat = f"lab run {shlex.quote(named)} --seed {seed}"
    for line in judged.closing(seconds=seconds, report=_short(folder), repeat=repeat):
        say(line)
    return judged.judgement.exit_code


def check_run(named: str, *, as_json: bool, say: Say) -> int:
    """Judge a recorded run again, without any engine; print promises, counts and the first stories."""
    folder = Path(named) if Path(named).is_dir() else find_places().runs / named
    seen = ReadRecord(folder)
    judged = judge_run(seen)
    if as_json:
        say(msgspec.json.encode(judged.judgement).decode())
        return judged.judgement.exit_code
    for one in judged.judgement.promises:
        mark = {Verdict.HELD: "✓", Verdict.BROKEN: "✕", Verdict.COULD_NOT_TELL: "?"}[one.verdict]
        broken = f", broken {one.broken} times" if one.broken else ""
        note = f" ({one.note})" if one.note else ""
        say(f"{mark} {one.promise:<14} {one.title:<44} {one.count:>7} {one.checks}{broken}{note}")
    for finding in judged.judgement.findings[:STORIES]:
        say(f"  {finding.anomaly}: {finding.user}: {finding.why}; {finding.cause}")
    more = len(judged.judgement.findings) - STORIES
    if more > 0:
        say(f"  and {more} more in {_short(folder)}/verdict.json")
    for line in judged.closing(seconds=run_seconds(seen), report=_short(folder), repeat=""):
        say(line)
    return judged.judgement.exit_code


def list_runs(*, say: Say) -> int:
    """One line for each recorded run: its name, how it ended, its scenario."""
    runs = find_places().runs
    folders = sorted(runs.iterdir()) if runs.is_dir() else []
    for folder in folders:
        seen = ReadRecord(folder)
        verdict, scenario = seen.document("verdict.json"), seen.document("scenario.json")
        ended = verdict["verdict"] if verdict else "not judged"
        say(f"{folder.name}  {ended:<16} {scenario['title'] if scenario else ''}")
    if not folders:
        say("no runs yet\n  try: lab run demo")
    return ExitCode.HELD


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
