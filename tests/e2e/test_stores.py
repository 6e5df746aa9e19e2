"""Stores that die, on real containers: what a tier promises is kept, and a tier that is made to lose is caught."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import yaml

from lab.backends.docker import release_of, temporary_cluster
from lab.backends.state import open_state
from lab.cluster.engine_harm import EngineHarm
from lab.cluster.harm import Send, Start
from lab.cluster.store_look import StoreLook
from lab.cluster.stores import OrdersPlace, StoreName
from lab.deploy.rollout import first_desired
from lab.errors import ExitCode
from lab.machine.images import POSTGRES
from lab.machine.projects import run_identity
from lab.machine.setup import Toolbox
from lab.model import Role
from lab.oracle.promises import LOGGED_IN, LOSS_BOUND, STATE_KEPT
from lab.retry import wait_until
from lab.run.deployed import deployed, wait_settled
from lab.scenario.read import LIBRARY
from lab.scenario.spec import ClusterSpec
from tests.e2e.conftest import ShopCluster
from tests.e2e.hardening import breaches
from tests.e2e.runs import Ended, lab, scenario

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time]

USERS = "{count: 16, on_two_devices: 6, think: 0.2}"
ENOUGH = "{operations: 150, checks: 150, strikes_that_hit: 1}"


@pytest.fixture(scope="module")
def database(toolbox: Toolbox) -> None:
    """The database's image is there before a run is timed."""
    toolbox.images.make_missing(print, [POSTGRES])


@pytest.fixture(scope="module")
def replicated(toolbox: Toolbox, database: None) -> Iterator[ShopCluster]:
    """Three replicas of the shop, a replicated store, and orders in a database of their own."""
    spec = ClusterSpec(
        release="shop:v1", zones={"a": 1, "b": 1, "c": 1}, store=StoreName.REDIS_HA, orders=OrdersPlace.POSTGRES
    )
    v1 = release_of(toolbox, "shop:v1")
    identity = run_identity(f"stores-{secrets.token_hex(3)}")
    with temporary_cluster(toolbox, identity, spec.slots, v1.image, stores=spec.stores) as live:
        with (
            open_state(toolbox.places) as state,
            deployed(live, state, lambda _: None, first=first_desired(v1, spec.slots)) as (desk, deployer),
        ):
            wait_settled(desk, deployer, within=60)
        yield ShopCluster(live=live, toolbox=toolbox, releases={"v1": v1})


def post(shop: ShopCluster, client: dict[str, str], path: str, key: str, **fields: object) -> requests.Response:
    headers = {**client, "Idempotency-Key": key}
    return requests.post(f"{shop.url}{path}", json=fields, headers=headers, timeout=20)


def orders_of(shop: ShopCluster, client: dict[str, str]) -> list[str]:
    said = requests.get(f"{shop.url}/orders", headers=client, timeout=20)
    assert said.status_code == 200, said.text
    return [one["id"] for one in said.json()["orders"]]


def test_members_sentinels_and_database_are_as_closed_as_the_rest(replicated: ShopCluster) -> None:
    """Every rule of the hardening, no published port but the balancer's, and one network without a way out."""
    found = replicated.inspect()
    roles = [one["Config"]["Labels"]["lab.role"] for one in found.values()]
    assert (roles.count("store"), roles.count("sentinel"), roles.count("orders")) == (3, 3, 1)
    assert {name: open_ones for name, one in found.items() if (open_ones := breaches(one))} == {}
    for one in found.values():
        if one["Config"]["Labels"]["lab.role"] != "balancer":
            assert not any((one["NetworkSettings"]["Ports"] or {}).values())
            assert list(one["NetworkSettings"]["Networks"]) == [f"{replicated.live.project}_inside"]
    zones = {(one["Config"]["Labels"]["lab.role"], one["Config"]["Labels"].get("lab.zone")) for one in found.values()}
    assert {(role, zone) for role in ("store", "sentinel") for zone in "abc"} <= zones


@pytest.mark.prove
def test_orders_whose_database_died_in_between_are_finished(replicated: ShopCluster) -> None:
    """The store has taken the cart, the database is dead: the answer is "nobody knows", everything else goes on. The
    repeat with the same key makes it one order, whole; where nobody repeats it, whoever looks next finds it."""
    shop, names = replicated, [f"{who}-{secrets.token_hex(3)}" for who in ("repeats", "leaves", "looks")]
    repeats, leaves, looks = (shop.log_in(name) for name in names)
    harm = EngineHarm(shop.toolbox.engine, project=shop.live.project)
    database = next(one.container for one in harm.victims() if one.role is Role.ORDERS)
    assert post(shop, repeats, "/cart", f"{names[0]}.1", sku="mug", quantity=2).status_code == 200
    assert post(shop, repeats, "/checkout", f"{names[0]}.first").status_code == 200
    for client, name in ((repeats, names[0]), (leaves, names[1])):
        assert post(shop, client, "/cart", f"{name}.2", sku="mug", quantity=3).status_code == 200

    harm.do(database, Send(signal="SIGKILL"))
    try:
        with ThreadPoolExecutor(3) as pool:
            said = [
                pool.submit(post, shop, repeats, "/checkout", f"{names[0]}.second"),
                pool.submit(post, shop, leaves, "/checkout", f"{names[1]}.only"),
                pool.submit(requests.get, f"{shop.url}/orders", headers=looks, timeout=20),
            ]
            assert post(shop, looks, "/cart", f"{names[2]}.1", sku="mug", quantity=1).status_code == 200
            assert [one.result().status_code for one in said] == [503, 503, 503]
            assert not any("x-not-applied" in one.result().headers for one in said[:2])
        cart = requests.get(f"{shop.url}/cart", headers=repeats, timeout=10)
        assert (cart.status_code, cart.json()["lines"]) == (200, [])
    finally:
        harm.do(database, Start())
    look = StoreLook(shop.toolbox.engine, project=shop.live.project)
    wait_until("the stores are whole", lambda: not look.trouble(), within=30, every=0.2)

    again = post(shop, repeats, "/checkout", f"{names[0]}.second")
    assert (again.status_code, again.json()["order"]) == (200, f"{names[0]}.second")
    assert [line["quantity"] for line in again.json()["lines"]] == [3]
    assert post(shop, repeats, "/checkout", f"{names[0]}.second").json() == again.json()
    assert orders_of(shop, repeats) == [f"{names[0]}.first", f"{names[0]}.second"]
    assert orders_of(shop, leaves) == [f"{names[1]}.only"]


def test_a_store_reads_all_of_its_file_when_it_comes_back(replicated: ShopCluster) -> None:
    """What scripts wrote is there after a kill so short that no failover comes of it, and nobody had to repeat it."""
    shop, account = replicated, f"file-{secrets.token_hex(3)}"
    client = shop.log_in(account)
    for number in range(5):
        assert post(shop, client, "/items/mug/view", f"{account}.{number}").status_code == 200
    harm = EngineHarm(shop.toolbox.engine, project=shop.live.project)
    look = StoreLook(shop.toolbox.engine, project=shop.live.project)
    primary = next(one for one in harm.victims() if one.name == look.primary())
    assert harm.do(primary.container, Send(signal="SIGKILL"))
    assert harm.do(primary.container, Start())
    wait_until("the stores are whole", lambda: not look.trouble(), within=30, every=0.2)
    said = requests.get(f"{shop.url}/history", headers=client, timeout=20)
    assert (said.status_code, said.json()["count"]) == (200, 5)
    assert "NOPERM" not in shop.live.cluster.logs(primary.container, last=10_000)


def test_the_default_store_loses_nothing_when_it_is_killed_frozen_and_cut(tmp_path: Path) -> None:
    """One Redis that writes before it answers: away for a moment each time, and nobody loses anything."""
    steps = """
  - settle: {for: 1}
  - strike: {do: kill, to: store, for: 1}
  - strike: {do: freeze, to: store, for: 2}
  - strike: {do: cut, to: store, for: 2}
  - settle: {for: 1}"""
    ended = lab("run", scenario(tmp_path, users=USERS, steps=steps, enough=ENOUGH), "--seed", "5")
    assert ended.code == ExitCode.HELD, ended.out[-2000:]
    evidence = ended.verdict["evidence"]
    assert evidence["store_loss"]["strikes"] == evidence["strikes_that_hit"] == 3
    assert evidence["checks"][LOSS_BOUND] > 50


def test_a_store_without_a_disk_is_caught(tmp_path: Path) -> None:
    """Everything is gone when it is killed: the run is red by the promises that it breaks, and says what did it."""
    steps = "[{settle: {for: 2}}, {strike: {do: kill, to: store, for: 1}}, {settle: {for: 2}}]"
    cluster = '{release: "shop:v1", zones: {a: 1, b: 1, c: 1}, store: redis-no-disk}'
    asked = "{serving_at_least: 2, loses_at_most: 0}"
    path = scenario(tmp_path, users=USERS, cluster=cluster, steps=steps, enough=ENOUGH, promises=asked)
    ended = lab("run", path, "--seed", "5")
    assert ended.code == ExitCode.BROKEN, ended.out[-2000:]
    broken = {one["promise"] for one in ended.verdict["promises"] if one["verdict"] == "broken"}
    assert broken >= {STATE_KEPT, LOGGED_IN, LOSS_BOUND}
    assert "the store came back without what it had acknowledged" in ended.out


def test_a_replicated_store_that_waits_for_nobody_is_caught(tmp_path: Path) -> None:
    """Its replicas are cut off for a moment, in which it acknowledges what only it has; then it dies."""
    steps = """
  - settle: {for: 1}
  - together:
      - strike: {do: cut, to: store/b, for: 3}
      - strike: {do: cut, to: store/c, for: 3}
      - strike: {do: kill, to: store/a, for: 10, after: 2}
  - settle: {for: 1}"""
    cluster = '{release: "shop:v1", zones: {a: 1, b: 1, c: 1}, store: redis-ha-no-wait}'
    changes = {"blast_radius": "{stores: 3, tiers: 3}", "users": USERS, "enough": ENOUGH}
    ended = lab("run", scenario(tmp_path, cluster=cluster, steps=steps, **changes), "--seed", "5")
    assert ended.code == ExitCode.BROKEN, ended.out[-2000:]
    broken = {one["promise"] for one in ended.verdict["promises"] if one["verdict"] == "broken"}
    assert LOSS_BOUND in broken
    assert "were lost by failover" in ended.out


def lose_the_store(tmp_path: Path, steps: Sequence[object], strikes: int) -> Ended:
    """The scenario of the stores' losses with some of its steps, on a small scale."""
    told = yaml.safe_load((LIBRARY / "store-loss.yaml").read_text())
    told["steps"] = list(steps)
    told["users"] = {"count": 30, "on_two_devices": 10, "think": 0.3}
    told["enough"] = {"operations": 200 * strikes, "checks": 200 * strikes, "strikes_that_hit": strikes}
    path = tmp_path / "store-loss.yaml"
    path.write_text(yaml.safe_dump(told))
    return lab("run", str(path), "--seed", "3")


def check_nothing_was_lost(ended: Ended, strikes: int) -> None:
    assert ended.code == ExitCode.HELD, ended.out[-2000:]
    bound = next(one for one in ended.verdict["promises"] if one["promise"] == LOSS_BOUND)
    assert bound["count"] > 100
    assert re.match(rf"nothing was lost in {strikes} strikes? on the store$", bound["note"])


@pytest.mark.usefixtures("database")
@pytest.mark.prove
def test_the_store_and_the_orders_database_die_and_nobody_loses_anything(tmp_path: Path) -> None:
    """The primary is killed and a replica takes its place, then the database is killed in the middle of checkouts."""
    kill = {"strike": {"do": "kill", "to": "store", "for": 3}}
    settle, database = {"settle": {"for": 1}}, {"strike": {"do": "kill", "to": "orders", "for": 2}}
    check_nothing_was_lost(lose_the_store(tmp_path, [settle, kill, settle, database, settle], 2), 1)


@pytest.mark.usefixtures("database")
@pytest.mark.prove
def test_the_store_may_be_lost_in_every_way_and_nobody_loses_anything(tmp_path: Path) -> None:
    """Its primary killed, frozen and cut off, and the orders' database: the scenario, but for the zone, to be quick."""
    steps = yaml.safe_load((LIBRARY / "store-loss.yaml").read_text())["steps"]
    check_nothing_was_lost(lose_the_store(tmp_path, [step for step in steps if "lose_zone" not in step], 4), 3)
