"""One run of a case, as somebody would ask for it, and the figures of its record."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from lab.clock import NS
from lab.console.reports import recorded_runs
from lab.machine import labels
from lab.machine.engine import connect
from lab.machine.places import find_places
from lab.machine.projects import default_project
from lab.machine.swarm import find_swarm
from lab.machine.yard import yard_name
from lab.model import Role, Value
from lab.oracle.service import ServiceReport
from lab.record import AnyEvent, ContainerEvent, FollowedRecord, PhaseBegan, ReadRecord, RolloutMoved, Step, WorkerEnded
from lab.retry import wait_until
from lab.run.judge import JudgedRun, judge_run
from tests.swarm.cases import SEED, Case

RUN = re.compile(r"run (\d{8}-\d{6}-[0-9a-f]{4})")
STEP_WITHIN = 180.0
"""Seconds until the first step has begun."""


class Tried(Value):
    """What came of it."""

    case: Case
    on: str
    code: int
    broken: tuple[str, ...]
    said: str
    actions: int = 0
    failed: int = 0
    """First tries without a proper answer."""
    saved: int = 0
    at_the_edge: int = 0
    """Requests that the balancer repeated at another replica."""
    peak: int = 0
    seconds: float = 0.0
    """From the rollout's begin to its end, or until capacity and users were back after the worst strike."""
    lost: str = ""
    cost: str = ""
    """Of users among workers, what they took."""

    @property
    def wrong(self) -> str:
        """Why it did not end as it must; "" if it did."""
        if self.code != self.case.ends:
            return f"ended with {self.code}, not {int(self.case.ends)}: {self.said}"
        if self.case.breaks and self.case.breaks not in self.broken:
            return f"broke {', '.join(self.broken) or 'nothing'}, not {self.case.breaks}"
        return ""

    @property
    def first_tries(self) -> str:
        """Those that failed, of all."""
        return f"{self.failed} of {self.actions}"

    @property
    def line(self) -> str:
        """For a person."""
        return (
            f"{'✕' if self.wrong else '✓'} {self.case.name:<24} {self.on:<7} exit {self.code}"
            f"  {self.first_tries} first tries failed, {self.saved} saved by a retry, {self.at_the_edge} repeated by"
            f" the balancer; {self.seconds:.1f} s, {self.peak} replicas at the peak{self.lost}{self.cost}"
            f"{f'  {self.wrong}' if self.wrong else ''}"
        )


def try_case(case: Case, on: str, folder: Path) -> Tried:
    """Run it there, and read its record."""
    path = folder / "lab.yaml"
    path.write_text(yaml.safe_dump(case.scenario, sort_keys=False))
    argv = [sys.executable, "-m", "lab", "run", str(path), "--seed", str(SEED), "--on", on]
    argv += ["--workers", str(case.workers)] if case.workers else []
    known = set(recorded_runs())
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_worker, known) if case.kills_worker else None
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=case.within, env={**os.environ, "NO_COLOR": "1"}
        )
        if killed is not None:
            killed.result()
    run = RUN.search(done.stdout)
    last = (done.stdout.strip().splitlines() or [""])[-3:]
    if run is None:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-2:]
        return Tried(case=case, on=on, code=done.returncode, broken=(), said=" / ".join(said))
    record = ReadRecord(find_places().runs / run[1])
    judged = judge_run(record)
    return _figures(case, on, done.returncode, judged, record, " / ".join(last))


def kill_worker(known: set[str]) -> None:
    """Kill one worker of the run that is not known yet, as soon as its users are at work."""
    runs = find_places().runs

    def has_begun() -> bool:
        fresh = [runs / one for one in set(recorded_runs()) - known]
        events = [event for one in fresh for event in FollowedRecord(one).events()]
        return any(isinstance(event, PhaseBegan) and event.name == "settle" for event in events)

    wait_until("users are at work", has_begun, within=STEP_WITHIN, every=0.3)
    with closing(connect()) as outside:
        swarm = find_swarm(outside, yard_name(default_project(find_places())))
        found = swarm.each("find workers", _workers)
        found[-1]()
        swarm.close()


def _workers(engine: Any, _: str) -> list[Callable[[], None]]:
    """What kills each of a node."""
    mine = engine.containers(filters={"label": f"{labels.ROLE}=crowd"})
    return [partial(engine.kill, one["Id"], "SIGKILL") for one in mine]


def _cost(record: ReadRecord, service: ServiceReport, events: list[AnyEvent]) -> str:
    """What so many users cost, for the docs."""
    at = {event.name: event.at for event in events if isinstance(event, PhaseBegan)}
    took = {
        name: (at[after] - at[name]) / NS
        for name, after in (("log in", "settle"), ("read back", "clean up"))
        if name in at and after in at
    }
    operations = max(service.first_tries.actions, 1)
    unsure = max((event.uncertainty for event in events if isinstance(event, WorkerEnded)), default=0)
    said = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items())
    return (
        f"; {record.size / operations:.0f} bytes of record each, clocks known by {unsure / 1e6:.0f} ms, p99"
        f" {service.latency.p99:.2f} s{f', {said}' if said else ''}"
    )


def _figures(case: Case, on: str, code: int, judged: JudgedRun, record: ReadRecord, said: str) -> Tried:
    service, evidence, events = judged.service, judged.judgement.evidence, list(record.events())
    broken = tuple(one.promise for one in judged.judgement.promises if one.broken)
    loss = evidence.store_loss.text
    tries = service.first_tries
    return Tried(
        case=case,
        on=on,
        code=code,
        broken=broken,
        said=said,
        actions=tries.actions,
        failed=round((1 - service.available) * tries.actions),
        saved=tries.saved,
        at_the_edge=tries.repeated_at_the_edge,
        peak=_peak(events),
        seconds=_seconds(service, events),
        cost=_cost(record, service, events) if case.workers else "",
        lost=f"; {loss}" if loss else "",
    )


def _peak(events: list[AnyEvent]) -> int:
    """The most replicas that ran at once."""
    running: set[str] = set()
    most = 0
    for event in events:
        if isinstance(event, ContainerEvent) and event.role == Role.APP:
            if event.action == "start":
                running.add(event.container)
            elif event.action == "die":
                running.discard(event.container)
        most = max(most, len(running))
    return most


def _seconds(service: ServiceReport, events: list[AnyEvent]) -> float:
    """How long the rollout took; of a run without one, how long the worst strike was felt."""
    ended = next((event.at for event in events if isinstance(event, RolloutMoved) and event.ending), None)
    began = next((event.at for event in events if isinstance(event, RolloutMoved)), None)
    steps = [event.at for event in events if isinstance(event, Step) and event.why == "upgrade"]
    if ended is not None and (steps or began is not None):
        return (ended - min([*steps, *([] if began is None else [began])])) / NS
    return max((max(one.capacity or 0.0, one.users) for one in service.recoveries), default=0.0)
