"""Deployers as something that may be struck: the one that leads comes first, and words come from the system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from lab.chaos.faults import FAULTS
from lab.cluster.harm import Crash, Pause, Send, Unpause
from lab.model import Role
from lab.run.strikable_deployers import StrikableDeployers, StrikableUnion
from lab.testing.fake_cluster import FakeHarm
from tests.unit.chaos.making import replica


@dataclass
class Process:
    """A deployer without a process."""

    pid: int
    has_ended: bool = False
    is_frozen: bool = False

    def freeze(self) -> None:
        self.is_frozen = True

    def thaw(self) -> None:
        self.is_frozen = False


@dataclass
class FakeCrew:
    members: list[Process] = field(default_factory=lambda: [Process(7), Process(8)])

    def kill(self, member: Process) -> bool:
        member.has_ended = True
        self.members = [one for one in self.members if one is not member] + [Process(member.pid + 100)]
        return True


@dataclass
class FakeDesk:
    """Says that process 8 leads."""

    def lease(self) -> Any:
        @dataclass
        class Lease:
            holder: str = "host:8:1.00"

        return Lease()


@pytest.fixture
def harm() -> StrikableDeployers:
    return StrikableDeployers(cast(Any, FakeCrew()), cast(Any, FakeDesk()))


def test_whoever_leads_is_struck_first(harm: StrikableDeployers) -> None:
    """`to: deployer` means the one that leads."""
    assert [one.name for one in harm.victims()] == ["deployer 8", "deployer 7"]
    assert {one.role for one in harm.victims()} == {Role.DEPLOYER}


def test_a_kill_is_proved_by_the_process_that_ended_and_another_follows(harm: StrikableDeployers) -> None:
    """Nothing can be done to it twice."""
    assert harm.do("deployer 8", Send(signal="SIGKILL"))
    assert harm.said("deployer 8", "") == ("kill",)
    assert not harm.do("deployer 8", Send(signal="SIGKILL"))
    assert len(harm.victims()) == 2


def test_a_freeze_is_proved_while_it_lasts(harm: StrikableDeployers) -> None:
    """And undone by what undoes a container's."""
    assert harm.do("deployer 7", Pause())
    assert harm.said("deployer 7", "") == ("pause",)
    assert harm.do("deployer 7", Unpause())
    assert harm.said("deployer 7", "") == ()


def test_what_only_a_container_can_suffer_is_not_done(harm: StrikableDeployers) -> None:
    """Nor anything to a process that is none of the crew's."""
    assert not harm.do("deployer 7", Crash())
    assert not harm.do("deployer 9", Send(signal="SIGKILL"))
    assert harm.said("deployer 9", "") == ()


def test_containers_and_deployers_are_struck_through_one_door(harm: StrikableDeployers) -> None:
    """Each act reaches its own kind."""
    target = FakeHarm(there={replica("a1").container: replica("a1")})
    both = StrikableUnion(target, harm)
    since = both.mark()
    assert [one.name for one in both.victims()] == ["a1-1", "deployer 8", "deployer 7"]
    kill = FAULTS["kill"].do(replica("a1"), "SIGKILL")
    assert both.do(replica("a1").container, kill)
    assert both.do("deployer 8", kill)
    assert "kill" in both.said(replica("a1").container, since)
    assert both.said("deployer 8", since) == ["kill"]
    assert not both.do("nobody", kill)
