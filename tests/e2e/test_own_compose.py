"""Somebody's compose file on a real engine: what is refused before anything starts, and what replicas are given."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.backends import docker
from lab.backends.docker import temporary_cluster
from lab.cluster.own_app import OwnApp, ServiceRole
from lab.machine.labels import PROJECT
from lab.machine.projects import run_identity
from lab.machine.reach import Reach
from lab.machine.setup import Toolbox
from lab.model import Release, Slot
from lab.retry import wait_until
from tests.e2e.runs import lab
from tests.e2e.stops import APP, build

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time]

SLOT = Slot(name="a1", zone="a")


@pytest.fixture(scope="module", autouse=True)
def images(toolbox: Toolbox) -> None:
    """Two ways to stop, so that two releases differ in what their images say."""
    build(toolbox, "drains", "v1")
    build(toolbox, "exits", "v2")


SCENARIO = (APP / "lab.yaml").read_text().replace("stops:drains-v2", "stops:exits-v2")
COMPOSE = (APP / "compose.yaml").read_text()
REFUSED = {
    "two images that are not there": (
        ('${REDIS_IMAGE:-redis:8}\n    command: ["redis-server', 'nowhere/redis:1\n    command: ["redis-server'),
        "the engine lacks images: 'stops:nowhere', 'nowhere/redis:1'",
    ),
    "a volume over the app's files": (
        ("    stop_grace_period: 3s\n", "    stop_grace_period: 3s\n    volumes: ['code:/srv/app']\n"),
        "mounts something over '/srv/app', where 'stops:drains-v1' has files (/srv/app/app.",
    ),
    "a folder over the app's files": (
        ("    stop_grace_period: 3s\n", "    stop_grace_period: 3s\n    volumes: ['./src:/srv/app:ro']\n"),
        "mounts something over '/srv/app'",
    ),
    "a neighbour with the engine's socket": (
        ("    restart: on-failure\n", "    volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']\n"),
        "services.prepare.volumes[0]: service 'prepare' reaches the engine",
    ),
    "one image under two names": (("", ""), "'stops:drains-v1' and 'stops:drains-again' are the same image"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("dry", [["--dry-run"], []], ids=["dry run", "run"])
def test_what_proves_nothing_or_reaches_out_is_refused(
    toolbox: Toolbox, tmp_path: Path, case: str, dry: list[str]
) -> None:
    """By a dry run as by a run, before anything starts, with file and key."""
    change, said = REFUSED[case]
    assert change[0] in COMPOSE
    text = COMPOSE.replace(*change, 1) + ("volumes: {code: }\n" if "code:" in change[1] else "")
    (tmp_path / "compose.yaml").write_text(text)
    to = {"two": "stops:nowhere", "one": "stops:drains-again"}.get(case.split(maxsplit=1)[0], "stops:exits-v2")
    (tmp_path / "lab.yaml").write_text(SCENARIO.replace("stops:exits-v2", to))
    if to == "stops:drains-again":
        toolbox.engine.tag("stops:drains-v1", "stops", "drains-again")
    ended = lab("run", str(tmp_path / "lab.yaml"), *dry, REDIS_IMAGE=toolbox.images.tag("redis"))
    assert ended.code == 2, ended.out + ended.err
    assert said in ended.err
    assert str(tmp_path / "compose.yaml") in ended.err

    def nobody_looks() -> bool:
        made = toolbox.engine.containers(all=True, filters={"label": PROJECT})
        return not [one for one in made if "look-" in one["Labels"][PROJECT]]

    wait_until("what looks into images is gone, of others too", nobody_looks, within=30)


GIVEN = """
services:
  web:
    image: stops:drains-v1
    container_name: the-web
    command: ["sh", "./start"]
    environment: {STOPS: drains}
    configs: [{source: conf, target: /tmp/conf}]
    secrets: [token]
    links: ["redis:cache"]
    networks: {default: {aliases: [api]}, back: }
    post_start: [{command: ["sh", "-c", "echo hooked >/tmp/hooked"]}]
    depends_on: [redis]
  redis:
    image: ${REDIS_IMAGE}
    container_name: the-redis
    command: ["redis-server", "--save", "", "--bind", "0.0.0.0", "--protected-mode", "no"]
networks: {default: , back: }
configs: {conf: {content: "from ${WHERE:-nowhere} for $$5"}}
secrets: {token: {environment: LAB_TEST_TOKEN}}
"""


@pytest.fixture(params=["mounted", "copied"])
def app(
    toolbox: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[tuple[Any, str]]:
    """A replica of a later release, whose image says other things than the file does.

    Once on an engine that sees this machine's files, and once as on one that does not.
    """
    if request.param == "copied":
        monkeypatch.setattr(docker, "find_reach", lambda *_: Reach(copies=True))
    monkeypatch.setenv("REDIS_IMAGE", toolbox.images.tag("redis"))
    monkeypatch.setenv("LAB_TEST_TOKEN", "s3cret")
    (tmp_path / "compose.yaml").write_text(GIVEN)
    (tmp_path / ".env").write_text("WHERE=a .env\n")
    own = OwnApp(
        compose=(tmp_path / "compose.yaml",),
        service="web",
        port=8000,
        ready="/healthz",
        services={"redis": ServiceRole.STORE},
    )
    identity = run_identity(f"given-{secrets.token_hex(3)}")
    with temporary_cluster(toolbox, identity, (SLOT,), "stops:drains-v1", own=own) as live:
        made = live.cluster.create(SLOT, Release(name="v2", image="stops:exits-v2"))
        live.cluster.start(made)
        yield live.engine, made.container
        if request.param == "copied":
            _check_nothing_is_mounted(live.engine, identity.project)


def _check_nothing_is_mounted(engine: Any, project: str) -> None:
    """No container has a file or a folder of this machine, and none says in words what its secrets hold."""
    for one in engine.containers(all=True, filters={"label": f"{PROJECT}={project}"}):
        told = engine.inspect_container(one["Id"])
        assert [mount for mount in told["Mounts"] if mount["Type"] == "bind"] == [], one["Names"]
        assert "s3cret" not in json.dumps(told), one["Names"]


def said(engine: Any, container: str, command: str) -> str:
    made = engine.exec_create(container, ["sh", "-c", command])
    return str(engine.exec_start(made["Id"]).decode()).strip()


def test_a_replica_gets_what_compose_would_give_its_container(app: tuple[Any, str]) -> None:
    """Whatever its own image says, and under all the names by which others know it."""
    engine, container = app
    told = engine.inspect_container(container)
    assert "STOPS=drains" in told["Config"]["Env"], "the file says so, though it is what the first image says too"
    assert "VERSION=v2" in told["Config"]["Env"], "which the file does not"
    assert said(engine, container, "cat /tmp/conf") == "from a .env for $5"
    assert said(engine, container, "cat /run/secrets/token") == "s3cret"
    wait_until("the hook was run", lambda: said(engine, container, "cat /tmp/hooked") == "hooked", within=20)
    for name in ("redis", "cache", "the-redis"):
        assert said(engine, container, f"getent hosts {name} | wc -l") == "1", name
    networks = told["NetworkSettings"]["Networks"]
    assert len(networks) == 2
    for name, aliases in ((name, one["Aliases"]) for name, one in networks.items()):
        assert {"web", "the-web"} <= set(aliases), name
    assert sum("api" in one["Aliases"] for one in networks.values()) == 1
