"""What a run looks at to know whether its strikes must stop, beside what users get."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from lab import record
from lab.clock import NS, FakeClock
from lab.console.terminal import PlainView
from lab.deploy.rollout import RolloutRequest
from lab.errors import LabFault, WaitTimeout
from lab.machine.halt import halt, halted_by, lift
from lab.retry import wait_until
from lab.run.conductor import Conductor
from lab.run.stop_monitor import Stopped
from lab.run.view import QuietView
from lab.scenario.read import LIBRARY, read_scenario
from lab.scenario.spec import OnStop, Settle, StepSpec


@dataclass
class Volumes:
    """An engine that has volumes and nothing else."""

    there: dict[str, dict[str, str]] = field(default_factory=dict)

    def volumes(self, filters: dict[str, str]) -> dict[str, Any]:
        found = [(name, labels) for name, labels in self.there.items() if filters["label"] in labels]
        return {"Volumes": [{"Name": name, "Labels": labels} for name, labels in found]}

    def create_volume(self, name: str, *, labels: dict[str, str]) -> None:
        self.there.setdefault(name, labels)

    def remove_volume(self, name: str) -> None:
        del self.there[name]


@dataclass
class Box:
    """A backend on which somebody may pull the lever."""

    engine: Volumes = field(default_factory=Volumes)

    def halted(self) -> str:
        return halted_by(cast(Any, self.engine))


class Nobody:
    """A desk at which nothing was said yet."""

    def status(self) -> None:
        return None


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NS)


@pytest.fixture
def conductor(tmp_path: Path, box: Box, clock: FakeClock) -> Iterator[Conductor]:
    """Of a run in which chaos is under way."""
    scenario = read_scenario(LIBRARY / "demo.yaml")
    with record.RunRecord(tmp_path / "run") as run_record:
        made = Conductor(scenario, 1, cast(Any, box), run_record, QuietView(), clock=clock)
        made._desk = cast(Any, Nobody())
        yield made


def test_trouble_of_the_lab_itself_stops_its_strikes(conductor: Conductor) -> None:
    """Whoever tells of it: the engine's events have ended, a check has died; the first is told."""
    conductor._supervisor.check_stop()
    conductor._report(record.Trouble(at=1, what="the engine's events ended: gone"))
    conductor._report(record.Trouble(at=2, what="another one"))
    with pytest.raises(Stopped, match="the lab itself is in trouble: the engine's events ended: gone"):
        conductor._supervisor.check_stop()


def test_a_driver_behind_itself_stops_the_strikes(conductor: Conductor) -> None:
    """Users who come late would not notice what a strike does to them."""

    class Late:
        late = "the users' driver was 2.0 s behind itself"

    conductor._seen.counts = cast(Any, Late())
    with pytest.raises(Stopped, match=r"2\.0 s behind itself"):
        conductor._supervisor.check_stop()


def test_a_halt_reaches_a_run_under_way(conductor: Conductor, box: Box, clock: FakeClock) -> None:
    """Within a second or so of the lever; once it is lifted other runs may strike."""
    clock.sleep(2)
    conductor._supervisor.check_stop()
    halt(cast(Any, box.engine), "somebody")
    clock.sleep(2)
    with pytest.raises(Stopped, match="halted: somebody"):
        conductor._supervisor.check_stop()
    lift(cast(Any, box.engine))
    clock.sleep(2)
    conductor._supervisor.check_stop()


def test_a_halt_is_one_mark_on_the_engine_and_touches_nothing_else(box: Box) -> None:
    """Whoever halts first is told; lifting it twice is lifting it once; other volumes stay."""
    engine = cast(Any, box.engine)
    box.engine.there["somebody's"] = {"lab-halt": "a look-alike"}
    assert halted_by(engine) == ""
    assert halt(engine, "one") == "one"
    assert halt(engine, "two") == "one"
    assert lift(engine)
    assert not lift(engine)
    assert list(box.engine.there) == ["somebody's"]


def test_a_run_that_nobody_looks_at_any_more_ends(conductor: Conductor) -> None:
    """As in `lab run ... | head`: it is no "not yet" of what is waited for; the cluster is gone without a view."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w", closefd=False) as out:
        conductor._supervisor.view = PlainView(out)
        conductor._report(record.Trouble(at=1, what="news"))
        with pytest.raises(LabFault, match="output closed: Broken pipe"):
            conductor._supervisor.wait("it is so", lambda: True, within=9)
        conductor._begin_phase("down", "the cluster is gone")
        os.dup2(os.open(os.devnull, os.O_WRONLY), writes)
    os.close(writes)


def test_a_part_that_ended_by_an_error_of_the_system_ends_the_run(conductor: Conductor, clock: FakeClock) -> None:
    """An OSError means "not yet" of what is waited for alone."""

    class Gone:
        def check(self) -> None:
            raise ConnectionResetError("gone")

        def counts(self) -> None:
            return None

    conductor._crowd = cast(Any, Gone())
    with pytest.raises(LabFault, match="ConnectionResetError: gone"):
        conductor._supervisor.wait("it is so", lambda: True, within=9)
    assert clock.now() == NS


class Rolling:
    """A desk while a rollout is under way, of which the fourth look sees the end; and a striker that heals."""

    def __init__(self) -> None:
        self.asked: list[RolloutRequest] = []
        self.healed = self.looks = 0
        self.desired = SimpleNamespace(under_way=SimpleNamespace(phase="move"))

    def read(self) -> Rolling:
        return self

    def exists(self) -> bool:
        return False

    def ask(self, spec: RolloutRequest) -> None:
        self.asked.append(spec)

    def heal(self) -> None:
        self.healed += 1

    def is_settled(self) -> bool:
        self.looks += 1
        return self.looks > 3


@pytest.mark.parametrize(
    ("on_stop", "asked", "healed", "looks"),
    [(OnStop.ROLL_BACK, [RolloutRequest.ABORT], 1, 4), (OnStop.LEAVE, [], 1, 4), (OnStop.FREEZE, [], 0, 0)],
)
def test_what_becomes_of_a_rollout_when_the_run_is_stopped(
    conductor: Conductor, on_stop: OnStop, asked: list[RolloutRequest], healed: int, looks: int
) -> None:
    """It goes back or on to its end, which is waited for; or everything is left as it is."""
    there = Rolling()
    conductor._scenario = msgspec.structs.replace(conductor._scenario, on_stop=on_stop)
    conductor._desk = cast(Any, there)
    conductor._stop(Stopped("enough"), cast(Any, SimpleNamespace(desk=there, striker=there, deadline=0)))
    assert (there.asked, there.healed, there.looks) == (asked, healed, looks)


@pytest.mark.parametrize(
    ("is_over", "told"),
    [
        (
            lambda: False,
            "the run's time (time_limit: 5 s) was over in the step 'settle', which waited for every slot to serve; no"
            " replica serves in a1\n  try: see events.jsonl; a larger time_limit",
        ),
        (lambda: wait_until("a1 is ready", lambda: False, within=0, clock=FakeClock(NS)), "a1 is ready"),
    ],
    ids=["the run's", "the step's own"],
)
def test_a_wait_that_ends_a_run_says_whose_time_was_over(
    conductor: Conductor, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, is_over: Callable[[], bool], told: str
) -> None:
    """And which number to change."""

    @contextmanager
    def doing(*_: object) -> Iterator[object]:
        yield SimpleNamespace(is_over=is_over, pending="every slot to serve; no replica serves in a1")

    conductor._scenario = msgspec.structs.replace(conductor._scenario, time_limit=5.0)
    conductor._desk = cast(Any, Rolling())
    monkeypatch.setattr(conductor, "doing", doing)
    with pytest.raises(WaitTimeout) as raised:
        conductor.do(StepSpec(settle=Settle(seconds=9)), cast(Any, SimpleNamespace(deadline=clock.now() + 5 * NS)))
    assert str(raised.value).startswith(told)
