"""What faults really do to real containers, and that nobody else feels them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from lab.backends.abilities import try_abilities
from lab.chaos.faults import FAULTS, cut_from
from lab.chaos.monkey import choose_victim, is_opted_in
from lab.chaos.schedule import MonkeySettings
from lab.cluster.cutter import remove_cutters, run_cutter
from lab.cluster.harm import Send, Victim
from lab.cluster.tear_down import remove_container
from lab.machine import labels
from lab.machine.engine import try_connect
from lab.machine.labels import IDENTIFYING
from lab.machine.setup import Toolbox
from lab.model import Replica, ReplicaState
from lab.retry import wait_until
from lab.run.strike_steps import pick_fault
from tests.yard import Yard

pytestmark = pytest.mark.e2e

PICKS, STRUCK_OF = 1000, 10
"""Random picks, and of how many one is really struck: an engine needs 20 ms for each."""
SETTINGS = MonkeySettings(groups=("app/a", "balancer"), least_serving=1)


@pytest.fixture(autouse=True)
def tidy(yard: Yard) -> Iterator[None]:
    """Each test's containers go with it."""
    yield
    for one in yard.target.victims():
        remove_container(yard.engine, one.container)


@pytest.mark.parametrize(("signal", "code"), [("SIGKILL", 137), ("SIGTERM", 0), ("SIGINT", 0)])
def test_a_kill_is_the_signal_that_was_asked_for(yard: Yard, signal: str, code: int) -> None:
    """SIGKILL leaves no time to be tidy; SIGTERM and SIGINT are a request that the process answers as it likes."""
    victim, since = yard.make("app", "a1"), yard.target.mark()
    assert yard.target.do(victim.container, Send(signal=signal))
    wait_until("it has ended", lambda: not yard.state(victim)["State"]["Running"], within=10, every=0.05)
    assert yard.state(victim)["State"]["ExitCode"] == code
    assert yard.target.said(victim.container, since)[:2] == ["kill", "die"]


def test_an_engine_is_said_to_do_what_it_does(toolbox: Toolbox) -> None:
    """What the tests here do to containers is found possible by a trial, too: else scenarios would be refused."""
    assert try_abilities(toolbox).impossible == {}


def test_a_restart_policy_takes_a_kill_for_a_request_and_a_crash_for_a_fault(yard: Yard) -> None:
    """Killed from outside it stays dead, whatever its policy; crashed from inside the engine starts it again."""
    always = {"RestartPolicy": {"Name": "always"}}
    killed, crashed = yard.make("app", "a1", **always), yard.make("app", "a2", **always)
    assert yard.target.do(killed.container, FAULTS["kill"].do(killed, "SIGKILL"))
    assert yard.target.do(crashed.container, FAULTS["crash"].do(crashed, "SIGKILL"))
    wait_until("it was restarted", lambda: yard.state(crashed)["RestartCount"] >= 1, within=10, every=0.05)
    wait_until("it answers again", lambda: yard.ping(crashed, reads(yard, crashed)), within=10, every=0.05)
    assert not yard.state(killed)["State"]["Running"]
    assert yard.state(killed)["RestartCount"] == 0


def test_a_squeezed_container_is_ended_by_the_kernel_and_that_is_said(yard: Yard) -> None:
    """Out of memory, by the engine's own word, which a kill from outside never gets."""
    squeezed, killed, since = yard.make("app", "a1"), yard.make("app", "a2"), yard.target.mark()
    assert yard.target.do(squeezed.container, FAULTS["squeeze"].do(squeezed, "SIGKILL"))
    assert yard.target.do(killed.container, FAULTS["kill"].do(killed, "SIGKILL"))
    wait_until("it has ended", lambda: not yard.state(squeezed)["State"]["Running"], within=15, every=0.05)
    assert "oom" in yard.target.said(squeezed.container, since)
    assert yard.state(squeezed)["State"]["ExitCode"] == 137
    assert "oom" not in yard.target.said(killed.container, since)


def reads(yard: Yard, victim: Victim) -> Victim:
    found = yard.target.read(victim.container)
    assert found is not None
    return found


CONNECTED = """
exec 3<>/dev/tcp/$0/6379
ask() { printf 'PING\\r\\n' >&3; IFS= read -r -t "$1" said <&3 && echo "$said" || echo silence; }
ask 2 >/dev/shm/before
until [ -e /dev/shm/cut ]; do sleep 0.02; done
ask 0.7 >/dev/shm/meanwhile
until [ -e /dev/shm/mended ]; do sleep 0.02; done
IFS= read -r -t 10 said <&3 && echo "$said" >/dev/shm/after
"""
"""One connection that is open all the while; what it got is in files of the container."""
SHM = "/dev/shm"  # noqa: S108 -- inside a container


def test_a_cut_from_the_store_lets_no_packet_pass_and_hurts_nobody_else(yard: Yard) -> None:
    """Neither way, neither on a new nor on an open connection; what was sent meanwhile arrives once it is mended.

    Its neighbours, a look-alike among them, reach the store as before, and it reaches them.
    """
    store, victim, other = yard.make("store", "b1"), yard.make("app", "a1"), yard.make("app", "a2")
    stranger = Victim(container=yard.make_any({labels.SLOT: "a1", labels.ROLE: "app"}), name="", role=victim.role)
    try:
        yard.engine.start(stranger.container)
        with connected(yard, victim, store):
            wait_until("it is connected", lambda: written(yard, victim, "before") == "+PONG", within=5, every=0.05)
            cut, since = cut_from([store], "store"), yard.target.mark()
            assert yard.target.do(victim.container, cut.do(victim, "SIGKILL"))
            assert "severed" in yard.target.said(victim.container, since)
            yard.inside(victim, "touch", f"{SHM}/cut")
            assert not yard.ping(victim, store, within="0.4")
            assert not yard.ping(store, victim, within="0.4")
            assert yard.ping(victim, other)
            assert yard.ping(other, victim)
            assert all(yard.ping(one, store) for one in (other, stranger))
            wait_until("it has waited", lambda: written(yard, victim, "meanwhile"), within=5, every=0.05)
            assert written(yard, victim, "meanwhile") == "silence"
            assert yard.target.do(victim.container, cut.undo(victim)[0])
            yard.inside(victim, "touch", f"{SHM}/mended")
            assert yard.ping(victim, store)
            assert yard.ping(store, victim)
            wait_until("the answer came", lambda: written(yard, victim, "after") == "+PONG", within=10, every=0.05)
    finally:
        remove_container(yard.engine, stranger.container)
    assert cutters(yard) == []


@contextmanager
def connected(yard: Yard, victim: Victim, store: Victim) -> Iterator[None]:
    """A connection of the victim's to the store, open while the block runs."""
    made = yard.engine.exec_create(victim.container, ["bash", "-c", CONNECTED, store.addresses[0]])
    yard.engine.exec_start(made["Id"], detach=True)
    yield
    wait_until("it has ended", lambda: not yard.engine.exec_inspect(made["Id"])["Running"], within=10, every=0.05)


def written(yard: Yard, victim: Victim, file: str) -> str:
    return yard.inside(victim, "cat", f"{SHM}/{file}")[1].strip() if file_is_there(yard, victim, file) else ""


def file_is_there(yard: Yard, victim: Victim, file: str) -> bool:
    return yard.inside(victim, "test", "-s", f"{SHM}/{file}")[0] == 0


def cutters(yard: Yard) -> list[str]:
    only = {"label": [f"lab.project={yard.identity.project}", "lab.role=cutter"]}
    return [one["Id"] for one in yard.engine.containers(all=True, filters=only)]


def test_a_cut_where_nobody_talks_is_not_said_to_have_severed_anything(yard: Yard) -> None:
    """It is done, and mended, but the engine's word for it is another, so that no such strike counts as a hit."""
    idle, victim = yard.make("store", "b1"), yard.make("app", "a1")
    cut, since = cut_from([idle], "store"), yard.target.mark()
    assert yard.target.do(victim.container, cut.do(victim, "SIGKILL"))
    assert yard.target.said(victim.container, since) == ["not connected"]
    assert yard.target.do(victim.container, cut.undo(victim)[0])


def test_a_cut_ends_with_the_life_of_its_victim_and_needs_no_address_of_it(yard: Yard) -> None:
    """At a new address it is still cut off; started again it is not, and there is nothing left to mend."""
    store, victim = yard.make("store", "b1"), yard.make("app", "a1")
    cut = cut_from([store], "store")
    assert yard.target.do(victim.container, cut.do(victim, "SIGKILL"))
    yard.engine.disconnect_container_from_network(victim.container, yard.network)
    taken = yard.make("app", "c1")
    assert taken.addresses == victim.addresses
    yard.engine.connect_container_to_network(victim.container, yard.network)
    moved = reads(yard, victim)
    assert moved.addresses != victim.addresses
    assert not yard.ping(moved, store, within="0.4")
    assert yard.ping(taken, store)
    yard.engine.restart(victim.container, timeout=0)
    wait_until("it reaches the store", lambda: yard.ping(victim, store), within=10, every=0.05)
    assert not yard.target.do(victim.container, cut.undo(victim)[0])


def test_a_zone_is_cut_from_another_and_from_no_third(yard: Yard) -> None:
    """Whatever is in the one can't reach what is in the other; both reach the rest."""
    app, far, third = yard.make("app", "a1"), yard.make("store", "b8"), yard.make("store", "c8")
    fault = pick_fault("cut", "zone/a", "zone/b", yard.target.victims(), [app])
    assert yard.target.do(app.container, fault.do(app, "SIGKILL"))
    assert not yard.ping(app, far, within="0.4")
    assert not yard.ping(far, app, within="0.4")
    assert all(yard.ping(one, third) and yard.ping(third, one) for one in (app, far))
    assert yard.target.do(app.container, fault.undo(app)[0])
    assert yard.ping(app, far)


def test_nothing_is_cut_in_a_network_that_is_gone(yard: Yard) -> None:
    """A victim that dies, or is replaced, just before is no error: nothing was done to it, and no helper is left."""
    for end in (yard.engine.kill, lambda one: remove_container(yard.engine, one)):
        victim = yard.make("app", "a1")
        end(victim.container)
        assert not run_cutter(yard.engine, victim.container, yard.identity, "sever", ["10.9.9.9"])
    assert cutters(yard) == []


def test_what_a_killed_lab_left_in_the_middle_of_a_cut_is_removed(yard: Yard) -> None:
    """A helper that nobody waits for any more is found by its labels alone; one of another cluster stays."""
    project = yard.identity.project
    left = yard.make_any({**yard.identity.labels(labels.CUTTER), labels.CUT_OFF: "f" * 64})
    other = yard.make_any({**yard.identity.labels(labels.CUTTER), labels.PROJECT: f"{project}-too"})
    try:
        assert cutters(yard) == [left]
        remove_cutters(yard.engine, project)
        assert cutters(yard) == []
        assert yard.engine.inspect_container(other)["Id"] == other
    finally:
        remove_container(yard.engine, other)


def test_a_thousand_picks_touch_only_what_has_opted_in(yard: Yard) -> None:
    """The monkey's own choice, and a signal that hurts nobody, on an engine full of look-alikes: by the engine's own
    events each of those that may be struck was, and nobody else."""
    picked = list[str]()
    mine = {yard.make("app", slot).container for slot in ("a1", "a2")} | {yard.make("balancer", "a9").container}
    yard.make("app", "b1")
    yard.make("store", "a8")
    strangers = list(look_alikes(yard))
    try:
        for one in strangers:
            yard.engine.start(one)
        with kills(yard) as killed:
            for seed in range(PICKS):
                if seed % 50 == 0:
                    there = yard.target.victims()
                may = [one for one in there if is_opted_in(one, SETTINGS.groups)]
                victim = choose_victim(there, [as_replica(one) for one in may], 1, SETTINGS, Random(seed))
                assert victim is not None
                picked.append(victim.container)
                if seed % STRUCK_OF == 0:
                    assert yard.target.do(victim.container, Send(signal="SIGURG"))
            wait_until("every kill was heard", lambda: len(killed) >= PICKS // STRUCK_OF, within=10, every=0.05)
        assert set(picked) == set(killed) == mine
        assert killed == picked[::STRUCK_OF]
        for one in strangers:
            assert not yard.target.do(one, Send(signal="SIGKILL"))
            assert yard.engine.inspect_container(one)["State"]["Running"]
    finally:
        for one in strangers:
            remove_container(yard.engine, one)


def look_alikes(yard: Yard) -> Iterator[str]:
    """Another lab's, copies with all labels but one, one that is not the app's, and a name alone."""
    full, project = yard.labels("app", "a1"), yard.identity.project
    yield yard.make_any({**full, labels.PROJECT: f"{project}-too"}, name=f"{project}-a1-1")
    yield yard.make_any({}, name=f"{project}-a1-1.e1")
    yield yard.make_any({**full, labels.ROLE: "application"})
    yield yard.make_any({**full, labels.ROLE: "gate"})
    yield yard.make_any({**full, labels.EXPIRES: "never"})
    for one in IDENTIFYING:
        yield yard.make_any({**full, one: ""})


def as_replica(victim: Victim) -> Replica:
    return Replica(
        container=victim.container,
        name=victim.name,
        slot=victim.slot,
        zone=victim.zone,
        release="v1",
        state=ReplicaState.RUNNING,
    )


@contextmanager
def kills(yard: Yard) -> Iterator[list[str]]:
    """Every container of the whole engine that gets this signal while the block runs, in the engine's own words."""
    client, heard = try_connect(timeout=60), list[str]()
    assert client is not None
    asked: dict[str, Any] = {"since": yard.target.mark(), "filters": {"type": "container", "event": "kill"}}
    stream = client.events(**asked, decode=True)

    def listen() -> None:
        heard.extend(one["id"] for one in stream if one["Actor"]["Attributes"].get("signal") == "23")

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        stream.close()
        thread.join(5)
        client.close()


def test_a_limit_in_processors_is_slowed_and_given_back(yard: Yard) -> None:
    """`cpus: 0.5` of a compose file is no quota to the engine, which refuses the one for the other."""
    victim, slow = yard.make("app", "a1", NanoCpus=500_000_000), FAULTS["slow"]
    assert yard.target.do(victim.container, slow.do(victim, "SIGKILL"))
    assert yard.state(victim)["HostConfig"]["NanoCpus"] == 50_000_000
    for harm in slow.undo(victim):
        assert yard.target.do(victim.container, harm)
    assert yard.state(victim)["HostConfig"]["NanoCpus"] == 500_000_000
    assert yard.target.read(victim.container) == victim
