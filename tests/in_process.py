"""The sample shop on the backend in this process, as it is and as it may be spoilt, and whole runs on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from lab.console.reports import folder_of
from lab.operate.runs import ChosenRun, run_one
from lab.record import AnyEvent, ReadRecord
from lab.run.judge import JudgedRun
from lab.scenario.read import read_scenario
from lab.state.file import FileState
from lab.testing.in_process import AppAnswer, AppRequest, InProcessBackend, MakeApp
from lab.testing.in_process.workers import WORKER
from tests.shop_contract import Seen, ShopContract


@dataclass
class ShopReplica:
    """One replica of the shop: over the store that all share, or over a memory of its own."""

    release: str
    shop: ShopContract

    def answer(self, request: AppRequest) -> AppAnswer:
        body = msgspec.json.decode(request.body) if request.body else None
        self.shop.release = self.release
        status, lines, content = self.shop.answer(Seen(request.method, request.path, dict(request.headers), body, 0))
        return AppAnswer(status, tuple(lines), content)


def _shared(release: str, store: ShopContract) -> ShopReplica:
    return ShopReplica(release, store)


def _alone(release: str, _: ShopContract) -> ShopReplica:
    return ShopReplica(release, ShopContract())


APPS: Mapping[str, MakeApp] = {
    "shop:v1": MakeApp(make=_shared),
    "shop:v2": MakeApp(make=_shared),
    "shop:v1-memory": MakeApp(make=_alone),
    "shop:v2-memory": MakeApp(make=_alone),
    "shop:v2-never-ready": MakeApp(make=_shared, ready_after=math.inf),
    "shop:v2-no-drain": MakeApp(make=_shared, answers_after=0.05, drains=False),
    "shop:v1-no-drain": MakeApp(make=_shared, answers_after=0.05, drains=False),
}

SMALL = """
lab: 1
name: small
title: a small run
cluster: {release: "shop:v1", zones: {a: 1, b: 1, c: 1}}
users: {count: 8, on_two_devices: 3, think: 0.05, tries: 3}
promises: {serving_at_least: 2}
steps: [{settle: {for: 0.5}}]
enough: {operations: 20, checks: 20}
time_limit: 60
"""


@dataclass
class Ended:
    """A run that is over."""

    judged: JudgedRun
    folder: Path
    lines: list[str]

    @property
    def code(self) -> int:
        return self.judged.judgement.exit_code

    @property
    def broken(self) -> set[str]:
        return {one.promise for one in self.judged.judgement.promises if one.broken}

    def events(self) -> list[AnyEvent]:
        return list(ReadRecord(self.folder).events())


@dataclass
class InProcessLab:
    """A lab whose clusters are in this process, with a folder of its own."""

    folder: Path
    apps: Mapping[str, MakeApp] = field(default_factory=lambda: APPS)
    worker: Sequence[str] = WORKER
    """The command of a worker, where users are divided."""

    def __post_init__(self) -> None:
        state = self.folder / "state.db"
        runs = self.folder / "runs"
        self.backend = InProcessBackend(runs, self.apps, ShopContract, lambda: FileState(state), self.worker)

    def run(self, text: str, seed: int = 1, *, workers: int = 0) -> Ended:
        """Conduct and judge a scenario, as `lab run` does."""
        path = self.folder / "scenario.yaml"
        path.write_text(text)
        said: list[str] = []
        chosen = ChosenRun(scenario=read_scenario(path), seed=seed, workers=workers)
        judged, folder = run_one(chosen, self.backend, say=said.append, is_shown=False)
        assert folder == folder_of(str(folder))
        return Ended(judged, folder, said)


def small(**changes: str) -> str:
    """The small scenario with some of its top-level keys replaced or added."""
    lines = [line for line in SMALL.strip().splitlines() if line.partition(":")[0] not in changes]
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in changes.items())]) + "\n"
