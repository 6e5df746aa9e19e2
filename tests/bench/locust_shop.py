"""The shop's journey for Locust's FastHttpUser, with the same mix and checks. Runs in an environment of its own."""

# Not typed and not imported by anything of the lab's: Locust lives in a virtual environment of its own.
# mypy: ignore-errors

import json
import os
import random
import resource
import sys
import time

import gevent
from locust import FastHttpUser, task
from locust.env import Environment
from locust.log import setup_logging

PLAN = {
    "view": 24,
    "add": 20,
    "history": 11,
    "cart": 11,
    "remove": 7,
    "browse": 7,
    "rename": 5,
    "account": 5,
    "checkout": 4,
    "orders": 4,
    "logout": 2,
}
OWN = "own" in sys.argv[4:]
"""Whether the journey is that of the lab's users of an own app: a cart that is filled and read."""
CHECKED = [0]
WRONG = [0]


class Shopper(FastHttpUser):
    """One user with cookies of its own, a model of what was acknowledged, and the answer compared with it."""

    host = f"http://127.0.0.1:{os.environ['STUB_PORT']}"
    numbers = iter(range(1, 10**9))

    def wait_time(self):
        return random.expovariate(1 / THINK)

    def on_start(self):
        self.name = f"locust-{next(self.numbers):05d}"
        self.keys = 0
        self.views, self.lines, self.orders, self.display = [], {}, [], None
        self.token = None
        self.log_in()

    def log_in(self):
        body = {"account": self.name, "password": "a long password"}
        self.ask("POST", "/login", body)

    def ask(self, method, path, body=None):
        headers = {"Accept": "application/json"}
        if self.token:
            headers["Cookie"] = f"__Host-sid={self.token}"  # FastHttpUser's jar sends no Secure cookie over http
        key = None
        if method == "POST":
            self.keys += 1
            key = headers["Idempotency-Key"] = f"{self.name}.1.{self.keys}"
        with self.client.request(method, path, json=body, headers=headers, catch_response=True, name="shop") as said:
            for cookie in filter(None, [said.headers.get("set-cookie")]):
                self.token = cookie.partition("=")[2].partition(";")[0] or None
            found = json.loads(said.content)
            CHECKED[0] += 1
            if path.startswith("/items") or path == "/" or found["account"] == self.name:
                said.success()
            else:
                WRONG[0] += 1
                said.failure("somebody else's")
        return key, found

    @task
    def act(self):
        if OWN:
            self.act_as_own()
            return
        kind = random.choices(list(PLAN), list(PLAN.values()))[0]
        if kind == "remove" and not self.lines:
            kind = "add"
        getattr(self, f"do_{kind}")()

    def act_as_own(self):
        """As tests/bench/own_journey.py."""
        if len(self.lines) >= 5:
            self.do_remove()
        else:
            self.do_add()
        self.do_cart()

    def expect(self, holds):
        WRONG[0] += not holds

    def do_view(self):
        key, found = self.ask("POST", "/items/tea/view")
        self.views.append(key)
        self.expect(found["view"] == key)

    def do_add(self):
        key, found = self.ask("POST", "/cart", {"sku": "cup", "quantity": 2})
        self.lines[key] = 2
        self.expect(found["line"] == key)

    def do_history(self):
        _, found = self.ask("GET", "/history")
        self.expect(found["count"] == len(self.views))
        self.expect([one["id"] for one in found["entries"]] == self.views[-100:])

    def do_cart(self):
        _, found = self.ask("GET", "/cart")
        self.expect({line["id"]: line["quantity"] for line in found["lines"]} == self.lines)

    def do_remove(self):
        line = next(iter(self.lines))
        _, found = self.ask("POST", f"/cart/{line}/remove")
        self.expect(found["removed"] is True)
        del self.lines[line]

    def do_browse(self):
        self.ask("GET", "/")

    def do_rename(self):
        self.display = f"{self.name} {self.keys}"
        self.ask("POST", "/account/name", {"name": self.display})

    def do_account(self):
        _, found = self.ask("GET", "/account")
        self.expect(found["name"] == self.display)

    def do_checkout(self):
        key, found = self.ask("POST", "/checkout")
        self.expect({line["id"]: line["quantity"] for line in found["lines"]} == self.lines)
        if self.lines:
            self.orders.append(key)
        self.lines = {}

    def do_orders(self):
        _, found = self.ask("GET", "/orders")
        self.expect([order["id"] for order in found["orders"]] == self.orders)

    def do_logout(self):
        self.ask("POST", "/logout")
        self.token = None
        self.log_in()


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
