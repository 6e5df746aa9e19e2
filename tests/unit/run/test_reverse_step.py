"""A reverse beside a rollout that is over: needless after a release that was given up, no proof after one done."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.deploy.rollout import Ending
from lab.errors import LabFault
from lab.run.steps import ReverseStep
from lab.scenario.spec import Reverse


def reverse_beside(rollout: Any) -> ReverseStep:
    desk = SimpleNamespace(read=lambda: SimpleNamespace(desired=SimpleNamespace(rollout=rollout)))
    return ReverseStep(Reverse(at="keep"), cast("Any", SimpleNamespace(desk=desk)))


@pytest.mark.parametrize("rollout", [None, SimpleNamespace(phase="", ending=Ending.ROLLED_BACK)])
def test_a_release_that_was_given_up_needs_no_reverse(rollout: Any) -> None:
    """It is over as soon as nobody else does anything, and not before."""
    step = reverse_beside(rollout)
    assert not step.is_over()
    step.others_are_over()
    assert step.is_over()


def test_a_rollout_that_nobody_saw_in_its_phase_proves_nothing() -> None:
    """It was done, and not reversed."""
    step = reverse_beside(SimpleNamespace(phase="", ending=Ending.DONE))
    with pytest.raises(LabFault, match="nobody saw it in phase keep"):
        step.others_are_over()
