"""Tries faults on containers that nobody uses: which of them this engine does, and confirms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from lab.chaos.faults import FAULTS, Fault, cut_from
from lab.chaos.striker import PROVED_WITHIN
from lab.clock import SYSTEM_CLOCK, Clock
from lab.cluster.harm import Strikable, Victim
from lab.errors import LabError, WaitTimeout
from lab.model import Role
from lab.retry import wait_until

CUT_FROM = "cut from"
SURE = frozenset({"kill", "stop"})
"""What every engine does that starts containers at all."""
TRIED = (*(name for name, fault in FAULTS.items() if Role.APP in fault.hits and name not in SURE), CUT_FROM)
"""The faults that an engine may be unable to do to a container, in the table's order; nodes are another engine's."""


def find_impossible(
    target: Strikable, make: Callable[[], Victim], faults: Iterable[str], *, clock: Clock = SYSTEM_CLOCK
) -> dict[str, str]:
    """Of these faults, by the names of TRIED, those that can't be done here, and why.

    `make` gives a container that runs, of which nobody but the trial knows; each fault gets one of its own. One that is
    done, but never confirmed by the engine, is none that a run may count on. Raises LabError only where `make` does.
    """
    found = {}
    for name in faults:
        victim = make()
        fault = cut_from([make()], "another") if name == CUT_FROM else FAULTS[name]  # type: ignore[index]
        why = _why_not(target, victim, fault, clock)
        if why:
            found[name] = why
    return found


def _why_not(target: Strikable, victim: Victim, fault: Fault, clock: Clock) -> str:
    try:
        since = target.mark()
        if not target.do(victim.container, fault.do(victim, "SIGKILL")):
            return "the engine says that it is so already"
        words = {fault.proof, *fault.vain}

        def is_confirmed() -> bool:
            return bool(words & set(target.said(victim.container, since)))

        wait_until("the engine confirms it", is_confirmed, within=PROVED_WITHIN, every=0.05, clock=clock)
        for harm in fault.undo(victim):
            target.do(victim.container, harm)
    except WaitTimeout:
        return f"the engine does it, but never reports {fault.proof!r}"
    except LabError as exc:
        with suppress(LabError):
            for harm in fault.undo(victim):
                target.do(victim.container, harm)
        return exc.what
    return ""
