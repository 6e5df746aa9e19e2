"""Rollouts on real containers: every strategy, a deployer's death at every step, faults pinned to a phase."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.backends.protocol import Backend
from lab.clock import NS
from lab.deploy.look import FROZEN_AFTER
from lab.deploy.rollout import Rolling, RolloutRequest
from lab.experiments.deployer_kills import KillSweepSpec, sweep_kills
from lab.experiments.fault_matrix import choose, sweep_faults
from lab.experiments.rehearsal import SLOTS, Rehearsal, rehearsal
from lab.machine.setup import Toolbox
from lab.model import Kind
from lab.oracle.recovery import find_recoveries
from lab.record import ContainerEvent, Office, RolloutMoved, Scaled, Serving, Step
from lab.retry import wait_until
from lab.run.deployer_processes import DeployerProcess
from lab.scenario.pin_spec import PinnedFault
from tests.e2e.runs import Ended, first_tries_failed, lab, scenario

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time]

USERS = "{count: 40, on_two_devices: 12, think: 0.25, tries: 1}"
SETTLE = "{settle: {for: 2}}"
NOBODYS = {Kind.LOGIN, Kind.INTRUDE, Kind.JOIN}
"""What a device does without its account's session, or with another account."""
MOVED = NS // 2
"""In which the last request over a connection to the other group has been answered."""
ENOUGH = "{operations: 800, checks: 800, users_served_by_new: 30}"


def quiet(_: str) -> None:
    pass


def shop_through(tmp_path: Path, steps: str, *, least_serving: int) -> Ended:
    """A run in which users, who never try twice, shop while these steps are done."""
    promises = f"{{serving_at_least: {least_serving}}}"
    return lab("run", scenario(tmp_path, users=USERS, promises=promises, steps=steps, enough=ENOUGH))


def phases(ended: Ended) -> list[str]:
    moves = [event for event in ended.events() if isinstance(event, RolloutMoved)]
    return [event.ending or event.phase for event in moves]


def fewest_serving(ended: Ended) -> int:
    """After every slot served for the first time."""
    totals = [event.total for event in ended.events() if isinstance(event, Serving)]
    return min(totals[totals.index(max(totals)) :])


def answered(ended: Ended, begin: int, end: int) -> Counter[str | None]:
    """Who answered the tries that began in that time, by release."""
    tries = [one for operation in ended.history() for one in operation.tries if begin <= one.begin < end]
    return Counter(one.release for one in tries)


@pytest.mark.prove
def test_a_deployers_death_at_every_step_changes_nothing(backend: Backend) -> None:
    """Sixty deployers and more are killed, one at each boundary of a red/black rollout and of one in place, and some
    at random: every rollout ends right, never below the floor, and no user is hurt."""
    swept = sweep_kills(backend, KillSweepSpec(each_boundary=False, random_kills=6, seed=3), quiet)
    assert swept.kills >= 60, swept.line
    assert (swept.wrong, swept.below_floor, swept.users_hurt, swept.failed) == ((), 0, 0, 0), swept.line
    assert swept.operations > 1000
    assert swept.is_good


@pytest.fixture(scope="module")
def stage(backend: Backend) -> Iterator[Rehearsal]:
    """A small cluster with users at work, and two deployers that may be stopped."""
    with rehearsal(backend, "stage", 5) as stage:
        yield stage


@pytest.mark.prove
def test_the_sweep_sees_what_is_wrong(stage: Rehearsal) -> None:
    """A replica that nobody owns and one of another release are each called a wrong end."""
    good = stage.roll(Rolling())
    assert (good.wrong, good.ending) == ("", "done")
    assert good.fewest_running >= len(SLOTS)
    release = stage.desk.read().desired.release
    crew = stage.crew
    assert crew is not None
    for member in crew.members:
        member.freeze()  # nobody tidies up
    orphan = stage.live.cluster.create(SLOTS[0], release)
    assert "replicas left" in stage.find_wrong(release)
    stage.live.cluster.remove(orphan)
    assert stage.find_wrong(release) == ""
    other = next(one for one in stage.releases if one != release)
    assert "releases left" in stage.find_wrong(other)
    for member in crew.members:
        member.thaw()


@pytest.mark.prove
def test_a_deployer_that_slept_through_its_lease_is_refused_by_the_engine(stage: Rehearsal) -> None:
    """Stopped just before it takes an old replica away, woken up when another one has sent everybody back to that very
    replica: its call finds nobody of that name, and the replica goes on serving."""
    asleep: list[DeployerProcess] = []

    def sleep(deployer: DeployerProcess, moment: str, step: Step) -> None:
        if (moment, step.action, step.slot) == ("before", "drain", "b1") and not asleep:
            deployer.freeze()
            asleep.append(deployer)

    now = stage.desk.read().desired.release
    to = next(one for one in stage.releases if one != now)
    stage.on_boundary = sleep
    stage.desk.roll(to, Rolling(), id="sleeper", by="the test")
    wait_until("the leader is asleep", lambda: asleep, within=60)
    stage.desk.ask(RolloutRequest.ABORT)
    wait_until("another one has gone back", stage.desk.is_settled, within=60)
    before = stage.live.cluster.replicas()
    stage.refused.clear()
    asleep[0].thaw()
    said = wait_until("it was refused", lambda: stage.refused, within=30)
    assert "is over" in said[0]
    assert stage.find_wrong(now) == ""
    assert sorted(one.container for one in stage.live.cluster.replicas()) == sorted(one.container for one in before)
    asleep[0].check()


@pytest.mark.prove
def test_a_fault_at_a_phase_is_done_there_and_healed(backend: Backend) -> None:
    """The new replica dies between ready and in rotation: nobody loses anything; where there is nobody to hurt, that
    is said."""
    chosen, faults = choose(["rolling"], [PinnedFault.KILL_NEW], ["before", "ready"])
    matrix = sweep_faults(backend, "rolling", chosen["rolling"], 7, quiet, faults=faults)
    text = {cell.point: cell.text for cell in matrix.cells}
    assert text == {"before": "-", "ready": "held"}, matrix.line
    assert matrix.exit_code == 0


@pytest.mark.prove
def test_a_balancer_and_a_deployer_are_struck_at_a_phase(backend: Backend) -> None:
    """The balancer dies while slots change hands, a deployer sleeps through its lease: nobody loses anything."""
    wanted = (PinnedFault.KILL_BALANCER, PinnedFault.STOP_DEPLOYER)
    chosen, faults = choose(["rolling"], wanted, ["ready"])
    matrix = sweep_faults(backend, "rolling", chosen["rolling"], 7, quiet, faults=faults)
    text = {cell.fault: cell.text for cell in matrix.cells}
    assert text[PinnedFault.STOP_DEPLOYER] == "held"
    assert text[PinnedFault.KILL_BALANCER].startswith("saved"), matrix.line
    assert matrix.exit_code == 0


@pytest.mark.parametrize(
    ("roll", "least_serving"),
    [
        pytest.param("{to: 'shop:v2', strategy: red-black, batch: 3, keep: 1}", 3, marks=pytest.mark.prove),
        pytest.param("{to: 'shop:v2', strategy: drain-then-move}", 2, marks=pytest.mark.prove),
        pytest.param("{to: 'shop:v2', batch: '67%', order: zone}", 3, marks=pytest.mark.prove),
    ],
    ids=["red-black", "drain-then-move", "rolling-by-percentage"],
)
def test_every_strategy_fails_no_first_try(tmp_path: Path, roll: str, least_serving: int) -> None:
    """Under load, without any client's retry, and never with fewer replicas than the strategy promises."""
    steps = f"[{SETTLE}, {{roll: {roll}}}, {SETTLE}]"
    ended = shop_through(tmp_path, steps, least_serving=least_serving)
    assert ended.code == 0, ended.out + ended.err
    assert first_tries_failed(ended.history()) == []
    assert phases(ended)[-1] == "done"
    assert fewest_serving(ended) >= least_serving


@pytest.mark.prove
def test_a_reverse_sends_everybody_back_to_the_group_that_stood_by(tmp_path: Path) -> None:
    """Once all traffic is on the new group somebody wants the old one: it serves again, and nobody noticed."""
    roll = "{roll: {to: 'shop:v2', strategy: red-black, batch: 3, shares: [0.3, 1], hold: 1.5, keep: 60}}"
    steps = f"[{SETTLE}, {{together: [{roll}, {{reverse: {{at: keep}}}}]}}, {SETTLE}]"
    ended = shop_through(tmp_path, steps, least_serving=3)
    assert ended.code == 0, ended.out + ended.err
    assert first_tries_failed(ended.history()) == []
    assert phases(ended) == ["move", "watch", "move", "watch", "keep", "back", "reversed"]
    at = [event.at for event in ended.events() if isinstance(event, RolloutMoved)]
    assert at[6] - at[5] < 2 * NS
    assert fewest_serving(ended) == 3
    # Both groups run all the while; users must meet the one that is wanted, whatever connections are kept open.
    assert set(answered(ended, at[1] + MOVED, at[2])) == {"v1", "v2"}
    assert 0.2 < answered(ended, at[1] + MOVED, at[2])["v2"] / answered(ended, at[1] + MOVED, at[2]).total() < 0.5
    assert set(answered(ended, at[3] + MOVED, at[4])) == {"v2"}
    assert set(answered(ended, at[6] + MOVED, at[6] + 2 * NS)) == {"v1"}


@pytest.mark.prove
def test_a_canary_is_judged_and_goes_on(tmp_path: Path) -> None:
    """The gate says with figures why the next stage may begin."""
    roll = "{to: 'shop:v2', strategy: canary, shares: [0.1, 1], hold: 2, judge: {least_tries: 50, latency: 20}}"
    steps = f"[{SETTLE}, {{roll: {roll}}}, {{settle: {{for: 1}}}}]"
    ended = shop_through(tmp_path, steps, least_serving=3)
    assert ended.code == 0, ended.out + ended.err
    moves = [event for event in ended.events() if isinstance(event, RolloutMoved)]
    assert [event.ending or event.phase for event in moves] == ["watch", "move", "watch", "done"]
    assert "tries failed on the new release" in moves[1].why


@pytest.mark.parametrize(
    ("affinity", "sticks"), [("account", True), pytest.param("none", False, marks=pytest.mark.prove)]
)
@pytest.mark.prove
def test_a_canary_sticks_to_accounts_where_asked(tmp_path: Path, affinity: str, sticks: bool) -> None:
    """While the canary is watched, both devices of an account see one and the same release; otherwise they mix."""
    ended = lab(
        "run",
        scenario(
            tmp_path,
            cluster=f"{{release: 'shop:v1', zones: {{a: 2, b: 2, c: 2}}, affinity: {affinity}}}",
            users="{count: 30, on_two_devices: 30, think: 0.2}",
            promises="{serving_at_least: 5}",
            steps=f"[{SETTLE}, {{roll: {{to: 'shop:v2', strategy: canary, shares: [0.5, 1], hold: 4}}}}, {SETTLE}]",
            enough=ENOUGH,
        ),
    )
    assert ended.code == 0, ended.out + ended.err
    moves = [event for event in ended.events() if isinstance(event, RolloutMoved)]
    began = next(event.at for event in moves if event.phase == "watch") + NS  # the old connections are gone by then
    over = next(event.at for event in moves if event.phase == "move" and event.at > began)
    met: dict[str, set[str | None]] = {}
    for one in ended.history():
        if began <= one.begin and one.end <= over and one.kind not in NOBODYS:
            met.setdefault(one.user, set()).add(one.answered.release)  # a repeat on purpose goes to whoever it wants
    assert len(met) == 30
    mixed = [user for user, releases in met.items() if len(releases) > 1]
    assert (not mixed) == sticks, mixed
    assert {release for releases in met.values() for release in releases} == {"v1", "v2"}


@pytest.mark.prove
def test_a_release_that_users_suffer_from_is_rolled_back(tmp_path: Path) -> None:
    """It starts, it is ready, and it logs everybody out: the canary is judged by what users got, and taken back."""
    roll = "{to: 'shop:v2-memory', strategy: canary, shares: [0.1, 1], hold: 20, judge: {least_tries: 40}}"
    steps = f"[{SETTLE}, {{roll: {roll}}}, {{settle: {{for: 1}}}}]"
    ended = shop_through(tmp_path, steps, least_serving=2)
    assert phases(ended)[-1] == "rolled back"
    assert ended.code == 1, ended.out  # the users who met the canary were hurt, and that is said
    assert {event.to for event in ended.events() if isinstance(event, RolloutMoved)} == {"v2-memory"}


@pytest.mark.prove
def test_a_release_that_breaks_a_promise_is_rolled_back_for_that(tmp_path: Path) -> None:
    """Every try is answered, and quickly; but v2 forgets the display name. That alone is enough to take it back."""
    roll = "{to: 'shop:v2-drops-field', strategy: canary, shares: [0.3, 1], hold: 20, judge: {least_tries: 40}}"
    steps = f"[{SETTLE}, {{roll: {roll}}}, {{settle: {{for: 1}}}}]"
    ended = shop_through(tmp_path, steps, least_serving=2)
    assert first_tries_failed(ended.history()) == []
    assert phases(ended)[-1] == "rolled back"
    [*_, last] = [event for event in ended.events() if isinstance(event, RolloutMoved)]
    assert "promises were broken by the new release" in last.why
    assert last.stage == 0, "everybody met it"
    assert ended.code == 1, ended.out


def test_a_bad_release_is_rolled_back_with_the_users_unharmed(toolbox: Toolbox, tmp_path: Path) -> None:
    """Every probe finds it well; by what users got it fails more than the old one. It goes back by itself, a retry
    saved whoever met it, and the exit code says so: 3."""
    toolbox.images.make_missing(quiet, ["shop:v2-flaky"])
    roll = "{to: 'shop:v2-flaky', strategy: canary, shares: [0.1, 1], hold: 20, judge: {least_tries: 60}}"
    ended = lab(
        "run",
        scenario(
            tmp_path,
            users="{count: 40, on_two_devices: 12, think: 0.25, tries: 6}",
            promises="{serving_at_least: 3}",
            steps=f"[{SETTLE}, {{roll: {roll}}}]",
            enough=ENOUGH,
        ),
    )
    moves = [event for event in ended.events() if isinstance(event, RolloutMoved)]
    assert (ended.code, moves[-1].ending) == (3, "rolled back"), ended.out + ended.err
    assert "tries failed on the new release" in moves[-1].why
    assert ended.verdict["evidence"]["users_hurt"] == 0
    assert first_tries_failed(ended.history()), "nobody met it"


@pytest.mark.prove
def test_a_slow_release_is_rolled_back_for_that_alone(tmp_path: Path) -> None:
    """Every answer is right and every promise holds; users only wait longer. It is taken back, and nobody was hurt."""
    judge = "{latency: 2, least_tries: 60}"  # a busy machine's own 300 ms must not hide the release's second
    roll = f"{{to: 'shop:v2-slow', strategy: canary, shares: [0.3, 1], hold: 20, judge: {judge}}}"
    steps = f"[{SETTLE}, {{roll: {roll}}}]"
    ended = shop_through(tmp_path, steps, least_serving=3)
    [*_, last] = [event for event in ended.events() if isinstance(event, RolloutMoved)]
    assert (ended.code, last.ending, last.stage) == (3, "rolled back", 0), ended.out + ended.err
    assert re.search(r"95 of 100 answers took up to \d+ ms on the new release, \d+ ms on the old", last.why)
    assert first_tries_failed(ended.history()) == []


@pytest.mark.prove
def test_two_deployers_and_a_death_in_a_whole_run(tmp_path: Path) -> None:
    """The leader is killed when the second slot's new replica is ready: the other one leads, and the run holds."""
    fault = "{fault: {do: kill the deployer, at: {moment: before, action: enter, slot: b1}}}"
    ended = lab(
        "run",
        scenario(
            tmp_path,
            users=USERS,
            deployers="2",
            promises="{serving_at_least: 3}",
            steps=f"[{SETTLE}, {{together: [{{roll: {{to: 'shop:v2'}}}}, {fault}]}}, {SETTLE}]",
            enough=ENOUGH,
        ),
    )
    assert ended.code == 0, ended.out + ended.err
    leaders = [event.holder for event in ended.events() if isinstance(event, Office) and event.action == "in office"]
    assert len(leaders) == len(set(leaders)) >= 2  # a busy machine may let a lease run out once more
    assert first_tries_failed(ended.history()) == []


@pytest.mark.prove
def test_scaling_a_rollout_and_replacement_at_once_settle(tmp_path: Path) -> None:
    """While the load doubles and replicas are added, a rollout goes on, one of its new replicas is killed and one
    freezes: both are replaced in time, nobody loses anything, and with less load replicas drain away again."""
    frozen = "{fault: {do: freeze the new replica, at: {action: enter, slot: a1}, for: 40}}"
    killed = "{fault: {do: kill the new replica, at: {action: enter, slot: b1}}}"
    together = f"{{together: [{{roll: {{to: 'shop:v2'}}}}, {frozen}, {killed}]}}"
    ended = lab(
        "run",
        scenario(
            tmp_path,
            cluster="{release: 'shop:v1', zones: {a: 2, b: 2, c: 2}, begin_with: 3}",
            users="{count: 40, on_two_devices: 12, think: 0.5, tries: 3}",
            autoscale="{target: 40, least: 3, most: 6, cool_down_out: 1, cool_down_in: 3}",
            promises="{serving_at_least: 2, recovers_within: 30}",
            steps=f"[{SETTLE}, {{pace: {{think: 0.22}}}}, {together}, {{pace: {{think: 2}}}}, {{settle: {{for: 6}}}}]",
            enough="{operations: 800, checks: 800, strikes_that_hit: 2, users_served_by_new: 40}",
        ),
    )
    assert ended.code == 0, ended.out + ended.err
    events = ended.events()
    sizes = [(event.before, event.to, event.at) for event in events if isinstance(event, Scaled)]
    over = next(event.at for event in events if isinstance(event, RolloutMoved) and event.ending == "done")
    began = next(event.at for event in events if isinstance(event, Step) and event.why == "upgrade")
    assert any(to > before and began - NS < at < over for before, to, at in sizes), "nothing was added meanwhile"
    shrunk = max(at for before, to, at in sizes if to < before)
    after = [operation.tries[0].result for operation in ended.history() if operation.begin > shrunk]
    assert after
    assert not [result for result in after if not result.isdigit() or result >= "500"], "who goes must drain"
    back = {one.fault: one.capacity for one in find_recoveries(events, [])}
    assert FROZEN_AFTER <= (back[PinnedFault.FREEZE_NEW] or 0) < 30
    assert 0 < (back[PinnedFault.KILL_NEW] or 0) < 20
    store = [event.action for event in events if isinstance(event, ContainerEvent) and event.role == "store"]
    assert store.count("start") <= 1, "the store is nobody's to scale"
