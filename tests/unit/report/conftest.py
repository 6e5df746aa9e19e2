"""Small records for reports and pages, and the plan they follow."""

from __future__ import annotations

import pytest

from lab.model import Slot
from lab.oracle.service import ServiceRules
from lab.oracle.verdict import ALWAYS_ASKED
from lab.report.plan import RunPlan


@pytest.fixture(scope="session")
def plan() -> RunPlan:
    """Two slots, three users."""
    return RunPlan(
        run="20260101-000000-abcd",
        name="small",
        title="a small run",
        about="",
        seed=7,
        slots=(Slot(name="a1", zone="a"), Slot(name="b1", zone="b")),
        users=3,
        asked=(*ALWAYS_ASKED, "serving_floor"),
        rules=ServiceRules(floor=1),
    )
