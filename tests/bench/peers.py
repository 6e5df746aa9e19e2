"""Swarm upgrades the same app under the same load; the other peers are in lab/backends/peer.py."""

from __future__ import annotations

import secrets
import subprocess

from lab.backends.peer import Peer, peer
from lab.errors import ClusterError
from lab.experiments.upgrades import UpgradeFigures, UserLoad, measured
from lab.machine.engine import engine_errors
from lab.machine.ports import free_port
from lab.machine.projects import run_identity
from lab.machine.setup import Toolbox
from lab.retry import wait_until


def why_not_swarm(toolbox: Toolbox, *, asked: bool) -> str:
    """Why Swarm is not measured here; empty where it may be: the engine joins nothing that nobody asked for."""
    if not asked:
        return "SWARM=1 make bench measures it too: this engine is then in a swarm of its own meanwhile"
    if toolbox.engine.info()["Swarm"]["LocalNodeState"] != "inactive":
        return "this engine is in a swarm already, which is left alone"
    return ""


def swarm(toolbox: Toolbox, load: UserLoad) -> UpgradeFigures:
    """Swarm's `service update`, start-first, on an engine that is in no swarm, neither before nor afterwards.

    Nothing listens but on loopback. Raises ClusterError with Docker's words.
    """
    before = {network["Id"] for network in toolbox.engine.networks()}
    with engine_errors("begin a swarm", at="this engine"):
        toolbox.engine.init_swarm(advertise_addr="127.0.0.1", listen_addr=f"127.0.0.1:{free_port()}")
    try:
        with peer(toolbox, run_identity(f"bench-{secrets.token_hex(3)}"), "shop:v1") as one:
            return _swarm_update(one, load)
    finally:
        toolbox.engine.leave_swarm(force=True)
        for network in toolbox.engine.networks(names=["docker_gwbridge"]):
            if network["Id"] not in before:
                toolbox.engine.remove_network(network["Id"])


def _swarm_update(one: Peer, load: UserLoad) -> UpgradeFigures:
    """The store and nginx are plain containers on the swarm's network; the app is the service."""
    name, port = one.identity.project, free_port()
    on_tasks = [f"--container-label={key}={value}" for key, value in one.identity.labels("app").items()]
    docker("network", "create", "--driver", "overlay", "--attachable", name)
    try:
        _beside(one, name, port)
        password = (one.folder / "store_password").resolve()
        docker(
            "service", "create", "--quiet", "--name", f"{name}-app", "--replicas", str(one.REPLICAS),
            "--network", f"name={name},alias=app", "--endpoint-mode", "dnsrr", "--no-resolve-image",
            "--env", "STORE_URL=redis://shop@store:6379/0", "--env", "STORE_PASSWORD_FILE=/run/store_password",
            "--mount", f"type=bind,source={password},target=/run/store_password,readonly",
            "--health-cmd", "python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz')\"",
            "--health-interval", "1s", "--stop-grace-period", "10s",
            "--update-order", "start-first", "--update-parallelism", "1", "--update-monitor", "1s",
            *on_tasks, one.toolbox.images.tag("shop:v1"),
        )  # fmt: skip

        def act() -> None:
            image = one.toolbox.images.tag("shop:v2")
            docker("service", "update", "--quiet", "--no-resolve-image", "--image", image, f"{name}-app")

        way = "Swarm `service update`, start-first"
        return measured(way, ("127.0.0.1", port), load, act, count=lambda: len(one.apps()))
    finally:
        docker("service", "rm", f"{name}-app")
        wait_until("the service's tasks are gone", lambda: not one.apps(), within=60, every=0.2)
        docker("rm", "--force", "--volumes", f"{name}-store", f"{name}-balancer")
        wait_until("the network is gone", lambda: _has_gone(name), within=60, every=0.5)


def _beside(one: Peer, name: str, port: int) -> None:
    """The store and the balancer on the service's network."""
    folder = one.folder.resolve()
    docker(
        "run", "--detach", "--name", f"{name}-store", "--network", name, "--network-alias", "store",
        "--volume", f"{folder}/store_acl:/run/secrets/store_acl:ro",
        *(f"--label={key}={value}" for key, value in one.identity.labels("store").items()),
        one.toolbox.images.tag("redis"),
    )  # fmt: skip
    docker(
        "run", "--detach", "--name", f"{name}-balancer", "--network", name, "--publish", f"127.0.0.1:{port}:8080",
        "--volume", f"{folder}/nginx.conf:/run/lab/nginx.conf:ro",
        *(f"--label={key}={value}" for key, value in one.identity.labels("balancer").items()),
        one.toolbox.images.tag("nginx"),
    )  # fmt: skip


def _has_gone(network: str) -> bool:
    return subprocess.run(["docker", "network", "rm", network], check=False, capture_output=True).returncode == 0


def docker(*argv: str) -> None:
    """Run docker's own command line. Raises ClusterError with its words."""
    done = subprocess.run(["docker", *argv], check=False, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"docker {argv[0]} {argv[1]}: {done.stderr.strip()}", at=argv[0], hint="docker info")
