"""What a strike by hand refuses before it looks for any cluster."""

from __future__ import annotations

import math

import pytest

from lab.chaos.guard import BlastRadius
from lab.errors import UsageError
from lab.operate.faults import StrikeRequest, lose_zone, strike


@pytest.mark.parametrize("seconds", [-1.0, math.inf, math.nan])
def test_a_time_that_nobody_can_wait_for_is_refused(seconds: float) -> None:
    """Of a fault and of a zone, before it is done."""
    with pytest.raises(UsageError, match=r"--for .*: must be from 0"):
        strike(StrikeRequest(do="freeze", seconds=seconds), BlastRadius(), project=None, say=print)
    with pytest.raises(UsageError, match=r"--for .*: must be from 0"):
        lose_zone("a", BlastRadius(), cut_off=False, seconds=seconds, dry_run=False, project=None, say=print)
