"""Who may act on a run beside its scenario while its users are there: the seam between the conductor and a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from lab.chaos.striker import Striker
from lab.deploy.desk import Desk
from lab.model import Release, Replica, Value


class Reach(Value):
    """What can be acted on while a cluster is up."""

    desk: Desk
    striker: Striker
    """The run's own, so that one blast radius holds for whoever strikes."""
    serving: Callable[[], Sequence[Replica]]
    release: Callable[[str], Release]


class RunControls(Protocol):
    """Somebody who may act on a run. Between `take_hold` and `let_go` there is something to act on."""

    def take_hold(self, reach: Reach) -> None:
        """There is a cluster, and users are on it."""
        ...

    def let_go(self) -> None:
        """The cluster is about to go: nothing is done to it any more, and what is open is undone."""
        ...
