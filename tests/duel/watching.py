"""One watched deployment of a yard, from its scenario to its figures."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.clock import NS
from lab.machine.projects import run_identity
from lab.machine.setup import Toolbox
from lab.model import Value
from lab.operate.runs import ChosenRun, watch_one
from lab.oracle.service import is_proper
from lab.record import CommandBegan, CommandEnded, CommandSaid, Observed, ReadRecord
from lab.run.judge import JudgedRun
from lab.scenario.read import scenario_of
from lab.scenario.spec import Scenario
from tests.duel.yard import command_for, variables, yard

JOURNEY = Path(__file__).with_name("journey.py")
USERS = {"count": 20, "think": 0.3, "tries": 3, "journey": f"{JOURNEY}:Buyer"}


class Figures(Value):
    """What users got while a command deployed."""

    way: str
    proxy: str
    exit_code: int
    broken: tuple[str, ...]
    operations: int
    """Those that began while the command ran, or while what it asked for went on."""
    failed_first: int
    saved: int
    lost: int
    seconds: float
    peak: int
    """The most containers of the app that had started and not ended, as the engine was observed to say."""
    served_by_new: int
    cause: str
    """Of what was found first."""
    code: int | None
    """How the command itself ended."""
    last: tuple[str, ...]
    """Its last lines."""
    folder: str


def scenario(
    url: str,
    evidence: dict[str, Any],
    command: Sequence[str],
    folder: Path,
    *,
    settles: float = 5.0,
    crosses: bool = True,
    **more: Any,
) -> Scenario:
    """Users of the shop, on a target that a command deploys: they go on for `settles` seconds after it.

    `crosses`: the command brings a new release, and all of them must be seen on it.
    """
    said: dict[str, Any] = {
        "lab": 1,
        "name": "duel",
        "title": f"{' '.join(command[1:])}, watched at {url}",
        "target": {
            "urls": [url],
            "release": {"header": "X-Release"},
            "replica": {"header": "X-Replica"},
            "evidence": evidence,
        },
        "users": USERS,
        "steps": [
            {"settle": {"for": 3}},
            {"command": {"run": list(command), "within": 240}},
            {"settle": {"for": settles}},
        ],
        "enough": {"operations": 200, "checks": 20, "users_served_by_new": USERS["count"] if crosses else 0},
        "time_limit": 400,
        **more,
    }
    return scenario_of(said, folder / "duel.yaml", lambda key: key)


def watched(
    toolbox: Toolbox, way: str, proxy: str, folder: Path, *, before: str = "shop:v1", to: str = "shop:v2"
) -> tuple[Figures, JudgedRun]:
    """A yard of its own, deployed by one way and watched."""
    identity = run_identity(f"duel-{secrets.token_hex(3)}")
    with yard(toolbox, identity, proxy, before, folder) as one, variables(one.variables(to)):
        told = scenario(one.address_url, {"compose": identity.project}, command_for(way), folder)
        judged, run = watch_one(ChosenRun(scenario=told, seed=11), folder / "runs", say=print, is_shown=False)
    return figures(way, proxy, judged, run), judged


def figures(way: str, proxy: str, judged: JudgedRun, run: Path, *, goes_on: float = 1.0) -> Figures:
    """From the run's record. What the command asked for goes on for some seconds after it."""
    seen = ReadRecord(run)
    events = list(seen.events())
    began = min((event.at for event in events if isinstance(event, CommandBegan)), default=0)  # 0: nobody got in
    ended = max((event.at for event in events if isinstance(event, CommandEnded)), default=0)
    until = ended + goes_on * NS
    during = [one for one in seen.history() if one.tries and not one.is_conclusion and began <= one.begin <= until]
    failed = [one for one in during if not is_proper(one.tries[0], one)]
    saved = sum(is_proper(one.answered, one) for one in failed)
    findings = sorted(judged.judgement.findings, key=lambda one: one.at)
    return Figures(
        way=way,
        proxy=proxy,
        exit_code=int(judged.judgement.exit_code),
        broken=tuple(one.promise for one in judged.judgement.promises if one.broken),
        operations=len(during),
        failed_first=len(failed),
        saved=saved,
        lost=len(failed) - saved,
        seconds=(ended - began) / NS,
        peak=_peak([event for event in events if isinstance(event, Observed)]),
        served_by_new=judged.judgement.evidence.users_served_by_new,
        cause=next((one.cause for one in findings), ""),
        code=next((event.code for event in events if isinstance(event, CommandEnded)), None),
        last=tuple(event.line for event in events if isinstance(event, CommandSaid))[-5:],
        folder=str(run),
    )


def _peak(observed: Sequence[Observed]) -> int:
    there, most = set[str](), 0
    for event in sorted(observed, key=lambda one: one.at):
        if any(part in event.who for part in ("-store-", "-balancer-")):
            continue
        if event.what == "ended":
            there.discard(event.who)
        else:
            there.add(event.who)
        most = max(most, len(there))
    return most
