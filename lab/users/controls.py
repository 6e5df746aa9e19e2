"""What a conductor does with a crowd: the seam between a run and its users, wherever they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, Self

from lab.users.counts import CrowdCounts
from lab.users.device import User


class CrowdControls(Protocol):
    """Users that log in, act and read back; see `Crowd`, whose methods these are."""

    @property
    def users(self) -> Sequence[User]: ...

    def log_in(self, within: float, nobody_is_in: Callable[[], Awaitable[str]] | None = None) -> None: ...

    def shop(self) -> None: ...

    def hurry(self, think: float) -> None: ...

    def settle(self, within: float) -> None: ...

    def read_back(self, within: float) -> str: ...

    def counts(self) -> CrowdCounts: ...

    def check(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: object, /) -> None: ...
