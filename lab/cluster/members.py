"""What the containers of a store are told: who may do what in it, and how the members of a replicated one are made."""

from __future__ import annotations

import copy
import hashlib
import ipaddress
from typing import Any

import yaml

from lab.cluster.stores import GROUP, SENTINEL_PORT, SENTINEL_SERVICE, STORE_PORT, STORE_SERVICE, Stores
from lab.machine import labels
from lab.model import Role, Value

INSIDE = "inside"
"""The network in which they are."""
FIRST_STORE, FIRST_SENTINEL = 11, 21
"""Their places in its address space."""
QUORUM = 2
DOWN_AFTER = 1.0
"""Seconds of silence after which a Sentinel takes a store for dead."""
FAILOVER_WITHIN = 3.0
"""Seconds that one failover may take; twice that after one that found nobody to promote, the next is tried."""

_SHOP_RIGHTS = (
    "~shop:* resetchannels &shop:* -@all +@read +@write +@transaction +@scripting +@connection +publish -@dangerous"
    " -flushall -flushdb -swapdb"
)
_SENTINEL_RIGHTS = (
    "allchannels -@all +multi +exec +ping +info +role +publish +subscribe +slaveof +replicaof +config|rewrite"
    " +client|setname +client|kill +script|kill"
)
"""What a Sentinel does to the stores that it watches, and nothing else."""


class StoreKeys(Value):
    """The passwords of one cluster's store: the shop's, the lab's own, and its members' among themselves."""

    shop: str
    lab: str
    member: str


def store_acl(stores: Stores, keys: StoreKeys) -> str:
    """Who may do what in a store.

    Nobody can log in as the default user, but a store that starts reads its own file as that user, who must be allowed
    what is in there: without it Redis starts all the same, and has lost every script's effect.
    """
    users = [
        "user default off resetpass ~* &* +@all",
        "user health on >health -@all +ping +role",
        f"user shop on #{_digest(keys.shop)} {_SHOP_RIGHTS}",
        f"user lab on #{_digest(keys.lab)} ~* &* +@all",
    ]
    if stores.tier.is_replicated:
        users.append(f"user member on #{_digest(keys.member)} -@all +psync +replconf +ping")
        users.append(f"user sentinel on #{_digest(keys.member)} {_SENTINEL_RIGHTS}")
    return _lines(users)


def store_conf(stores: Stores, keys: StoreKeys) -> str:
    """What a store is started with: what all tiers have in common, then what is this one's own."""
    members = ("masteruser member", f"masterauth {keys.member}") if stores.tier.is_replicated else ()
    return _lines(["include /etc/lab/redis.conf", *stores.tier.settings, *members])


def sentinel_acl(keys: StoreKeys) -> str:
    """Who may ask a Sentinel what."""
    return _lines(
        [
            "user default off",
            "user health on >health -@all +ping +sentinel|get-master-addr-by-name +sentinel|master",
            f"user shop on #{_digest(keys.shop)} resetchannels &+switch-master -@all"
            " +ping +subscribe +sentinel|get-master-addr-by-name",
            f"user member on #{_digest(keys.member)} allchannels +@all",
        ]
    )


def sentinel_conf(first: str, keys: StoreKeys) -> str:
    """What a new Sentinel knows, the first primary's address above all; it adds to its copy what it learns."""
    ms = 1000
    return _lines(
        [
            f"port {SENTINEL_PORT}",
            "protected-mode no",
            "dir /data",
            "aclfile /run/secrets/sentinel_acl",
            "sentinel sentinel-user member",
            f"sentinel sentinel-pass {keys.member}",
            f"sentinel monitor {GROUP} {first} {STORE_PORT} {QUORUM}",
            f"sentinel auth-user {GROUP} sentinel",
            f"sentinel auth-pass {GROUP} {keys.member}",
            f"sentinel down-after-milliseconds {GROUP} {DOWN_AFTER * ms:.0f}",
            f"sentinel failover-timeout {GROUP} {FAILOVER_WITHIN * ms:.0f}",
            f"sentinel parallel-syncs {GROUP} 2",
        ]
    )


def addresses(stores: Stores, subnet: str) -> dict[str, str]:
    """The address of each member, by its service.

    Members know each other by address, not by name: the name of what is dead is looked up in vain for ten seconds, and
    Redis and Sentinel do nothing else meanwhile.
    """
    if not stores.tier.is_replicated:
        return {}
    hosts = list(ipaddress.ip_network(subnet).hosts())
    made = zip((STORE_SERVICE, SENTINEL_SERVICE), (FIRST_STORE, FIRST_SENTINEL), strict=True)
    return {
        name: str(hosts[first + number - 1])
        for service, first in made
        for number, name in enumerate(stores.members(service))
    }


def members_file(compose_text: str, stores: Stores, subnet: str) -> str:
    """A second compose file: in each zone a copy of the store's service, and one made of it for its Sentinel."""
    at = addresses(stores, subnet)
    pattern = yaml.safe_load(compose_text)
    store, volume = pattern["services"][STORE_SERVICE], pattern["volumes"][STORE_SERVICE]
    services: dict[str, Any] = {}
    volumes: dict[str, Any] = {}
    first = at[stores.members(STORE_SERVICE)[0]]
    sentinels = [at[name] for name in stores.members(SENTINEL_SERVICE)]
    for zone in stores.zones:
        for made, role in ((STORE_SERVICE, Role.STORE), (SENTINEL_SERVICE, Role.SENTINEL)):
            name, service = f"{made}-{zone}", copy.deepcopy(store)
            service["labels"] |= {labels.ROLE: role.value, labels.ZONE: zone, labels.ADDRESS: at[name]}
            service["networks"] = {INSIDE: {"ipv4_address": at[name]}}
            service["volumes"] = [f"{name}:/data"]
            told = {"MEMBER": at[name], "FIRST": first}
            if role is Role.STORE:
                service["command"] = ["/usr/local/bin/start-member"]
                told["SENTINELS"] = " ".join(sentinels)
            else:
                service["command"] = ["/usr/local/bin/start-sentinel"]
                service["secrets"] = ["sentinel_acl", "sentinel_conf"]
                kind, asks, *rest = service["healthcheck"]["test"]
                service["healthcheck"]["test"] = [kind, asks, "-p", str(SENTINEL_PORT), *rest]
                service["mem_limit"] = "64m"
                told["REPLICAS"] = str(len(stores.zones) - 1)
            service["environment"] = told
            services[name], volumes[name] = service, volume
    secrets = {name: {"file": f"${{LAB_FOLDER}}/{name}"} for name in ("sentinel_acl", "sentinel_conf")}
    net = ipaddress.ip_network(subnet)
    anybody = list(net.subnets(prefixlen_diff=1))[1]  # whoever asks for no address gets none of the members'
    space = {"subnet": subnet, "ip_range": str(anybody), "gateway": str(next(net.hosts()))}
    networks: dict[str, Any] = {INSIDE: {"ipam": {"config": [space]}}}
    whole = {"services": services, "volumes": volumes, "networks": networks, "secrets": secrets}
    return yaml.safe_dump(whole, sort_keys=False)


def _lines(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
