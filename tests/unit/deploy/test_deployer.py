"""The deployer's loop over a fake engine and a real state: deaths, stale ones, gates, requests of people."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from lab import record
from lab.balancer import nginx
from lab.balancer.nginx import NginxBalancer
from lab.clock import NS, SYSTEM_CLOCK, FakeClock
from lab.cluster.protocol import AppStop
from lab.deploy import deployer as deployers
from lab.deploy.deployer import Deployer
from lab.deploy.desk import Desk
from lab.deploy.gate import EDGES_MS, Figures, JudgeSettings
from lab.deploy.look import Lookout
from lab.deploy.results import ReleaseFigures
from lab.deploy.rollout import Canary, Ending, Phase, RedBlack, Rolling, RolloutRequest, Strategy
from lab.errors import ClusterError, EngineAway, EngineError, StateError, UsageError
from lab.model import Release, Replica, ReplicaState, Slot
from lab.retry import wait_until
from lab.state.file import FileState
from lab.state.protocol import Document, Lease
from lab.testing.fake_cluster import FakeCluster
from tests.unit.deploy.ground import SLOTS, V1, V2, FakeBalancer, Ground, Killed

pytestmark = pytest.mark.usefixtures("in_a_hurry")


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with FileState(tmp_path / "state.db") as state:
        yield Ground(state)


def roll(ground: Ground, strategy: Strategy, to: Release = V2) -> None:
    ground.desk.roll(to, strategy, id="r1", by="test")


@pytest.mark.parametrize("strategy", [Rolling(), RedBlack(keep=0.05), Canary(hold=0.05), Rolling(surge=0)])
def test_what_is_wanted_comes_about(ground: Ground, strategy: Strategy) -> None:
    """From nothing to v1 everywhere, then by each strategy to v2 everywhere, with its history kept."""
    ground.settle(ground.deployer("one"))
    assert ground.releases() == ["v1"] * 3
    roll(ground, strategy)
    ground.settle(ground.deployer("two"))
    assert (ground.releases(), ground.ending()) == (["v2"] * 3, Ending.DONE)
    rollout = ground.desk.read().desired.rollout
    assert rollout is not None
    assert rollout.history[-1].holder == "two"
    assert ground.desk.lease() is None


@pytest.mark.parametrize(
    "strategy", [Rolling(), RedBlack(keep=0.05), Rolling(surge=0), Canary(shares=(0.3, 1.0), hold=0.02)]
)
def test_it_may_die_at_every_boundary(ground: Ground, strategy: Strategy) -> None:
    """A rollout goes on over a death before and after each of its acts, and ends as if nobody had died."""
    ground.settle(ground.deployer("first"))
    roll(ground, strategy)
    places: set[tuple[str, str, str]] = set()
    for number in range(100):

        def die(moment: str, step: record.Step) -> None:
            place = (moment, step.action, step.slot or step.why)
            if place not in places:
                places.add(place)
                raise Killed

        try:
            deployer = ground.deployer(f"deployer {number}", die)
            while not ground.desk.is_settled():
                deployer._work()
            break
        except Killed:
            ground.gone = frozenset({*ground.gone, f"deployer {number}"})  # its lease still runs
    assert (ground.releases(), ground.ending()) == (["v2"] * 3, Ending.DONE)
    assert len(places) == number
    assert number >= 24


def test_whoever_stands_by_does_nothing_until_the_leader_is_gone(ground: Ground) -> None:
    """Two deployers at once: one acts; when it ends, the other goes on."""
    with ground.deployer("one") as one:
        wait_until("one leads", ground.desk.is_settled, within=10, every=0.01)
        with ground.deployer("two") as two:
            roll(ground, Rolling())
            wait_until("it is done", ground.desk.is_settled, within=10, every=0.01)
            lead = {event.holder for event in ground.events if isinstance(event, record.Office)}
            assert lead == {"one"}
            one.end()
            ground.desk.roll(V1, Rolling(), id="r2", by="test")
            wait_until("it is done", ground.desk.is_settled, within=10, every=0.01)
            two.check()
    assert ground.releases() == ["v1"] * 3


def test_a_deployer_that_slept_through_its_lease_is_refused(ground: Ground) -> None:
    """Stopped just before it takes an old replica away, woken up when another one leads and has gone back: its call
    finds nobody, and it says so."""
    ground.settle(ground.deployer("first"))
    roll(ground, Rolling())
    asleep, wake = threading.Event(), threading.Event()

    def sleep(moment: str, step: record.Step) -> None:
        if (moment, step.action) == ("before", "drain") and not asleep.is_set():
            asleep.set()
            assert wake.wait(20)

    with ground.deployer("sleeper", sleep):
        assert asleep.wait(10)
        ground.gone = frozenset({"sleeper"})
        ground.desk.ask(RolloutRequest.ABORT)
        ground.settle(ground.deployer("other"))
        assert (ground.releases(), ground.ending()) == (["v1"] * 3, Ending.ABORTED)
        acts = len(ground.cluster.acts)
        wake.set()
        wait_until(
            "it was refused",
            lambda: any(isinstance(one, record.Office) and one.action == "fenced" for one in ground.events),
            within=10,
            every=0.01,
        )
        assert ground.cluster.acts[acts:] == []


class Lingering(FakeCluster):
    """Apps that take their time after their stop signal; each tenure's handle knows only what it sent itself."""

    def fenced(self, epoch: int) -> Lingering:
        self.engine.epoch = max(epoch, self.engine.epoch)
        return Lingering(self.slots, self.engine, epoch)

    def signal(self, replica: Replica, signal: str) -> bool:
        if signal != "SIGTERM":
            return super().signal(replica, signal)
        self.acts.append(f"SIGTERM {replica.name}")
        self.stops[replica.container] = AppStop(at=1, service="web", signal="SIGTERM", grace=3.0)
        return True


def has_told(desk: Desk) -> bool:
    status = desk.status()
    return status is not None and bool(status.told_to_stop)


def test_an_app_gets_its_stop_signal_once_whoever_leads(ground: Ground) -> None:
    """A deployer that takes over gives it its time, and no second signal."""
    ground.cluster = Lingering(SLOTS)
    ground.balancer = FakeBalancer(ground.cluster)
    ground.settle(ground.deployer("first"))
    roll(ground, Rolling())
    dying = ground.deployer("dying")
    dying.run_until(lambda: has_told(ground.desk))
    ground.gone = frozenset({"dying"})
    rounds = itertools.count()
    ground.deployer("next").run_until(lambda: next(rounds) > 5)
    told = [act for act in ground.cluster.acts if act.startswith("SIGTERM")]
    assert told
    assert len(told) == len(set(told)), "a second signal"


@pytest.mark.slow
def test_a_release_that_cannot_start_is_not_tried_for_ever(tmp_path: Path) -> None:
    """Its replicas die as soon as they run: after three it is given up and the old release serves."""
    with FileState(tmp_path / "state.db") as state:
        ground = Ground(state, broken="v2")
        ground.settle(ground.deployer("one"))
        roll(ground, Rolling())

        def dies(moment: str, step: record.Step) -> None:
            if (moment, step.action, step.release) == ("after", "start", "v2"):
                victim = next(one for one in ground.cluster.replicas() if one.name == step.replica)
                ground.cluster.signal(victim, "SIGKILL")

        ground.settle(ground.deployer("two", dies))
        assert (ground.releases(), ground.ending()) == (["v1"] * 3, Ending.ROLLED_BACK)
        assert sum(act.startswith("create") and act.endswith("v2") for act in ground.cluster.acts) == 3


def test_a_release_that_the_engine_cannot_start_is_given_up(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its command is not there, so its containers stay as they were created: three are enough, and the old one
    serves. What dies of the old one meanwhile is replaced."""
    ground.settle(ground.deployer("one"))
    start = FakeCluster.start

    def refuse(self: FakeCluster, replica: Replica) -> None:
        if replica.release == "v2":
            ground.cluster.signal(next(one for one in ground.cluster.replicas() if one.slot == "c1"), "SIGKILL")
            raise EngineError("no such command: gunicorn")
        start(self, replica)

    monkeypatch.setattr(FakeCluster, "start", refuse)
    roll(ground, Rolling())
    for _ in range(2):  # whoever goes on with it fares no worse
        deployer = ground.deployer("two")
        for _ in range(30):
            deployer._work()
        deployer._resign()
    ground.settle(ground.deployer("three"))
    assert (ground.releases(), ground.ending()) == (["v1"] * 3, Ending.ROLLED_BACK)
    assert {one.state for one in ground.cluster.replicas()} == {ReplicaState.RUNNING}
    assert "no such command: gunicorn" in [one.text for one in ground.events if isinstance(one, record.Office)]


def test_an_engine_that_cannot_start_what_served_before_ends_the_deployer(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a new release there is nobody but the engine to be unwell."""

    def refuse(_cluster: FakeCluster, _replica: Replica) -> None:
        raise EngineError("no space left on the device")

    monkeypatch.setattr(FakeCluster, "start", refuse)
    with pytest.raises(EngineError, match="no space"):
        ground.settle(ground.deployer("one"))


def test_what_was_ready_before_it_was_killed_says_nothing_of_its_release(ground: Ground) -> None:
    """However often that happens in a rollout, and though its deployer slept through its lease and leads again."""
    deployer = ground.deployer("one")
    ground.settle(deployer)
    roll(ground, Canary(shares=(0.3, 1.0), hold=60))
    killed = 0
    for _ in range(200):
        deployer._work()
        serving = [one for one in deployer_sees(ground) if one.release == "v2"]
        if serving and serving[0].container in ground.cluster.engine.there:
            deployer._resign()
            deployer._work()
            killed += ground.cluster.signal(serving[0], "SIGKILL")
    rollout = ground.desk.read().desired.under_way
    assert rollout is not None
    assert killed > 3
    assert (rollout.never_ready, rollout.phase is Phase.BACK) == (0, False)


def deployer_sees(ground: Ground) -> tuple[Replica, ...]:
    """Those that serve, by the deployer's last word."""
    status = ground.desk.status()
    return status.serving if status is not None else ()


def test_what_is_scaled_in_before_it_is_ready_says_nothing_of_its_release(tmp_path: Path) -> None:
    """However often that happens in a rollout: the replica was told to go, it did not fail."""
    with FileState(tmp_path / "state.db") as state:
        ground = Ground(state, broken="v2")  # it takes its time to get ready
        deployer = ground.deployer("one")
        ground.settle(deployer)
        roll(ground, Rolling())
        everywhere = ("a1", "b1", "c1")
        for _ in range(4):
            while not (new := [one for one in ground.cluster.replicas() if one.release == "v2"]):
                deployer._work()
            ground.desk.scale(tuple(slot for slot in everywhere if slot != new[0].slot))
            while any(one.slot == new[0].slot for one in ground.cluster.replicas()):
                deployer._work()
            ground.desk.scale(everywhere)
        rollout = ground.desk.read().desired.under_way
        assert rollout is not None
        assert (rollout.never_ready, rollout.phase) == (0, Phase.MOVE)


def test_an_engine_that_is_away_for_a_while_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is done meanwhile, it is told once, and the rollout goes on when it is back."""
    away = [6]

    def replicas(cluster: FakeCluster) -> list[Replica]:
        if 0 < away[0] < 6:
            away[0] -= 1
            raise EngineAway("can't list the replicas: the engine does not answer", at="test", hint="wait")
        return list(cluster.engine.there.values())

    monkeypatch.setattr(FakeCluster, "replicas", replicas)
    with FileState(tmp_path / "state.db") as state:
        ground = Ground(state)
        deployer = ground.deployer("one")
        ground.settle(deployer)
        roll(ground, Rolling())
        away[0] = 5
        ground.settle(deployer)
        assert ground.releases() == ["v2"] * 3
        assert ground.ending() is Ending.DONE
        assert [one for one in offices(ground) if one == "cut off"] == ["cut off"]


def test_an_engine_that_stays_away_ends_the_deployer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the engine said."""
    with FileState(tmp_path / "state.db") as state:
        ground = Ground(state)
        deployer = ground.deployer("one")
        ground.settle(deployer)
        roll(ground, Rolling())

        def replicas(_: FakeCluster) -> list[Replica]:
            raise EngineAway("can't list the replicas: the engine does not answer", at="test", hint="wait")

        monkeypatch.setattr(FakeCluster, "replicas", replicas)
        monkeypatch.setattr(deployers, "ENGINE_BACK_WITHIN", 0.0)
        with pytest.raises(EngineAway):
            ground.settle(deployer)


class Unsteady(FileState):
    """A state that may be out of reach."""

    is_away = False

    def read(self, key: str) -> Document | None:
        self._check()
        return super().read(key)

    def renew(self, lease: Lease, seconds: float) -> Lease:
        self._check()
        return super().renew(lease, seconds)

    def acquire(
        self, name: str, holder: str, seconds: float, *, is_gone: Callable[[str], bool] = lambda _: False
    ) -> Lease | None:
        self._check()
        return super().acquire(name, holder, seconds, is_gone=is_gone)

    def release(self, lease: Lease) -> None:
        self._check()
        super().release(lease)

    def _check(self) -> None:
        if self.is_away:
            raise StateError("the state does not answer", at="test", hint="wait")


def test_a_state_that_is_away_for_a_while_stops_everything_and_ends_nothing(tmp_path: Path) -> None:
    """In the middle of a rollout nothing is done until it is back; then the same deployer goes on."""
    with Unsteady(tmp_path / "state.db") as state:
        ground = Ground(state)
        ground.settle(ground.deployer("one"))
        roll(ground, Rolling())

        def lose(moment: str, step: record.Step) -> None:
            if (moment, step.action, step.slot) == ("after", "enter", "b1"):
                state.is_away = True

        with ground.deployer("two", lose) as two:
            wait_until("the state is away", lambda: state.is_away, within=10, every=0.01)
            wait_until("it is told", lambda: "cut off" in offices(ground), within=10, every=0.01)
            acts = list(ground.cluster.acts)
            wait_until("it looks again", two_looks(two), within=10, every=0.01)
            assert ground.cluster.acts == acts
            state.is_away = False
            wait_until("it is done", ground.desk.is_settled, within=10, every=0.01)
            two.check()
        assert (ground.releases(), ground.ending()) == (["v2"] * 3, Ending.DONE)


def test_a_state_that_stays_away_ends_the_deployer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the state said, whoever led."""
    monkeypatch.setattr("lab.deploy.deployer.STATE_BACK_WITHIN", 0.05)
    with Unsteady(tmp_path / "state.db") as state:
        ground = Ground(state)
        deployer = ground.deployer("one")
        ground.settle(deployer)
        state.is_away = True
        with pytest.raises(StateError):
            deployer.run_until(lambda: False)


def test_whoever_stands_by_bears_each_absence_anew(tmp_path: Path) -> None:
    """Two short absences with a long time between them are not one long one."""
    with Unsteady(tmp_path / "state.db") as state:
        ground = Ground(state)
        with ground.deployer("leads") as leads, ground.deployer("stands by") as idle:
            wait_until("one leads", ground.desk.is_settled, within=10, every=0.01)
            for told in (2, 4):  # each of them, each time
                state.is_away = True
                wait_until("it is told", partial(is_cut_off, ground, told), within=10, every=0.01)
                state.is_away = False
                wait_until("both looked", lambda: bearing(leads, idle) == [None, None], within=10, every=0.01)
            leads.check()
            idle.check()


def is_cut_off(ground: Ground, times: int) -> bool:
    return offices(ground).count("cut off") == times


def bearing(*deployers: Deployer) -> list[int | None]:
    return [one._cut_off_since for one in deployers]


def offices(ground: Ground) -> list[str]:
    return [event.action for event in ground.events if isinstance(event, record.Office)]


def two_looks(deployer: Deployer) -> Callable[[], bool]:
    """True once it has come to rest twice more."""
    left = [2]
    pause = deployer._pause

    def counted(seconds: float) -> None:
        left[0] -= 1
        pause(seconds)

    deployer._pause = counted  # type: ignore[method-assign]
    return lambda: left[0] <= 0


def test_a_release_that_users_suffer_from_is_rolled_back(ground: Ground) -> None:
    """The gate reads what users got: one broken promise at the canary's first stage, and all slots go back."""
    ground.settle(ground.deployer("one"))
    bins = (100, *[0] * len(EDGES_MS))
    bad = Figures(tries=100, failed=0, broken=1, latencies=bins)
    good = Figures(tries=100, failed=0, broken=0, latencies=bins)
    ground.desk.write_results(ReleaseFigures(by_release={"v1": good, "v2": bad}))
    roll(ground, Canary(shares=(0.1, 1.0), hold=60, judge=JudgeSettings()))
    ground.settle(ground.deployer("two"))
    assert (ground.releases(), ground.ending()) == (["v1"] * 3, Ending.ROLLED_BACK)
    ground.desk.write_results(ReleaseFigures(by_release={"v1": good, "v2": good}))
    ground.desk.roll(V2, Canary(shares=(0.1, 1.0), hold=0.05, judge=JudgeSettings()), id="r2", by="test")
    ground.settle(ground.deployer("three"))
    assert (ground.releases(), ground.ending()) == (["v2"] * 3, Ending.DONE)


@pytest.mark.parametrize("broken", [0, 1])
@pytest.mark.slow
def test_what_users_got_long_ago_judges_no_release(tmp_path: Path, broken: int) -> None:
    """Neither does an earlier build's broken promise turn it back, nor is it good because that one was."""
    clock = FakeClock(start=1_700_000_000 * NS)
    with FileState(tmp_path / "state.db", clock=clock) as state:
        ground = Ground(state, clock=clock)
        deployer = ground.deployer("one")
        ground.settle(deployer)
        figures = Figures(tries=100, broken=broken, latencies=(100, *[0] * len(EDGES_MS)))
        ground.desk.write_results(ReleaseFigures(by_release={"v1": Figures(), "v2": figures}))
        clock.sleep(60.0)
        roll(ground, Canary(shares=(0.3, 1.0), hold=1, judge=JudgeSettings()))
        assert rounds_until(ground, deployer, clock, {Phase.WATCH})
        assert not rounds_until(ground, deployer, clock, {Phase.BACK, Phase.ENDED})
        rollout = ground.desk.read().desired.rollout
        assert rollout is not None
        assert rollout.stage == 0


class SetClock(FakeClock):
    """Somebody may set its wall clock."""

    ahead = 0.0

    def wall(self) -> datetime:
        return super().wall() + timedelta(seconds=self.ahead)


@pytest.mark.parametrize("ahead", [60.0, -3600.0])
@pytest.mark.parametrize("strategy", [Canary(shares=(0.3, 1.0), hold=5, judge=JudgeSettings()), RedBlack(keep=20)])
def test_a_wall_clock_that_is_set_changes_nothing(tmp_path: Path, strategy: Strategy, ahead: float) -> None:
    """A healthy release with too few tries as yet is not out of patience; holding and keeping take no hour."""
    clock = SetClock(start=1_700_000_000 * NS)
    with FileState(tmp_path / "state.db", clock=clock) as state:
        ground = Ground(state, clock=clock)
        deployer = ground.deployer("one")
        ground.settle(deployer)
        roll(ground, strategy)
        watched, tried = rounds_until(ground, deployer, clock, {Phase.WATCH, Phase.KEEP}), 90
        clock.ahead = ahead
        for _ in range(3):
            show_tries(ground, tried)
            clock.sleep(1.0)
            deployer._work()
        assert ground.desk.read().desired.under_way is not None
        tried = 200
        for _ in range(60):
            show_tries(ground, tried)
            clock.sleep(0.5)
            deployer._work()
        assert (watched, ground.ending()) == (True, Ending.DONE)


def show_tries(ground: Ground, tries: int) -> None:
    """Users got good answers of both releases."""
    figures = Figures(tries=tries, latencies=(tries, *[0] * len(EDGES_MS)))
    ground.desk.write_results(ReleaseFigures(by_release={"v1": figures, "v2": figures}))


def rounds_until(ground: Ground, deployer: Deployer, clock: FakeClock, phases: Collection[Phase]) -> bool:
    """Whether one of the phases is reached."""
    for _ in range(100):
        clock.sleep(0.1)
        deployer._work()
        rollout = ground.desk.read().desired.rollout
        if rollout is not None and rollout.phase in phases:
            return True
    return False


def test_a_killed_replica_is_replaced(ground: Ground) -> None:
    """Without any rollout: a gap is filled with what serves elsewhere."""
    ground.settle(ground.deployer("one"))
    ground.cluster.signal(ground.cluster.replicas()[0], "SIGKILL")
    slots = [slot.name for slot in SLOTS]
    with ground.deployer("two"):
        wait_until(
            "it is replaced, and in the slot",
            lambda: (
                [one.state for one in ground.cluster.replicas()] == [ReplicaState.RUNNING] * 3
                and len(ground.balancer.holders(slots)) == 3
            ),
            within=10,
            every=0.01,
        )


@pytest.mark.slow
def test_a_look_asks_all_that_are_silent_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six replicas and their slots: silence is waited for once, as the deployer's lease runs meanwhile."""
    monkeypatch.setattr(nginx, "ANSWER_WITHIN", 30.0)
    all_wait = threading.Event()
    wait = threading.Barrier(12, action=all_wait.set, timeout=5)

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(threading.BrokenBarrierError):  # where one is asked after another they never all wait
                wait.wait()
            self.send_error(503)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cluster = FakeCluster(slots=tuple(Slot(name=f"{zone}{number}", zone=zone) for number in (1, 2) for zone in "abc"))
    for slot in cluster.slots:
        cluster.start(cluster.create(slot, V1))
    try:
        with NginxBalancer(("127.0.0.1", server.server_port)) as balancer:
            Lookout(balancer, SYSTEM_CLOCK).look(cluster.replicas())
        assert all_wait.is_set(), "one was asked after another"
    finally:
        server.shutdown()
        server.server_close()


def test_the_lease_is_renewed_after_a_long_look(tmp_path: Path) -> None:
    """Nothing is done in that round, so nothing else would: the same tenure goes on."""
    clock = FakeClock(start=10**18)
    with FileState(tmp_path / "state.db", clock=clock) as state:
        ground = Ground(state, clock=clock)
        deployer = ground.deployer("one")
        ground.balancer.takes = partial(clock.sleep, 2.5)  # type: ignore[method-assign]
        for _ in range(20):
            deployer._work()
        assert offices(ground) == ["in office"]


@pytest.mark.parametrize("rolls", [False, True])
def test_what_was_paused_before_the_deployer_came_is_replaced(tmp_path: Path, *, rolls: bool) -> None:
    """It never answered this deployer and never will: it has as long as any other to get ready. A rollout goes on."""
    clock = FakeClock(start=10**18)
    with FileState(tmp_path / "state.db", clock=clock) as state:
        ground = Ground(state, clock=clock)
        ground.settle(ground.deployer("one"))
        paused = ground.cluster.replicas()[1]
        ground.cluster.engine.there[paused.container] = msgspec.structs.replace(paused, state=ReplicaState.PAUSED)
        if rolls:
            ground.desk.roll(V2, Rolling(), id="r1", by="test")
        deployer = ground.deployer("two")
        for _ in range(60):
            clock.sleep(1.0)
            deployer._work()
        assert ground.releases() == ["v2" if rolls else "v1"] * 3
        assert paused.container not in ground.cluster.engine.there
        assert ground.ending() is (Ending.DONE if rolls else None)


def test_a_cluster_that_was_there_was_taken_down(ground: Ground) -> None:
    """Whoever works on it hears so, and not that it never was."""
    desk = Desk(ground.state, "lab-gone", clock=SYSTEM_CLOCK)
    desk.begin(ground.desk.read().desired)
    ground.state.forget("lab-gone")
    with pytest.raises(ClusterError, match="somebody took it down"):
        desk.read()


def test_requests_of_people_are_refused_where_they_make_no_sense(ground: Ground) -> None:
    """No rollout to turn back, nobody to approve, no such cluster: told as such."""
    with pytest.raises(UsageError, match="no rollout"):
        ground.desk.ask(RolloutRequest.REVERSE)
    with pytest.raises(UsageError, match="no rollout"):
        ground.desk.approve()
    with pytest.raises(UsageError, match="no such cluster"):
        Desk(ground.state, "nobody's", clock=SYSTEM_CLOCK).read()
    roll(ground, Rolling())
    with pytest.raises(UsageError, match="not waiting for approval"):
        ground.desk.approve()
