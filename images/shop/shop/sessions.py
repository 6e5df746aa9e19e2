"""Sessions: what one is, and what any place that keeps them must do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shop.names import IDLE_SECONDS, LONGEST_SECONDS


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One login of `account`, at `created` (seconds since the epoch); `label` says which device, if v2 made it."""

    account: str
    created: int
    label: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Living:
    """A session that was found alive. `witness` is the store's key that goes when the session does."""

    session: Session
    token: str
    device: str
    witness: str

    @property
    def account(self) -> str:
        return self.session.account


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What makes a state change one and the same: who asks, under which key, for what."""

    account: str
    key: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a state change went: done, stored (done before), or why not: mismatch, ended, full, raced."""

    how: str
    answer: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """A login whose password is proven. `password` is the record of an account that is made by it."""

    token: str
    sealed: str
    session: Session
    password: str | None
    replaces: Living | None


class Sessions(Protocol):
    """Where sessions are kept."""

    async def find(self, token: str) -> Living | None:
        """The session of `token` if it is alive; looking keeps it from idling out, and changes nothing else."""
        ...

    async def begin(self, login: Login, request: Request) -> Outcome:
        """Make the session and end the one it replaces; the answer is the sealed token of whoever was first."""
        ...

    async def end(self, own: Living, request: Request, *, device: str | None) -> Outcome:
        """End the session of `device`, or all of the account's if None; the answer counts them."""
        ...

    async def replay(self, token: str, key: str, fingerprint: str) -> bytes | None:
        """What the request that ended this session was answered, if this is that request again."""
        ...

    async def devices(self, account: str) -> list[tuple[str, Session]]:
        """The account's living sessions by device, oldest first."""
        ...


def prolonged(session: Session, *, seconds_left: int, now: float) -> int | None:
    """How long a session in use should live on, or None while half its idle time is left; seconds.

    It never outlives LONGEST_SECONDS from its login.
    """
    if seconds_left >= IDLE_SECONDS // 2:
        return None
    absolute = int(session.created + LONGEST_SECONDS - now)
    wanted = min(IDLE_SECONDS, absolute)
    return wanted if wanted > max(seconds_left, 0) else None
