"""Sessions kept wherever `shop.kept` keeps them; everything else of the shop is in the store as usual.

What one replica began, any other can go on with, if both see the same `Kept`. A login or logout that is repeated with
its key is answered as it was the first time, whatever became of the replica between two lines.
"""

from __future__ import annotations

from collections.abc import Callable

from shop import names
from shop.kept import Kept
from shop.session_text import decode, encode
from shop.sessions import Living, Login, Outcome, Request, Session
from shop.store import Store
from shop.tokens import device_of, digest_of


class MemorySessions:
    """The name is that of the shop's own: this file takes its place."""

    def __init__(self, store: Store, *, now: Callable[[], float]) -> None:
        self._store, self._now = store, now
        self._kept = Kept(store)

    async def find(self, token: str) -> Living | None:
        text = await self._kept.get(names.session(digest_of(token)))
        session = decode(text, now=self._now()) if text is not None else None
        if session is None:
            return None
        return Living(session=session, token=token, device=device_of(token), witness=names.account(session.account))

    async def begin(self, login: Login, request: Request) -> Outcome:
        account = login.session.account
        if login.password is not None and not await self._store.ask(
            "HSETNX", names.account(account), "password", login.password
        ):
            return Outcome(how="raced", answer=b"")
        await self._forgive(account)
        known = await self._earlier(request)
        if known is not None:
            return known
        if login.replaces is not None:
            await self._kept.drop(names.session(digest_of(login.replaces.token)))
        text = encode(login.session, session_format=1).encode()
        await self._kept.put(names.session(digest_of(login.token)), text, seconds=names.LONGEST_SECONDS)
        return await self._keep(request, login.sealed.encode())

    async def _forgive(self, account: str) -> None:
        """A login that worked was no attempt that failed: whoever is thrown out may come back as often as needed."""
        if await self._store.ask("EXISTS", names.failures(account)):
            await self._store.ask("DECR", names.failures(account))

    async def end(self, own: Living, request: Request, *, device: str | None) -> Outcome:
        known = await self._earlier(request)
        if known is None:
            ends_own = device in {None, own.device}
            answer = f'{{"account":"{own.account}","ended":{int(ends_own)}}}'.encode()
            digest = digest_of(own.token)
            await self._kept.put(names.ended(digest), own.account.encode(), seconds=names.DONE_SECONDS)
            known = await self._keep(request, answer)
        await self._kept.drop(names.session(digest_of(own.token)))
        return known

    async def replay(self, token: str, key: str, fingerprint: str) -> bytes | None:
        account = await self._kept.get(names.ended(digest_of(token)))
        if account is None:
            return None
        done = await self._kept.get(names.done(account.decode(), key)) or b""
        known, _, answer = done.partition(b" ")
        return answer if known == fingerprint.encode() else None

    async def devices(self, account: str) -> list[tuple[str, Session]]:
        """Nobody keeps a list of them here."""
        return []

    async def _earlier(self, request: Request) -> Outcome | None:
        done = await self._kept.get(names.done(request.account, request.key))
        if done is None:
            return None
        known, _, answer = done.partition(b" ")
        same = known == request.fingerprint.encode()
        return Outcome(how="stored" if same else "mismatch", answer=answer if same else b"")

    async def _keep(self, request: Request, answer: bytes) -> Outcome:
        text = f"{request.fingerprint} ".encode() + answer
        await self._kept.put(names.done(request.account, request.key), text, seconds=names.DONE_SECONDS)
        return Outcome(how="done", answer=answer)
