"""The one table of faults: what each may hit, what it does, how that is undone, and what proves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from lab.cluster.harm import (
    Activate,
    AnyHarm,
    Crash,
    Drain,
    Join,
    Leave,
    Limit,
    Mend,
    Pause,
    Send,
    Sever,
    Squeeze,
    Start,
    Stop,
    Throttle,
    Unpause,
    Victim,
)
from lab.errors import UsageError
from lab.model import Role, Value

Signal = Literal["SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"]
FaultName = Literal["kill", "crash", "stop", "freeze", "slow", "squeeze", "cut", "drain"]
SLOW_QUOTA = 5_000
"""Microseconds of processor in each 100 ms that a slowed container keeps: a twentieth of a core."""
STOP_PATIENCE = 10


class Fault(Value):
    """One row of the table."""

    name: FaultName
    hits: tuple[Role, ...]
    about: str
    undone: str
    """How, for a person."""
    proof: str
    """What the engine says of the victim once it is done."""
    do: Callable[[Victim, Signal], AnyHarm]
    undo: Callable[[Victim], tuple[AnyHarm, ...]]
    """From the victim as it was before; nothing for a replica that the deployer replaces."""
    lasts: bool = False
    """Whether the victim lives on, hurt, until it is undone."""
    off: str = ""
    """Whom a cut is from, if not from everybody."""
    vain: Mapping[str, str] = {}
    """What the engine may say instead, and why nothing was hit then."""

    @property
    def title(self) -> str:
        """What it is called, whatever signal it sends."""
        return f"{self.name} from {self.off}" if self.off else self.name

    def text(self, signal: Signal = "SIGKILL") -> str:
        """As the record names it."""
        return signal if self.name == "kill" else self.title


def _started_again(victim: Victim) -> tuple[AnyHarm, ...]:
    """A dead replica is the deployer's business; what is not multiplied is restarted."""
    return () if victim.role in {Role.APP, Role.DEPLOYER} else (Start(),)


_STORES = (Role.STORE, Role.SENTINEL, Role.ORDERS)
_CONTAINERS = (Role.APP, Role.BALANCER, *_STORES, Role.WORKER)
_REPLACED = "a replica is replaced by the deployer; whatever else is restarted, with its volume if it has one"

FAULTS: Mapping[FaultName, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            name="kill",
            hits=(*_CONTAINERS, Role.NODE, Role.DEPLOYER),
            about="a signal from outside, SIGKILL if no other is named",
            undone=_REPLACED,
            proof="kill",
            do=lambda _, signal: Send(signal=signal),
            undo=_started_again,
        ),
        Fault(
            name="crash",
            hits=_CONTAINERS,
            about="its processes are killed from inside, which restart policies do not take for a request",
            undone=_REPLACED,
            proof="die",
            do=lambda _victim, _signal: Crash(),
            undo=_started_again,
        ),
        Fault(
            name="stop",
            hits=_CONTAINERS,
            about="its stop signal, and SIGKILL ten seconds later",
            undone=_REPLACED,
            proof="stop",
            do=lambda _victim, _signal: Stop(patience=STOP_PATIENCE),
            undo=_started_again,
        ),
        Fault(
            name="freeze",
            hits=(*_CONTAINERS, Role.NODE, Role.DEPLOYER),
            about="it is there and does nothing",
            undone="it goes on where it was",
            proof="pause",
            do=lambda _victim, _signal: Pause(),
            undo=lambda _: (Unpause(),),
            lasts=True,
        ),
        Fault(
            name="slow",
            hits=_CONTAINERS,
            about="it gets a twentieth of a processor",
            undone="it gets what it had",
            proof="update",
            do=lambda _victim, _signal: Throttle(quota=SLOW_QUOTA),
            undo=lambda victim: (Throttle(quota=victim.cpu_quota),),
            lasts=True,
        ),
        Fault(
            name="squeeze",
            hits=(Role.APP,),
            about="it gets no more memory than it holds, and more is asked for: the kernel ends it",
            undone="a replica is replaced by the deployer; one that lives gets its limit back",
            proof="oom",
            do=lambda _victim, _signal: Squeeze(),
            undo=lambda victim: (Limit(memory=victim.memory, memory_swap=victim.memory_swap),),
        ),
        Fault(
            name="cut",
            hits=_CONTAINERS,
            about="it is taken out of its networks: a replica from its store, any other from those who ask it; with"
            " `from` no packet passes between it and those alone",
            undone="it is brought back under the same names, at its own address or one of the engine's choice; with"
            " `from` packets pass again",
            proof="disconnect",
            do=lambda victim, _: Leave(networks=tuple(victim.networks)),
            undo=lambda victim: (Join(networks=victim.networks),),
            lasts=True,
        ),
        Fault(
            name="drain",
            hits=(Role.NODE,),
            about="a machine of a swarm is to have no tasks any more, as before maintenance: Swarm moves them",
            undone="it may have tasks again",
            proof="drain",
            do=lambda _victim, _signal: Drain(),
            undo=lambda _: (Activate(),),
            lasts=True,
        ),
    )
}


def cut_from(peers: Sequence[Victim], off: str) -> Fault:
    """The cut of a victim from these alone, who are called `off`, at the addresses that they have now."""

    def away(victim: Victim) -> tuple[str, ...]:
        others = {address for one in peers if one.container != victim.container for address in one.addresses}
        return tuple(sorted(others))

    return msgspec.structs.replace(
        FAULTS["cut"],
        hits=(Role.APP, Role.BALANCER, Role.STORE, Role.WORKER),
        proof="severed",
        do=lambda victim, _: Sever(addresses=away(victim)),
        undo=lambda victim: (Mend(addresses=away(victim)),),
        off=off,
        vain={"not connected": "the two had no connection"},
    )


def find_fault(name: str, role: Role) -> Fault:
    """The fault of this name, if it may hit such a victim. Raises UsageError."""
    found = next((fault for fault in FAULTS.values() if fault.name == name), None)
    if found is None:
        raise UsageError(f"unknown fault {name!r}", hint=" | ".join(FAULTS))
    if role not in found.hits:
        may = " | ".join(fault.name for fault in FAULTS.values() if role in fault.hits)
        raise UsageError(f"{name} can't be done to a {role}", hint=may)
    return found
