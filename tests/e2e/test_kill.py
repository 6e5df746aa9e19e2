"""A replica that dies in the middle of a request costs its user nothing: the edge asks another, once in effect."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from lab.balancer.config import BalancerSettings, render
from lab.cluster.compose import LAB_PORT
from lab.machine.engine import APIError
from lab.model import Replica
from lab.retry import wait_until
from tests.e2e.conftest import ShopCluster

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time, pytest.mark.usefixtures("whole_again")]

REQUESTS = 18
"""Three for each of six replicas: the frozen one has surely got some."""


def add(shop: ShopCluster, client: dict[str, str], key: str) -> requests.Response:
    return requests.post(
        f"{shop.url}/cart",
        json={"sku": "mug", "quantity": 1},
        headers={**client, "Idempotency-Key": key},
        timeout=20,
    )


def test_a_kill_in_the_middle_of_requests_fails_nobody(shop_cluster: ShopCluster) -> None:
    """Requests that a replica has received and not answered when it is killed are answered by another, once each.

    The replica is frozen first, so that it holds requests for certain when it dies.
    """
    shop = shop_cluster
    account = f"kill-{secrets.token_hex(3)}"
    client = shop.log_in(account)
    victim: Replica = next(one for one in shop.live.cluster.replicas() if one.slot == "b1")
    keys = [f"{account}.1.{number}" for number in range(REQUESTS)]
    shop.toolbox.engine.pause(victim.container)
    with ThreadPoolExecutor(REQUESTS) as pool:
        sent: list[Future[requests.Response]] = [pool.submit(add, shop, client, key) for key in keys]

        def only_the_frozen_ones_wait() -> bool:
            return 0 < sum(not one.done() for one in sent) <= 2 * REQUESTS // 6

        wait_until("only the frozen replica's requests are open", only_the_frozen_ones_wait, within=2, every=0.01)
        assert shop.live.cluster.signal(victim, "SIGKILL")
        answers = [one.result() for one in sent]
    assert [one.status_code for one in answers] == [200] * REQUESTS
    assert [one for one in answers if passed_by(one, "b1")], "no request was in the killed replica: this proved nothing"
    lines = requests.get(f"{shop.url}/cart", headers=client, timeout=10).json()["lines"]
    assert sorted(line["id"] for line in lines) == sorted(keys)


def test_a_kill_after_the_effect_and_before_the_answer_doubles_nothing(shop_cluster: ShopCluster) -> None:
    """Replicas have sent their writes to the store, which holds them back; one is killed, then the store goes on.

    The dead replica's writes take effect though nobody hears of it. They are repeated on another one with their keys,
    and every user gets an answer to the first try, for an effect that happened once.
    """
    shop = shop_cluster
    account = f"kill-{secrets.token_hex(3)}"
    client, engine = shop.log_in(account), shop.toolbox.engine
    victim = next(one for one in shop.live.cluster.replicas() if one.slot == "c2")
    store = next(one["Id"] for one in shop.inspect().values() if one["Config"]["Labels"]["lab.role"] == "store")
    keys = [f"{account}.1.{number}" for number in range(REQUESTS)]
    engine.pause(store)
    try:
        with ThreadPoolExecutor(REQUESTS) as pool:
            sent = [pool.submit(add, shop, client, key) for key in keys]
            wait_until("every write is in a replica", lambda: in_flight(shop) >= REQUESTS, within=2, every=0.01)
            assert shop.live.cluster.signal(victim, "SIGKILL")
            engine.unpause(store)
            answers = [one.result() for one in sent]
    finally:
        with suppress(APIError):
            engine.unpause(store)
    assert [one.status_code for one in answers] == [200] * REQUESTS
    assert [one for one in answers if passed_by(one, "c2")], "no write was in the killed replica: this proved nothing"
    lines = requests.get(f"{shop.url}/cart", headers=client, timeout=10).json()["lines"]
    assert sorted(line["id"] for line in lines) == sorted(keys)


def in_flight(shop: ShopCluster) -> int:
    """Requests that the balancer has handed on and not answered, but for the one that asks."""
    [(host, port)] = shop.live.cluster.addresses(LAB_PORT)
    figures = requests.get(f"http://{host}:{port}/_lab/figures", timeout=5).text
    found = re.search(r"Writing: (\d+)", figures)
    return int(found[1]) - 1 if found else 0


def passed_by(answer: requests.Response, slot: str) -> bool:
    """Whether the balancer had asked this slot's replica before the one that answered."""
    return f"{slot}.sock," in answer.headers["X-Edge"].replace(" ", "")


def test_a_balancer_that_repeats_no_write_loses_the_same_kills(shop_cluster: ShopCluster) -> None:
    """The checks above can fail: told not to repeat writes, the balancer lets the killed replica's fail, as 502."""
    shop = shop_cluster
    account = f"kill-{secrets.token_hex(3)}"
    client = shop.log_in(account)
    victim = next(one for one in shop.live.cluster.replicas() if one.slot == "a2")
    keys = [f"{account}.1.{number}" for number in range(REQUESTS)]
    with told_to_balancer(shop, BalancerSettings(repeats_writes=False)):
        shop.toolbox.engine.pause(victim.container)
        with ThreadPoolExecutor(REQUESTS) as pool:
            sent = [pool.submit(add, shop, client, key) for key in keys]

            def only_the_frozen_ones_wait() -> bool:
                return 0 < sum(not one.done() for one in sent) <= REQUESTS // 2

            wait_until("only the frozen replica's writes are open", only_the_frozen_ones_wait, within=2, every=0.01)
            assert shop.live.cluster.signal(victim, "SIGKILL")
            results = [one.result().status_code for one in sent]
    assert set(results) == {200, 502}


@contextmanager
def told_to_balancer(shop: ShopCluster, settings: BalancerSettings) -> Iterator[None]:
    """The balancer with other settings while the block runs."""
    path = shop.toolbox.places.cluster(shop.live.project) / "nginx.conf"
    before = path.read_text()
    try:
        reload(shop, path, render(shop.slots, settings))
        yield
    finally:
        reload(shop, path, before)


def reload(shop: ShopCluster, path: Path, text: str) -> None:
    """nginx reads its configuration again; returns when the workers are new ones."""
    balancer = next(one["Id"] for one in shop.inspect().values() if one["Config"]["Labels"]["lab.role"] == "balancer")
    engine = shop.toolbox.engine

    def workers() -> set[str]:
        return {line[1] for line in engine.top(balancer)["Processes"] if "worker process" in line[-1]}

    old = workers()
    path.write_text(text)
    engine.kill(balancer, "SIGHUP")
    wait_until("nginx has new workers", lambda: (now := workers()) and not now & old, within=10, every=0.05)


def test_a_write_that_nobody_answered_is_never_called_refused(shop_cluster: ShopCluster) -> None:
    """With all replicas gone every method gets the 502 of the maintenance page, and that says nothing of the effect."""
    shop = shop_cluster
    victims = shop.live.cluster.replicas()
    assert all(shop.live.cluster.signal(one, "SIGKILL") for one in victims)
    for method in ("GET", "POST", "DELETE"):
        said = requests.request(method, f"{shop.url}/cart", json={}, timeout=20)
        assert said.status_code == 502, method
        assert "text/html" in said.headers["Content-Type"]
        assert said.headers["Cache-Control"] == "no-store"


def test_without_a_repeat_at_the_edge_the_same_kill_is_seen(shop_cluster: ShopCluster) -> None:
    """The check above can fail: asked through the door that repeats nothing, the killed replica's request is lost."""
    shop = shop_cluster
    victim = next(one for one in shop.live.cluster.replicas() if one.slot == "c1")
    shop.toolbox.engine.pause(victim.container)
    [(host, port)] = shop.live.cluster.addresses(LAB_PORT)
    door, many = f"http://{host}:{port}/_lab/slot/c1/readyz", REQUESTS // 3
    with ThreadPoolExecutor(many) as pool:
        sent = [pool.submit(requests.get, door, timeout=20) for _ in range(many)]
        # More than one: the lab's own probes wait for the frozen replica, too, and count as well.
        wait_until("requests are with the replica", lambda: in_flight(shop) >= many, within=2, every=0.01)
        assert shop.live.cluster.signal(victim, "SIGKILL")
        assert 502 in [one.result().status_code for one in sent]
