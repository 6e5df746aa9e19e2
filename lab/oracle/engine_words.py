"""What the engine itself said of the app's containers: it explains before any pattern does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from lab.clock import NS
from lab.model import Finding, Role
from lab.record import AnyEvent, ContainerEvent, Step, Strike

BEFORE = 5.0
"""Seconds before the first of its words from which on what users met may be due to it: it speaks late."""
SHARE = 0.5
"""The share of the findings that must have come after it."""
CRASHES = 2
"""Containers that must have ended by themselves: a single one is an accident."""

_TOLD_TO_GO = {"drain", "stop", "stopped", "remove"}


def said_by_the_engine(findings: Sequence[Finding], events: Sequence[AnyEvent]) -> str:
    """Out of memory, or ended by itself with its exit code; empty where it explains too little, or nothing was said.

    `events` are in order of time.
    """
    last = max((one.at for one in findings), default=0)  # after that the lab itself takes everything down
    ends = [one for one in events if isinstance(one, ContainerEvent) and one.role == Role.APP and one.at <= last]
    killed = [one for one in ends if one.action == "oom"]
    if killed and _explains(killed, findings):
        many = len({one.container for one in killed})
        return f"replicas run out of memory: the engine says so of {_containers(many)}"
    crashed = ended_by_themselves(ends, events)
    if len(crashed) >= CRASHES and _explains(crashed, findings):
        code, _ = Counter(one.exit_code for one in crashed).most_common(1)[0]
        killed_by = " (killed, and not by the lab)" if code == 137 else ""
        return f"replicas crash: {_containers(len(crashed))} ended by themselves with exit {code}{killed_by}"
    return ""


def _explains(words: Sequence[ContainerEvent], findings: Sequence[Finding]) -> bool:
    first = words[0].at - int(BEFORE * NS)
    return bool(findings) and sum(one.at >= first for one in findings) >= SHARE * len(findings)


def ended_by_themselves(ends: Iterable[AnyEvent], events: Iterable[AnyEvent]) -> list[ContainerEvent]:
    """The app's containers among `ends` that failed, though no strike had hit them and nobody told them to go before.

    `events` are in order of time.
    """
    sent: dict[str, int] = {}
    for event in events:
        if isinstance(event, Strike):
            sent.setdefault(event.victim, event.at)
        elif isinstance(event, Step) and event.action in _TOLD_TO_GO:
            sent.setdefault(event.replica, event.at)
    return [
        one
        for one in ends
        if isinstance(one, ContainerEvent)
        and one.role == Role.APP
        and one.action == "die"
        and one.exit_code
        and one.at < sent.get(one.name, one.at + 1)
    ]


def _containers(many: int) -> str:
    return f"{many} container" + ("" if many == 1 else "s")
