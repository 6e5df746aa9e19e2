"""Sessions kept in the store: any replica finds them, and no replica's end loses one."""

from __future__ import annotations

from collections.abc import Callable

from shop import names
from shop.session_text import decode, encode
from shop.sessions import Living, Login, Outcome, Request, Session, prolonged
from shop.store import Store
from shop.tokens import device_of, digest_of


class RedisSessions:
    """The shop's real sessions; `now` is the time of day in seconds, which all replicas must share."""

    def __init__(self, store: Store, *, session_format: int, now: Callable[[], float]) -> None:
        self._store = store
        self._format = session_format
        self._now = now

    async def find(self, token: str) -> Living | None:
        witness = names.session(digest_of(token))
        found = await self._store.run("session", keys=[witness])
        if not found:
            return None
        session = decode(found[0], now=self._now())
        if session is None:
            return None
        longer = prolonged(session, seconds_left=int(found[1]), now=self._now())
        if longer is not None:
            await self._store.ask("EXPIRE", witness, longer)
        return Living(session=session, token=token, device=device_of(token), witness=witness)

    async def begin(self, login: Login, request: Request) -> Outcome:
        account, digest, old = login.session.account, digest_of(login.token), login.replaces
        reply = await self._store.run(
            "login",
            keys=[
                names.done(account, request.key),
                names.account(account),
                names.session(digest),
                names.devices(account),
                names.failures(account),
                old.witness if old else names.session(digest),
                names.devices(old.account if old else account),
            ],
            arguments=[
                request.fingerprint,
                names.DONE_SECONDS,
                login.sealed,
                login.password or "",
                encode(login.session, session_format=self._format),
                names.IDLE_SECONDS,
                names.LONGEST_SECONDS,
                device_of(login.token),
                digest,
                names.SESSION_PREFIX,
                old.device if old else "",
            ],
        )
        return Outcome(how=reply[0].decode(), answer=reply[1])

    async def end(self, own: Living, request: Request, *, device: str | None) -> Outcome:
        reply = await self._store.run(
            "end",
            keys=[
                names.done(own.account, request.key),
                own.witness,
                names.devices(own.account),
                names.ended(digest_of(own.token)),
            ],
            arguments=[
                request.fingerprint,
                names.DONE_SECONDS,
                f'{{"account":"{own.account}","ended":',
                names.SESSION_PREFIX,
                device or "",
                own.device,
                own.account,
            ],
        )
        return Outcome(how=reply[0].decode(), answer=reply[1])

    async def replay(self, token: str, key: str, fingerprint: str) -> bytes | None:
        reply = await self._store.run(
            "replay", keys=[names.ended(digest_of(token))], arguments=[names.done("", "")[:-1], key]
        )
        if not reply:
            return None
        known, _, answer = reply[1].partition(b" ")
        return answer if known == fingerprint.encode() else None

    async def devices(self, account: str) -> list[tuple[str, Session]]:
        reply = await self._store.run("devices", keys=[names.devices(account)], arguments=[names.SESSION_PREFIX])
        found = [
            (device.decode(), session)
            for device, text in zip(reply[::2], reply[1::2], strict=True)
            if (session := decode(text, now=self._now())) is not None
        ]
        return sorted(found, key=lambda each: (each[1].created, each[0]))
