"""What the sample shop answers, in memory and in one place: for tests and benches of those who use it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from html import escape
from typing import Any

import msgspec

JSON = "application/json"
SKUS = ("tea", "cup", "pot")


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    connection: int

    @property
    def key(self) -> str | None:
        return self.headers.get("idempotency-key")


@dataclass
class Account:
    password: str
    views: list[dict[str, str]] = field(default_factory=list)
    lines: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: list[dict[str, Any]] = field(default_factory=list)
    name: str | None = None


class Refusal(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


Said = tuple[int, list[str], bytes]
"""Status, header lines, body."""


class ShopContract:
    """The sample shop's routes over plain dictionaries: sessions, idempotency keys, and what belongs to accounts."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.sessions: dict[str, str] = {}
        self.release = "v1"
        self._stored: dict[tuple[str, str], tuple[tuple[str, Any], Said]] = {}
        self._tokens = itertools.count()

    def answer(self, seen: Seen) -> Said:
        """What the shop says to this request, and what becomes of it."""
        try:
            return self._routed(seen)
        except Refusal as refusal:
            return refusal.status, [], b'{"error": "refused"}'

    def _routed(self, seen: Seen) -> Said:
        if seen.method == "GET" and (seen.path == "/" or seen.path.startswith("/items/")):
            items = {sku: {"sku": sku, "name": sku, "price": 100} for sku in SKUS}
            found = {"items": [*items.values()]} if seen.path == "/" else {"item": items[seen.path.split("/")[2]]}
            return 200, [], msgspec.json.encode(found)
        if seen.method == "POST" and not 8 <= len(seen.key or "") <= 64:
            raise Refusal(400)
        name = seen.body["account"] if seen.path == "/login" else self._whose(seen)
        asked = (seen.path, seen.body)
        before, stored = self._stored.get((name, seen.key or ""), (asked, None))
        if before != asked:
            raise Refusal(422)
        if stored is None:
            if seen.path == "/login":
                stored = self._log_in(name, seen.body["password"])
            else:
                stored = self._for_account(name, seen)
            if seen.key is not None:
                self._stored[name, seen.key] = asked, stored
        return stored

    def _whose(self, seen: Seen) -> str:
        token = token_of(seen)
        if seen.path == "/logout" and token.partition(".")[0] in self.accounts:
            return token.partition(".")[0]  # a repeat finds its stored answer though the session is gone
        if token not in self.sessions:
            raise Refusal(401)
        return self.sessions[token]

    def _log_in(self, name: str, password: str) -> Said:
        if self.accounts.setdefault(name, Account(password)).password != password:
            raise Refusal(401)
        token = f"{name}.{next(self._tokens)}"
        self.sessions[token] = name
        cookie = f"Set-Cookie: __Host-sid={token}; Path=/; Secure; HttpOnly; SameSite=Lax"
        return 200, [cookie], msgspec.json.encode({"account": name, "csrf": "c"})

    def _for_account(self, name: str, seen: Seen) -> Said:
        extra: list[str] = []
        if seen.path == "/logout":
            self.sessions.pop(token_of(seen), None)
            extra = ["Set-Cookie: __Host-sid=; Path=/; Secure; Max-Age=0"]
        said = {"account": name, **self._effect(self.accounts[name], seen)}
        if "application/json" not in seen.headers.get("accept", JSON):
            return 200, [*extra, "Content-Type: text/html"], page_of(seen.path, said).encode()
        return 200, extra, msgspec.json.encode(said)

    def _effect(self, mine: Account, seen: Seen) -> dict[str, Any]:  # noqa: PLR0911 -- one return a route
        match seen.method, seen.path.strip("/").split("/"):
            case "POST", ["items", sku, "view"]:
                mine.views.append({"id": seen.key or "", "sku": sku})
                return {"view": seen.key}
            case "GET", ["history"]:
                return {"count": len(mine.views), "entries": mine.views[-100:]}
            case "POST", ["cart"]:
                mine.lines[seen.key or ""] = {"id": seen.key, **seen.body}
                return {"line": seen.key}
            case "POST", ["cart", line, "remove"]:
                return {"removed": mine.lines.pop(line, None) is not None}
            case "GET", ["cart"]:
                return {"lines": list(mine.lines.values())}
            case "POST", ["checkout"]:
                order = {"id": seen.key, "lines": list(mine.lines.values())}
                mine.lines = {}
                if not order["lines"]:
                    return {"order": None, "lines": []}
                mine.orders.append(order)
                return {"order": seen.key, "lines": order["lines"]}
            case "GET", ["orders"]:
                return {"orders": mine.orders}
            case "POST", ["account", "name"]:
                mine.name = seen.body["name"]
                return {"name": mine.name}
            case "GET", ["account"]:
                return {"name": mine.name, "release": self.release}
            case "GET", ["devices"]:
                whose = token_of(seen).partition(".")[0]
                mine_too = [token for token, name in self.sessions.items() if name == whose]
                return {"devices": [{"id": one, "current": one == token_of(seen)} for one in mine_too]}
            case "POST", ["logout"]:
                return {}
        raise Refusal(404)


def token_of(seen: Seen) -> str:
    """The session's token that a request carries, "" for none."""
    cookies = dict(pair.split("=", 1) for pair in seen.headers.get("cookie", "x=").split("; "))
    return cookies.get("__Host-sid", "")


def page_of(path: str, said: dict[str, Any]) -> str:
    """The answer as a browser gets it, as far as it is read."""
    match path:
        case "/history":
            rows = [f'<li data-id="{one["id"]}" data-sku="{one["sku"]}">' for one in reversed(said["entries"])]
            inner = f"<h1>Recently viewed</h1><p>{said['count']} viewed so far</p>{''.join(rows)}"
        case "/cart":
            inner = f"<h1>Your cart</h1>{_lines_of(said['lines'])}"
        case "/orders":
            orders = reversed(said["orders"])
            inner = "<h1>Your orders</h1>" + "".join(
                f'<section class="sheet" data-order="{one["id"]}">{_lines_of(one["lines"])}</section>' for one in orders
            )
        case _:
            name = said["name"] or ""
            inner = f'<h1>Hello, {escape(name)}</h1><input name="name" maxlength="80" value="{escape(name)}">'
    return f"<main>{inner}</main><footer>logged in as <b>{said['account']}</b></footer>"


def _lines_of(lines: list[dict[str, Any]]) -> str:
    return "".join(
        f'<li class="line" data-id="{one["id"]}" data-sku="{one["sku"]}" data-quantity="{one["quantity"]}">'
        for one in lines
    )
