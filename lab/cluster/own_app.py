"""Somebody's own compose file as a cluster of the lab: their services as they are, the lab's balancer before them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from lab.cluster.commands import ClusterPlan
from lab.cluster.gated import SLOTS_VOLUME
from lab.cluster.protocol import StopWay
from lab.machine import labels
from lab.model import Front, Role, Value

BALANCER = "lab-balancer"
EDGE = "lab-edge"
PROXIES = frozenset(
    {
        "caddy",
        "caddy-docker-proxy",
        "docker-socket-proxy",
        "envoy",
        "haproxy",
        "https-portal",
        "httpd",
        "nginx",
        "nginx-proxy",
        "nginx-unprivileged",
        "openresty",
        "swag",
        "traefik",
        "varnish",
    }
)
"""Images by the last part of their names that stand before apps and are none."""


class ServiceRole(StrEnum):
    """What a service beside the app is for; only one that has a role may be struck."""

    STORE = "store"
    """It keeps the users' state."""
    WORKER = "worker"
    """It does the app's work elsewhere; `roll: {with: [...]}` upgrades it along."""
    LEFT_OUT = "left_out"
    """The lab does not bring it up."""


class OwnApp(Value):
    """Which service of which compose files is multiplied, where it listens, and what the others are for."""

    compose: tuple[Path, ...]
    service: str
    port: int
    ready: str
    front: Front | None = None
    services: Mapping[str, ServiceRole] = {}
    stop: StopWay = StopWay.AT_ONCE
    keep_alive: bool = True
    answer_timeout: float = 4.0
    ready_within: float = 30.0


def named_wrongly(app: OwnApp) -> str:
    """A service that has a role though it is the app or its front; "" if none has."""
    special = {app.service, *front_of(app)}
    return next((name for name in app.services if name in special), "")


def front_of(app: OwnApp) -> tuple[str, ...]:
    """Their own balancer's service, if users are to come through it."""
    return () if app.front is None else (app.front.service,)


def image_of(config: Mapping[str, Any], name: str) -> str:
    """The image of a service; of one that is built and says none, the one that Compose builds."""
    said = str(config["services"][name].get("image") or "")
    return said or f"{config.get('name', '')}-{name}"


def is_proxy(config: Mapping[str, Any], name: str) -> bool:
    """Whether its image is one of those that stand before apps."""
    return base_name(image_of(config, name)) in PROXIES


def base_name(image: str) -> str:
    """The last part of an image's name, without tag and digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def followers_of(config: Mapping[str, Any], app: OwnApp) -> tuple[str, ...]:
    """The services that depend on the app, directly or not, in the file's order."""
    services, after = config["services"], {app.service}
    while True:
        more = {name for name, one in services.items() if after & set(one.get("depends_on") or {})} - after
        if not more:
            return tuple(name for name in services if name in after - {app.service})
        after |= more


def left_out(config: Mapping[str, Any], app: OwnApp) -> dict[str, str]:
    """The services that the lab does not bring up, with the reason.

    Of those that depend on the app it is what stands before it: a proxy, or what is published. The lab's balancer
    stands there; a worker that merely depends on the app stays.
    """
    out = {name: "cluster.services says so" for name, role in app.services.items() if role is ServiceRole.LEFT_OUT}
    for name in followers_of(config, app):
        if name in app.services or name in front_of(app):
            continue
        if is_proxy(config, name) or config["services"][name].get("ports"):
            out[name] = f"stands before {app.service!r}, where the lab's balancer is (front: keeps it)"
    return out


def brought_up(config: Mapping[str, Any], app: OwnApp) -> tuple[str, ...]:
    """The services that the lab brings up beside the app, its front among them, in the file's order."""
    out = {app.service, *left_out(config, app)}
    return tuple(name for name in config["services"] if name not in out)


def others_of(config: Mapping[str, Any], app: OwnApp) -> tuple[str, ...]:
    """The services beside the app that are brought up before it."""
    later = {*followers_of(config, app), *front_of(app)}
    return tuple(name for name in brought_up(config, app) if name not in later)


def later_of(config: Mapping[str, Any], app: OwnApp) -> tuple[str, ...]:
    """The services that depend on the app, such as workers: they are brought up once it serves."""
    later = set(followers_of(config, app)) - set(front_of(app))
    return tuple(name for name in brought_up(config, app) if name in later)


def jobs_of(config: Mapping[str, Any]) -> frozenset[str]:
    """The services that somebody waits for to have ended well: they prepare what the others use, and end."""
    needs = (one for service in config["services"].values() for one in (service.get("depends_on") or {}).items())
    return frozenset(name for name, how in needs if (how or {}).get("condition") == "service_completed_successfully")


def parts_used(service: Mapping[str, Any], kind: str) -> Iterator[str]:
    """The names of the volumes, networks, secrets or configs that a service uses."""
    if kind == "networks":
        yield from service.get("networks") or {}
    elif kind == "volumes":
        mounts = service.get("volumes") or ()
        yield from (str(one["source"]) for one in mounts if one.get("type") == "volume" and one.get("source"))
    else:
        yield from (str(one["source"]) for one in service.get(kind) or ())


def contents_of(config: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """By file name, what secrets and configs hold that are no files yet.

    As files they reach every replica; what Compose would copy into a container of its own, it would not into theirs.
    """
    found = {}
    for kind in _FILES:
        for name, one in (config.get(kind) or {}).items():
            if one.get("environment"):
                found[f"{kind}-{name}"] = environment.get(one["environment"], "")
            elif one.get("content") is not None:
                found[f"{kind}-{name}"] = str(one["content"]).replace("$$", "$")
    return found


def cluster_file(config: Mapping[str, Any], app: OwnApp, plan: ClusterPlan, gate_image: str) -> dict[str, Any]:
    """The compose file of the lab's cluster: pure.

    Only what would break the experiment is changed, and nothing inside a container: names and published ports, so
    that two labs may run, restart policies of what the lab strikes or multiplies, and labels. Health checks, limits,
    volumes, secrets and environments stay, and so do the names under which services find each other.
    """
    identity, kept = plan.identity, (app.service, *brought_up(config, app))
    aside = {app.service, *left_out(config, app)}
    services = {name: _service(config, name, aside) for name in kept}
    for name, one in services.items():
        one["labels"] = {**one.get("labels", {}), **identity.labels(role_of_service(app, name))}
        if name in app.services:
            one["restart"] = "no"  # whoever strikes it starts it again
            one["labels"][labels.STATED] = _stated(config, name)
    if app.front is not None:
        services[app.front.service] = _before(services[app.front.service], app.front, plan)
    pattern = services[app.service]
    pattern["labels"] |= _pattern_labels(config, app, plan, gate_image)
    pattern |= {"image": plan.app_image, "restart": "no", "networks": _without_addresses(pattern.get("networks"))}
    services[BALANCER] = _balancer(plan) if app.front is None else _behind(_balancer(plan), pattern, app)

    def used(kind: str) -> dict[str, Any]:
        names = {part for name in kept for part in parts_used(services[name], kind)}
        return {name: one or {} for name, one in (config.get(kind) or {}).items() if name in names}

    def owned(kind: str, role: str) -> dict[str, Any]:
        own = identity.labels(role)
        return {
            name: {**_unnamed(one), "labels": {**(one.get("labels") or {}), **own}} for name, one in used(kind).items()
        }

    return {
        "name": identity.project,
        "services": services,
        "networks": {**owned("networks", "network"), EDGE: {"labels": identity.labels("network")}},
        "volumes": {
            **owned("volumes", "volume"),
            SLOTS_VOLUME: {
                "labels": identity.labels("volume"),
                "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": plan.slots_options},
            },
        },
        **{
            kind: {name: _as_file(one, plan.folder / f"{kind}-{name}") for name, one in used(kind).items()}
            for kind in _FILES
        },
    }


_LEFT_OUT = {"ports", "container_name", "build", "scale", "profiles", "develop"}
_FILES = ("secrets", "configs")
_STATED = {
    "command": "Cmd",
    "entrypoint": "Entrypoint",
    "working_dir": "WorkingDir",
    "user": "User",
    "healthcheck": "Healthcheck",
    "stop_signal": "StopSignal",
}
"""What a service may say that its image says too, by the engine's name for it."""


def role_of_service(app: OwnApp, name: str) -> Role:
    """What a container of this service is for."""
    if name == app.service:
        return Role.PATTERN
    if name in front_of(app):
        return Role.FRONT
    named = app.services.get(name)
    return Role.STORE if named is ServiceRole.STORE else Role.WORKER if named is ServiceRole.WORKER else Role.SERVICE


def _service(config: Mapping[str, Any], name: str, aside: set[str]) -> dict[str, Any]:
    """A service as the file says, without what two labs at once could not both have.

    Other containers find it under its `container_name` too, which is an alias in its networks from now on. It
    depends on nobody who is not there, nor on the app, which is multiplied later.
    """
    said = config["services"][name]
    kept = {key: value for key, value in said.items() if key not in _LEFT_OUT and value is not None}
    kept["image"] = image_of(config, name)
    if "deploy" in kept:  # how many there are, and when they begin again, is the lab's business
        kept["deploy"] = {k: v for k, v in kept["deploy"].items() if k not in {"replicas", "restart_policy"}}
    if said.get("container_name") and kept.get("networks"):
        also = said["container_name"]
        kept["networks"] = {
            network: {**(how or {}), "aliases": [*((how or {}).get("aliases") or ()), also]}
            for network, how in kept["networks"].items()
        }
    needs = {one: how for one, how in (kept.get("depends_on") or {}).items() if one not in aside}
    kept["depends_on"] = needs
    if kept.get("links"):
        kept["links"] = [link for link in kept["links"] if link.partition(":")[0] not in aside]
    return {key: value for key, value in kept.items() if value not in ({}, [])}


def _pattern_labels(config: Mapping[str, Any], app: OwnApp, plan: ClusterPlan, gate_image: str) -> dict[str, str]:
    """What whoever makes replicas must know, and cannot see on the template container."""
    said = config["services"][app.service]
    found = {
        labels.PORT: str(app.port),
        labels.GATE: gate_image,
        labels.STOP: app.stop.value,
        labels.ANSWER_TIMEOUT: f"{app.answer_timeout:g}",
        labels.READY_WITHIN: f"{app.ready_within:g}",
        labels.KEEP_ALIVE: "yes" if app.keep_alive else "no",
        labels.CUTTER_IMAGE: plan.cutter_image,
        labels.STATED: _stated(config, app.service),
    }
    if app.front is not None:
        found[labels.FRONT] = str(app.front.port)
    for key, label in (("post_start", labels.POST_START), ("pre_stop", labels.PRE_STOP)):
        if said.get(key):
            found[label] = json.dumps(said[key])
    return found


def _stated(config: Mapping[str, Any], name: str) -> str:
    """What a service says itself, so that no other image's own word takes its place."""
    said = config["services"][name]
    return json.dumps(
        {
            "keys": [key for key_of_file, key in _STATED.items() if said.get(key_of_file) is not None],
            "env": [name for name, value in (said.get("environment") or {}).items() if value is not None],
        }
    )


def _without_addresses(networks: Mapping[str, Any] | None) -> dict[str, Any]:
    """Replicas can't all have the one address that a service may ask for."""
    own = {"ipv4_address", "ipv6_address", "link_local_ips", "mac_address"}
    return {
        name: {key: value for key, value in (how or {}).items() if key not in own}
        for name, how in (networks or {"default": None}).items()
    }


def _unnamed(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != "name"}


def _as_file(one: Mapping[str, Any], path: Path) -> dict[str, Any]:
    if one.get("environment") or one.get("content") is not None:
        return {"file": str(path)}
    return _unnamed(one)


def _before(front: Mapping[str, Any], spec: Front, plan: ClusterPlan) -> dict[str, Any]:
    """Their balancer at the users' port. It begins once the lab's is there, of which it thinks that it were the app."""
    return {
        **front,
        "restart": "no",
        "ports": [f"127.0.0.1:{plan.edges[0].port}:{spec.port}"],
        "depends_on": {BALANCER: {"condition": "service_started"}},
    }


def _behind(balancer: Mapping[str, Any], pattern: Mapping[str, Any], spec: OwnApp) -> dict[str, Any]:
    """The lab's balancer under the app's names and port, in the app's networks; nobody but the lab finds its door."""
    _, door = balancer["ports"]
    as_the_app = {
        name: {"aliases": [spec.service, *((how or {}).get("aliases") or ())]}
        for name, how in pattern["networks"].items()
    }
    return {
        **balancer,
        "ports": [door],
        "networks": {EDGE: None, **as_the_app},
        "sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"},  # the app may listen at 80
    }


def _balancer(plan: ClusterPlan) -> dict[str, Any]:
    """As in compose/cluster.yaml; it needs no network of the app's, only the slots."""
    return {
        "image": plan.nginx_image,
        "labels": plan.identity.labels(Role.BALANCER),
        "ports": [f"127.0.0.1:{plan.edges[0].port}:8080", f"127.0.0.1:{plan.edges[0].door}:8081"],
        "networks": [EDGE],
        "volumes": [f"{SLOTS_VOLUME}:/run/slots", f"{plan.folder}/nginx.conf:/run/lab/nginx.conf:ro"],
        "tmpfs": ["/tmp:size=64m,mode=1777,noexec,nosuid,nodev"],  # noqa: S108 -- inside a container
        "user": "10001:10001",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "init": True,
        "restart": "no",
        "pids_limit": 64,
        "mem_limit": "128m",
        "ulimits": {"nofile": {"soft": 16384, "hard": 16384}},
        "logging": {"driver": "json-file", "options": {"max-size": "5m", "max-file": "1"}},
    }
