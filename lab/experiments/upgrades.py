"""Ways of upgrading under one and the same load: what users got, how long it took, how much it needed at the peak."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from random import Random

import msgspec

from lab import record
from lab.backends import peer
from lab.backends.choose import backend_on
from lab.backends.protocol import ClusterOrder
from lab.clock import NS, SYSTEM_CLOCK
from lab.deploy.rollout import Canary, RedBlack, Rolling, Strategy, first_desired
from lab.machine.labels import Identity
from lab.machine.projects import run_identity
from lab.machine.setup import Toolbox
from lab.model import Operation, ReplicaState, Value
from lab.oracle.service import is_proper
from lab.retry import wait_until
from lab.run.deployed import deployed, wait_settled
from lab.scenario.spec import ClusterSpec
from lab.users import Crowd, CrowdSize, Door, Tries

LOOK_EVERY = 0.15
BEFORE = 2.0
"""Seconds of steady load before an upgrade begins."""
BIN = 0.5
"""Seconds of one bar of the picture."""
WITHIN = 180.0


class UserLoad(Value):
    """Who shops meanwhile: the same for every way. One seed draws the same users and the same plans."""

    users: int = 60
    on_two_devices: float = 1 / 3
    think: float = 0.3
    tries: int = 1
    seed: int = 11


class Bin(Value):
    """What became of the operations that began in half a second."""

    clean: int = 0
    saved: int = 0
    lost: int = 0


class UpgradeFigures(Value):
    """One way's figures."""

    way: str
    seconds: float
    requests: int
    """Operations that began while it went on."""
    failed: int
    """Of these: the first try got no proper answer."""
    saved: int
    """Of those: a later try did."""
    peak: int
    """The most containers of the app that ran at once."""
    bins: tuple[Bin, ...] = ()
    """From BEFORE seconds before its begin on."""
    unavoidable: float | None = None
    """Seconds from start to ready and from being told to leave to gone, which the batches make unavoidable."""

    @property
    def lost(self) -> int:
        """Operations of which no try got a proper answer."""
        return self.failed - self.saved

    def line(self) -> str:
        """For the bench."""
        share = 100 * self.failed / self.requests if self.requests else 0
        times = "" if self.unavoidable is None else f"   {self.seconds / self.unavoidable:.2f}x of what it must take"
        return (
            f"{self.way:<38} {self.failed:>5} of {self.requests:>5} failed ({share:5.2f} %)  {self.seconds:6.1f} s"
            f"  {self.peak:>2} at the peak{times}"
        )


OURS: Mapping[str, Strategy] = {
    "rolling": Rolling(),
    "red-black": RedBlack(batch=3, keep=0),
    "canary": Canary(hold=1),
}
"""The lab's own ways in a duel."""
WAYS = (*peer.WAYS, *OURS)
"""All ways of a duel, in its order."""


def upgrade_by(way: str, toolbox: Toolbox, load: UserLoad, before: str, to: str) -> UpgradeFigures:
    """Upgrade a cluster of its own by one way, under this load."""
    if way in peer.WAYS:
        return upgrade_peer(way, toolbox, load, before, to)
    return upgrade_here(way, OURS[way], toolbox, load, before, to)


def upgrade_peer(way: str, toolbox: Toolbox, load: UserLoad, before: str, to: str, *, told: str = "") -> UpgradeFigures:
    """By somebody else's way. `told` is how it is called."""
    with peer.peer(toolbox, _identity(), before) as one:
        peer.bring_up(one, before)
        return measured(
            told or way, one.address(), load, lambda: peer.WAYS[way](one, to), count=lambda: len(one.apps())
        )


def upgrade_here(
    way: str, strategy: Strategy, toolbox: Toolbox, load: UserLoad, before: str, to: str, *, leaving: int = 1
) -> UpgradeFigures:
    """By one of the lab's strategies. `leaving` slots leave at once at the end."""
    backend, spec = backend_on(toolbox), ClusterSpec(release=before)
    old, new, slots = backend.release(before), backend.release(to), spec.slots
    ready: list[float] = []
    drained: list[float] = []

    def note(event: record.AnyEvent) -> None:
        if isinstance(event, record.Step) and event.seconds is not None:
            {"ready": ready, "remove": drained}.get(event.action, []).append(event.seconds)

    with (
        backend.bring_up(ClusterOrder(identity=_identity(), spec=spec)) as live,
        backend.state() as state,
        deployed(live, state, note, first=first_desired(old, slots)) as (desk, deployer),
    ):
        wait_settled(desk, deployer, within=90)
        ready.clear()

        def running() -> int:
            return sum(one.state is ReplicaState.RUNNING for one in live.cluster.replicas())

        def act() -> None:
            desk.roll(new, strategy, id="duel", by="the duel")
            wait_settled(desk, deployer, within=WITHIN)

        seen = measured(way, live.doors[0], load, act, count=running)
    must = sum(ready) / strategy.at_once(len(slots)) + sum(drained) / leaving
    return msgspec.structs.replace(seen, unavoidable=must)


def measured(
    way: str, address: tuple[str, int], load: UserLoad, act: Callable[[], None], *, count: Callable[[], int]
) -> UpgradeFigures:
    """What users get while `act` upgrades; `count` says how many containers of the app run."""
    with shopping(*address, load) as seen, counting(count) as peak:
        began = SYSTEM_CLOCK.now()
        act()
        ended = SYSTEM_CLOCK.now()
    return measure(way, seen, began, ended, peak=peak[0])


@contextmanager
def shopping(host: str, port: int, load: UserLoad) -> Iterator[list[Operation]]:
    """The same users for all: logged in before, shopping while the block runs."""
    seen: list[Operation] = []
    with Crowd(
        [Door(host=host, port=port)],
        CrowdSize(users=load.users, two_devices=load.on_two_devices, think=load.think),
        chance=Random(load.seed),
        on_operation=seen.append,
        policy=Tries(most=load.tries, timeout=10),
    ) as crowd:
        crowd.log_in(60)
        crowd.shop()
        warm = SYSTEM_CLOCK.now() + int(BEFORE * NS)
        wait_until("the load is steady", lambda: SYSTEM_CLOCK.now() > warm, within=BEFORE + 3)
        yield seen
        crowd.settle(30)


@contextmanager
def counting(count: Callable[[], int]) -> Iterator[list[int]]:
    """The most that `count` ever said while the block ran, in a list of one."""
    peak, ending = [0], threading.Event()

    def look() -> None:
        while not ending.wait(LOOK_EVERY):
            peak[0] = max(peak[0], count())

    thread = threading.Thread(target=look, name="peak", daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ending.set()
        thread.join()


def measure(way: str, seen: list[Operation], began: int, ended: int, *, peak: int) -> UpgradeFigures:
    """What became of the operations that began while the upgrade went on."""
    during = [one for one in seen if one.tries and began <= one.begin <= ended]
    failed = [one for one in during if not is_proper(one.tries[0], one)]
    return UpgradeFigures(
        way=way,
        seconds=(ended - began) / NS,
        requests=len(during),
        failed=len(failed),
        saved=sum(is_proper(one.answered, one) for one in failed),
        peak=peak,
        bins=bins_of(seen, began - int(BEFORE * NS), ended),
    )


def bins_of(seen: list[Operation], since: int, until: int) -> tuple[Bin, ...]:
    """How the operations fared, by the half second in which they began."""
    many = max(1, -(-(until - since) // int(BIN * NS)))
    counts = [[0, 0, 0] for _ in range(many)]
    for one in seen:
        if one.tries and since <= one.begin < until:
            fared = 0 if is_proper(one.tries[0], one) else 1 if is_proper(one.answered, one) else 2
            counts[(one.begin - since) // int(BIN * NS)][fared] += 1
    return tuple(Bin(clean=clean, saved=saved, lost=lost) for clean, saved, lost in counts)


def _identity() -> Identity:
    return run_identity(f"duel-{secrets.token_hex(3)}")
