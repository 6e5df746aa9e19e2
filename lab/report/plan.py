"""What a page must know of a run before anything happens in it."""

from __future__ import annotations

from lab.model import Slot, Value
from lab.oracle.service import ServiceRules


class RunPlan(Value):
    """A run as it was asked for."""

    run: str
    name: str
    title: str
    about: str
    seed: int | None
    slots: tuple[Slot, ...]
    users: int
    asked: tuple[str, ...]
    """The promises that its verdict rests on, in the order in which they are shown."""
    rules: ServiceRules = ServiceRules()
    repeat: str = ""
    """The command that does it again."""
