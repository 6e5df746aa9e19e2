"""Somebody's own compose file: what the lab makes of it, what it refuses, and what `lab init` writes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from lab.backends.own_app import balancer_settings, own_app
from lab.balancer.config import BalancerSettings, render
from lab.cluster.commands import ClusterPlan
from lab.cluster.edges import Edge
from lab.cluster.own_app import BALANCER, OwnApp, ServiceRole, cluster_file, later_of, left_out, others_of
from lab.cluster.own_checks import check_service
from lab.cluster.own_files import ReadCompose
from lab.cluster.own_images import parts_of
from lab.errors import ScenarioError, UsageError
from lab.machine.labels import FRONT, PORT, ROLE, Identity, identity_of
from lab.model import Front, release_name
from lab.scenario import init
from lab.scenario.guess import guess
from lab.scenario.init import guess_all, scenario_text, write_scenario
from lab.scenario.plan import plan_lines
from lab.scenario.read import read_scenario
from lab.scenario.spec import may_be_empty

APP = OwnApp(compose=(Path("compose.yaml"),), service="web", port=8000, ready="/healthz")
STRUCK = msgspec.structs.replace(APP, services={"redis": ServiceRole.STORE})
FRONTED = msgspec.structs.replace(APP, front=Front(service="front", port=80))
IDENTITY = Identity(project="lab-x", run="x", owner="here:1:0.0", expires=1)
PLAN = ClusterPlan(
    identity=IDENTITY,
    compose_file=Path("/f/compose.json"),
    folder=Path("/f"),
    app_image="shop/web:v1",
    nginx_image="nginx:1",
    redis_image="redis:1",
    cutter_image="cutter:1",
    edges=(Edge(zone="", port=20001, door=20002),),
)


def theirs() -> dict[str, Any]:
    """As `docker compose config --format json` tells it."""
    return {
        "name": "theirs",
        "services": {
            "front": {"image": "nginx:9", "depends_on": {"web": {}}, "ports": [{"target": 80}]},
            "web": {
                "build": {"context": "."},
                "container_name": "the-web",
                "ports": [{"target": 8000, "published": "80"}],
                "depends_on": {"redis": {}},
                "environment": {"A": "b"},
                "mem_limit": "1g",
                "deploy": {"replicas": 6, "resources": {"limits": {"cpus": "1"}}},
                "networks": {"default": None},
            },
            "redis": {"image": "redis:8", "restart": "always", "volumes": [{"type": "volume", "source": "data"}]},
        },
        "networks": {"default": {"name": "theirs_default"}},
        "volumes": {"data": {"name": "theirs_data"}},
        "secrets": {"key": {"name": "theirs_key", "file": "/k"}},
    }


def test_the_cluster_has_their_services_and_the_labs_balancer() -> None:
    """Not those that stand before the app: the lab's balancer does that."""
    made = cluster_file(theirs(), APP, PLAN, "gate:1")
    assert set(made["services"]) == {"web", "redis", BALANCER}
    assert others_of(theirs(), APP) == ("redis",)
    assert made["services"]["web"]["image"] == "shop/web:v1"
    assert made["services"]["web"]["environment"] == {"A": "b"}
    assert made["services"]["web"]["mem_limit"] == "1g"
    assert made["services"]["web"]["deploy"] == {"resources": {"limits": {"cpus": "1"}}}


def test_nothing_is_published_but_the_balancer_on_loopback() -> None:
    """And nothing has a name that another cluster could run into; what is struck or multiplied the lab starts again."""
    made = cluster_file(theirs(), STRUCK, PLAN, "gate:1")
    for name, one in made["services"].items():
        assert "container_name" not in one
        assert one["restart"] == "no"
        if name == BALANCER:
            assert all(port.startswith("127.0.0.1:") for port in one["ports"])
        else:
            assert "ports" not in one
    assert made["name"] == "lab-x"
    for kind in ("networks", "volumes", "secrets"):
        assert all("name" not in one for one in made[kind].values())
    assert cluster_file(theirs(), APP, PLAN, "gate:1")["services"]["redis"]["restart"] == "always"


def test_their_own_balancer_stays_before_the_app_if_asked_for() -> None:
    """Users come to its port, and the lab's balancer is what it takes for the app: by name, port and networks."""
    made = cluster_file(theirs(), FRONTED, PLAN, "gate:1")
    assert set(made["services"]) == {"front", "web", "redis", BALANCER}
    front, balancer = made["services"]["front"], made["services"][BALANCER]
    assert front["image"] == "nginx:9"
    assert front["ports"] == ["127.0.0.1:20001:80"]
    assert front["depends_on"] == {BALANCER: {"condition": "service_started"}}
    assert balancer["ports"] == ["127.0.0.1:20002:8081"]
    assert balancer["networks"]["default"] == {"aliases": ["web", "the-web"]}
    assert made["services"]["web"]["labels"][FRONT] == "80"
    assert FRONT not in cluster_file(theirs(), APP, PLAN, "gate:1")["services"]["web"]["labels"]
    assert identity_of(front["labels"]) == IDENTITY
    listens = render((), BalancerSettings(gated=True, as_the_app=8000))
    assert "listen 8000 " in listens
    assert "X-Forwarded-For $remote_addr" not in listens  # whoever stands before it has said who asks


@pytest.mark.parametrize("service", ["web", "nobody"])
def test_a_front_that_is_not_there_is_refused(service: str) -> None:
    """Or that is the app itself."""
    wrong = msgspec.structs.replace(FRONTED, front=Front(service=service, port=80))
    with pytest.raises(UsageError, match=r"stand before 'web'[\s\S]*\{service: front \| redis, port: 80\}"):
        check_service(theirs(), wrong)


def test_everything_carries_the_labs_labels() -> None:
    """So that all of it, and nothing else, is removed."""
    made = cluster_file(theirs(), APP, PLAN, "gate:1")
    for kind in ("services", "networks", "volumes"):
        for name, one in made[kind].items():
            assert identity_of(one["labels"]) == IDENTITY, name
    labels = made["services"]["web"]["labels"]
    assert (labels[ROLE], labels[PORT]) == ("pattern", "8000")


BOUND = {"type": "none", "o": "bind", "device": "/srv/data"}


@pytest.mark.parametrize("service", ["web", "redis", "front"])
@pytest.mark.parametrize("kind", ["bind", "volume"])
def test_what_writes_to_this_machine_is_refused(service: str, kind: str) -> None:
    """A folder of the owner's, or a volume that is one: the lab's second database would write into the first one's."""
    read = theirs()
    mount = {"type": kind, "source": "/srv/data" if kind == "bind" else "bound", "target": "/data"}
    read["services"][service]["volumes"] = [mount]
    read["volumes"]["bound"] = {"driver_opts": BOUND}
    advice = "override file" if service == "web" else ":ro"  # which of the app would only hide its own files
    with pytest.raises(UsageError, match=rf"volumes\[0\]: service {service!r} may write to '/srv/data'[\s\S]*{advice}"):
        check_service(read, FRONTED)
    mount["read_only"] = True  # type: ignore[assignment]
    check_service(read, FRONTED)


def test_what_the_lab_does_not_bring_up_may_write_where_it_likes() -> None:
    """Only the services that the cluster has are looked at; a volume in memory is nobody's."""
    read = theirs()
    read["services"]["front"]["volumes"] = [{"type": "bind", "source": "/srv/data", "target": "/data"}]
    read["volumes"]["data"]["driver_opts"] = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    check_service(read, APP)


def test_what_belongs_to_somebody_else_is_refused() -> None:
    """An external volume holds data that no experiment may touch."""
    read = theirs()
    check_service(read, APP)
    read["volumes"]["not used"] = {"external": True}
    check_service(read, APP)
    read["volumes"]["data"]["external"] = True
    with pytest.raises(UsageError, match="'data' is external"):
        check_service(read, APP)


def test_a_service_that_is_not_there_is_refused() -> None:
    """With what there is; and with its profile, where that is only not active."""
    read = theirs()
    del read["services"]["web"]
    with pytest.raises(UsageError, match="no service 'web'"):
        check_service(read, APP)
    with pytest.raises(UsageError, match=r"profile prod, which is not active[\s\S]*COMPOSE_PROFILES=prod lab run"):
        check_service(read, APP, lambda: {"web": ("prod",)})


def test_roles_are_given_to_services_that_are_there() -> None:
    """And not to the one that is multiplied, nor to the one in front."""
    with pytest.raises(UsageError, match=r"cluster\.services\.cache: there is no service 'cache'"):
        check_service(theirs(), msgspec.structs.replace(APP, services={"cache": ServiceRole.STORE}))
    for wrong in ("web", "front"):
        with pytest.raises(UsageError, match=rf"cluster\.services\.{wrong}: that service is"):
            check_service(theirs(), msgspec.structs.replace(FRONTED, services={wrong: ServiceRole.STORE}))


REACHING = {
    "volumes": [{"type": "bind", "source": "/var/run/docker.sock", "target": "/s", "read_only": True}],
    "privileged": True,
    "network_mode": "host",
    "pid": "host",
    "ipc": "container:other",
    "devices": [{"source": "/dev/kvm"}],
    "gpus": [{"count": -1}],
    "deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"], "count": 1}]}}},
    "use_api_socket": True,
    "provider": {"type": "somebody"},
    "cap_add": ["NET_BIND_SERVICE", "SYS_ADMIN"],
    "security_opt": ["seccomp:unconfined"],
    "external_links": ["other"],
    "post_start": [{"command": ["x"], "privileged": True}],
}


@pytest.mark.parametrize("key", REACHING)
@pytest.mark.parametrize("service", ["web", "redis", "front"])
def test_what_reaches_beyond_its_container_is_refused(service: str, key: str) -> None:
    """Whichever service it is, by its key; one that is left out may have what it likes."""
    read = theirs()
    read["services"][service][key] = REACHING[key]
    with pytest.raises(UsageError, match=rf"service {service!r}") as raised:
        check_service(read, FRONTED)
    assert f"compose.yaml: services.{service}.{key}" in raised.value.at
    if service == "redis":
        assert "left_out" in raised.value.hint
        check_service(read, msgspec.structs.replace(FRONTED, services={"redis": ServiceRole.LEFT_OUT}))


def test_docker_s_own_capabilities_are_no_more_than_it_gives() -> None:
    """Whoever drops all and asks for some of them back is better off than the others."""
    read = theirs()
    read["services"]["web"] |= {"cap_drop": ["ALL"], "cap_add": ["CAP_CHOWN", "net_bind_service"]}
    check_service(read, APP)


def test_a_worker_that_needs_the_app_comes_once_it_serves() -> None:
    """It stands before nobody; what is published or a proxy does, and is left out and said to be."""
    read = theirs()
    read["services"]["worker"] = {"image": "web:v1", "depends_on": {"web": {}, "redis": {}}}
    read["services"]["proxy"] = {"image": "traefik:3", "depends_on": {"worker": {}}}
    assert others_of(read, APP) == ("redis",)
    assert later_of(read, APP) == ("worker",)
    assert set(left_out(read, APP)) == {"front", "proxy"}
    made = cluster_file(read, APP, PLAN, "gate:1")["services"]
    assert made["worker"]["depends_on"] == {"redis": {}}, "or Compose would start the app's pattern"


def test_only_named_services_have_a_role_that_may_be_struck() -> None:
    """A service that nobody named is never a store, whatever its image is."""
    assert cluster_file(theirs(), APP, PLAN, "gate:1")["services"]["redis"]["labels"][ROLE] == "service"
    assert cluster_file(theirs(), STRUCK, PLAN, "gate:1")["services"]["redis"]["labels"][ROLE] == "store"


def test_names_that_others_use_stay_names() -> None:
    """A container's own name is an alias in its networks; an address of its own is no replica's."""
    read = theirs()
    read["services"]["redis"] |= {"container_name": "cache", "networks": {"default": {"aliases": ["kv"]}}}
    read["services"]["web"]["networks"] = {"default": {"ipv4_address": "172.20.0.9"}}
    made = cluster_file(read, APP, PLAN, "gate:1")["services"]
    assert made["redis"]["networks"] == {"default": {"aliases": ["kv", "cache"]}}
    assert made["web"]["networks"] == {"default": {"aliases": ["the-web"]}}


@pytest.mark.parametrize(
    ("image", "name"),
    [("shop:v1", "v1"), ("web", "web"), ("registry:5000/web", "registry:5000/web"), ("registry:5000/web:v2", "v2")],
)
def test_a_release_is_called_by_its_tag(image: str, name: str) -> None:
    """A port of a registry is no tag."""
    assert release_name(image) == name


OWN = """
lab: 1
name: own
title: own
cluster: {compose: compose.yaml, service: web, port: 8000, release: "web:v1"}
users: {count: 5, journey: "journey.py:Visitor"}
steps: [{settle: {for: 1}}, {roll: {to: "web:v2"}}]
"""


def written(folder: Path, text: str) -> Path:
    for name in ("compose.yaml", "journey.py"):
        (folder / name).write_text("")
    (folder / "lab.yaml").write_text(text)
    return folder / "lab.yaml"


def test_files_are_found_beside_the_scenario(tmp_path: Path) -> None:
    """Wherever the lab is started; writes are not repeated, and nobody is on two devices."""
    scenario = read_scenario(written(tmp_path, OWN))
    assert scenario.cluster.compose == str(tmp_path / "compose.yaml")
    assert scenario.users.journey == f"{tmp_path}/journey.py:Visitor"
    assert not scenario.cluster.repeats_writes
    assert scenario.users.doubled == 0


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ((", port: 8000", ""), "cluster"),
        (("compose: compose.yaml, ", ""), "cluster.compose"),
        (("compose.yaml", "nowhere.yaml"), "cluster.compose"),
        (("journey.py:Visitor", "journey.py"), "users.journey"),
        (("journey.py:", "nowhere.py:"), "users.journey"),
        ((', journey: "journey.py:Visitor"', ""), "users"),
        (("port: 8000", "port: 8000, ready: 'x; return 200'"), "cluster.ready"),
        (("port: 8000", "port: 8000, largest_body: lots"), "cluster.largest_body"),
        (("port: 8000", "port: 8000, answer_timeout: 12"), "users.answer_timeout"),
        (("port: 8000", "port: 8000, answer_timeout: 0"), "cluster.answer_timeout"),
        (("port: 8000", "port: 8000, ready_within: 0"), "cluster.ready_within"),
        (("compose: compose.yaml", "compose: [compose.yaml, nowhere.yaml]"), "cluster.compose"),
        (("compose: compose.yaml", "compose: []"), "cluster.compose"),
        (("service: web", "service: web, services: {redis: cache}"), "cluster.services"),
        (("web:v2", "other:v1"), "steps"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_key(tmp_path: Path, change: tuple[str, str], at: str) -> None:
    """Before anything is started."""
    assert change[0] in OWN
    with pytest.raises(ScenarioError) as raised:
        read_scenario(written(tmp_path, OWN.replace(*change)))
    assert at in raised.value.at


def test_init_writes_a_scenario_that_can_be_read(tmp_path: Path) -> None:
    """With the service, the port and the image of the compose file."""
    read = ReadCompose(config=theirs(), files=(tmp_path / "compose.yaml",))
    text = scenario_text(read, guess_all(read, None, lambda _: {}), ["compose.yaml"])
    scenario = read_scenario(written(tmp_path, text))
    spec = scenario.cluster
    assert (spec.service, spec.port, spec.release) == ("web", 8000, "theirs-web:latest")
    assert spec.front == Front(service="front", port=80)
    assert yaml.safe_load(text)["steps"][1] == {"roll": {"to": "theirs-web:next"}}


def test_init_says_the_command_that_runs_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes beside the compose file, which may be elsewhere: the path is said as it was written, for a shell."""
    monkeypatch.setattr(init, "provide_compose", lambda _: None)
    monkeypatch.setattr(init, "read_compose", lambda _, files: ReadCompose(config=theirs(), files=files))
    monkeypatch.setattr(init, "inactive_services", lambda *_: {})
    folder = tmp_path / "my app"
    folder.mkdir()
    (folder / "compose.yaml").write_text("services: {}")
    said: list[str] = []
    write_scenario([str(folder / "compose.yaml")], None, folder, said.append)
    command = shlex.split(said[-1].partition("then: ")[2])
    assert command == ["lab", "run", str(folder / "lab.yaml")]
    assert read_scenario(Path(command[-1])).cluster.service == "web"
    assert [line.partition(" ")[2] for line in said[:3]] == [
        str(folder / name) for name in ("lab.yaml", "journey.py", init.SCHEMA)
    ]
    assert "  port     8000: it publishes it" in said
    assert "  ready    /healthz   (a guess): no health check says it" in said


def test_a_dry_run_names_what_stands_beside_the_app(tmp_path: Path) -> None:
    """And what does not, which nobody would guess."""
    scenario = read_scenario(written(tmp_path, OWN))
    read = ReadCompose(config=theirs(), files=(tmp_path / "compose.yaml",), unset=("VERSION",))
    lines = list(plan_lines(scenario, runs=Path("runs"), seed=1, own=parts_of(read, APP)))
    assert any("1 gate for each replica, service redis" in line for line in lines)
    assert any(line.startswith("  note        service front is left out: stands before 'web'") for line in lines)
    assert any("the variable VERSION is not set" in line for line in lines)


@pytest.mark.parametrize("there", ["lab.yaml", "journey.py", init.SCHEMA])
def test_init_overwrites_nothing(tmp_path: Path, there: str) -> None:
    """None of its files; and it writes not even the others."""
    (tmp_path / "compose.yaml").write_text("services: {}")
    (tmp_path / there).write_text("mine")
    with pytest.raises(UsageError, match="nothing is overwritten"):
        write_scenario([], None, tmp_path, print)
    assert (tmp_path / there).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["yes", "1.0", "null", 'a"b', "a: b", "{x}"])
def test_init_quotes_what_yaml_would_read_as_something_else(name: str) -> None:
    """A service may be called `yes`; an image of a compose file may hold a quotation mark."""
    config = {"services": {name: {"image": f"{name}:v1", "ports": [{"target": 80, "published": "80"}]}}}
    read = ReadCompose(config=config, files=(Path(f"{name}.yaml"),))
    written_yaml = yaml.safe_load(scenario_text(read, guess(config, name), [f"{name}.yaml"]))
    assert written_yaml["cluster"]["service"] == name
    assert written_yaml["cluster"]["release"] == f"{name}:v1"
    assert written_yaml["cluster"]["compose"] == f"{name}.yaml"


def test_a_slow_app_has_the_time_that_its_cluster_gives_it(tmp_path: Path) -> None:
    """Wherever a roll says nothing else; and whoever waits for answers waits as long as is said once."""
    text = OWN.replace("port: 8000", "port: 8000, ready_within: 120, answer_timeout: 9")
    scenario = read_scenario(written(tmp_path, text))
    [roll] = [step.roll for step in scenario.steps if step.roll is not None]
    assert roll.wanted_strategy.ready_within == 120
    assert balancer_settings(scenario.cluster, may_be_empty(scenario)).answer_timeout == 9
    own = own_app(scenario.cluster)
    assert own is not None
    assert (own.ready_within, own.answer_timeout) == (120, 9)
    assert "proxy_read_timeout 9000ms;" in render((), balancer_settings(scenario.cluster, may_be_empty(scenario)))
    mine = text.replace('{to: "web:v2"}', '{to: "web:v2", ready_within: 7}')
    [roll] = [step.roll for step in read_scenario(written(tmp_path, mine)).steps if step.roll is not None]
    assert roll.wanted_strategy.ready_within == 7
