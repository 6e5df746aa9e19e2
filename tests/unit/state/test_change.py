"""A change is made again where somebody else was quicker, and not for ever."""

from __future__ import annotations

import pytest

from lab.errors import Stale
from lab.state.change import WRITES_TRIED, again_while_stale


@pytest.mark.parametrize("quicker", [0, 1, WRITES_TRIED - 1])
def test_a_change_is_made_again_until_nobody_was_quicker(quicker: int) -> None:
    """What the last one returns is returned."""
    tries = 0

    def change() -> int:
        nonlocal tries
        tries += 1
        if tries <= quicker:
            raise Stale("somebody wrote")
        return tries

    assert again_while_stale(change) == quicker + 1


def test_a_change_that_others_always_outrun_is_told() -> None:
    """After so many tries."""
    tries = 0

    def change() -> None:
        nonlocal tries
        tries += 1
        raise Stale("somebody wrote")

    with pytest.raises(Stale):
        again_while_stale(change)
    assert tries == WRITES_TRIED
