"""How a deployer upgrades the shop. This is the file to change.

Two processes run it: whoever has the lock upgrades, the other one waits for the lock. Either may be killed at any
time; another process is started then, which runs this file from its first line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LOCK_SECONDS = 3600.0
"""How long the lock holds if its owner falls silent. (One that lives renews it every second.)"""

_moved: list[str] = []


def todo(slots: Sequence[str], serving: Mapping[str, str], to: str) -> list[str]:
    """The slots that are still to be moved to release `to`, in order. Asked again and again until there is none.

    The first of them is moved: a new replica is made, waited for and let into the slot, and the old one leaves.
    `serving` is what the containers' labels say: which release each slot serves right now.
    """
    return [slot for slot in slots if slot not in _moved]


def moved(slot: str) -> None:
    """Called when a slot has been moved and its old replica is gone."""
    _moved.append(slot)
