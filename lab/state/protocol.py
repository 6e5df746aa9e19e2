"""What the lab's durable state promises: documents with versions, and leases with fencing tokens."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from lab.model import Value


class Lease(Value):
    """Who leads something until when. Times are wall-clock nanoseconds since the epoch, by the store's own clock."""

    name: str
    holder: str
    token: int
    """Counts up with every lease that anybody was ever given under this name; never given twice."""
    since: int
    until: int


class Document(Value):
    """What is kept under a key. `version` counts up with every write."""

    version: int
    body: bytes


class State(Protocol):
    """May be used from several threads and processes. Raises StateError where the store does not do what it must.

    Source of the method: M. Kleppmann, "How to do distributed locking" (2016): a lease alone excludes nobody who was
    stopped while holding it, so every write shows its token and the store refuses an older one than it has given.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def read(self, key: str) -> Document | None:
        """The document under `key`, or None if there is none."""
        ...

    def write(self, key: str, body: bytes, *, version: int, lease: Lease | None = None) -> int:
        """Store `body` if the stored version is still `version` (0: nothing is there yet); returns the new version.

        Raises Stale where somebody wrote meanwhile, Fenced where `lease` is over or not the newest under its name.
        The comparison and the write are one step that nobody comes between.
        """
        ...

    def forget(self, name: str) -> None:
        """Remove every document whose key is `name` or begins with `name/`. Tokens go on counting."""
        ...

    def acquire(
        self, name: str, holder: str, seconds: float, *, is_gone: Callable[[str], bool] = lambda _: False
    ) -> Lease | None:
        """A new lease, or None while somebody's runs whose holder is not surely gone."""
        ...

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """The same lease for `seconds` from now. Raises Fenced where it is over or was taken."""
        ...

    def release(self, lease: Lease) -> None:
        """End the lease; nothing happens if it is not the newest any more."""
        ...

    def lease(self, name: str) -> Lease | None:
        """The lease that runs under `name`, if one does."""
        ...
