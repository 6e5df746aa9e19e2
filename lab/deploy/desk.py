"""Where anybody reads and writes what a cluster should become; deployers do the rest.

Nothing here acts on the cluster, so it works whether or not a deployer runs, and from any process.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lab.clock import NS, Clock
from lab.deploy.results import WINDOW, ReleaseFigures
from lab.deploy.rollout import Desired, Phase, Rollout, RolloutRequest, Strategy, begin_rollout
from lab.errors import ClusterError, UsageError
from lab.model import Release, Replica, Value
from lab.state.change import again_while_stale
from lab.state.documents import decode, encode
from lab.state.protocol import Lease, State


class Status(Value):
    """What the deployer last saw and did; for people and for whoever waits."""

    holder: str
    at: int
    """Wall-clock nanoseconds."""
    desired: int
    """The version of the desired state that this speaks of."""
    is_settled: bool
    serving: tuple[Replica, ...]
    """The replicas that are ready and have their slots."""
    step: str = ""
    """The last thing done."""
    told_to_stop: tuple[str, ...] = ()
    """Containers of apps that know nothing of the lab and got their stop signal: nobody sends it a second time."""


class StoredDesired(Value):
    """A document with the version under which it may be written again."""

    version: int
    desired: Desired


class Desk:
    """The desired state of one cluster, over a State. May be used from several threads if the State may."""

    def __init__(self, state: State, cluster: str, *, clock: Clock) -> None:
        self._state, self._cluster, self._clock = state, cluster, clock
        self._was_there = False

    # the desired state

    def read(self) -> StoredDesired:
        """Raises UsageError where nothing was ever wanted of this cluster, ClusterError where somebody took it down."""
        found = self._state.read(f"{self._cluster}/desired")
        if found is None and self._was_there:
            raise ClusterError("somebody took it down", at=self._cluster, hint=f"lab up -p {self._cluster}")
        if found is None:
            hint = f"lab up -p {self._cluster}; if it is up: lab status -p {self._cluster}   # finds it again"
            raise UsageError("no such cluster", at=self._cluster, hint=hint)
        self._was_there = True
        return StoredDesired(version=found.version, desired=decode(found.body, Desired, at=f"{self._cluster}/desired"))

    def exists(self) -> bool:
        """Whether anything is wanted of this cluster."""
        return self._state.read(f"{self._cluster}/desired") is not None

    def begin(self, desired: Desired) -> None:
        """Want something of a cluster of which nothing is wanted yet, or something else altogether."""
        found = self._state.read(f"{self._cluster}/desired")
        self._put(desired, version=0 if found is None else found.version)
        self._was_there = True

    def write(self, kept: StoredDesired, desired: Desired, lease: Lease) -> StoredDesired:
        """The deployer's way: refused (Stale, Fenced) if anybody wrote since, or leads since."""
        body = encode(desired)
        version = self._state.write(f"{self._cluster}/desired", body, version=kept.version, lease=lease)
        return StoredDesired(version=version, desired=desired)

    def roll(self, to: Release, strategy: Strategy, *, id: str, by: str) -> None:  # noqa: A002 -- the field's own name
        """Want a rollout. Raises UsageError while another one is under way."""
        now = self._now()
        self._change(lambda desired: begin_rollout(desired, to, strategy, id=id, now=now, by=by))

    def approve(self) -> Rollout:
        """Let the rollout go on to its next stage; what was approved is approved once."""

        def approved(rollout: Rollout) -> Rollout:
            if not rollout.strategy.approve:
                raise UsageError("this rollout is not waiting for approval", at=rollout.id, hint="lab status")
            if rollout.phase is not Phase.WATCH:
                raise UsageError(
                    f"it is not waiting for approval yet: {rollout.phase}", at=rollout.id, hint="lab status"
                )
            return msgspec.structs.replace(rollout, approved=rollout.stage + 1)

        return self._change_rollout(approved)

    def ask(self, what: RolloutRequest) -> Rollout:
        """Want the old release back, or the rollout to stop and go back."""
        return self._change_rollout(lambda rollout: msgspec.structs.replace(rollout, asked=what))

    def scale(self, slots: tuple[str, ...]) -> None:
        """Want replicas in these slots and no others; those that lose theirs drain."""
        self._change(lambda desired: msgspec.structs.replace(desired, active=slots))

    # what is

    def status(self) -> Status | None:
        """What the deployer wrote last, if any ever did."""
        found = self._state.read(f"{self._cluster}/status")
        return None if found is None else decode(found.body, Status, at=f"{self._cluster}/status")

    def write_status(self, status: Status, lease: Lease) -> None:
        """The deployer's word. Raises Fenced where it leads no more."""
        key = f"{self._cluster}/status"
        found = self._state.read(key)
        body = encode(status)
        self._state.write(key, body, version=0 if found is None else found.version, lease=lease)

    def is_settled(self) -> bool:
        """Whether the cluster has reached its desired state and no rollout is in progress."""
        return not self.unsettled()

    def unsettled(self) -> str:
        """What is still missing until the cluster reaches its desired state, for a person; "" where nothing is."""
        kept, status = self.read(), self.status()
        rollout = kept.desired.under_way
        if rollout is not None:
            return f"the rollout to {rollout.to.name} is under way, in phase {rollout.phase}"
        if status is None:
            return "no deployer has looked at the cluster yet"
        if status.is_settled and status.desired == kept.version:
            return ""
        served = {replica.slot for replica in status.serving}
        empty = [slot for slot in kept.desired.active if slot not in served]
        last = f"the deployer's last step: {status.step or 'none'}"
        return f"no replica serves in {', '.join(empty)}; {last}" if empty else last

    def lease(self) -> Lease | None:
        """Who leads, if anybody does."""
        return self._state.lease(self._cluster)

    # what users got

    def write_results(self, figures: ReleaseFigures) -> None:
        """What users got from each release lately; whoever watches users writes it for the gate."""
        key = f"{self._cluster}/results"
        found = self._state.read(key)
        body = encode(msgspec.structs.replace(figures, at=self._now()))
        self._state.write(key, body, version=0 if found is None else found.version)

    def results(self) -> ReleaseFigures | None:
        """What users got from each release lately; None where nobody watches them, or no longer does."""
        found = self._state.read(f"{self._cluster}/results")
        if found is None:
            return None
        figures = decode(found.body, ReleaseFigures, at=f"{self._cluster}/results")
        return figures if abs(self._now() - figures.at) <= WINDOW * NS else None

    def _change_rollout(self, change: Callable[[Rollout], Rollout]) -> Rollout:
        def changed(desired: Desired) -> Desired:
            if desired.under_way is None:
                raise UsageError("no rollout is in progress", at=self._cluster, hint="lab roll IMAGE")
            return msgspec.structs.replace(desired, rollout=change(desired.under_way))

        rollout = self._change(changed).rollout
        assert rollout is not None  # noqa: S101 -- `changed` raised otherwise
        return rollout

    def _change(self, change: Callable[[Desired], Desired]) -> Desired:
        def once() -> Desired:
            kept = self.read()
            desired = change(kept.desired)
            self._put(desired, version=kept.version)
            return desired

        return again_while_stale(once)

    def _put(self, desired: Desired, *, version: int) -> None:
        self._state.write(f"{self._cluster}/desired", encode(desired), version=version)

    def _now(self) -> int:
        return int(self._clock.wall().timestamp() * NS)
