"""Keeps what replicas wrote beside the run's record, before whoever removes them takes it away."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

from lab.backends.protocol import OpenProject
from lab.errors import LabError
from lab.model import Role
from lab.record import LAST_LINES, AnyEvent, ContainerEvent, keep_log


class LogKeeper:
    """Of one cluster, whose runs may have a record each."""

    def __init__(self) -> None:
        self._live: OpenProject | None = None

    def begin(self, live: OpenProject) -> None:
        """From now on the dead are looked after."""
        self._live = live

    def note(self, record: Path, event: AnyEvent) -> None:
        """Something happened; to be called before anybody hears of a death, and removes what the dead one wrote."""
        if isinstance(event, ContainerEvent) and (event.action, event.role) == ("die", Role.APP):
            self._keep(record, event.container, event.name)

    def end(self, record: Path) -> None:
        """Keep what everybody wrote who is there still: from here on whoever dies is being removed."""
        live = self._live
        if live is not None:
            with suppress(LabError):
                for one in live.cluster.replicas():
                    self._keep(record, one.container, one.name)
        self._live = None

    def _keep(self, record: Path, container: str, name: str) -> None:
        if self._live is not None:
            keep_log(record, name, partial(self._live.cluster.logs, container, last=LAST_LINES))
