"""Looking at a state that may be out of reach for a while, as long as a deployer bears it too."""

from __future__ import annotations

from collections.abc import Callable

from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.deploy import deployer
from lab.errors import Fenced, Stale, StateError


def borne(look: Callable[[], bool], *, clock: Clock = SYSTEM_CLOCK) -> Callable[[], bool]:
    """`look`, for which a state that does not answer is "not yet"; raises what it raised where that lasts.

    For as long as the deployer that is looked after waits for the same state. Each absence counts anew.
    """
    away_since: int | None = None

    def borne_look() -> bool:
        nonlocal away_since
        try:
            seen = look()
        except (Stale, Fenced):  # it does answer
            raise
        except StateError:
            now = clock.now()
            away_since = now if away_since is None else away_since
            if now - away_since > deployer.STATE_BACK_WITHIN * NS:
                raise
            return False
        away_since = None
        return seen

    return borne_look
