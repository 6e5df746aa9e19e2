"""What a person does from the page: the same acts as the scenario's own, within the same bounds, undone at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import record
from lab.chaos.striker import Striker
from lab.clock import FakeClock
from lab.console.page_acts import ACTS, PageActs
from lab.deploy.desk import Desk
from lab.deploy.rollout import RolloutRequest, first_desired
from lab.errors import EngineError, UsageError
from lab.model import Release, Replica, ReplicaState, Slot
from lab.run.controls import Reach
from lab.state.file import FileState
from lab.testing.fake_cluster import FakeHarm
from tests.unit.chaos.making import six_and_three, standing_of, striking

SLOTS = tuple(Slot(name=f"{zone}{number}", zone=zone) for zone in "abc" for number in (1, 2))
V1, V2 = (Release(name=name, image=f"shop:{name}") for name in ("v1", "v2"))
IMAGES = {one.image: one for one in (V1, V2)}


@contextmanager
def a_person_at(target: FakeHarm, folder: Path, events: list[record.AnyEvent]) -> Iterator[tuple[PageActs, Desk]]:
    """Hands that hold a small cluster, which serves v1."""

    def serving() -> list[Replica]:
        there = standing_of(target).serving
        return [
            Replica(
                container=container,
                name=f"{slot}-1",
                slot=slot,
                zone=slot[0],
                release="v1",
                generation=1,
                state=ReplicaState.RUNNING,
            )
            for slot, container in there.items()
        ]

    with striking(folder, target, events=events) as striker, FileState(folder / "wanted.db") as state:
        desk = Desk(state, "lab-test", clock=FakeClock(10**12))
        desk.begin(first_desired(V1, SLOTS))
        hands = PageActs(tuple(IMAGES))
        hands.take_hold(Reach(desk=desk, striker=striker, serving=serving, release=IMAGES.__getitem__))
        try:
            yield hands, desk
        finally:
            hands.let_go()


def test_a_kill_hits_whom_it_names(tmp_path: Path) -> None:
    """The slot's replica is killed, and the record tells of it as of any other strike."""
    target, events = six_and_three(), list[record.AnyEvent]()
    with a_person_at(target, tmp_path, events) as (hands, _):
        assert hands.do("kill", {"slot": "b2"}) == "b2-1 was killed"
    [strike, proved] = events
    assert isinstance(strike, record.Strike)
    assert isinstance(proved, record.StrikeProved)
    assert (strike.fault, strike.victim, proved.hit) == ("SIGKILL", "b2-1", True)
    assert "b2" not in standing_of(target).serving


def test_a_freeze_is_over_at_the_latest_when_the_cluster_goes(tmp_path: Path) -> None:
    """It is paused while it lasts, and goes on where it was."""
    target, events = six_and_three(), list[record.AnyEvent]()
    with a_person_at(target, tmp_path, events) as (hands, _):
        assert hands.do("freeze", {"slot": "a1"}) == "a1-1 is frozen for 3 s"
        assert "a1" not in standing_of(target).serving
    assert "a1" in standing_of(target).serving
    assert isinstance(events[-1], record.StrikeUndone)


def test_a_lost_zone_comes_back(tmp_path: Path) -> None:
    """All of it is struck at once; its balancer is restarted when it is back."""
    target, events = six_and_three(), list[record.AnyEvent]()
    with a_person_at(target, tmp_path, events) as (hands, _):
        said = hands.do("lose-zone", {"zone": "c"})
        assert said.startswith("zone c is lost for 6 s: ")
        assert {one.victim for one in events if isinstance(one, record.Strike)} == {"c1-1", "c2-1", "balancer-c"}
        assert sorted(standing_of(target).serving) == ["a1", "a2", "b1", "b2"]
    assert [one.zone for one in events if isinstance(one, record.ZoneBack)] == ["c"]


def test_a_roll_and_its_reverse_are_wanted_of_the_deployer(tmp_path: Path) -> None:
    """The page only writes what is wanted, as every verb does; one rollout at a time."""
    with a_person_at(six_and_three(), tmp_path, []) as (hands, desk):
        assert hands.do("roll", {"image": "shop:v2"}) == "rolling to shop:v2"
        rollout = desk.read().desired.under_way
        assert rollout is not None
        assert (rollout.to, rollout.before) == (V2, V1)
        with pytest.raises(UsageError, match="is in progress"):
            hands.do("roll", {"image": "shop:v2"})
        assert hands.do("reverse", {}) == "back to v1"
        rollout = desk.read().desired.under_way
        assert rollout is not None
        assert rollout.asked is RolloutRequest.REVERSE


@pytest.mark.parametrize(
    ("act", "what", "why"),
    [
        ("burn", {}, "no such act"),
        ("kill", {"slot": "z9"}, "nobody serves in z9"),
        ("lose-zone", {"zone": "z"}, "no such zone"),
        ("roll", {"image": "shop:evil"}, "not an image of this scenario"),
        ("reverse", {}, "no rollout is in progress"),
    ],
)
def test_what_cannot_be_done_is_refused(act: str, what: dict[str, str], why: str, tmp_path: Path) -> None:
    """With a reason, and nothing is touched."""
    target = six_and_three()
    with a_person_at(target, tmp_path, []) as (hands, _), pytest.raises(UsageError, match=why):
        hands.do(act, what)
    assert target.acts == []


def test_a_second_kill_beyond_the_blast_radius_is_refused(tmp_path: Path) -> None:
    """One bound holds for the monkey and for whoever clicks."""
    target = six_and_three()
    with a_person_at(target, tmp_path, []) as (hands, _):
        hands.do("kill", {"slot": "a1"})
        with pytest.raises(UsageError):
            hands.do("kill", {"slot": "b1"})
    assert len(target.acts) == 1


@pytest.mark.parametrize("act", ACTS)
def test_without_a_cluster_there_is_nothing_to_act_on(act: str, tmp_path: Path) -> None:
    """Before users are logged in, and once they have come to rest."""
    with pytest.raises(UsageError, match="no cluster"):
        PageActs(tuple(IMAGES)).do(act, {})
    with a_person_at(six_and_three(), tmp_path, []) as (hands, _):
        pass
    with pytest.raises(UsageError, match="no cluster"):
        hands.do(act, {})


def test_one_undoing_that_fails_leaves_nothing_else_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are undone all the same, and what went wrong is told."""
    target = six_and_three()

    def failing(*_: object) -> None:
        raise EngineError("hiccup")

    with pytest.raises(EngineError, match="hiccup"), a_person_at(target, tmp_path, []) as (hands, _):
        hands.do("freeze", {"slot": "a1"})
        monkeypatch.setattr(Striker, "regain_zone", failing)
        hands.do("lose-zone", {"zone": "b"})
    assert "a1" in standing_of(target).serving
    hands.let_go()
