"""Sessions kept in the process: the fault that the lab is there to show. Never use it where a user matters."""

from __future__ import annotations

from collections.abc import Callable

from shop import names
from shop.sessions import Living, Login, Outcome, Request, Session
from shop.store import Store
from shop.tokens import device_of


class MemorySessions:
    """Sessions that no other replica knows, and that end with this one; accounts and carts stay in the store."""

    def __init__(self, store: Store, *, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._living: dict[str, tuple[Session, float]] = {}
        self._done: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._ended: dict[str, str] = {}

    async def find(self, token: str) -> Living | None:
        session, used = self._living.get(token, (None, 0.0))
        now = self._now()
        if session is None:
            return None
        if now - used >= names.IDLE_SECONDS or now - session.created >= names.LONGEST_SECONDS:
            del self._living[token]
            return None
        self._living[token] = (session, now)
        return Living(session=session, token=token, device=device_of(token), witness=names.account(session.account))

    async def begin(self, login: Login, request: Request) -> Outcome:
        account = login.session.account
        if login.password is not None and not await self._store.ask(
            "HSETNX", names.account(account), "password", login.password
        ):
            return Outcome(how="raced", answer=b"")
        await self._forgive(account)
        known = self._earlier(request)
        if known is not None:
            return known
        if login.replaces is not None:
            self._living.pop(login.replaces.token, None)
        self._living[login.token] = (login.session, self._now())
        return self._keep(request, login.sealed.encode())

    async def _forgive(self, account: str) -> None:
        """A login that worked was no attempt that failed: whoever is thrown out may come back as often as needed."""
        if await self._store.ask("EXISTS", names.failures(account)):
            await self._store.ask("DECR", names.failures(account))

    async def end(self, own: Living, request: Request, *, device: str | None) -> Outcome:
        known = self._earlier(request)
        if known is not None:
            return known
        ending = [
            token
            for token, (session, _) in self._living.items()
            if session.account == own.account and device in {None, device_of(token)}
        ]
        for token in ending:
            del self._living[token]
            self._ended[token] = own.account
        return self._keep(request, f'{{"account":"{own.account}","ended":{len(ending)}}}'.encode())

    async def replay(self, token: str, key: str, fingerprint: str) -> bytes | None:
        known, answer = self._done.get((self._ended.get(token, ""), key), ("", b""))
        return answer if known == fingerprint else None

    async def devices(self, account: str) -> list[tuple[str, Session]]:
        found = [
            (device_of(token), session) for token, (session, _) in self._living.items() if session.account == account
        ]
        return sorted(found, key=lambda each: (each[1].created, each[0]))

    def _earlier(self, request: Request) -> Outcome | None:
        known = self._done.get((request.account, request.key))
        if known is None:
            return None
        same = known[0] == request.fingerprint
        return Outcome(how="stored" if same else "mismatch", answer=known[1] if same else b"")

    def _keep(self, request: Request, answer: bytes) -> Outcome:
        self._done[request.account, request.key] = (request.fingerprint, answer)
        return Outcome(how="done", answer=answer)
