"""Somebody's own compose file as a cluster of the lab: their services as they are, the lab's balancer before them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.cluster.commands import ClusterPlan
from lab.cluster.gated import SLOTS_VOLUME
from lab.errors import ClusterError, UsageError
from lab.machine import labels
from lab.model import Front, Role, Value

BALANCER = "lab-balancer"
EDGE = "lab-edge"
READ_WITHIN = 60.0


class OwnApp(Value):
    """Which service of which compose file is multiplied, where it listens, and what of theirs stands before it."""

    compose: Path
    service: str
    port: int
    ready: str
    front: Front | None = None


def read_compose(compose: Sequence[str], file: Path) -> dict[str, Any]:
    """What Compose makes of somebody's file, variables and all.

    Raises UsageError with Compose's own words, and ClusterError where it says nothing in time.
    """
    argv, hint = [*compose, "--file", str(file), "config", "--format", "json"], f"docker compose -f {file} config"
    try:
        done = subprocess.run(argv, env=os.environ, capture_output=True, text=True, check=False, timeout=READ_WITHIN)
    except subprocess.TimeoutExpired as exc:
        what = f"compose did not read it within {READ_WITHIN:g} s"
        raise ClusterError(what, at=str(file), hint=hint) from exc
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing was said"]
        raise UsageError(f"compose can't read it: {said[-1]}", at=str(file), hint=hint)
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def check_service(read: Mapping[str, Any], app: OwnApp) -> None:
    """Raise UsageError for what the lab can't or must not bring up."""
    services = read.get("services") or {}
    if app.service not in services:
        raise UsageError(
            f"there is no service {app.service!r}", at=str(app.compose), hint=f"one of: {', '.join(services)}"
        )
    if app.front is not None and app.front.service not in set(services) - {app.service}:
        raise UsageError(
            f"there is no service {app.front.service!r} that could stand before {app.service!r}",
            at=str(app.compose),
            hint=f"front: {{service: {' | '.join(name for name in services if name != app.service)}, port: 80}}",
        )
    for kind in ("volumes", "networks"):
        for name, one in (read.get(kind) or {}).items():
            if (one or {}).get("external"):
                raise UsageError(
                    f"{kind[:-1]} {name!r} is external: somebody else's, and no place for an experiment",
                    at=str(app.compose),
                    hint=f"a compose file of its own for the lab, where {name!r} is not external",
                )
    for name in (app.service, *others_of(read, app), *front_of(app)):
        for source in _written_of_this_machine(read, services[name]):
            raise UsageError(
                f"service {name!r} may write to {source!r}, which is this machine's and no place for an experiment",
                at=str(app.compose),
                hint=f"mount it read-only ({source}:...:ro), or give {name!r} a named volume of the cluster's own",
            )
    for name in (*others_of(read, app), *front_of(app)):
        if not services[name].get("image"):
            raise UsageError(
                f"service {name!r} names no image, and the lab builds none",
                at=str(app.compose),
                hint=f"give it `image: {name}:dev` and run: docker compose build {name}",
            )


def _written_of_this_machine(read: Mapping[str, Any], service: Mapping[str, Any]) -> Iterator[str]:
    """What outlives the cluster and a service may write to: folders and files, and volumes that are such a thing.

    Of the app that is not to be borne either: its replicas would share its owner's data with the lab's users, and a
    folder of sources over an image makes every release the same.
    """
    volumes = read.get("volumes") or {}
    for mount in service.get("volumes") or ():
        source = str(mount.get("source", ""))
        if mount.get("read_only"):
            continue
        if mount["type"] == "bind":
            yield source
        options = (volumes.get(source) or {}).get("driver_opts") or {}
        if mount["type"] == "volume" and options.get("device") and options.get("type") != "tmpfs":
            yield str(options["device"])


def front_of(app: OwnApp) -> tuple[str, ...]:
    """Their own balancer's service, if users are to come through it."""
    return () if app.front is None else (app.front.service,)


def others_of(read: Mapping[str, Any], app: OwnApp) -> tuple[str, ...]:
    """The services beside the app: all but those that depend on it, which stand before it as the balancer does."""
    services = read["services"]
    before = {app.service, *front_of(app)}
    while True:
        more = {name for name, one in services.items() if before & set(one.get("depends_on") or {})} - before
        if not more:
            return tuple(name for name in services if name not in before)
        before |= more


def cluster_file(read: Mapping[str, Any], app: OwnApp, plan: ClusterPlan, gate_image: str) -> dict[str, Any]:
    """The compose file of the lab's cluster: pure.

    Only what would break the experiment is changed, and nothing inside a container: names and published ports, so
    that two labs may run, restart policies, since the lab replaces what dies, and labels. Health checks, limits,
    volumes, secrets and environments stay.
    """
    identity = plan.identity

    def owned(part: Mapping[str, Any] | None, role: str) -> dict[str, Any]:
        kept = {key: value for key, value in (part or {}).items() if key not in _LEFT_OUT}
        if "deploy" in kept:  # how many there are, and when they begin again, is the lab's business
            kept["deploy"] = {k: v for k, v in kept["deploy"].items() if k not in {"replicas", "restart_policy"}}
        return {**kept, "labels": {**kept.get("labels", {}), **identity.labels(role)}}

    services = {name: owned(read["services"][name], Role.STORE) for name in others_of(read, app)}
    if app.front is not None:
        services[app.front.service] = _before(owned(read["services"][app.front.service], Role.FRONT), app.front, plan)
    for one in services.values():
        one["restart"] = "no"
    pattern = owned(read["services"][app.service], Role.PATTERN)
    pattern["labels"] |= {
        labels.PORT: str(app.port),
        labels.GATE: gate_image,
        labels.CUTTER_IMAGE: plan.cutter_image,
        **({} if app.front is None else {labels.FRONT: str(app.front.port)}),
    }
    services[app.service] = {**pattern, "image": plan.app_image, "restart": "no"}
    services[BALANCER] = _balancer(plan) if app.front is None else _behind(_balancer(plan), pattern, app)
    return {
        "name": identity.project,
        "services": services,
        "networks": {
            **{name: owned(one, "network") for name, one in (read.get("networks") or {}).items()},
            EDGE: {"labels": identity.labels("network")},
        },
        "volumes": {
            **{name: owned(one, "volume") for name, one in (read.get("volumes") or {}).items()},
            SLOTS_VOLUME: {
                "labels": identity.labels("volume"),
                "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=10001,gid=10001,mode=0750"},
            },
        },
        **{kind: {name: _unnamed(one) for name, one in read[kind].items()} for kind in _FILES if read.get(kind)},
    }


_LEFT_OUT = {"name", "ports", "container_name", "build", "restart", "scale"}
_FILES = ("secrets", "configs")


def _unnamed(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != "name"}


def _before(front: Mapping[str, Any], spec: Front, plan: ClusterPlan) -> dict[str, Any]:
    """Their balancer at the users' port. It begins once the lab's is there, of which it thinks that it were the app."""
    return {
        **front,
        "ports": [f"127.0.0.1:{plan.edges[0].port}:{spec.port}"],
        "depends_on": {BALANCER: {"condition": "service_started"}},
    }


def _behind(balancer: Mapping[str, Any], app: Mapping[str, Any], spec: OwnApp) -> dict[str, Any]:
    """The lab's balancer under the app's name and port, in the app's networks; nobody but the lab finds its door."""
    _, door = balancer["ports"]
    as_the_app = {name: {"aliases": [spec.service]} for name in app.get("networks") or {"default": None}}
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
