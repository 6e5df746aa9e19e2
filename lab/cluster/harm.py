"""What can be done to one container of a cluster and taken back: the seam between whoever strikes and an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lab.model import Role, Value


class Victim(Value):
    """Something that may be struck, as it was read last. Every act names it by its full container id."""

    container: str
    name: str
    role: Role
    slot: str = ""
    zone: str = ""
    release: str = ""
    is_running: bool = True
    is_paused: bool = False
    cpu_quota: int = -1
    """Microseconds of processor in each 100 ms; -1: as much as there is."""
    memory: int = 0
    """Bytes; 0: no limit."""
    memory_swap: int = -1
    """Bytes of memory and swap together; -1: no limit."""
    networks: Mapping[str, tuple[str, ...]] = {}
    """The networks it is in, with its aliases there."""
    addresses: tuple[str, ...] = ()
    """Where others reach it in those networks."""
    address: str = ""
    """The one that it must have there, if it is not any."""
    address_in: str = ""
    """The network in which it must have that; "": in whichever it is."""
    leads: bool = False
    """Of a node: whether it leads its swarm."""


class Harm(Value, tag_field="act", tag=str.lower):
    """One thing done to a container. The undoing of one harm is another, so both can be kept and done by anybody."""


class Send(Harm):
    """A signal from outside, to its first process."""

    signal: str


class Crash(Harm):
    """Its processes are killed from inside: no engine and no restart policy takes that for a request."""


class Stop(Harm):
    """What `docker stop` does: its stop signal, and SIGKILL `patience` seconds later."""

    patience: int = 10


class Start(Harm):
    """Start what has ended; its published ports stay."""


class Pause(Harm):
    """Freeze every process in it."""


class Unpause(Harm):
    """Let it go on where it was."""


class Throttle(Harm):
    """Processor time: `quota` microseconds in each 100 ms, -1 for as much as there is."""

    quota: int


class Squeeze(Harm):
    """Leave it no memory to spare, and use up what is left: the kernel ends its largest process."""


class Limit(Harm):
    """Its memory limit, and that of memory and swap together, in bytes."""

    memory: int
    memory_swap: int


class Leave(Harm):
    """Take it out of networks."""

    networks: tuple[str, ...]


class Join(Harm):
    """Bring it back into networks under its aliases there; the engine gives it an address anew."""

    networks: Mapping[str, tuple[str, ...]]


class Sever(Harm):
    """Let no packet pass between it and these addresses, either way and without a word, as a partition does.

    Everything else passes. It lasts as long as the container runs: one that is restarted has a new network.
    """

    addresses: tuple[str, ...]


class Mend(Harm):
    """Let packets pass again between it and exactly these addresses."""

    addresses: tuple[str, ...]


class Drain(Harm):
    """A node is to have no tasks any more, as before maintenance: whoever places them moves them elsewhere."""


class Activate(Harm):
    """A node may have tasks again."""


AnyHarm = (
    Send
    | Crash
    | Stop
    | Start
    | Pause
    | Unpause
    | Throttle
    | Squeeze
    | Limit
    | Leave
    | Join
    | Sever
    | Mend
    | Drain
    | Activate
)


class Strikable(Protocol):
    """What may be struck of one cluster. All methods raise EngineError where the engine fails."""

    def victims(self) -> list[Victim]:
        """Everything of this cluster that runs or ran, by its labels; nobody else's is ever among them."""
        ...

    def read(self, container: str) -> Victim | None:
        """One of them again by its full id; None where it is gone or is none of this cluster's."""
        ...

    def do(self, container: str, harm: AnyHarm) -> bool:
        """Do it, if this is still one of the cluster's; False where it is gone or was so already. May be repeated."""
        ...

    def mark(self) -> str:
        """This moment by the engine's own clock, for `said`."""
        ...

    def said(self, container: str, since: str) -> Sequence[str]:
        """What the engine said of it since then, in order: kill, die, oom, pause, update, disconnect, severed, ..."""
        ...
