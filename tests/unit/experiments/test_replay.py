"""A recorded run told so that it can be done again: strikes by slot and moment, images and files that are the same."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import msgspec
import pytest

from lab.chaos.schedule import MonkeySettings
from lab.clock import NS
from lab.cluster.stores import OrdersPlace, StoreName
from lab.errors import ExitCode, RecordError, UsageError
from lab.experiments.repeat import broken_promises, scenario_text
from lab.experiments.replay import Recorded, check_same, read_recorded, strikes_in, told_one_by_one, with_strikes
from lab.machine.images import ImageShelf
from lab.model import Finding
from lab.oracle import Oracle, Service
from lab.oracle.promises import LOGGED_IN, STATE_KEPT, TRIES
from lab.oracle.verdict import gather, judge
from lab.record import AnyEvent, PhaseBegan, RunRecord, Step, Strike, StrikeSource
from lab.scenario.own_files import digest_of
from lab.scenario.read import LIBRARY, read_scenario
from lab.scenario.spec import ClusterSpec, Roll, Scenario, ScheduledStrike, Settle, StepSpec
from lab.scenario.strike_spec import StrikeSpec

DEMO = read_scenario(LIBRARY / "demo.yaml")


def phase(at: float, name: str) -> AnyEvent:
    return PhaseBegan(at=int(at * NS), name=name)


def strike(at: float, slot: str, number: int = 1, fault: str = "SIGKILL") -> AnyEvent:
    return Strike(
        at=int(at * NS), strike=number, fault=fault, victim=f"{slot}-1", container="c", slot=slot, zone=slot[0],
        release="v1", serving=6,
    )  # fmt: skip


def enter(at: float, slot: str, why: str = "upgrade") -> AnyEvent:
    return Step(at=int(at * NS), action="enter", slot=slot, replica=f"{slot}-2", release="v2", why=why)


RUN = [
    phase(0, "up"), phase(5, "log in"), phase(10, "settle"), phase(15, "together"),
    strike(16.5, "c2"), enter(18, "a1"), enter(18.5, "c2", "replacement"), strike(19.25, "b1", 2), enter(20, "b1"),
    strike(21, "a1", 3, "kill the old replica"), phase(30, "settle"), phase(33, "settle"), phase(34, "read back"),
]  # fmt: skip


def test_a_monkeys_strikes_are_told_by_slot_and_moment() -> None:
    """From the step's beginning, or from the last upgrade before them; what another striker did is not the monkey's."""
    scenario = told_one_by_one(DEMO, RUN)
    assert [scenario.steps[0], scenario.steps[2]] == [DEMO.steps[0], DEMO.steps[2]]
    inside = scenario.steps[1].together
    before = DEMO.steps[1].together
    assert inside is not None
    assert before is not None
    assert inside[0] == before[0]
    assert inside[-1] == StepSpec(settle=Settle(seconds=15.0))  # it lasts as long as then, also with fewer strikes
    assert strikes_in(scenario) == [
        ScheduledStrike(slot="c2", at=1.5),
        ScheduledStrike(slot="b1", at=1.25, after="a1"),
    ]


def test_a_monkey_alone_and_one_that_was_never_reached() -> None:
    """Alone it becomes a schedule that lasts; a step that the run did not reach stays as it is."""
    steps = (StepSpec(monkey=MonkeySettings()), StepSpec(roll=Roll(to="shop:v2")), StepSpec(monkey=MonkeySettings()))
    scenario = Scenario(lab=1, name="x", title="x", cluster=DEMO.cluster, steps=steps)
    again = told_one_by_one(scenario, [phase(0, "log in"), phase(1, "monkey"), strike(3, "a1"), phase(9, "roll")])
    assert strikes_in(again) == [ScheduledStrike(slot="a1", at=2.0)]
    assert again.steps[1:] == steps[1:]


def test_a_monkeys_other_faults_and_its_balancers_are_told_too() -> None:
    """Each with its name, and for as long as the monkey let it last; a balancer by its zone."""
    spec = MonkeySettings(do=("kill", "freeze", "cut"), groups=("app", "balancer"), seconds=1.5)
    steps = (StepSpec(monkey=spec), StepSpec(settle=Settle(seconds=1)))
    scenario = Scenario(lab=1, name="x", title="x", cluster=DEMO.cluster, steps=steps)
    edge, alone = (
        Strike(
            at=at * NS, strike=2, fault=fault, victim=victim, container="c", slot="", zone=zone, release="", serving=6
        )
        for at, fault, victim, zone in ((5, "cut", "balancer-b", "b"), (6, "freeze", "balancer-1", ""))
    )
    began = [phase(0, "log in"), phase(1, "monkey")]
    again = told_one_by_one(scenario, [*began, strike(3, "a1", fault="freeze"), edge, alone, phase(9, "settle")])
    assert strikes_in(again) == [
        ScheduledStrike(slot="a1", at=2.0, do="freeze", seconds=1.5),
        ScheduledStrike(slot="balancer/b", at=4.0, do="cut", seconds=1.5),
        ScheduledStrike(slot="balancer", at=5.0, do="freeze", seconds=1.5),
    ]


def test_strikes_on_stores_can_be_made_again(tmp_path: Path) -> None:
    """Each member by its tier and its zone; what is written of them is read again."""
    cluster = ClusterSpec(release="shop:v1", store=StoreName.REDIS_HA, orders=OrdersPlace.POSTGRES)
    steps = (
        StepSpec(monkey=MonkeySettings(groups=("store", "sentinel", "orders"))),
        StepSpec(settle=Settle(seconds=1)),
    )
    scenario = Scenario(lab=1, name="x", title="x", cluster=cluster, steps=steps)
    struck = [
        Strike(
            at=at * NS, strike=at, fault="SIGKILL", victim=f"{role}-{zone or 1}", container="c", slot="", zone=zone,
            release="", serving=6, role=role,
        )
        for at, role, zone in ((3, "store", "b"), (5, "sentinel", "a"), (7, "orders", ""))
    ]  # fmt: skip
    again = told_one_by_one(scenario, [phase(0, "log in"), phase(1, "monkey"), *struck, phase(9, "settle")])
    assert [(one.slot, one.at) for one in strikes_in(again)] == [("store/b", 2.0), ("sentinel/a", 4.0), ("orders", 6.0)]
    path = tmp_path / "shrunk.yaml"
    path.write_text(scenario_text(again, 7))
    assert read_scenario(path).steps == again.steps


def test_what_a_step_beside_the_monkey_tells_is_not_struck_twice() -> None:
    """It makes its strike again by itself."""
    inside = (StepSpec(monkey=MonkeySettings()), StepSpec(strike=StrikeSpec(do="kill", to="a1")))
    scenario = Scenario(lab=1, name="x", title="x", cluster=DEMO.cluster, steps=(StepSpec(together=inside),))
    told = msgspec.structs.replace(strike(3, "a1"), source=StrikeSource.STEP)
    events = [phase(0, "log in"), phase(1, "together"), told, strike(4, "b1", 2), phase(9, "settle")]
    again = told_one_by_one(scenario, events)
    assert strikes_in(again) == [ScheduledStrike(slot="b1", at=3.0)]
    assert again.steps[0].together
    assert again.steps[0].together[0] == inside[1]


def test_some_of_the_strikes() -> None:
    """By their places; what is enough asks for no more strikes than are left."""
    whole = told_one_by_one(DEMO, RUN)
    assert strikes_in(with_strikes(whole, {1})) == [strikes_in(whole)[1]]
    assert with_strikes(whole, {1}).enough.strikes_that_hit == 1
    assert strikes_in(with_strikes(whole, ())) == []
    assert with_strikes(whole, {0, 1}).steps == whole.steps


def test_what_is_written_can_be_read_again(tmp_path: Path) -> None:
    """As a scenario file, with the seed."""
    whole = told_one_by_one(DEMO, RUN)
    path = tmp_path / "shrunk.yaml"
    path.write_text(scenario_text(whole, 7))
    read = read_scenario(path)
    assert (read.seed, read.steps, read.enough) == (7, whole.steps, whole.enough)


class Shelf:
    """Images as the engine has them: names by tags, ids by tags."""

    def __init__(self, ids: dict[str, str | None]) -> None:
        self._ids = ids

    def tag(self, name: str) -> str:
        return name

    def id_of(self, tag: str) -> str | None:
        return self._ids[tag]


IMAGES = {"shop:v1": "1", "shop:v2": "2", "nginx": "3", "redis": "4", "django:v1": "5", "gate": "6"}


def recorded(folder: Path, **changes: object) -> Recorded:
    told = {"folder": folder, "scenario": DEMO, "seed": 7, "images": IMAGES, "files": {}, "events": ()} | changes
    return Recorded(**told)  # type: ignore[arg-type]


def test_the_same_images_may_be_run_again(tmp_path: Path) -> None:
    """Each by its content, not by its name."""
    check_same(recorded(tmp_path), cast(ImageShelf, Shelf(dict(IMAGES))))


@pytest.mark.parametrize(
    ("there", "told"), [({"shop:v2": "9"}, "been rebuilt since"), ({"nginx": None}, "gone")], ids=["changed", "gone"]
)
def test_another_image_is_another_experiment(tmp_path: Path, there: dict[str, str | None], told: str) -> None:
    """It is refused, with what can be done instead."""
    with pytest.raises(UsageError) as refused:
        check_same(recorded(tmp_path), cast(ImageShelf, Shelf({**IMAGES, **there})))
    assert told in str(refused.value)
    assert "lab run demo --seed 7" in str(refused.value)
    assert refused.value.exit_code is ExitCode.USAGE


def test_other_sources_are_another_experiment(tmp_path: Path) -> None:
    """A tag that the record does not know is that of other sources."""
    with pytest.raises(UsageError, match="different sources"):
        check_same(recorded(tmp_path, images={"shop:v1": "1"}), cast(ImageShelf, Shelf(dict(IMAGES))))


def test_a_changed_journey_is_another_experiment(tmp_path: Path) -> None:
    """The files that a scenario names count as the images do."""
    for name in ("compose.yaml", "journey.py"):
        (tmp_path / name).write_text("x")
    (tmp_path / "lab.yaml").write_text(
        "lab: 1\nname: own\ntitle: own\nsteps: [{settle: {for: 1}}]\n"
        "cluster: {compose: compose.yaml, service: web, port: 80, release: 'django:v1'}\n"
        "users: {count: 3, journey: 'journey.py:Mine'}\n"
    )
    scenario = read_scenario(tmp_path / "lab.yaml")
    files = {str(tmp_path / name): digest_of(str(tmp_path / name)) for name in ("compose.yaml", "journey.py")}
    same = recorded(tmp_path, scenario=scenario, files=files)
    check_same(same, cast(ImageShelf, Shelf(dict(IMAGES))))
    (tmp_path / "journey.py").write_text("y")
    with pytest.raises(UsageError, match=r"journey\.py: is gone or has changed"):
        check_same(same, cast(ImageShelf, Shelf(dict(IMAGES))))


def test_a_record_without_a_scenario_can_not_be_repeated(tmp_path: Path) -> None:
    """It was killed before it wrote one."""
    RunRecord(tmp_path / "run").close()
    with pytest.raises(RecordError):
        read_recorded(tmp_path / "run")


def test_a_run_that_broke_several_promises_is_shrunk_by_any_of_them() -> None:
    """Which one a run breaks first is luck; one that broke none has nothing to shrink."""
    oracle = Oracle()
    evidence = gather(oracle, Service().report())
    found = tuple(Finding(promise=name, anomaly="x", user="u", at=1, why="w") for name in (STATE_KEPT, LOGGED_IN))
    asked = (STATE_KEPT, LOGGED_IN, TRIES)
    broken = judge(msgspec.structs.replace(evidence, findings=found), asked=asked)
    recorded = Recorded(folder=Path("x"), scenario=DEMO, seed=7, images={}, files={}, events=())
    assert broken_promises(broken, recorded) == [STATE_KEPT, LOGGED_IN]
    with pytest.raises(UsageError, match="broke no promise"):
        broken_promises(judge(evidence, asked=asked), recorded)
