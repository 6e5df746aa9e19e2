"""Acts on the cluster until it is as wanted: look, decide (`lab.deploy.plan`), do, record, and look again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import msgspec

from lab import record
from lab.balancer.protocol import Balancer
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.cluster.protocol import Cluster
from lab.deploy.plan import Act, Decision, Seen, Step, Wanted, Why, decide
from lab.model import Release, Replica, ReplicaState

Report = Callable[[record.AnyEvent], None]


class Deployer:
    """One thread that keeps a cluster as wanted. Upgrades and replacements go through the same loop.

    It remembers only when it first saw things, so another deployer can go on where this one died. It never
    acts on a replica that it did not see in the same round, and never waits inside an act.
    """

    ROUND = 0.1
    """Seconds between looks while something is under change; an engine event wakes it earlier."""
    IDLE_ROUND = 0.5

    def __init__(
        self,
        cluster: Cluster,
        balancer: Balancer,
        releases: Mapping[str, Release],
        wanted: Wanted,
        report: Report,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._cluster, self._balancer, self._releases = cluster, balancer, releases
        self._report, self._clock = report, clock
        self._wanted = wanted
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deployer", daemon=True)
        self._started_at: dict[str, int] = {}
        self._why: dict[str, Why] = {}
        self._drained_at: dict[str, int] = {}
        self._ready: dict[str, Replica] = {}
        self._upgraded_at: int | None = None
        self._last_serving: dict[str, int] | None = None
        self._settled = False
        self.failed: Replica | None = None
        """The replica whose release did not get ready and was given up, if any."""
        self.error: BaseException | None = None
        """What ended the thread, if anything did."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._wake.set()
        self._thread.join()

    def want(self, wanted: Wanted) -> None:
        """Change what the cluster should become; takes effect in the next round."""
        with self._lock:
            self._wanted, self._settled = wanted, False
        self.wake()

    def wake(self) -> None:
        """Look now: the engine said that something changed."""
        self._wake.set()

    @property
    def is_settled(self) -> bool:
        """Whether the last look found everything as wanted. Raises what ended the thread, if anything did."""
        if self.error is not None:
            raise self.error
        with self._lock:
            return self._settled

    @property
    def wanted(self) -> Wanted:
        with self._lock:
            return self._wanted

    def serving(self) -> list[Replica]:
        """The replicas that answer in their slots and were not told to leave, by the last look."""
        with self._lock:
            return list(self._ready.values())

    def round(self) -> Decision:
        """One look, one decision, and its acts."""
        wanted = self.wanted
        seen = self._look()
        decision = decide(seen, wanted, self._cluster.slots)
        if decision.failed is not None and wanted.previous is not None:
            self._give_up(decision.failed, wanted)
        for step in decision.steps:
            self._do(step)
        with self._lock:
            self._settled = decision.is_settled and self._wanted == wanted
        return decision

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                decision = self.round()
                pause = self.IDLE_ROUND if decision.is_settled else self.ROUND
                if not decision.steps:
                    self._wake.wait(pause)
                self._wake.clear()
        except BaseException as exc:  # noqa: BLE001 -- it goes into the record and to whoever asks `is_settled`
            self.error = exc
            if not self._ending.is_set():
                self._report(record.Trouble(at=self._clock.now(), what=f"the deployer stopped: {exc}"))

    def _look(self) -> Seen:
        replicas = tuple(self._cluster.replicas())
        now = self._clock.now()
        running = {one.container: one for one in replicas if one.state is ReplicaState.RUNNING}
        for container in running:
            self._started_at.setdefault(container, now)
        with self._lock:
            ready = {
                name: one
                for name, one in self._ready.items()
                if one.container in running and one.container not in self._drained_at
            }
        in_question = {one.slot for one in running.values() if ready.get(one.slot) != one}
        answering = self._balancer.answering(sorted(in_question)) if in_question else {}
        for one in running.values():
            if answering.get(one.slot) == one.name and one.container not in self._drained_at:
                if ready.get(one.slot) != one:
                    self._note_ready(one)
                ready[one.slot] = one
        with self._lock:
            self._ready = ready
        self._note_serving(ready)
        return Seen(
            at=self._clock.now(),
            replicas=replicas,
            answering={**answering, **{slot: one.name for slot, one in ready.items()}},
            started_at=self._started_at,
            drained_at=self._drained_at,
            upgraded_at=self._upgraded_at,
        )

    def _do(self, step: Step) -> None:
        replica = step.replica
        if step.act is Act.CREATE:
            slot = next(one for one in self._cluster.slots if one.name == step.slot)
            replica = self._cluster.create(slot, self._releases[step.release])
            self._why[replica.container] = step.why
            self._note(step.act.value, replica, step.why)
            return
        assert replica is not None  # noqa: S101 -- every act but a creation names its replica
        if step.act is Act.START:
            self._started_at[replica.container] = self._clock.now()
            self._why[replica.container] = self._why.get(replica.container, step.why)
            self._note("start", replica, self._why[replica.container])
            self._cluster.start(replica)
        elif step.act is Act.DRAIN:
            self._drained_at[replica.container] = self._clock.now()
            self._note("drain", replica, step.why)
            self._cluster.signal(replica, "SIGTERM")
        elif step.act is Act.STOP:
            self._note("stop", replica, step.why)
            self._cluster.signal(replica, "SIGKILL")
        else:
            told = self._drained_at.pop(replica.container, None)
            self._started_at.pop(replica.container, None)
            self._why.pop(replica.container, None)
            if told is not None:
                self._upgraded_at = self._clock.now()
            self._note("remove", replica, Why.UPGRADE if told is not None else Why.REPLACEMENT, since=told)
            self._cluster.remove(replica)

    def _give_up(self, failed: Replica, wanted: Wanted) -> None:
        """The new release does not get ready: want the previous one again. It is not tried a second time."""
        self.failed = failed
        with self._lock:
            if self._wanted == wanted:
                self._wanted = msgspec.structs.replace(wanted, release=wanted.previous, previous=None)
        self._note("give_up", failed, Why.ROLLBACK)

    def _note_ready(self, replica: Replica) -> None:
        self._note(
            "ready", replica, self._why.get(replica.container, ""), since=self._started_at.get(replica.container)
        )

    def _note_serving(self, ready: Mapping[str, Replica]) -> None:
        by_release: dict[str, int] = {}
        for replica in ready.values():
            by_release[replica.release] = by_release.get(replica.release, 0) + 1
        if by_release != self._last_serving:
            self._last_serving = by_release
            self._report(record.Serving(at=self._clock.now(), by_release=by_release, total=len(ready)))

    def _note(self, action: str, replica: Replica, why: str, *, since: int | None = None) -> None:
        now = self._clock.now()
        self._report(
            record.Step(
                at=now,
                action=action,
                slot=replica.slot,
                replica=replica.name,
                release=replica.release,
                why=str(why),
                seconds=None if since is None else (now - since) / NS,
            )
        )
