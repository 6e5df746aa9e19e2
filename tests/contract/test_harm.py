"""What may be done to one container and taken back: the same suite for the fake and for Docker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
import pytest

from lab.chaos.faults import FAULTS, Fault, cut_from
from lab.cluster.harm import Sever, Start, Strikable, Victim
from lab.cluster.tear_down import remove_container
from lab.model import Role
from lab.retry import wait_until
from lab.testing.fake_cluster import FakeHarm
from lab.testing.in_process.world import World
from tests.yard import Yard


@dataclass
class Ground:
    """A place where victims can be made."""

    target: Strikable
    make: Callable[[str, str], Victim]
    """From a role and a slot."""


@dataclass
class FakeYard:
    target: FakeHarm = field(default_factory=FakeHarm)

    def make(self, role: str, slot: str) -> Victim:
        number = len(self.target.there) + 1
        victim = Victim(
            container=f"{number:064x}",
            name=f"{slot}-1",
            role=Role(role),
            slot=slot,
            zone=slot[0],
            memory=64 * 2**20,
            memory_swap=128 * 2**20,
            networks={"inside": ()},
            addresses=(f"10.0.0.{number}",),
        )
        self.target.there[victim.container] = victim
        return victim


@pytest.fixture(params=["fake", "in process", pytest.param("docker", marks=pytest.mark.e2e)])
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    made: FakeYard | Yard
    if request.param == "in process":
        world = World("lab-contract", (), {}, None, asyncio.new_event_loop())
        made = FakeYard(world)
        request.addfinalizer(world.loop.close)
    else:
        made = FakeYard() if request.param == "fake" else request.getfixturevalue("yard")
    before = {one.container for one in made.target.victims()}
    yield Ground(target=made.target, make=made.make)
    if isinstance(made, Yard):
        for one in made.target.victims():
            if one.container not in before:
                remove_container(made.engine, one.container)


def reads(target: Strikable, victim: Victim) -> Victim:
    found = target.read(victim.container)
    assert found is not None
    return found


def says(target: Strikable, victim: Victim, since: str, word: str) -> bool:
    return wait_until(word, lambda: word in target.said(victim.container, since), within=5, every=0.05)


ENDING = [FAULTS[name] for name in ("kill", "crash", "stop", "squeeze")]
LASTING = [FAULTS[name] for name in ("freeze", "slow", "cut")]


@pytest.mark.parametrize("fault", ENDING, ids=lambda fault: fault.name)
def test_what_ends_its_victim_is_said_and_done_once(ground: Ground, fault: Fault) -> None:
    """The engine says the word that proves it; nothing more can be done to it, but starting it again."""
    victim, since = ground.make("app", "a1"), ground.target.mark()
    assert ground.target.do(victim.container, fault.do(victim, "SIGKILL"))
    assert says(ground.target, victim, since, fault.proof)
    wait_until("it has ended", lambda: not reads(ground.target, victim).is_running, within=15, every=0.05)
    assert not ground.target.do(victim.container, fault.do(victim, "SIGKILL"))
    assert ground.target.do(victim.container, Start())
    assert reads(ground.target, victim).is_running
    assert not ground.target.do(victim.container, Start())


@pytest.mark.parametrize("fault", LASTING, ids=lambda fault: fault.name)
def test_what_lasts_is_said_and_undone(ground: Ground, fault: Fault) -> None:
    """Afterwards it is as it was before, as far as it can be read."""
    victim, since = ground.make("app", "a1"), ground.target.mark()
    assert ground.target.do(victim.container, fault.do(victim, "SIGKILL"))
    assert says(ground.target, victim, since, fault.proof)
    assert reads(ground.target, victim) != victim
    for harm in fault.undo(victim):
        assert ground.target.do(victim.container, harm)
    after = msgspec.structs.replace(reads(ground.target, victim), addresses=victim.addresses)
    assert after == victim


def test_a_cut_from_somebody_is_said_done_once_and_undone(ground: Ground) -> None:
    """Each pair is a cut of its own; one that was never made can't be mended."""
    store, other, victim = (ground.make(role, slot) for role, slot in (("store", "b1"), ("store", "c1"), ("app", "a1")))
    since = ground.target.mark()
    cut, second = cut_from([store], "store"), cut_from([store, other], "both")
    assert not ground.target.do(victim.container, cut.undo(victim)[0])
    assert ground.target.do(victim.container, cut.do(victim, "SIGKILL"))
    assert not ground.target.do(victim.container, cut.do(victim, "SIGKILL"))
    assert ground.target.do(victim.container, second.do(victim, "SIGKILL"))
    assert ground.target.do(victim.container, cut.undo(victim)[0])
    assert not ground.target.do(victim.container, cut.undo(victim)[0])
    assert ground.target.do(victim.container, second.undo(victim)[0])
    assert says(ground.target, victim, since, "mended")
    assert ground.target.said(store.container, since) == []


@pytest.mark.parametrize("fault", LASTING, ids=lambda fault: fault.name)
def test_nothing_is_done_to_what_does_not_run(ground: Ground, fault: Fault) -> None:
    """A dead one is not harmed, and what it lost by its death is not undone; nor is anything done to what is gone."""
    victim = ground.make("app", "a1")
    assert ground.target.do(victim.container, FAULTS["kill"].do(victim, "SIGKILL"))
    wait_until("it has ended", lambda: not reads(ground.target, victim).is_running, within=5, every=0.05)
    for harm in (fault.do(victim, "SIGKILL"), *fault.undo(victim), Sever(addresses=("10.9.9.9",))):
        assert not ground.target.do(victim.container, harm)
        assert not ground.target.do("f" * 64, harm)
