"""Faults pinned to a moment of a rollout, as a scenario names them: what goes wrong, and when."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Literal

from lab import record
from lab.chaos.faults import FaultName
from lab.deploy.deployer import ADVANCE
from lab.deploy.rollout import Phase
from lab.model import Value


class PinnedFault(StrEnum):
    """What goes wrong, once."""

    KILL_NEW = "kill the new replica"
    KILL_OLD = "kill the old replica"
    FREEZE_NEW = "freeze the new replica"
    FREEZE_OLD = "freeze the old replica"
    KILL_BALANCER = "kill the balancer"
    FREEZE_STORE = "freeze the store"
    KILL_DEPLOYER = "kill the deployer"
    STOP_DEPLOYER = "stop the deployer"

    @property
    def does(self) -> FaultName:
        """The fault of the table that it is."""
        return "kill" if self.value.startswith("kill ") else "freeze"


OF_DEPLOYERS = frozenset({PinnedFault.KILL_DEPLOYER, PinnedFault.STOP_DEPLOYER})


PinnedTo = Literal["create", "start", "enter", "drain", "stop", "remove", "advance"]


class Pin(Value):
    """A moment of a rollout: just before or after a deployer does something, in one slot or in the first that comes."""

    action: PinnedTo
    """What the deployer does; advance: it writes down that the rollout's next phase begins."""
    moment: Literal["before", "after"] = "after"
    """Just before it, or just after."""
    slot: str | None = None
    """In this slot; in the first that comes if not given. Where the rollout advances: whose replica is meant."""
    phase: Phase | None = None
    """While the rollout is in this phase, in any if not given; where it advances: the phase that begins."""

    def is_at(self, moment: str, step: record.Step, phase: Callable[[], Phase | None]) -> bool:
        """Whether a deployer at this boundary is there; `phase` says which one the rollout is in."""
        if (moment, step.action) != (self.moment, self.action):
            return False
        if step.action == ADVANCE:
            return self.phase in {None, step.why}
        return self.slot in {None, step.slot} and (self.phase is None or self.phase == phase())
