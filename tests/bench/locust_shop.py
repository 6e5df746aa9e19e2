"""The shop's journey for Locust's FastHttpUser, with the same mix and checks. Runs in an environment of its own."""

# Not typed and not imported by anything of the lab's: Locust lives in a virtual environment of its own.
# mypy: ignore-errors

import html
import json
import os
import random
import re
import resource
import sys
import time
import zlib

import gevent
from locust import FastHttpUser, task
from locust.env import Environment
from locust.log import setup_logging

PLAN = {
    "view": 46,
    "add": 38,
    "history": 22,
    "cart": 22,
    "remove": 14,
    "browse": 13,
    "rename": 10,
    "account": 10,
    "checkout": 8,
    "orders": 8,
    "logout": 4,
    "log_in": 1,
    "devices": 1,
    "intrude": 1,
    "join": 2,
}
WRITES = {
    "view": ["history"],
    "add": ["cart"],
    "remove": ["cart"],
    "checkout": ["orders", "cart"],
    "rename": ["account"],
}
DUE = {"history": 4, "cart": 4, "orders": 1, "account": 2}
SENT_AGAIN, READ_AS_PAGE = 16, 8
"""As lab/users/shop.py has them."""
LOOKED_AT = 16
HARD_TO_WRITE = ("Ærøskøbing 漢字 🛒 " * 80)[:80]
JSON = "application/json"
HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
OWNER = re.compile(r"logged in as <b>([^<]*)</b>")
VIEWED = re.compile(r"(\d+) viewed so far")
ENTRY = re.compile(r'<li data-id="([^"]*)" data-sku="([^"]*)">')
LINE = re.compile(r'<li class="line" data-id="([^"]*)" data-sku="([^"]*)" data-quantity="(\d+)">')
ORDER = re.compile(r'<section class="sheet" data-order="([^"]*)">(.*?)</section>', re.DOTALL)
NAME = re.compile(r'<input name="name"[^>]* value="([^"]*)"')
OWN = "own" in sys.argv[4:]
"""Whether the journey is that of the lab's users of an own app: a cart that is filled and read."""
CHECKED = [0]
WRONG = [0]


def number_of(key):
    return zlib.crc32(key.encode())


def name_for(key):
    turn = number_of(key) % 8
    if turn == 0:
        return f"{key} {HARD_TO_WRITE}"[:80].strip()
    if turn == 1:
        return f"{key} Zoë Ñandú"
    return f'{key} <b>"R&D"</b>' if turn == 2 else key


def some(shown):
    """The newest of many, and others."""
    if len(shown) <= LOOKED_AT:
        return shown
    half = LOOKED_AT // 2
    first = len(shown) * 7 % (len(shown) - half)
    return [*shown[first : first + half], *shown[-half:]]


class Shopper(FastHttpUser):
    """One user with cookies of its own, a model of what was acknowledged, and the answer compared with it."""

    host = f"http://127.0.0.1:{os.environ['STUB_PORT']}"
    numbers = iter(range(1, 10**9))

    def wait_time(self):
        return random.expovariate(1 / THINK)

    def on_start(self):
        number = next(self.numbers)
        self.name = f"locust-{number:05d}"
        self.foreign = re.compile(rb"locust-(?!%05d(?![0-9]))[0-9]{3,}" % number)
        self.keys = 0
        self.views, self.lines, self.orders, self.display = [], {}, [], None
        self.token = None
        self.catalogue, self.unread = {}, {}
        self.joined, self.joined_left, self.wrong_passwords, self.old = None, 0, 0, []
        self.do_log_in()

    def new_key(self):
        self.keys += 1
        return f"{self.name}.1.{self.keys}"

    def ask(self, method, path, body=None, *, key=None, accept=JSON, token="", status=200, sends_again=False):
        """The answer's JSON, or its text where a page was asked for."""
        headers = {"Accept": accept}
        token = self.token if token == "" else token
        if token:
            headers["Cookie"] = f"__Host-sid={token}"  # FastHttpUser's jar sends no Secure cookie over http
        if method == "POST":
            headers["Idempotency-Key"] = key = key or self.new_key()
        is_mine = token == self.token and token is not None
        with self.client.request(method, path, json=body, headers=headers, catch_response=True, name="shop") as said:
            if is_mine or path == "/login":
                for cookie in filter(None, [said.headers.get("set-cookie")]) if status == 200 else ():
                    self.came = cookie.partition("=")[2].partition(";")[0] or None
            content = said.content
            found = json.loads(content) if accept == JSON else content.decode()
            CHECKED[0] += 1
            holds = said.status_code == status and (method == "POST" or not self.foreign.search(content))
            if status == 200 and is_mine and not path.startswith("/items") and path != "/":
                owner = found["account"] if accept == JSON else OWNER.search(found)[1]
                holds = holds and owner == self.name
            if holds:
                said.success()
            else:
                WRONG[0] += 1
                said.failure("somebody else's")
        if sends_again and random.random() < 1 / SENT_AGAIN:
            gevent.sleep(0.3 * random.random())
            self.expect(self.ask(method, path, body, key=key)[1] == found)
        return key, found

    @task
    def act(self):
        if OWN:
            self.act_as_own()
            return
        kind = random.choices(list(PLAN), list(PLAN.values()))[0]
        if not self.catalogue:
            kind = "browse"
        else:
            kind = next((read for read, times in self.unread.items() if times >= DUE[read]), kind)
        if kind == "remove" and not self.lines:
            kind = "add"
        getattr(self, f"do_{kind}")()
        for read in WRITES.get(kind, ()):
            self.unread[read] = self.unread.get(read, 0) + 1
        self.unread.pop(kind, None)

    def act_as_own(self):
        """As tests/bench/own_journey.py."""
        if len(self.lines) >= 5:
            self.ask("POST", f"/cart/{next(iter(self.lines))}/remove")
            del self.lines[next(iter(self.lines))]
        else:
            _, found = self.ask("POST", "/cart", {"sku": "cup", "quantity": 2})
            self.lines[found["line"]] = 2
        _, found = self.ask("GET", "/cart")
        self.expect([line["id"] for line in found["lines"]] == list(self.lines))

    def expect(self, holds):
        WRONG[0] += not holds

    def sku_of(self, key):
        return self.skus[number_of(key) % len(self.skus)]

    def expect_kept(self, shown):
        """Each is what was put in."""
        for one in some(shown):
            self.expect(one["sku"] == self.sku_of(one["id"]))
            if one.get("gift") is not None:
                self.expect(one["gift"] is (number_of(one["id"]) % 5 == 0))

    def read(self, path):
        """What is read, and whether as a page."""
        is_page = random.random() < 1 / READ_AS_PAGE
        _, found = self.ask("GET", path, accept=HTML if is_page else JSON)
        return found, is_page

    def lines_of(self, found):
        self.expect_kept(found)
        return {line["id"]: line["quantity"] for line in found}

    def lines_in(self, text):
        return self.lines_of([{"id": one, "sku": sku, "quantity": int(many)} for one, sku, many in LINE.findall(text)])

    def do_view(self):
        key = self.new_key()
        key, found = self.ask("POST", f"/items/{self.sku_of(key)}/view", key=key, sends_again=True)
        self.views.append(key)
        self.expect(found["view"] == key)

    def do_add(self):
        key, quantity = self.new_key(), random.randint(1, 9)
        body = {"sku": self.sku_of(key), "quantity": quantity, "gift": number_of(key) % 5 == 0}
        key, found = self.ask("POST", "/cart", body, key=key, sends_again=True)
        self.lines[key] = quantity
        self.expect(found["line"] == key)

    def do_history(self):
        found, is_page = self.read("/history")
        if is_page:
            count = int(VIEWED.search(found)[1])
            entries = [{"id": one, "sku": sku} for one, sku in reversed(ENTRY.findall(found))]
        else:
            count, entries = found["count"], found["entries"]
        self.expect(count == len(self.views))
        self.expect([one["id"] for one in entries] == self.views[-len(entries) :] if entries else not self.views)
        self.expect_kept(entries)

    def do_cart(self):
        found, is_page = self.read("/cart")
        self.expect((self.lines_in(found) if is_page else self.lines_of(found["lines"])) == self.lines)

    def do_remove(self):
        line = random.choice(list(self.lines))
        _, found = self.ask("POST", f"/cart/{line}/remove", sends_again=True)
        self.expect(found["removed"] is True)
        del self.lines[line]

    def do_browse(self):
        if self.catalogue and random.random() < 0.5:
            sku = random.choice(self.skus)
            _, found = self.ask("GET", f"/items/{sku}")
            self.expect(all(found["item"][part] == self.catalogue[sku][part] for part in ("sku", "name", "price")))
            return
        _, found = self.ask("GET", "/")
        seen = {one["sku"]: one for one in found["items"]}
        self.expect(seen == (self.catalogue or seen))
        self.catalogue, self.skus = seen, sorted(seen)

    def do_rename(self):
        key = self.new_key()
        self.display = name_for(key)
        _, found = self.ask("POST", "/account/name", {"name": self.display}, key=key, sends_again=True)
        self.expect(found["name"] == self.display)

    def do_account(self):
        found, is_page = self.read("/account")
        shown = (html.unescape(NAME.search(found)[1]) or None) if is_page else found["name"]
        self.expect(shown == self.display)

    def do_checkout(self):
        key, found = self.ask("POST", "/checkout", sends_again=True)
        self.expect(self.lines_of(found["lines"]) == self.lines)
        if self.lines:
            self.expect(found["order"] == key)
            self.orders.append((key, self.lines))
        self.lines = {}

    def do_orders(self):
        found, is_page = self.read("/orders")
        if is_page:
            orders = [(one, self.lines_in(inner)) for one, inner in reversed(ORDER.findall(found))]
        else:
            orders = [(order["id"], self.lines_of(order["lines"])) for order in found["orders"]]
        self.expect(orders == self.orders)

    def do_log_in(self):
        self.ask("POST", "/login", {"account": self.name, "password": "a long password"})
        self.token = self.came

    def do_logout(self):
        token = self.token
        self.ask("POST", "/logout")
        self.token = None
        self.old = [*self.old, token][-3:]
        self.show(token)
        self.do_log_in()

    def show(self, token):
        """A session that was ended is good for nothing."""
        self.ask("GET", "/account", token=token, status=401)

    def do_devices(self):
        _, found = self.ask("GET", "/devices")
        self.expect(sum(one["current"] for one in found["devices"]) == 1)
        if self.old:
            self.show(self.old.pop(0))

    def do_intrude(self):
        if self.wrong_passwords >= 4:
            self.do_devices()
            return
        self.wrong_passwords += 1
        self.ask("POST", "/login", {"account": self.name, "password": "not mine"}, token=None, status=401)

    def do_join(self):
        if not self.joined_left:
            self.joined, self.joined_left = self.new_key(), 4
        self.joined_left -= 1
        for _ in range(3):
            _, found = self.ask("POST", "/login", {"account": self.joined, "password": "a long password"}, token=None)
            self.expect(found["account"] == self.joined)


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    users, THINK, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    setup_logging("ERROR")
    environment = Environment(user_classes=[Shopper])
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users / 5)
    deadline = time.monotonic() + 120
    while runner.user_count < users and time.monotonic() < deadline:
        gevent.sleep(0.2)
    gevent.sleep(2)
    since, before = CHECKED[0], cpu()
    gevent.sleep(seconds)
    print(json.dumps({"checked": CHECKED[0] - since, "cpu": cpu() - before, "wrong": WRONG[0]}))
    runner.quit()
