"""What became of each replica, balancer and store, from the deployer's steps, strikes and the engine's own events."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from lab.model import Role, Value
from lab.record import AnyEvent, ContainerEvent, Step, Strike, StrikeUndone

STARTING, SERVING, STANDING_BY, DRAINING = "starting", "serving", "standing by", "draining"
FROZEN, CUT_OFF, KILLED, GONE = "frozen", "cut off", "killed", "gone"
UP, DOWN = "up", "down"

_BY_STEP = {
    "create": STARTING,
    "start": STARTING,
    "ready": STARTING,
    "enter": SERVING,
    "drain": DRAINING,
    "stop": DRAINING,
    "remove": GONE,
}


class ReplicaLane(Value):
    """One replica as it stands."""

    replica: str
    slot: str
    release: str
    state: str


class Lanes:
    """Follows replicas through their lives. A death is `killed` where nobody had told the replica to leave."""

    def __init__(self) -> None:
        self._seen: dict[str, ReplicaLane] = {}
        self._before: dict[str, str] = {}
        self._cuts: set[int] = set()
        """Strikes after which a container lives and nobody reaches it: the engine says nothing that tells it apart."""

    def take(self, event: AnyEvent) -> Iterator[ReplicaLane]:
        """The replicas that are in another state after this event."""
        match event:
            case Step() if event.action in _BY_STEP:
                state = _BY_STEP[event.action]
                yield from self._become(event.replica, event.slot, event.release, state)
                if state == SERVING:
                    yield from self._relieve(event.slot, event.replica)
            case ContainerEvent() if event.role == Role.APP:
                state = self._by_engine(event)
                yield from self._become(event.name, event.slot, event.release, state) if state else ()
            case Strike() if event.victim in self._seen and (event.fault_kind, event.signal) == ("kill", "SIGKILL"):
                # The engine tells it some hundredths of a second later; until then nobody should call it serving.
                yield from self._become(event.victim, event.slot, event.release, KILLED)
            case Strike() if event.victim in self._seen and event.cuts_off:
                self._cuts.add(event.strike)
                self._before[event.victim] = self._seen[event.victim].state
                yield from self._become(event.victim, event.slot, event.release, CUT_OFF)
            case StrikeUndone() if event.strike in self._cuts and self._is(event.victim, CUT_OFF):
                seen = self._seen[event.victim]
                yield from self._become(event.victim, seen.slot, seen.release, self._before[event.victim])
            case _:
                return

    def _relieve(self, slot: str, by: str) -> Iterator[ReplicaLane]:
        """A slot is one replica's: whoever had it is there still, and gets no new requests."""
        for one in list(self._seen.values()):
            if one.slot == slot and one.replica != by and one.state == SERVING:
                yield from self._become(one.replica, slot, one.release, STANDING_BY)

    def _is(self, replica: str, state: str) -> bool:
        return replica in self._seen and self._seen[replica].state == state

    def _by_engine(self, event: ContainerEvent) -> str:
        now = self._seen.get(event.name)
        if now is None:
            return ""
        if event.action == "pause":
            self._before[event.name] = now.state
            return FROZEN
        if event.action == "unpause" and now.state == FROZEN:
            return self._before.get(event.name, SERVING)
        if event.action == "die":
            return GONE if now.state in {DRAINING, GONE} else KILLED
        return GONE if event.action == "destroy" else ""

    def _become(self, replica: str, slot: str, release: str, state: str) -> Iterator[ReplicaLane]:
        before = self._seen.get(replica)
        if not _may_become(before, state):
            return
        is_same = before is not None and before.state != GONE
        now = ReplicaLane(
            replica=replica, slot=slot, release=before.release if before and is_same else release, state=state
        )
        self._seen[replica] = now
        yield now


def _may_become(before: ReplicaLane | None, state: str) -> bool:
    """A replica starts once and what is dead can only go; its name may be another's later."""
    if before is None:
        return state != GONE
    if before.state == GONE:
        return state == STARTING
    return state not in {before.state, STARTING} and (state == GONE or before.state != KILLED)


class TierState(Value):
    """One balancer or store as it stands."""

    name: str
    role: str
    label: str
    state: str


class Tiers:
    """Follows what is not multiplied: balancers and the store, which are started again where they were."""

    def __init__(self) -> None:
        self._seen: dict[str, TierState] = {}
        """By container."""
        self._cut: dict[int, str] = {}
        """Containers that are cut off, by the strikes that did it."""

    def take(self, event: AnyEvent) -> Iterator[TierState]:
        """Those that are in another state after this event."""
        match event:
            case ContainerEvent() if event.role in {Role.BALANCER, Role.STORE} and event.action in _BY_ENGINE:
                label = f"{event.release or event.role} {event.zone}".rstrip()
                seen = TierState(name=event.name, role=event.role, label=label, state=_BY_ENGINE[event.action])
                yield from self._become(event.container, seen)
            case Strike() if event.container in self._seen and event.cuts_off:
                self._cut[event.strike] = event.container
                yield from self._turn(event.container, CUT_OFF)
            case StrikeUndone() if event.strike in self._cut:
                yield from self._turn(self._cut.pop(event.strike), UP)
            case _:
                return

    def _turn(self, container: str, state: str) -> Iterator[TierState]:
        yield from self._become(container, msgspec.structs.replace(self._seen[container], state=state))

    def _become(self, container: str, now: TierState) -> Iterator[TierState]:
        if self._seen.get(container) != now:
            self._seen[container] = now
            yield now


_BY_ENGINE = {"start": UP, "unpause": UP, "pause": FROZEN, "die": DOWN}
