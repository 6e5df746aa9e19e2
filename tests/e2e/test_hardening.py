"""The cluster's containers are as closed as they are said to be, read back from the engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import ShopCluster
from tests.e2e.hardening import breaches

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def containers(shop_cluster: ShopCluster) -> dict[str, dict[str, Any]]:
    found = shop_cluster.inspect()
    assert len(found) >= 6 + 3
    return found


def test_every_container_is_closed(containers: dict[str, dict[str, Any]]) -> None:
    """Each of the hardening rules holds for the balancer, the store, the pattern and every replica."""
    open_ones = {name: found for name, container in containers.items() if (found := breaches(container))}
    assert open_ones == {}


def test_the_check_can_fail(containers: dict[str, dict[str, Any]]) -> None:
    """Each rule is seen to fail on a container that breaks it."""
    container = next(iter(containers.values()))
    laxer = {**container, "HostConfig": {**container["HostConfig"], "Privileged": True, "CapDrop": None}}
    assert set(breaches(laxer)) == {"is not privileged", "has no capability"}


def test_only_the_balancer_is_published_and_only_on_loopback(containers: dict[str, dict[str, Any]]) -> None:
    """No port of any container is open to the outside."""
    for name, container in containers.items():
        published = {
            binding["HostIp"]
            for bindings in (container["NetworkSettings"]["Ports"] or {}).values()
            for binding in bindings or ()
        }
        assert published <= {"127.0.0.1"}, name
        assert bool(published) == (container["Config"]["Labels"]["lab.role"] == "balancer"), name


def test_the_app_and_the_store_reach_nobody_outside(shop_cluster: ShopCluster) -> None:
    """Their network is internal."""
    inside = shop_cluster.toolbox.engine.inspect_network(f"{shop_cluster.live.project}_inside")
    assert inside["Internal"] is True
    for container in shop_cluster.inspect().values():
        if container["Config"]["Labels"]["lab.role"] != "balancer":
            assert list(container["NetworkSettings"]["Networks"]) == [f"{shop_cluster.live.project}_inside"]


def test_the_store_writes_before_it_answers(shop_cluster: ShopCluster) -> None:
    """The default tier may lose nothing: AOF on a volume, synced with every write, nothing evicted."""
    for setting, value in {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "dir": "/data",
    }.items():
        assert shop_cluster.store("CONFIG", "GET", setting).splitlines()[-1] == value
    store = next(one for one in shop_cluster.inspect().values() if one["Config"]["Labels"]["lab.role"] == "store")
    assert [mount["Destination"] for mount in store["Mounts"] if mount["Type"] == "volume"] == ["/data"]


def test_everything_carries_the_labs_labels(shop_cluster: ShopCluster) -> None:
    """Containers, networks and volumes can all be found, and removed, by labels alone."""
    engine, only = shop_cluster.toolbox.engine, {"label": f"lab.project={shop_cluster.live.project}"}
    found = [one["Labels"] for one in engine.containers(all=True, filters=only)]
    found += [one["Labels"] for one in engine.networks(filters=only)]
    found += [one["Labels"] for one in engine.volumes(filters=only)["Volumes"]]
    assert len(found) >= 9 + 2 + 2
    for labels in found:
        assert {"lab.project", "lab.run", "lab.role", "lab.owner", "lab.expires"} <= set(labels)
