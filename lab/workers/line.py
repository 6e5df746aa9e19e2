"""How a conductor reaches one worker: two streams of bytes, whatever carries them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol


class Line(Protocol):
    """To one worker that runs. What goes wrong ends the line: nothing is repeated, since nobody knows what arrived."""

    @property
    def where(self) -> str:
        """Where the worker is, for a person."""
        ...

    def send(self, data: bytes) -> None:
        """All of it. Raises OSError where nobody takes it any more."""
        ...

    def receive(self) -> bytes:
        """What came, as soon as something did; b"" once nothing will come any more. Raises nothing."""
        ...

    def last_words(self) -> str:
        """What the worker wrote beside, to its standard error: the end of it, for a person."""
        ...

    def close(self) -> None:
        """Let go of it; whoever receives gets b"". May be called again."""
        ...


class WorkerPlaces(Protocol):
    """Where a cluster's workers can be started."""

    @property
    def doors(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each of the cluster's doors, as workers find them."""
        ...

    def start(self, count: int) -> AbstractContextManager[Sequence[Line]]:
        """So many workers, which are gone afterwards. Raises LabFault where they don't start."""
        ...
