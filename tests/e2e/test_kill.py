"""A replica that dies in the middle of a request costs its user nothing: the edge asks another, once in effect."""

from __future__ import annotations

import secrets
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import requests

from lab.cluster.compose import LAB_PORT
from lab.model import Replica
from lab.retry import wait_until
from tests.e2e.conftest import ShopCluster

pytestmark = pytest.mark.e2e

REQUESTS = 18
"""Three for each of six replicas: the frozen one has surely got some."""


def log_in(shop: ShopCluster, account: str) -> dict[str, str]:
    """The headers of a logged-in client."""
    said = requests.post(
        f"{shop.url}/login",
        json={"account": account, "password": "a long password"},
        headers={"Accept": "application/json", "Idempotency-Key": f"{account}.login"},
        timeout=10,
    )
    assert said.status_code == 200, said.text
    return {"Cookie": said.headers["Set-Cookie"].split(";")[0], "Accept": "application/json"}


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
    client = log_in(shop, account)
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
    repeated = [one for one in answers if "b1.sock," in one.headers["X-Edge"].replace(" ", "")]
    assert repeated, "no request was in the killed replica, so this proved nothing"
    lines = requests.get(f"{shop.url}/cart", headers=client, timeout=10).json()["lines"]
    assert sorted(line["id"] for line in lines) == sorted(keys)
    shop.upgrade("b1", "v1")


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
    for one in victims:
        shop.upgrade(one.slot, "v1")


def test_without_a_repeat_at_the_edge_the_same_kill_is_seen(shop_cluster: ShopCluster) -> None:
    """The check above can fail: asked through the door that repeats nothing, the killed replica's request is lost."""
    shop = shop_cluster
    victim = next(one for one in shop.live.cluster.replicas() if one.slot == "c1")
    shop.toolbox.engine.pause(victim.container)
    [(host, port)] = shop.live.cluster.addresses(LAB_PORT)
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(requests.get, f"http://{host}:{port}/_lab/slot/c1/readyz", timeout=20)
        figures = f"http://{host}:{port}/_lab/figures"
        wait_until(
            "the request is with the replica",
            lambda: "Writing: 2" in requests.get(figures, timeout=5).text,
            within=1.5,
            every=0.01,
        )
        assert shop.live.cluster.signal(victim, "SIGKILL")
        assert sent.result().status_code == 502
    shop.upgrade("c1", "v1")
