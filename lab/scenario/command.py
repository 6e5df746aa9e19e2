"""`lab run`: read the scenario, make the machine ready, conduct, judge, and say how it ended."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable
from pathlib import Path

from lab.clock import NS, SYSTEM_CLOCK
from lab.cluster.places import find_places
from lab.cluster.setup import make_ready
from lab.cluster.sweep import find_clusters, sweep
from lab.errors import Interrupted, LabError
from lab.record import ReadRecord, RunRecord, Trouble
from lab.scenario.file import find_scenario, read_scenario
from lab.scenario.judge import judge_run
from lab.scenario.run import Conductor
from lab.scenario.show import choose_view

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
        except Interrupted:
            raise
        except LabError as exc:
            run_record.event(Trouble(at=SYSTEM_CLOCK.now(), what=str(exc)))
    judged = judge_run(ReadRecord(folder))
    run_record.write("verdict.json", judged.judgement)
    seconds = (SYSTEM_CLOCK.now() - began) / NS
    repeat = f"lab run {shlex.quote(named)} --seed {seed}"
    for line in judged.closing(seconds=seconds, report=_short(folder), repeat=repeat):
        say(line)
    return judged.judgement.exit_code


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
