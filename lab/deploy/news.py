"""Tells what a deployer sees of its cluster: who got ready, who does not, who was told to stop, and how many serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab import record
from lab.clock import NS, Clock
from lab.cluster.protocol import Cluster
from lab.deploy.look import Lookout
from lab.deploy.plan import ClusterLook, Why
from lab.model import Replica, ReplicaState

TOLD_AFTER = 3.0
"""Seconds after its start in which nobody is told that a replica is not ready yet."""
LOG_LINES, LONGEST_LINE = 5, 160


def serving_in(seen: ClusterLook) -> list[Replica]:
    """Those that answer users: they have their slot, are ready, and were not told to leave."""
    holding = set(seen.holders.values())
    return [
        one
        for one in seen.replicas
        if one.name in holding
        and one.name in seen.ready
        and one.state is ReplicaState.RUNNING
        and one.container not in seen.drained_at
    ]


class News:
    """Compares each look with what was told before, and reports the difference: each fact once.

    `cluster` and `lookout` give those of the present tenure, `say` takes a step, `report` any other event. Nothing here
    acts on the cluster.
    """

    def __init__(
        self,
        cluster: Callable[[], Cluster],
        lookout: Callable[[], Lookout],
        say: Callable[[record.Step], None],
        report: Callable[[record.AnyEvent], None],
        clock: Clock,
    ) -> None:
        self._cluster, self._lookout = cluster, lookout
        self._say, self._report, self._clock = say, report, clock
        self.were_ready: set[str] = set()
        """Those that were ready at some time, by name, for as long as their containers exist: dead ones too."""
        self._saw: dict[str, str] = {}
        self._stops: set[str] = set()
        self._idle: set[str] = set()
        self._serving: dict[str, int] | None = None

    def tell(self, seen: ClusterLook, why: Mapping[str, Why]) -> None:
        """Report what is new in a look; `why` says of a replica, by name, what it was started for."""
        by_name = {one.name: one for one in seen.replicas}
        self.were_ready &= by_name.keys()
        for name in sorted(seen.ready - self.were_ready):
            one = by_name[name]
            started = seen.started_at.get(one.container)
            self._say(
                record.Step(
                    at=self._clock.now(),
                    action="ready",
                    slot=one.slot,
                    replica=one.name,
                    release=one.release,
                    why=str(why.get(one.name, "")),
                    seconds=None if started is None or name not in why else (seen.at - started) / NS,
                )
            )
            self.were_ready.add(name)
        self._tell_not_ready(seen)
        self._tell_stops(seen)
        self._tell_idle(seen)
        self._tell_serving(seen)

    def not_ready(self, one: Replica, saw: str) -> None:
        """Report that a replica is not ready, with what was seen of it and the last lines of its log."""
        wrote = self._cluster().logs(one.container, last=LOG_LINES).splitlines()
        log = tuple(line[:LONGEST_LINE] for line in wrote)
        now = self._clock.now()
        self._report(record.NotReady(at=now, replica=one.name, slot=one.slot, release=one.release, saw=saw, log=log))

    def _tell_not_ready(self, seen: ClusterLook) -> None:
        """Say of whoever is not ready after a while what was asked and what came, whenever that changes."""
        for one in seen.replicas:
            saw = self._lookout().saw.get(one.name, "")
            since = seen.started_at.get(one.container, seen.at)
            is_new = one.name not in self.were_ready and one.state is ReplicaState.RUNNING
            if not is_new or not saw or seen.at - since < TOLD_AFTER * NS or self._saw.get(one.name) == saw:
                continue
            self._saw[one.name] = saw
            self.not_ready(one, saw)

    def _tell_stops(self, seen: ClusterLook) -> None:
        """Say of each app that knows nothing of the lab when it got its stop signal."""
        for one in seen.replicas:
            told = self._cluster().stop_of(one) if one.container not in self._stops else None
            if told is None:
                continue
            self._stops.add(one.container)
            self._lookout().drained_at[one.container] = told.at  # its own time counts from here
            self._report(
                record.AppStopped(
                    at=told.at,
                    replica=one.name,
                    slot=one.slot,
                    service=told.service,
                    signal=told.signal,
                    grace=told.grace,
                    process=told.process,
                    hook=told.hook,
                    heard=told.heard,
                )
            )

    def _tell_idle(self, seen: ClusterLook) -> None:
        """Say once of each replica after which time it closes idle connections."""
        for one in seen.replicas:
            after = self._lookout().idle.get(one.name)
            if after is not None and one.name not in self._idle:
                self._idle.add(one.name)
                self._report(record.IdleClosed(at=self._clock.now(), replica=one.name, slot=one.slot, after=after))

    def _tell_serving(self, seen: ClusterLook) -> None:
        serving = serving_in(seen)
        by_release: dict[str, int] = {}
        for one in serving:
            by_release[one.release] = by_release.get(one.release, 0) + 1
        if by_release != self._serving:
            self._serving = by_release
            self._report(record.Serving(at=self._clock.now(), by_release=by_release, total=len(serving)))
