"""What became of each replica, from the deployer's steps and the engine's own events."""

from __future__ import annotations

from collections.abc import Iterator

from lab.model import Role, Value
from lab.record import AnyEvent, ContainerEvent, Step, Strike

STARTING, SERVING, DRAINING = "starting", "serving", "draining"
FROZEN, KILLED, GONE = "frozen", "killed", "gone"

_BY_STEP = {
    "create": STARTING,
    "start": STARTING,
    "ready": STARTING,
    "enter": SERVING,
    "drain": DRAINING,
    "stop": DRAINING,
    "remove": GONE,
}


class Seen(Value):
    """One replica as it stands."""

    replica: str
    slot: str
    release: str
    state: str


class Lanes:
    """Follows replicas through their lives. A death is `killed` where nobody had told the replica to leave."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self._thawed: dict[str, str] = {}

    def take(self, event: AnyEvent) -> Iterator[Seen]:
        """The replicas that are in another state after this event."""
        match event:
            case Step() if event.action in _BY_STEP:
                state = _BY_STEP[event.action]
                yield from self._become(event.replica, event.slot, event.release, state)
            case ContainerEvent() if event.role == Role.APP:
                state = self._by_engine(event)
                yield from self._become(event.name, event.slot, event.release, state) if state else ()
            case Strike() if event.victim in self._seen and event.fault.startswith("SIGKILL"):
                # The engine tells it some hundredths of a second later; until then nobody should call it serving.
                yield from self._become(event.victim, event.slot, event.release, KILLED)
            case _:
                return

    def _by_engine(self, event: ContainerEvent) -> str:
        now = self._seen.get(event.name)
        if now is None:
            return ""
        if event.action == "pause":
            self._thawed[event.name] = now.state
            return FROZEN
        if event.action == "unpause" and now.state == FROZEN:
            return self._thawed.get(event.name, SERVING)
        if event.action == "die":
            return GONE if now.state in {DRAINING, GONE} else KILLED
        return GONE if event.action == "destroy" else ""

    def _become(self, replica: str, slot: str, release: str, state: str) -> Iterator[Seen]:
        before = self._seen.get(replica)
        if not _may_become(before, state):
            return
        is_same = before is not None and before.state != GONE
        now = Seen(replica=replica, slot=slot, release=before.release if before and is_same else release, state=state)
        self._seen[replica] = now
        yield now


def _may_become(before: Seen | None, state: str) -> bool:
    """A replica starts once and what is dead can only go; its name may be another's later."""
    if before is None:
        return state != GONE
    if before.state == GONE:
        return state == STARTING
    return state not in {before.state, STARTING} and (state == GONE or before.state != KILLED)
