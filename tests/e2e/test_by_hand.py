"""Rollouts by hand on real containers, with the state in a real Redis as where several machines deploy."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import Popen

import pytest

from lab.clock import SYSTEM_CLOCK
from lab.deploy.desk import Desk
from lab.deploy.rollout import Ending, Phase, Rollout
from lab.machine.places import Places
from lab.machine.setup import Toolbox
from lab.retry import wait_until
from lab.state.file import FileState
from lab.state.redis import RedisState
from tests.e2e.runs import Ended, is_gone, lab, start, wait

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time]


@dataclass
class Hand:
    """A person at a terminal, who deploys to one cluster, and the desk at which the test looks on."""

    project: str
    state: str
    desk: Desk

    def do(self, *argv: str) -> Ended:
        """One command to its end."""
        return lab(*argv, "--project", self.project, LAB_STATE=self.state)

    @contextmanager
    def meanwhile(self, *argv: str) -> Iterator[Popen[str]]:
        """One command in another terminal."""
        with start(*argv, "--project", self.project, LAB_STATE=self.state) as process:
            yield process

    def wait_for(self, phase: Phase, stage: int = 0) -> None:
        """The rollout is that far."""

        def is_there() -> bool:
            rollout = self.desk.read().desired.rollout  # none, until whoever was started has written it
            return rollout is not None and (rollout.phase, rollout.stage) == (phase, stage)

        wait_until(f"the rollout is at {phase} {stage}", is_there, within=60)

    def be_at_v2(self) -> None:
        """As the first test leaves it, whichever tests were run here before."""
        if set(self.serving().values()) != {"v2"}:
            rolled = self.do("roll", "shop:v2")
            assert rolled.code == 0, rolled.out + rolled.err

    def rollout(self) -> Rollout:
        rollout = self.desk.read().desired.rollout
        assert rollout is not None
        return rollout

    def serving(self) -> dict[str, str]:
        """The release that each slot serves, by the deployer's last word."""
        status = self.desk.status()
        return {one.slot: one.release for one in status.serving} if status is not None else {}


@pytest.fixture(scope="module")
def hand(toolbox: Toolbox, redis_url: str) -> Iterator[Hand]:
    """A cluster of six replicas of v1, of which nothing is in the checkout's own file."""
    project = f"lab-hand-{secrets.token_hex(3)}"
    with RedisState(redis_url) as state:
        hand = Hand(project=project, state=redis_url, desk=Desk(state, project, clock=SYSTEM_CLOCK))
        try:
            up = hand.do("up")
            assert up.code == 0, up.out + up.err
            yield hand
        finally:
            down = hand.do("down")
        assert down.code == 0
        assert is_gone(toolbox, project)
        assert not hand.desk.exists()


@pytest.mark.prove
def test_whoever_comes_next_goes_on_where_a_killed_deployer_was(hand: Hand, places: Places) -> None:
    """`kill -9` of `lab roll`; `lab lock` says who is gone, at which step, and what to do; `lab resume` does it."""
    with hand.meanwhile("roll", "shop:v2") as deployer:
        wait_until("two slots serve v2", lambda: list(hand.serving().values()).count("v2") == 2, within=60)
        deployer.kill()
        deployer.communicate()
    said = hand.do("lock")
    assert said.code == 4
    for word in ("to v2 (rolling)", "last step: ", f":{deployer.pid}:", "is gone; continue with: lab resume"):
        assert word in said.out
    assert "lab resume" in hand.do("status").out
    resumed = hand.do("resume")
    assert resumed.code == 0, resumed.out + resumed.err
    assert list(hand.serving().values()) == ["v2"] * 6
    assert hand.rollout().ending is Ending.DONE
    assert len({note.holder for note in hand.rollout().history}) == 2
    with FileState(places.state) as state:
        assert state.read(f"{hand.project}/desired") is None


@pytest.mark.prove
def test_a_person_approves_a_stage_and_aborts_at_the_next(hand: Hand) -> None:
    """The rollout waits for a word at each share, and says for which; an abort sends all back: exit 3 for both."""
    hand.be_at_v2()
    with hand.meanwhile(
        "roll", "shop:v1", "--strategy", "canary", "--shares", "0.1,0.3,1", "--hold", "0", "--approve"
    ) as deployer:
        hand.wait_for(Phase.WATCH)
        assert "waits for: lab approve (or lab abort)" in hand.do("lock").out
        assert hand.do("approve").code == 0
        hand.wait_for(Phase.WATCH, 1)
        assert sorted(hand.serving().values()) == ["v1"] * 2 + ["v2"] * 4
        assert hand.do("abort").code == 3
        assert wait(deployer).code == 3
    assert list(hand.serving().values()) == ["v2"] * 6
    assert hand.rollout().ending is Ending.ABORTED
    assert hand.do("approve").code == 2


@pytest.mark.prove
def test_a_group_that_stands_by_is_brought_back_by_hand_and_zones_are_scaled(hand: Hand) -> None:
    """`lab reverse` while the old group is kept: exit 3; `lab scale` takes one replica of one zone away."""
    hand.be_at_v2()
    with hand.meanwhile("roll", "shop:v1", "--strategy", "red-black", "--batch", "6", "--keep", "60") as deployer:
        hand.wait_for(Phase.KEEP)
        assert list(hand.serving().values()) == ["v1"] * 6
        assert hand.do("reverse").code == 3
        assert wait(deployer).code == 3
    assert list(hand.serving().values()) == ["v2"] * 6
    assert hand.do("scale", "a=1").code == 0
    assert sorted(hand.serving()) == ["a1", "b1", "b2", "c1", "c2"]
