"""What must be in the record of a scenario's run."""

from __future__ import annotations

from msgspec.structs import replace

from lab.oracle.wholeness import Due
from lab.record import ReadRecord
from lab.scenario.spec import Scenario

LAST_LINE_SINCE = 3
"""The format from which on a record has a last line."""


def due_of(seen: ReadRecord, scenario: Scenario) -> Due:
    """By its format and its scenario. Of somebody's own app a journey may leave users without anything to do."""
    users = scenario.users
    of_shop = Due() if users.are_of_own_app else Due(users=users.count, devices=users.count + users.doubled)
    return replace(of_shop, has_end=(seen.format or 0) >= LAST_LINE_SINCE)
