"""Store tiers: what each is started with, who may do what in it, and where its members stand."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from lab.cluster.members import StoreKeys, addresses, members_file, sentinel_acl, sentinel_conf, store_acl, store_conf
from lab.cluster.stores import TIERS, OrdersPlace, StoreName, Stores, stores_of
from lab.machine.places import find_places
from lab.machine.subnets import pick_subnet

ZONES = ("a", "b", "c", "d")
KEYS = StoreKeys(shop="shop-secret", lab="lab-secret", member="member-secret")
SUBNET = "10.213.7.0/24"


def stores(name: StoreName = StoreName.REDIS_HA, orders: OrdersPlace = OrdersPlace.REDIS) -> Stores:
    return stores_of(name, orders, ZONES)


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    text = members_file(find_places().compose_file.read_text(), stores(), SUBNET)
    return dict(yaml.safe_load(text))


def test_every_tier_says_what_it_may_lose() -> None:
    """In a sentence and as a number; the default loses nothing, one without a disk states nothing."""
    assert list(TIERS) == list(StoreName)
    assert all(one.bound and one.about for one in TIERS.values())
    assert TIERS[StoreName.REDIS].loses_at_most == TIERS[StoreName.REDIS_HA].loses_at_most == 0
    assert TIERS[StoreName.REDIS_NO_DISK].loses_at_most is None
    assert stores_of(StoreName.REDIS, OrdersPlace.REDIS, ZONES) == Stores()


def test_a_replicated_tier_has_three_of_each_in_three_zones() -> None:
    """And the database beside them, if it is asked for."""
    assert stores(orders=OrdersPlace.POSTGRES).services == (
        *("store-a", "store-b", "store-c"),
        *("sentinel-a", "sentinel-b", "sentinel-c"),
        "orders",
    )
    assert stores(StoreName.REDIS).services == ("store",)


def test_only_what_waits_for_a_replica_needs_one() -> None:
    """The tier that is meant to lose has neither WAIT nor a least number of replicas."""
    waits, loses = TIERS[StoreName.REDIS_HA], TIERS[StoreName.REDIS_HA_NO_WAIT]
    assert waits.wait_ms > 0
    assert "min-replicas-to-write 1" in waits.settings
    assert loses.wait_ms == 0
    assert not any(line.startswith("min-replicas") for line in loses.settings)


def test_members_stand_in_their_zones_at_addresses_of_their_own(made: dict[str, Any]) -> None:
    """Nobody else is ever given those: they lie outside the range from which others get theirs."""
    at = addresses(stores(), SUBNET)
    assert at["store-a"] == "10.213.7.11"
    assert at["sentinel-c"] == "10.213.7.23"
    for name, service in made["services"].items():
        assert service["networks"] == {"inside": {"ipv4_address": at[name]}}
        assert service["labels"]["lab.address"] == at[name]
        assert service["labels"]["lab.zone"] == name[-1]
        assert service["labels"]["lab.role"] == name[:-2]
        assert service["volumes"] == [f"{name}:/data"]
    [space] = made["networks"]["inside"]["ipam"]["config"]
    assert space == {"subnet": SUBNET, "ip_range": "10.213.7.128/25", "gateway": "10.213.7.1"}


def test_members_are_as_closed_as_the_store_that_they_are_copies_of(made: dict[str, Any]) -> None:
    """Whatever hardens the store's service holds for each of them."""
    pattern = yaml.safe_load(find_places().compose_file.read_text())["services"]["store"]
    own = {"labels", "networks", "volumes", "command", "environment", "secrets", "healthcheck", "mem_limit"}
    for service in made["services"].values():
        assert {key: value for key, value in service.items() if key not in own} == {
            key: value for key, value in pattern.items() if key not in own
        }
        assert "ports" not in service


def test_no_password_stands_in_a_compose_file(made: dict[str, Any]) -> None:
    """They are in secret files, and there only where a member needs one in plain."""
    assert "secret" not in yaml.safe_dump(made["services"]).replace("secrets", "")
    assert "member-secret" in store_conf(stores(), KEYS)
    assert "member-secret" in sentinel_conf("10.213.7.11", KEYS)
    for text in (store_acl(stores(), KEYS), sentinel_acl(KEYS)):
        assert not any(secret in text for secret in ("shop-secret", "lab-secret", "member-secret"))


def test_the_shop_may_ask_a_sentinel_for_the_primary_and_nothing_else() -> None:
    """It can't change what the Sentinels know."""
    [shop] = [line for line in sentinel_acl(KEYS).splitlines() if line.startswith("user shop")]
    assert shop.endswith("-@all +ping +subscribe +sentinel|get-master-addr-by-name")


def test_nobody_logs_in_as_the_user_as_whom_a_store_reads_its_file() -> None:
    """It is off and has no password, but may do all that the file says: or a restart forgets what scripts did."""
    for text in (store_acl(stores(), KEYS), store_acl(stores(StoreName.REDIS), KEYS)):
        assert text.splitlines()[0] == "user default off resetpass ~* &* +@all"


def test_one_store_knows_nothing_of_members() -> None:
    """No user for them, no password."""
    text = store_acl(stores(StoreName.REDIS), KEYS) + store_conf(stores(StoreName.REDIS), KEYS)
    assert "member" not in text
    assert "sentinel" not in text
    assert "appendonly no" in store_conf(stores(StoreName.REDIS_NO_DISK), KEYS)


def test_the_subnet_is_one_that_nobody_has() -> None:
    """What overlaps a network or a route is left out; None where nothing is left."""
    assert pick_subnet(["10.213.0.0/17"], Random(1)) not in {None, "10.213.0.0/24"}
    assert pick_subnet(["10.213.0.0/17", "10.213.128.0/18", "10.213.192.0/19"], Random(1)) is not None
    assert pick_subnet(["10.0.0.0/8"], Random(1)) is None
    drawn = {pick_subnet(["fd00::/8"], Random(seed)) for seed in range(20)}
    assert len(drawn) > 5


def test_the_compose_files_secrets_are_all_written() -> None:
    """Each secret file that a service mounts is one that the lab makes."""
    text = Path(find_places().compose_file).read_text()
    assert set(yaml.safe_load(text)["secrets"]) == {"store_acl", "store_conf", "store_password", "orders_password"}
