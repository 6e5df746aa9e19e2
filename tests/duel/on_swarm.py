"""A team's own stack on a swarm of three nodes, which Docker's own commands change: the lab only watches it."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.backends.swarm_images import bring_images
from lab.balancer.nginx import speaks_http
from lab.cluster.members import StoreKeys, store_acl
from lab.cluster.stores import Stores
from lab.machine.engine import engine_address
from lab.machine.projects import default_project
from lab.machine.setup import Toolbox
from lab.machine.swarm import Swarm, SwarmNode, find_swarm
from lab.machine.yard import DOORS, find_yard, yard_name
from lab.model import Value
from lab.operate.runs import ChosenRun, watch_one
from lab.retry import wait_until
from tests.duel.watching import Figures, figures, scenario
from tests.duel.yard import COMMANDS, CONFIGS, proxy_image, variables

STACK_FILE = Path(__file__).with_name("stack.yaml")
PORT = DOORS[-1]
"""Of the nodes: the one that clusters of the lab's own ask for last."""
UP_WITHIN = 120.0
NGINX = '["nginx", "-c", "/run/lab/proxy.conf", "-e", "/dev/stderr", "-g", "daemon off;"]'
UPDATE, DRAIN, DIES = "service update", "node drained", "node killed"
STAYS_AWAY = 25.0
"""Seconds for which users go on after a node was killed or drained: Swarm misses a node after about ten."""


class Stack(Value):
    """One that is up, and how it is changed."""

    name: str
    manager: str
    """Where a manager's engine answers, and where that of the nodes' own containers does."""
    outside: str
    url: str
    """The door of a node that is not lost."""
    lost: SwarmNode
    lost_container: str
    swarm: Swarm

    @property
    def service(self) -> str:
        return f"{self.name}_app"


@contextmanager
def stack(toolbox: Toolbox, proxy: str, before: str, to: str, folder: Path) -> Iterator[Stack]:
    """Six replicas on three nodes behind a proxy on each; gone afterwards."""
    name = f"duel-{secrets.token_hex(3)}"
    yard = yard_name(default_project(toolbox.places))
    swarm = find_swarm(toolbox.engine, yard)
    images = toolbox.images
    proxied = images.tag("nginx") if proxy not in COMMANDS else proxy_image(toolbox, proxy)
    told = {
        "PROXY_IMAGE": proxied,
        "PROXY_COMMAND": shlex.join(json.loads(COMMANDS.get(proxy, NGINX))),
        "REDIS_IMAGE": images.tag("redis"),
        "APP_IMAGE": images.tag(before),
        "PORT": str(PORT),
    }
    bring_images(toolbox, swarm, [proxied, images.tag("redis"), images.tag(before), images.tag(to)], print)
    nodes = [node for node in swarm.nodes() if node.is_ready]
    asked = next(node for node in nodes if node.leads)
    lost = next(node for node in reversed(nodes) if node.zone != "a" and not node.leads)  # the store is in zone a
    outer = {one.name: one for one in find_yard(toolbox.engine, yard)}
    write_files(folder, proxy)
    deploy = ("stack", "deploy", "--resolve-image", "never", "--compose-file", str(folder / STACK_FILE.name), name)
    try:
        docker(outer[asked.name].address, deploy, told)
        doors = [swarm.door(node, PORT) for node in nodes]
        wait_until("the proxies answer", lambda: all(map(speaks_http, doors)), within=UP_WITHIN, every=0.3)
        wait_until("six replicas serve", lambda: serving(swarm, f"{name}_app") == 6, within=UP_WITHIN, every=0.3)
        yield Stack(
            name=name,
            manager=outer[asked.name].address,
            outside=engine_address(),
            url="http://{}:{}".format(*swarm.door(asked, PORT)),
            lost=lost,
            lost_container=outer[lost.name].container,
            swarm=swarm,
        )
    finally:
        docker(outer[asked.name].address, ("stack", "rm", name), {})
        wait_until("the stack is gone", lambda: not containers_of(swarm, name), within=UP_WITHIN, every=0.3)
        swarm.close()


def containers_of(swarm: Swarm, name: str) -> list[str]:
    """Those that a stack still has on any node."""
    only = {"label": f"com.docker.stack.namespace={name}"}
    return swarm.each("look for the stack", lambda node, _: [one["Id"] for one in node.containers(filters=only)])


def write_files(folder: Path, proxy: str) -> None:
    """What the stack's file names, beside it."""
    keys = StoreKeys(shop=secrets.token_urlsafe(32), lab=secrets.token_urlsafe(32), member=secrets.token_urlsafe(32))
    for name, text in {
        STACK_FILE.name: STACK_FILE.read_text(),
        "proxy.conf": CONFIGS[proxy],
        "store_acl": store_acl(Stores(), keys),
        "store_password": keys.shop,
    }.items():
        (folder / name).write_text(text)


def docker(address: str, argv: Sequence[str], told: Mapping[str, str]) -> None:
    """One of Docker's own commands at an engine."""
    subprocess.run(["docker", "--host", address, *argv], check=True, env={**os.environ, **told})


def serving(swarm: Swarm, service: str) -> int:
    """How many tasks of a service run and are healthy."""
    tasks = swarm.ask("look at the stack's tasks", lambda manager: manager.tasks(filters={"service": service}))
    return sum(one["Status"]["State"] == "running" and one["DesiredState"] == "running" for one in tasks)


def command_for(way: str, one: Stack, image: str) -> tuple[str, ...]:
    """What is watched, as a person would type it: Docker's own commands at a manager. No command makes a node die, so
    that its container is killed on the engine outside."""
    if way == UPDATE:
        order = ("--update-order", "start-first", "--update-parallelism", "1", "--update-monitor", "2s")
        return ("docker", "service", "update", *order, "--no-resolve-image", "--image", image, one.service)
    if way == DRAIN:
        return ("docker", "node", "update", "--availability", "drain", one.lost.name)
    return ("docker", "--host", one.outside, "kill", one.lost_container)


def watched_on_swarm(toolbox: Toolbox, way: str, proxy: str, folder: Path, *, before: str, to: str) -> Figures:
    """A stack of its own on the yard, changed in one way and watched."""
    is_update = way == UPDATE
    goes_on = 1.0 if is_update else STAYS_AWAY
    with stack(toolbox, proxy, before, to, folder) as one, variables({"DOCKER_HOST": one.manager}):
        told = scenario(
            one.url,
            {"swarm": one.service},
            command_for(way, one, toolbox.images.tag(to)),
            folder,
            settles=5.0 if is_update else STAYS_AWAY,
            crosses=is_update,
        )
        try:
            judged, run = watch_one(ChosenRun(scenario=told, seed=11), folder / "runs", say=print, is_shown=False)
        finally:
            if not is_update:
                mend(toolbox, one)
    return figures(way, proxy, judged, run, goes_on=goes_on)


def mend(toolbox: Toolbox, one: Stack) -> None:
    """The node is there again, and takes tasks."""
    if not toolbox.engine.inspect_container(one.lost_container)["State"]["Running"]:
        toolbox.engine.start(one.lost_container)

    def is_back() -> bool:
        return any(node.id == one.lost.id and node.is_ready for node in one.swarm.nodes())

    wait_until(f"{one.lost.name} is back", is_back, within=UP_WITHIN, every=0.3)
    docker(one.manager, ("node", "update", "--availability", "active", one.lost.name), {})
