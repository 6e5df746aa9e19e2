"""Who somebody is: logging in and out, the account, and the devices it is used on."""

from __future__ import annotations

from collections.abc import Callable

from shop import fields, names
from shop.answers import Reply, json_text
from shop.belongings import Belongings
from shop.features import Features
from shop.front import Visit, granted
from shop.guard import bucket_cookie, session_cookie, session_cookie_cleared
from shop.labels import label_of
from shop.passwords import Passwords, Proof
from shop.refusals import Refused, StoreUnavailable, logged_out
from shop.sessions import Login, Outcome, Session, Sessions
from shop.store import Store
from shop.tokens import csrf_of, new_token, seal, unseal

MOST_ATTEMPTS = 10


class Identity:
    """The handlers of login, logout, the account and its devices; `now` is the time of day in seconds."""

    def __init__(
        self,
        *,
        store: Store,
        sessions: Sessions,
        belongings: Belongings,
        passwords: Passwords,
        features: Features,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._belongings = belongings
        self._passwords = passwords
        self._features = features
        self._now = now

    async def show_login(self, _visit: Visit) -> Reply:
        return Reply(body=b"{}", page="login")

    async def log_in(self, visit: Visit) -> Reply:
        account = fields.account_of(visit.fields)
        password = fields.password_of(visit.fields)
        proof = await self._proof(account, password)
        outcome = await self._begin(visit, account, proof)
        if outcome.how == "raced":  # Somebody made the account just now: it is their password that counts.
            proof = await self._proof(account, password)
            outcome = await self._begin(visit, account, proof)
        token = unseal(granted(outcome).decode(), secret=proof.secret, key=visit.key)
        return Reply(
            body=json_text({"account": account, "csrf": csrf_of(token)}),
            onward="/",
            cookies=(session_cookie(token), bucket_cookie(account)),
        )

    async def log_out(self, visit: Visit) -> Reply:
        device = visit.living.device if visit.living else None
        return await self._end(visit, device)

    async def show_devices(self, visit: Visit) -> Reply:
        found = await self._sessions.devices(visit.who.account)
        listed = []
        for device, session in found:
            each = {"id": device, "since": session.created, "current": device == visit.who.device}
            if self._features.device_labels:
                each["label"] = session.label
            listed.append(each)
        return Reply(body=json_text({"account": visit.who.account, "devices": listed}), page="devices")

    async def end_device(self, visit: Visit) -> Reply:
        return await self._end(visit, fields.device_of(visit.path["device"]))

    async def end_all(self, visit: Visit) -> Reply:
        return await self._end(visit, None)

    async def show_account(self, visit: Visit) -> Reply:
        name = await self._belongings.name(visit.who)
        body = {"account": visit.who.account, "name": name, "release": self._features.release}
        return Reply(body=json_text(body), page="account")

    async def rename(self, visit: Visit) -> Reply:
        name = fields.name_of(visit.fields)
        outcome = await self._belongings.rename(visit.who, visit.request(visit.who.account), name=name)
        return Reply(body=granted(outcome), onward="/account")

    async def _proof(self, account: str, password: str) -> Proof:
        async with self._passwords.turn():
            proof = await self._passwords.prove(password, await self._password_record(account))
        if proof is None:
            raise Refused(401, "wrong password")
        return proof

    async def _password_record(self, account: str) -> str | None:
        """The account's password record, None if there is no such account; counts as an attempt to log in."""
        try:
            attempts, record = await self._store.run(
                "attempt",
                keys=[names.failures(account), names.account(account)],
                arguments=[names.FAILURE_WINDOW_SECONDS],
            )
        except StoreUnavailable as exc:
            # At most an attempt was counted: nobody has been logged in.
            raise StoreUnavailable(exc.why, not_applied=True) from exc
        if int(attempts) > MOST_ATTEMPTS:
            raise Refused(429, "too many attempts: try again in a minute", retry_after=names.FAILURE_WINDOW_SECONDS)
        return record.decode() or None

    async def _begin(self, visit: Visit, account: str, proof: Proof) -> Outcome:
        token = new_token()
        label = label_of(visit.user_agent) if self._features.device_labels else None
        login = Login(
            token=token,
            sealed=seal(token, secret=proof.secret, key=visit.key),
            session=Session(account=account, created=int(self._now()), label=label),
            password=proof.record,
            replaces=visit.living,
        )
        return await self._sessions.begin(login, visit.request(account))

    async def _end(self, visit: Visit, device: str | None) -> Reply:
        """End sessions. Repeating the request that ended its own session is answered like the first time."""
        living = visit.living
        if living is not None:
            body = granted(await self._sessions.end(living, visit.request(living.account), device=device))
            if device not in {None, living.device}:
                return Reply(body=body, onward="/devices")
        else:
            known = await self._sessions.replay(visit.token, visit.key, visit.fingerprint) if visit.token else None
            if known is None:
                raise logged_out()
            body = known
        return Reply(body=body, onward="/login", cookies=(session_cookie_cleared(),))
