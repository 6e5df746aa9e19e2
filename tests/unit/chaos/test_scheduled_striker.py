"""Strikes that are told one by one: each in its place, by its fault, or nothing can be told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab import record
from lab.chaos.guard import BlastRadius
from lab.chaos.scheduled_striker import Aim, ScheduledStriker
from lab.errors import WaitTimeout
from lab.model import Role
from lab.retry import wait_until
from tests.unit.chaos.making import Field, store, striking


def shoot(field: Field, folder: Path, aims: Sequence[Aim], *, patience: float = 20.0) -> ScheduledStriker:
    """All of them, to the end."""
    with (
        striking(folder, field.target, events=field.events, radius=BlastRadius(tiers=2)) as striker,
        ScheduledStriker(striker, field.answering, aims, field.events.append, patience=patience) as marksman,
    ):
        wait_until("it is done", lambda: marksman.error is not None or marksman.is_done, within=30, every=0.01)
    return marksman


def test_each_is_struck_in_its_turn_and_mended(tmp_path: Path) -> None:
    """Replicas by their slots, balancers by their zones, with the fault that is told of each."""
    field = Field()
    aims = [Aim("b1", 0.0), Aim("balancer/c", 0.01, do="cut"), Aim("a2", 0.0, do="freeze"), Aim("balancer", 0.0)]
    assert shoot(field, tmp_path, aims).strikes == 4
    told = [(event.fault, event.victim) for event in field.events if isinstance(event, record.Strike)]
    assert told == [("SIGKILL", "b1-1"), ("cut", "balancer-c"), ("freeze", "a2-1"), ("SIGKILL", "balancer-a")]
    assert all(one.is_running and not one.is_paused and one.networks for one in field.target.there.values())


def test_a_store_and_a_sentinel_are_found_by_their_zones(tmp_path: Path) -> None:
    """As a monkey that struck them is repeated; the record says that these were told."""
    field = Field()
    for one in (store("a"), store("b"), store("a", Role.SENTINEL)):
        field.target.there[one.container] = one
    assert shoot(field, tmp_path, [Aim("store/b", 0.0), Aim("sentinel/a", 0.0)]).strikes == 2
    told = [(event.victim, event.source) for event in field.events if isinstance(event, record.Strike)]
    assert told == [("store-b", record.StrikeSource.SCHEDULE), ("sentinel-a", record.StrikeSource.SCHEDULE)]


def test_whoever_serves_nobody_is_waited_for_and_not_for_ever(tmp_path: Path) -> None:
    """A schedule that could not be repeated proves nothing."""
    marksman = shoot(Field(), tmp_path, [Aim("d9", 0.0)], patience=0.1)
    with pytest.raises(WaitTimeout, match="d9 served nobody"):
        _ = marksman.is_done
