"""Brings up what is not multiplied of a cluster: the files that its containers mount, and then Compose."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from docker import APIClient
from msgspec.structs import replace

from lab.cluster import commands
from lab.cluster.carried import Carriage, carry, fill, joined, labelled, put_in, rebound
from lab.cluster.commands import ClusterPlan
from lab.cluster.edges import edges_file
from lab.cluster.members import StoreKeys, addresses, members_file, sentinel_acl, sentinel_conf, store_acl, store_conf
from lab.cluster.stores import STORE_SERVICE
from lab.errors import ClusterError
from lab.machine import labels
from lab.machine.reach import LOOPBACK, Reach
from lab.machine.subnets import free_subnet

LAB_PASSWORD = "lab_password"  # noqa: S105 -- the name of a file that no container mounts
"""The store's administrator, for tests and for people: `redis-cli --user lab`."""
UP_WITHIN = 180.0
"""Seconds for each of Compose's parts in bringing a cluster up."""


def write_files(plan: ClusterPlan, nginx_conf: str) -> None:
    """Write what the cluster's containers mount. The store's password is new for every cluster."""
    keys = StoreKeys(shop=secrets.token_urlsafe(32), lab=secrets.token_urlsafe(32), member=secrets.token_urlsafe(32))
    stores = plan.stores
    if stores.tier.is_replicated:
        members = members_file(plan.compose_file.read_text(), stores, plan.subnet)
        first = addresses(stores, plan.subnet)[stores.members(STORE_SERVICE)[0]]
        told = {"sentinel_acl": sentinel_acl(keys), "sentinel_conf": sentinel_conf(first, keys)}
        write_mounted(plan, {plan.members_file.name: members, **told})
    if len(plan.edges) > 1:
        edges = edges_file(plan.compose_file.read_text(), plan.edges[1:])
        write_mounted(plan, {plan.edges_file.name: edges})
    write_mounted(
        plan,
        {
            "nginx.conf": nginx_conf,
            "store_acl": store_acl(stores, keys),
            "store_conf": store_conf(stores, keys),
            "store_password": keys.shop,
            "orders_password": secrets.token_urlsafe(32),
        },
    )
    _write_anew(plan.folder / LAB_PASSWORD, keys.lab, 0o400)


def write_mounted(plan: ClusterPlan, files: Mapping[str, str]) -> None:
    """Write files that containers may read, into the cluster's folder."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    plan.folder.parent.chmod(0o700)  # the folder is closed, so that its files may be readable inside containers
    for name, text in files.items():
        _write_anew(plan.folder / name, text, 0o444)


def _write_anew(path: Path, text: str, mode: int) -> None:
    """A file that a killed lab left may be read by anybody and written by nobody, its owner included."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    path.chmod(mode)


class PortTaken(ClusterError):
    """A port that a container should have is another program's."""

    def __init__(self, port: int, address: str = LOOPBACK) -> None:
        self.port = port
        super().__init__(
            f"port {port} of {address} is taken by another program",
            at="--port",
            hint=f"leave --port out for a free one, or see who has it: ss -ltnp 'sport = :{port}'",
        )


_TAKEN = re.compile(r"([\d.]+):(\d+)\b.*(?:address already in use|port is already allocated)")
"""How the engine says so: of a port that another container has, and of one that any other program has."""


def adapt(
    engine: APIClient, compose: Sequence[str], plan: ClusterPlan, reach: Reach, edge_network: str
) -> tuple[ClusterPlan, Carriage | None]:
    """The plan as this engine needs it: as it is where the engine sees our files and its loopback is ours.

    Elsewhere it is one compose file, with copies in place of mounts and doors where they are reached. Nothing is made
    yet. Raises ClusterError, and UsageError for files that can't be copied.
    """
    if reach.is_plain:
        return plan, None
    config = json.loads(_run_compose(commands.config(compose, plan), plan))
    config = rebound(config, plan.doors, reach.bind)
    if reach.joins:
        config = labelled(config, labels.JOB, reach.joins)
        config = joined(config, plan.doors, edge_network, free_subnet(engine, but=plan.subnet))
    carriage = Carriage(config=config)
    if reach.copies:
        project = plan.identity.project
        carriage = carry(
            config,
            project,
            is_folder=lambda path: Path(path).is_dir(),
            is_there=lambda path: Path(path).exists(),
        )
    write_mounted(plan, {"elsewhere.json": json.dumps(carriage.config)})
    return replace(plan, compose_file=plan.folder / "elsewhere.json", is_whole=True), carriage


def bring_up(compose: Sequence[str], plan: ClusterPlan) -> None:
    """Make the cluster's networks, volumes, balancer, store and pattern, without any replica.

    Doing it again changes nothing. Whatever it made stays where it fails: the caller tears down.
    Raises ClusterError with Compose's own words, or PortTaken.
    """
    _run_compose(commands.create_pattern(compose, plan), plan)
    _run_compose(commands.up(compose, plan), plan)


def bring_up_by_copy(engine: APIClient, compose: Sequence[str], plan: ClusterPlan, carriage: Carriage) -> None:
    """The same where the engine does not see our files: they are there before anything starts.

    Raises what `bring_up` does, and EngineError.
    """
    fill(engine, carriage, plan.identity, plan.nginx_image)
    _run_compose(commands.create_all(compose, plan), plan)
    put_in(engine, carriage, plan.identity.project)
    _run_compose(commands.up(compose, plan), plan)


def start_later(compose: Sequence[str], plan: ClusterPlan) -> None:
    """Start the services that come once the app serves; may be repeated. Raises ClusterError with Compose's words."""
    if plan.later:
        _run_compose(commands.up_later(compose, plan), plan)


def _run_compose(argv: Sequence[str], plan: ClusterPlan) -> str:
    environment = {**os.environ, **commands.environment(plan)}
    try:
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=UP_WITHIN)
    except subprocess.TimeoutExpired as exc:
        raise _compose_failed(plan, f"it did not finish within {UP_WITHIN:g} s") from exc
    if done.returncode:
        raise _compose_failed(plan, done.stderr.strip() or done.stdout.strip())
    return done.stdout


def _compose_failed(plan: ClusterPlan, said: str) -> ClusterError:
    last = said.splitlines()[-1] if said else "no output"
    taken = _TAKEN.search(said)
    if taken:
        return PortTaken(int(taken[2]), taken[1])
    return ClusterError(f"compose could not bring the cluster up: {last}", at=str(plan.compose_file), hint="lab doctor")
