"""How a deployer upgrades the shop: it keeps nothing, and looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LOCK_SECONDS = 3.0
"""How long the lock holds if its owner falls silent: as long as the upgrade may stand still."""


def todo(slots: Sequence[str], serving: Mapping[str, str], to: str) -> list[str]:
    """The slots that are still to be moved to release `to`, in order: those that do not serve it."""
    return [slot for slot in slots if serving.get(slot) != to]


def moved(slot: str) -> None:
    """Nothing to remember: the containers themselves say what was done."""
