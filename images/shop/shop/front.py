"""The way in: reads a request, checks what it must show, lets a handler answer, and says that as JSON or a page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from shop import guard, patience
from shop.answers import Reply, as_json, as_page, as_redirect, problem, wants_json
from shop.body import LONGEST_BODY, parse_fields
from shop.pages import Pages, Setting
from shop.refusals import Busy, Refused, StoreUnavailable, logged_out
from shop.sessions import Living, Outcome, Request, Sessions
from shop.tokens import csrf_of, new_token


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """One request as handlers see it. `token` is what the cookie said, whether or not it is a living session's."""

    token: str | None
    living: Living | None = None
    key: str = ""
    fingerprint: str = ""
    user_agent: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    path: dict[str, str] = field(default_factory=dict)

    @property
    def who(self) -> Living:
        """Whose request it is; raises Refused (401) if nobody's."""
        if self.living is None:
            raise logged_out()
        return self.living

    def request(self, account: str) -> Request:
        """What makes this change one and the same when it is repeated."""
        return Request(account=account, key=self.key, fingerprint=self.fingerprint)


log = logging.getLogger("shop")

Handler = Callable[[Visit], Awaitable[Reply]]
Endpoint = Callable[[HttpRequest], Awaitable[Response]]


class Front:
    """Makes endpoints of handlers."""

    def __init__(self, *, sessions: Sessions, pages: Pages) -> None:
        self._sessions = sessions
        self._pages = pages

    def endpoint(self, handler: Handler, *, public: bool = False, is_login: bool = False) -> Endpoint:
        """An endpoint that needs a living session unless it is `public`."""

        async def answer(request: HttpRequest) -> Response:
            living, typed = None, ""
            patience.begin()
            try:
                visit = await self._read(request, public=public, is_login=is_login)
                living = visit.who if not public else visit.living
                typed = str(visit.fields.get("account", "")) if is_login else ""
                reply = await handler(visit)
            except Refused as exc:
                reply = replace(_refusal(exc, is_login=is_login), typed=typed)
            except Busy as exc:
                reply = _later(str(exc), not_applied=True)
            except StoreUnavailable as exc:
                log.warning("store: %s", exc.why)
                reply = _later("the shop can't reach its store", not_applied=exc.not_applied)
            return self.say(request, reply, living=living)

        return answer

    async def refuse(self, request: HttpRequest, exc: Exception) -> Response:
        """The answer to a request for which there is no route, or whose handler failed."""
        status = getattr(exc, "status_code", 500)
        why = {404: "there is nothing here", 405: "that can't be done here"}.get(status, "something went wrong")
        headers = tuple((getattr(exc, "headers", None) or {}).items())
        return self.say(request, problem(status, why, headers=headers), living=await self._recognized(request))

    def say(self, request: HttpRequest, reply: Reply, *, living: Living | None) -> Response:
        """`reply` in the form that `request` asks for."""
        if wants_json(request.headers):
            return as_json(reply)
        if reply.onward is not None:
            return as_redirect(reply, reply.onward)
        if reply.page != "login":
            csrf = csrf_of(living.token) if living else ""
            setting = Setting(account=living.account if living else None, csrf=csrf)
            return as_page(reply, self._pages, setting)
        csrf = guard.cookie(request.headers.get("cookie", ""), guard.LOGIN_COOKIE) or new_token()
        response = as_page(reply, self._pages, Setting(account=None, csrf=csrf, typed=reply.typed))
        response.headers.append("set-cookie", guard.login_cookie(csrf))
        return response

    async def _read(self, request: HttpRequest, *, public: bool, is_login: bool) -> Visit:
        headers = request.headers
        cookies = headers.get("cookie", "")
        token = guard.cookie(cookies, guard.SESSION_COOKIE)
        visit = Visit(token=token, user_agent=headers.get("user-agent", ""), path=dict(request.path_params))
        if request.method == "POST":
            fields = parse_fields(headers.get("content-type", ""), await _body(request))
            guard.check_origin(headers, fields, cookies=cookies, is_login=is_login)
            visit = replace(
                visit,
                fields=fields,
                key=guard.idempotency_key(headers.get("idempotency-key"), fields),
                fingerprint=guard.fingerprint_of("POST", request.scope["path"], fields),
            )
        elif public and wants_json(headers):
            return visit  # What is the same for everybody needs no session, and so no store.
        return replace(visit, living=await self._found(token)) if token else visit

    async def _recognized(self, request: HttpRequest) -> Living | None:
        """Whose page it is that says what went wrong; programs are told nothing that they do not know."""
        token = guard.cookie(request.headers.get("cookie", ""), guard.SESSION_COOKIE)
        if not token or wants_json(request.headers):
            return None
        try:
            return await self._sessions.find(token)
        except (Busy, StoreUnavailable):
            return None

    async def _found(self, token: str) -> Living | None:
        try:
            return await self._sessions.find(token)
        except StoreUnavailable as exc:
            # Only a session was looked for: what was asked has surely not been done.
            raise StoreUnavailable(exc.why, not_applied=True) from exc


def granted(outcome: Outcome) -> bytes:
    """The answer of a change that was done, now or before; raises Refused for one that was not."""
    if outcome.how in {"done", "stored"}:
        return outcome.answer
    if outcome.how == "mismatch":
        raise Refused(422, "this Idempotency-Key was used for another request")
    if outcome.how == "full":
        raise Refused(409, "the cart is full")
    if outcome.how == "ended":
        raise logged_out()
    raise ValueError(f"a change came out as {outcome.how!r}")


async def _body(request: HttpRequest) -> bytes:
    """The whole body, or just more of it than is allowed."""
    parts, length = [], 0
    async for part in request.stream():
        parts.append(part)
        length += len(part)
        if length > LONGEST_BODY:
            break
    return b"".join(parts)


def _refusal(exc: Refused, *, is_login: bool) -> Reply:
    headers = () if exc.retry_after is None else (("retry-after", str(exc.retry_after)),)
    reply = problem(exc.status, exc.why, headers=headers)
    if is_login:
        return replace(reply, page="login")
    return replace(reply, onward="/login") if exc.status == 401 else reply


def _later(why: str, *, not_applied: bool) -> Reply:
    headers = (("retry-after", "1"), *((("x-not-applied", "1"),) if not_applied else ()))
    return problem(503, why, headers=headers)
