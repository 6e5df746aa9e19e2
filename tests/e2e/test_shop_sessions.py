"""The shop's sessions and state changes on real replicas: what a login is worth, and what a repeat costs."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import pytest
import requests

pytestmark = pytest.mark.e2e

HERE, THERE, ELSEWHERE = SLOTS = ("a1", "b1", "c1")
SESSION = "shop:1:session:"
PASSWORD = "pass"
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
POLICY = ("default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'")
PAGES = ("/", "/login", "/items/mug", "/history", "/cart", "/orders", "/account", "/devices")

EVERYTHING = """
local lines = {}
local names = redis.call('KEYS', 'shop:*')
table.sort(names)
for _, name in ipairs(names) do
  local kind, content = redis.call('TYPE', name).ok, {}
  if kind == 'string' then content = {redis.call('GET', name)}
  elseif kind == 'list' then content = redis.call('LRANGE', name, 0, -1)
  elseif kind == 'hash' then content = redis.call('HGETALL', name) end
  lines[#lines + 1] = name .. ' ' .. kind .. ' ' .. table.concat(content, ' ')
end
return table.concat(lines, ' ; ')
"""

ENDLESS = """
local found = {}
for _, name in ipairs(redis.call('KEYS', 'shop:*')) do
  local kind = string.match(name, '^shop:1:([a-z]+):')
  if redis.call('TTL', name) < 0 then found[#found + 1] = kind end
end
table.sort(found)
return table.concat(found, ' ')
"""


class Shop(Protocol):
    """What these tests need of a cluster of at least three slots of v1."""

    @property
    def url(self) -> str: ...

    def ask(self, slot: str, method: str, path: str, **request: Any) -> requests.Response: ...

    def store(self, *command: str) -> str: ...

    def logs(self) -> str: ...

    def upgrade(self, slot: str, release: str) -> None: ...


@dataclass
class Device:
    """One browser or program of an account; it keeps the one cookie that matters, and tells which slot it asks."""

    shop: Shop
    account: str
    number: int = 1
    token: str = ""
    bodies: list[str] = field(default_factory=list)
    _count: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def fresh_key(self) -> str:
        return f"{self.account}.{self.number}.{next(self._count)}"

    def get(self, path: str, *, slot: str = HERE, **headers: str) -> requests.Response:
        return self._send(slot, "GET", path, {"Accept": "application/json", **headers})

    def post(self, path: str, *, slot: str = HERE, key: str | None = None, **fields: Any) -> requests.Response:
        headers = {"Accept": "application/json", "Idempotency-Key": key or self.fresh_key()}
        return self._send(slot, "POST", path, headers, json=fields)

    def submit(self, path: str, form: dict[str, str], *, headers: dict[str, str] | None = None) -> requests.Response:
        """Post a form as a browser does: no key or type of its own in the headers."""
        return self._send(HERE, "POST", path, {"Accept": "text/html", **(headers or {})}, data=form)

    def log_in(self, *, slot: str = HERE, key: str | None = None, password: str = PASSWORD) -> requests.Response:
        answer = self.post("/login", slot=slot, key=key, account=self.account, password=password)
        assert answer.status_code == 200, answer.text
        self.token = token_of(answer)
        return answer

    @property
    def session_name(self) -> str:
        return SESSION + hashlib.sha256(self.token.encode()).hexdigest()

    def _send(self, slot: str, method: str, path: str, headers: dict[str, str], **body: Any) -> requests.Response:
        if self.token and "Cookie" not in headers:
            headers["Cookie"] = f"__Host-sid={self.token}"
        answer = self.shop.ask(slot, method, path, headers=headers, **body)
        self.bodies.append(answer.text)
        return answer


def token_of(answer: requests.Response) -> str:
    found = re.match(r"__Host-sid=([A-Za-z0-9_-]{43});", answer.headers.get("Set-Cookie", ""))
    assert found, answer.headers
    return found[1]


def fresh(shop: Shop) -> Device:
    return Device(shop=shop, account=f"e2e-{secrets.token_hex(4)}")


@pytest.fixture
def shop(shop_cluster: Shop) -> Shop:
    return shop_cluster


@pytest.fixture
def device(shop: Shop) -> Device:
    """A device of a fresh account, logged in."""
    made = fresh(shop)
    made.log_in()
    return made


@pytest.fixture
def second(shop: Shop, device: Device) -> Device:
    """Another device of the same account, logged in elsewhere."""
    made = Device(shop=shop, account=device.account, number=2)
    made.log_in(slot=THERE)
    return made


@pytest.fixture(scope="module")
def v2(shop_cluster: Shop) -> Iterator[str]:
    """The slot that runs v2 while the others run v1."""
    shop_cluster.upgrade(ELSEWHERE, "v2")
    yield ELSEWHERE
    shop_cluster.upgrade(ELSEWHERE, "v1")


# Repeats


CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "view": ("/items/lamp/view", {}),
    "add": ("/cart", {"sku": "mug", "quantity": 3}),
    "remove": ("/cart/{line}/remove", {}),
    "checkout": ("/checkout", {}),
    "rename": ("/account/name", {"name": 'Zoë ☃ \\ "<b>" \' ; --'}),
    "end a device": ("/devices/{device}/end", {}),
    "end this device": ("/devices/{own}/end", {}),
    "end all": ("/devices/end-all", {}),
    "logout": ("/logout", {}),
}


def prepared(device: Device, second: Device, path: str) -> str:
    """`path` with what it names, after putting something into the cart."""
    line = device.post("/cart", sku="teapot", quantity=1).json()["line"]
    own = next(one["id"] for one in device.get("/devices").json()["devices"] if one["current"])
    other = next(one["id"] for one in second.get("/devices").json()["devices"] if one["current"])
    return path.format(line=line, own=own, device=other)


@pytest.mark.parametrize("change", CHANGES)
def test_a_repeat_is_answered_alike_and_changes_nothing(
    shop: Shop, device: Device, second: Device, change: str
) -> None:
    """The same key twice, on two replicas, is one change and one answer, byte for byte."""
    path, fields = CHANGES[change]
    path, key = prepared(device, second, path), device.fresh_key()
    before = shop.store("EVAL", EVERYTHING, "0")
    first = device.post(path, key=key, **fields)
    after = shop.store("EVAL", EVERYTHING, "0")
    again = device.post(path, slot=THERE, key=key, **fields)
    assert first.status_code == 200, first.text
    assert first.json()["account"] == device.account
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers.get("Set-Cookie") == first.headers.get("Set-Cookie")
    assert before != after == shop.store("EVAL", EVERYTHING, "0")


def test_a_repeated_login_gives_the_same_session(shop: Shop) -> None:
    """Though the store knows no token, the repeat gets the same cookie, and one session was made."""
    device = fresh(shop)
    key = device.fresh_key()
    first, again = device.log_in(key=key), device.log_in(slot=THERE, key=key)
    assert again.content == first.content
    assert again.headers["Set-Cookie"] == first.headers["Set-Cookie"]
    assert len(device.get("/devices").json()["devices"]) == 1


def test_a_login_repeated_with_a_wrong_password_gives_nothing(shop: Shop) -> None:
    """Knowing the key of somebody's login does not log anybody in."""
    device = fresh(shop)
    key = device.fresh_key()
    device.log_in(key=key)
    thief = Device(shop=shop, account=device.account)
    answer = thief.post("/login", slot=THERE, key=key, account=device.account, password="wrong")
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (401, False)


def test_first_logins_at_once_are_one(shop: Shop) -> None:
    """A new account whose first login reaches several replicas at once gets one password and a living session."""
    for _ in range(5):
        device = fresh(shop)
        log_in = partial(device.post, "/login", key=device.fresh_key(), account=device.account, password=PASSWORD)
        with ThreadPoolExecutor(len(SLOTS)) as pool:
            waiting = [pool.submit(log_in, slot=slot) for slot in SLOTS]
        answers = [each.result() for each in waiting]
        assert {answer.status_code for answer in answers} == {200}
        assert len({token_of(answer) for answer in answers}) == 1
        device.token = token_of(answers[0])
        assert device.get("/account").status_code == 200


def test_a_key_used_for_something_else_is_refused(shop: Shop, device: Device) -> None:
    """Another body or another route under a used key is 422, and changes nothing."""
    key = device.fresh_key()
    device.post("/cart", key=key, sku="mug", quantity=1)
    before = shop.store("EVAL", EVERYTHING, "0")
    assert device.post("/cart", slot=THERE, key=key, sku="mug", quantity=2).status_code == 422
    assert device.post("/checkout", slot=THERE, key=key).status_code == 422
    assert device.post("/logout", slot=THERE, key=key).status_code == 422
    assert shop.store("EVAL", EVERYTHING, "0") == before


def test_one_key_of_two_accounts_is_two_changes(shop: Shop, device: Device) -> None:
    """Keys belong to an account: nobody gets another's answer."""
    other = fresh(shop)
    other.log_in()
    for one in (device, other):
        answer = one.post("/items/mug/view", key="shared-key-1")
        assert answer.json()["account"] == one.account
        assert one.get("/history").json()["count"] == 1


def test_changes_at_once_are_each_done_once(device: Device) -> None:
    """Forty views with twenty keys over three replicas leave twenty entries."""
    keys = [device.fresh_key() for _ in range(20)] * 2
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda pair: device.post("/items/mug/view", key=pair[1], slot=SLOTS[pair[0] % 3]), enumerate(keys)
        )
        assert {answer.status_code for answer in answers} == {200}
    history = device.get("/history", slot=THERE).json()
    assert history["count"] == 20
    assert sorted(entry["id"] for entry in history["entries"]) == sorted(set(keys))


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_without_a_key_is_refused(device: Device, second: Device, change: str) -> None:
    """Without a key a repeat could not be told from a second request: 400, whatever the route."""
    path = prepared(device, second, CHANGES[change][0])
    headers = {"Accept": "application/json", "Cookie": f"__Host-sid={device.token}"}
    page = device.get("/cart", Accept="text/html").text
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert csrf
    answer = device.shop.ask(HERE, "POST", path, headers=headers, data={"csrf": csrf[1]})
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["error"]


# One account, many replicas, devices and releases


def test_two_devices_share_everything(device: Device, second: Device) -> None:
    """History, cart, orders and name are the account's, whichever device and replica."""
    view = device.post("/items/mug/view").json()["view"]
    line = second.post("/cart", slot=THERE, sku="lamp", quantity=2).json()["line"]
    device.post("/account/name", slot=ELSEWHERE, name="Anna")
    for one, slot in itertools.product((device, second), SLOTS):
        assert one.get("/history", slot=slot).json()["entries"] == [{"id": view, "sku": "mug"}]
        assert one.get("/cart", slot=slot).json()["lines"][0]["id"] == line
        assert one.get("/account", slot=slot).json()["name"] == "Anna"
    order = device.post("/checkout", slot=ELSEWHERE).json()
    assert [each["id"] for each in order["lines"]] == [line]
    assert second.get("/cart").json()["lines"] == []
    assert second.get("/orders", slot=THERE).json()["orders"][0]["id"] == order["order"]
    assert second.post("/checkout").json()["order"] is None


def test_only_the_newest_entries_are_shown_and_all_are_counted(device: Device) -> None:
    """A hundred and five views: the count says so, and the newest hundred are there, oldest first."""
    keys = [device.post("/items/mug/view").json()["view"] for _ in range(105)]
    history = device.get("/history", slot=THERE).json()
    assert history["count"] == 105
    assert [entry["id"] for entry in history["entries"]] == keys[-100:]


def test_a_line_is_removed_once(device: Device) -> None:
    """The second removal with a key of its own says that there was nothing left to remove."""
    line = device.post("/cart", sku="mug", quantity=1).json()["line"]
    assert device.post(f"/cart/{line}/remove", slot=THERE).json()["removed"] is True
    assert device.post(f"/cart/{line}/remove").json()["removed"] is False


def test_either_release_reads_what_the_other_wrote(shop: Shop, v2: str) -> None:
    """A user goes from v1 to v2 and back in the middle of a purchase, and nothing is lost or changed."""
    device = Device(shop=shop, account=f"e2e-{secrets.token_hex(4)}", number=2)
    device.log_in(slot=v2)
    assert device.get("/account", slot=HERE).json()["release"] == "v1"
    assert device.get("/account", slot=v2).json()["release"] == "v2"
    wrapped = device.post("/cart", slot=v2, sku="mug", quantity=2, gift=True).json()["line"]
    plain = device.post("/cart", slot=HERE, sku="lamp", quantity=1, gift=True).json()["line"]
    lines = [
        {"id": wrapped, "sku": "mug", "quantity": 2, "gift": True},
        {"id": plain, "sku": "lamp", "quantity": 1},
    ]
    for slot in (HERE, v2):
        assert device.get("/cart", slot=slot).json()["lines"] == lines
    order = device.post("/checkout", slot=HERE).json()
    assert order["lines"] == lines
    assert device.get("/orders", slot=v2).json()["orders"] == [{"id": order["order"], "lines": lines}]


def test_v2_reads_v1s_session_and_either_repeats_the_others_changes(device: Device, v2: str) -> None:
    """A login and a change begun on one release are finished on the other."""
    assert device.get("/cart", slot=v2).status_code == 200
    key = device.fresh_key()
    first = device.post("/cart", slot=v2, key=key, sku="mug", quantity=1, gift=True)
    again = device.post("/cart", slot=HERE, key=key, sku="mug", quantity=1, gift=True)
    assert (again.status_code, again.content) == (200, first.content)
    assert device.get("/cart", slot=v2).json()["lines"][0]["gift"] is True


def test_v2_shows_what_it_adds_and_v1_does_not(device: Device, v2: str) -> None:
    """The new feature is seen on v2's pages; the device's label is listed by v2 alone."""
    device.post("/cart", slot=v2, sku="mug", quantity=1, gift=True)
    new, old = (device.get("/", slot=slot, Accept="text/html").text for slot in (v2, HERE))
    assert "wrap gifts" in new
    assert "wrap gifts" not in old
    new, old = (device.get("/cart", slot=slot, Accept="text/html").text for slot in (v2, HERE))
    assert "gift-wrapped" in new
    assert "gift-wrapped" not in old
    assert "label" in device.get("/devices", slot=v2).json()["devices"][0]
    assert "label" not in device.get("/devices", slot=HERE).json()["devices"][0]


def test_every_answer_names_its_replica_and_release(device: Device, v2: str) -> None:
    """Who served is in the headers and on the page."""
    for slot, release in ((HERE, "v1"), (v2, "v2")):
        answer = device.get("/", slot=slot, Accept="text/html")
        assert answer.headers["X-Replica"].startswith(f"{slot}-")
        assert answer.headers["X-Release"] == release
        assert (
            f"served by replica <b>{answer.headers['X-Replica']}</b></span><span>zone <b>{slot[0]}</b>" in answer.text
        )


# Reading changes nothing


@pytest.mark.parametrize("path", [*PAGES, "/healthz", "/readyz", "/nowhere", "/static/shop.css"])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_reading_changes_nothing(shop: Shop, device: Device, path: str, accept: str) -> None:
    """Every GET leaves the store as it was, with a session, without one, and with one that never was."""
    device.post("/cart", sku="mug", quantity=1)
    before = shop.store("EVAL", EVERYTHING, "0")
    device.get(path, Accept=accept)
    shop.ask(THERE, "GET", path, headers={"Accept": accept})
    shop.ask(THERE, "GET", path, headers={"Accept": accept, "Cookie": f"__Host-sid={secrets.token_urlsafe(32)}"})
    assert shop.store("EVAL", EVERYTHING, "0") == before


@pytest.mark.parametrize("path", ["/items/mug/view", "/checkout", "/logout", "/account/name", "/devices/end-all"])
def test_changes_are_not_made_by_get(device: Device, path: str) -> None:
    """A link can't change anything."""
    assert device.get(path).status_code in {404, 405}


# What a session is worth


def test_a_session_that_never_was_is_none(shop: Shop) -> None:
    """A well-formed random token is 401 everywhere, and leaves nothing in the store."""
    device = Device(shop=shop, account="nobody-1", token=secrets.token_urlsafe(32))
    before = shop.store("EVAL", EVERYTHING, "0")
    for slot in SLOTS:
        assert device.get("/cart", slot=slot).status_code == 401
        assert device.post("/cart", slot=slot, sku="mug", quantity=1).status_code == 401
    assert shop.store("EVAL", EVERYTHING, "0") == before


def test_a_logged_out_session_is_dead_everywhere(shop: Shop, device: Device) -> None:
    """After logout the old cookie is 401 on every replica, also on one that is started later."""
    left = device.post("/logout", slot=THERE)
    assert left.status_code == 200
    assert left.headers["Set-Cookie"].startswith("__Host-sid=; Max-Age=0;")
    shop.upgrade(ELSEWHERE, "v1")
    for slot in SLOTS:
        assert device.get("/cart", slot=slot).status_code == 401
        assert device.post("/items/mug/view", slot=slot).status_code == 401
        assert device.post("/logout", slot=slot).status_code == 401


def test_a_planted_session_is_not_taken_over(shop: Shop) -> None:
    """Whoever plants a token before the login holds nothing afterwards."""
    planted = secrets.token_urlsafe(32)
    device = Device(shop=shop, account=f"e2e-{secrets.token_hex(4)}", token=planted)
    device.log_in()
    assert device.token != planted
    assert Device(shop=shop, account=device.account, token=planted).get("/cart").status_code == 401


def test_a_new_login_ends_the_old_session_and_keeps_the_cart(shop: Shop, device: Device) -> None:
    """Logging in again changes the token, kills the old one, and loses nothing that belongs to the account."""
    line = device.post("/cart", sku="mug", quantity=1).json()["line"]
    old = device.token
    device.log_in(slot=THERE)
    assert device.token != old
    assert Device(shop=shop, account=device.account, token=old).get("/cart", slot=ELSEWHERE).status_code == 401
    assert [each["id"] for each in device.get("/cart").json()["lines"]] == [line]
    assert len(device.get("/devices").json()["devices"]) == 1


def test_a_device_ends_another_and_nobody_else(shop: Shop, device: Device, second: Device) -> None:
    """Ending one session leaves the account's other one and other people's alone."""
    bystander = fresh(shop)
    bystander.log_in()
    listed = device.get("/devices").json()["devices"]
    assert [one["current"] for one in listed].count(True) == 1
    other = next(one["id"] for one in listed if not one["current"])
    assert bystander.post(f"/devices/{other}/end").json()["ended"] == 0
    assert device.post(f"/devices/{other}/end").json()["ended"] == 1
    assert [one.get("/cart", slot=THERE).status_code for one in (device, second, bystander)] == [200, 401, 200]
    assert device.post(f"/devices/{other}/end").json()["ended"] == 0


def test_all_devices_end_at_once(shop: Shop, device: Device, second: Device) -> None:
    """Logging out everywhere ends this device too, and nobody else's."""
    bystander = fresh(shop)
    bystander.log_in()
    assert device.post("/devices/end-all", slot=THERE).json()["ended"] == 2
    for slot in SLOTS:
        assert [one.get("/cart", slot=slot).status_code for one in (device, second, bystander)] == [401, 401, 200]


def test_the_cookie_is_closed(device: Device) -> None:
    """Secure, host-only, out of scripts' reach, and not sent along by other sites' forms."""
    session, bucket = device.log_in().headers["Set-Cookie"].split(", ")
    assert session == f"__Host-sid={device.token}; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert re.fullmatch(r"bucket=[0-9a-f]{16}; Path=/; Secure; HttpOnly; SameSite=Lax", bucket)


def test_every_session_key_expires(shop: Shop, device: Device, second: Device) -> None:
    """After all that was done, only what belongs to accounts has no end."""
    second.post("/logout")
    assert 0 < int(shop.store("TTL", device.session_name)) <= 1800
    endless = set(shop.store("EVAL", ENDLESS, "0").split())
    assert endless <= {"account", "history", "cart", "orders"}


def test_using_a_session_keeps_it_and_no_longer_than_its_login_allows(shop: Shop, device: Device) -> None:
    """In its second half the idle time begins anew; the twelve hours from the login do not."""
    shop.store("EXPIRE", device.session_name, "100")
    assert device.get("/cart", slot=THERE).status_code == 200
    assert 1700 < int(shop.store("TTL", device.session_name)) <= 1800
    session = json.loads(shop.store("GET", device.session_name))
    for age, status in ((12 * 3600 - 60, 200), (12 * 3600 + 1, 401)):
        aged = {**session, "created": session["created"] - age}
        shop.store("SET", device.session_name, json.dumps(aged), "EX", "50")
        assert device.get("/cart").status_code == status
        assert 0 < int(shop.store("TTL", device.session_name)) <= 60


@pytest.mark.parametrize("garbage", ["", "{", "null", "[]", "\x01\xff", '{"format":9}', "x" * 5000, "[" * 3000])
def test_garbage_for_a_session_is_no_session(shop: Shop, device: Device, garbage: str) -> None:
    """Whatever lies in the store under a session's name, the answer is 401 and never a failure."""
    shop.store("SET", device.session_name, garbage, "EX", "60")
    assert device.get("/cart", slot=THERE).status_code == 401
    assert device.post("/cart", slot=THERE, sku="mug", quantity=1).status_code == 401


def test_a_token_is_in_no_body_no_log_and_no_key(shop: Shop, device: Device) -> None:
    """The token travels in the cookie alone: not in pages, not in what containers write, not in the store."""
    line = device.post("/cart", sku="mug", quantity=1).json()["line"]
    device.post(f"/cart/{line}/remove")
    for path, accept in itertools.product(PAGES, ("application/json", "text/html")):
        device.get(path, slot=THERE, Accept=accept)
    device.post("/logout", slot=THERE)
    device.get("/cart")
    written = [*device.bodies, shop.logs(), shop.store("EVAL", EVERYTHING, "0")]
    assert not [text for text in written if device.token in text]


# Passwords


def test_guessing_is_slowed_by_all_replicas_together(shop: Shop, device: Device) -> None:
    """Ten wrong passwords over three replicas close this account for a while, to the right one too."""
    guesser = Device(shop=shop, account=device.account, number=3)

    def guess(number: int, password: str) -> int:
        answer = guesser.post("/login", slot=SLOTS[number % 3], account=device.account, password=password)
        return answer.status_code

    assert [guess(number, f"guess-{number}") for number in range(10)] == [401] * 10
    assert [guess(number, PASSWORD) for number in range(3)] == [429] * 3
    assert 0 < int(shop.store("TTL", f"shop:1:failures:{device.account}")) <= 60
    assert device.get("/cart").status_code == 200
    fresh(shop).log_in()


def test_logging_in_rightly_is_not_slowed(shop: Shop, device: Device) -> None:
    """Only failures count: fifteen right logins in a row are all let in."""
    for number in range(15):
        Device(shop=shop, account=device.account, number=number + 2).log_in(slot=SLOTS[number % 3])


def test_the_store_knows_no_password(shop: Shop) -> None:
    """What is kept is salted and slow to guess."""
    device, password = fresh(shop), secrets.token_hex(12)
    device.log_in(password=password)
    assert password not in shop.store("EVAL", EVERYTHING, "0")
    assert shop.store("HGET", f"shop:1:account:{device.account}", "password").startswith("scrypt:")


# Other sites


def form_fields(page: str) -> dict[str, str]:
    found = dict(re.findall(r'<input type="hidden" name="(csrf|key)" value="([^"]+)">', page))
    assert set(found) == {"csrf", "key"}
    return found


def test_a_form_of_another_site_changes_nothing(shop: Shop, device: Device) -> None:
    """Without the page's own value, or sent from another site, a form is 403 though the cookie came along."""
    hidden = form_fields(device.get("/cart", Accept="text/html").text)
    before = shop.store("EVAL", EVERYTHING, "0")
    form = {"sku": "mug", "quantity": "1", **hidden}
    assert device.submit("/cart", {**form, "csrf": ""}).status_code == 403
    assert device.submit("/cart", {**form, "csrf": "0" * 64}).status_code == 403
    assert device.submit("/cart", form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert shop.store("EVAL", EVERYTHING, "0") == before
    assert device.submit("/cart", form).status_code == 303
    assert len(device.get("/cart").json()["lines"]) == 1


def test_a_login_form_of_another_site_logs_nobody_in(shop: Shop) -> None:
    """Nobody is logged in to a stranger's account: the form must match the browser's own cookie."""
    device = fresh(shop)
    page = device.get("/login", Accept="text/html")
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    form = {"account": device.account, "password": PASSWORD, **form_fields(page.text)}
    assert device.submit("/login", form).status_code == 403
    assert device.submit("/login", form, headers={"Cookie": "__Host-login=" + "x" * 43}).status_code == 403
    answer = device.submit("/login", form, headers={"Cookie": cookie})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    device.token = token_of(answer)
    assert device.account in device.get("/", Accept="text/html").text


def test_a_browser_without_a_session_is_led_to_the_login(shop: Shop) -> None:
    """A page that needs a session leads to the login; a program is told 401."""
    nobody = Device(shop=shop, account="nobody-2")
    for path in ("/cart", "/history", "/orders", "/account", "/devices"):
        answer = nobody.get(path, Accept="text/html")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
        assert nobody.get(path).status_code == 401


def test_what_users_type_is_only_text(device: Device) -> None:
    """Markup in a name is shown, not run."""
    device.post("/account/name", name="<img src=x onerror=alert(1)>")
    page = device.get("/account", Accept="text/html").text
    assert "<img" not in page
    assert "&lt;img src=x" in page


# What every answer carries


def test_every_answer_has_its_security_headers(device: Device) -> None:
    """Good or bad, page or JSON: the browser is told how to treat it."""
    big = {"data": "x=" + "y" * 20_000, "headers": {"Idempotency-Key": "12345678"}}
    answers = {
        200: device.get("/", Accept="text/html"),
        303: device.get("/cart", Cookie="", Accept="text/html"),
        400: device.post("/cart", sku="mug", quantity=0),
        401: device.get("/cart", Cookie=""),
        403: device.submit("/checkout", {"key": "12345678"}),
        404: device.get("/nowhere", Accept="text/html"),
        405: device.shop.ask(HERE, "DELETE", "/cart"),
        413: device.shop.ask(HERE, "POST", "/cart", **big),
        422: [device.post("/cart", key="same-key-1", sku="mug", quantity=n) for n in (1, 2)][1],
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY
        policy = answer.headers["Content-Security-Policy"]
        assert all(rule in policy for rule in POLICY), policy
        assert answer.headers["X-Replica"].startswith("a1-")


def test_bad_requests_are_the_senders_fault(device: Device) -> None:
    """Wrong fields are 4xx with a reason, never a failure of the shop."""
    bad: list[tuple[str, dict[str, Any]]] = [
        ("/cart", {"sku": "mug"}),
        ("/cart", {"sku": "mug", "quantity": 10}),
        ("/cart", {"sku": "mug", "quantity": "2 "}),
        ("/cart", {"sku": "nothing", "quantity": 1}),
        ("/cart", {"sku": ["mug"], "quantity": 1}),
        ("/items/nothing/view", {}),
        ("/cart/short/remove", {}),
        ("/account/name", {"name": "  "}),
        ("/account/name", {"name": "x" * 81}),
        ("/account/name", {"name": "new\nline"}),
        ("/devices/xyz/end", {}),
        ("/login", {"account": "a:b", "password": "x"}),
        ("/login", {"account": "anna"}),
    ]
    for path, fields in bad:
        answer = device.post(path, **fields)
        assert answer.status_code in {400, 404}, (path, fields, answer.text)
        assert answer.json()["error"]


# The store's own rules


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("KEYS", "*"),
        ("CONFIG", "GET", "*"),
        ("DEBUG", "SLEEP", "0"),
        ("SHUTDOWN",),
        ("ACL", "LIST"),
        ("GET", "other:key"),
        ("SET", "lab:key", "1"),
        ("DEL", "shopkeeper"),
    ],
)
def test_the_shop_may_not_harm_the_store(shop: Shop, command: tuple[str, ...]) -> None:
    """The app's user reaches its own keys, and nothing that would empty or reveal the rest."""
    assert shop.store("ACL", "DRYRUN", "shop", *command) != "OK"
    assert shop.store("ACL", "DRYRUN", "shop", "GET", "shop:1:account:anna") == "OK"


# Through the balancer, as people use it


def test_a_person_shops_with_a_browser(shop: Shop) -> None:
    """Log in, look, collect, order and leave by forms alone, each page from whichever replica."""
    account = f"e2e-{secrets.token_hex(4)}"
    cookies: dict[str, str] = {}

    def visit(method: str, path: str, **form: str) -> requests.Response:
        headers = {
            "Accept": "text/html",
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        }
        answer = requests.request(
            method, shop.url + path, headers=headers, data=form or None, timeout=10, allow_redirects=False
        )
        for name, value in re.findall(r"(__Host-\w+)=([^;]*);", answer.headers.get("Set-Cookie", "")):
            cookies[name] = value
        if answer.status_code == 303:
            return visit("GET", answer.headers["Location"])
        assert answer.status_code == 200, answer.text
        return answer

    def press(page: requests.Response, action: str, **form: str) -> requests.Response:
        found = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page.text, re.S)
        assert found, page.text
        return visit("POST", action, **form_fields(found[0]), **form)

    home = press(visit("GET", "/login"), "/login", account=account, password=PASSWORD)
    assert f"logged in as <b>{account}</b>" in home.text
    item = press(home, "/items/mug/view")
    cart = press(item, "/cart", sku="mug", quantity="2")
    assert "Enamel mug" in cart.text
    assert "€29.00" in cart.text
    orders = press(cart, "/checkout")
    assert "Order 1" in orders.text
    assert "Enamel mug" in visit("GET", "/history").text
    assert "Hello, Anna" in press(visit("GET", "/account"), "/account/name", name="Anna").text
    assert "this one" in visit("GET", "/devices").text
    left = press(orders, "/logout")
    assert "Log in" in left.text
    assert cookies["__Host-sid"] == ""
