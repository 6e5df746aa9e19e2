"""`lab init` on compose files in the shape of well-known projects: right, or asking, and a guess is called one."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from lab.cluster.own_app import OwnApp
from lab.cluster.own_checks import check_service
from lab.cluster.own_files import ReadCompose, read_compose
from lab.errors import UsageError
from lab.machine.install import find_compose
from lab.model import Front
from lab.scenario.guess import guess
from lab.scenario.init import guess_all, scenario_text, why_refused, write_scenario
from lab.scenario.read import read_scenario

FILES = sorted((Path(__file__).resolve().parents[2] / "apps" / "composes").glob("*.yaml"))
ASKS = "asks"


class Expected(NamedTuple):
    """What is right. A port or a path that nothing says is a guess, told with "?"."""

    service: str
    port: str = ""
    ready: str = "/healthz?"
    front: Front | None = None
    refused: str = ""


def front(service: str, port: int) -> Front:
    return Front(service=service, port=port)


EXPECTED: Mapping[str, Expected] = {
    "analytics-clickhouse": Expected("stats", "8000"),
    "analytics-small": Expected("umami", "3000", "/api/heartbeat"),
    "anchors-and-jobs": Expected("web", "8080", "/health/"),
    "api-gateway": Expected(ASKS),
    "app-db-proxy": Expected("app", "8000?", front=front("proxy", 80)),
    "bi-tool": Expected("metabase", "3000", "/api/health"),
    "bi-with-init": Expected("superset", "8088"),
    "blog-with-mysql": Expected("ghost", "2368"),
    "chat-team": Expected("mattermost", "8065"),
    "database-built-here": Expected("api", "4100"),
    "data-pipeline": Expected("airflow-webserver", "8080", "/health"),
    "debugged-beside-the-front": Expected(ASKS),
    "debugger-and-command": Expected("api", "4100"),
    "django-behind-nginx": Expected("web", "8000", front=front("nginx", 80)),
    "django-cookiecutter": Expected(ASKS),
    "documents-ocr": Expected("webserver", "8000"),
    "dotnet-many": Expected(ASKS),
    "fastapi-template": Expected(ASKS),
    "files-with-cron": Expected("app", "80"),
    "flask-counter": Expected("web", "5000"),
    "front-end-published-alone": Expected(ASKS),
    "frontend-and-backend": Expected(ASKS),
    "git-forge": Expected("server", "3000"),
    "graphql-engine": Expected(ASKS),
    "headless-cms": Expected("strapi", "1337", refused="may write to"),
    "helpers-of-one-image": Expected("inventory", "8080", "/login/"),
    "home-automation-host": Expected("homeassistant", "8000?", refused="is privileged"),
    "identity-provider": Expected("keycloak", "8080"),
    "inspectors-and-mail-first": Expected("server", "2283"),
    "labels-of-an-old-traefik": Expected("videos", "7080"),
    "laravel-sail": Expected("laravel.test", "80?"),
    "listens-by-command": Expected("server", "7000"),
    "mail-suite": Expected(ASKS),
    "monitored": Expected("app", "8000"),
    "names-that-are-words": Expected("yes", "8000"),
    "nginx-proxy-by-variables": Expected("site", "7000"),
    "only-a-tool": Expected("grafana", "3000", "/api/health"),
    "page-before-the-apis": Expected(ASKS),
    "password-vault": Expected("vaultwarden", "80", "/alive"),
    "phoenix": Expected("web", "4000?"),
    "photos": Expected("photo-server", "2283"),
    "network-of-a-pause": Expected(ASKS),
    "one-or-the-other": Expected(ASKS),
    "php-fpm-behind-caddy": Expected("fpm", "9000?", front=front("caddy", 80)),
    "php-fpm-by-its-tag": Expected("app", "9000?", front=front("web", 80)),
    "php-fpm-nginx": Expected("php", "9000?", front=front("nginx", 80)),
    "port-by-variable": Expected("web", "3333?"),
    "rails-federated": Expected(ASKS),
    "rails-health-up": Expected("app", "3000", "/up"),
    "rails-simple": Expected("web", "3000"),
    "search-built-here": Expected(ASKS),
    "server-inside-php": Expected("php", "80"),
    "shop-behind-a-router": Expected(ASKS),
    "sidecars-and-envoy": Expected("app", "8000", front=front("envoy", 10000)),
    "spring-with-debugger": Expected("app", "8080", "/actuator/health"),
    "ssh-first": Expected("forge", "3000"),
    "status-page-socket": Expected("uptime-kuma", "3001", refused="reaches the engine"),
    "symfony-caddy-inside": Expected("php", "80"),
    "tls-beside-http": Expected("server", "9000?"),
    "traefik-by-labels": Expected("whoami", "8085", "/ping"),
    "two-behind-one-store": Expected(ASKS),
    "two-builds-one-published": Expected("api", "4000"),
    "udp-first": Expected("web", "8080"),
    "uvicorn-by-command": Expected("api", "8001"),
    "voting": Expected(ASKS),
    "wait-then-serve": Expected("web", "8700"),
    "wiki": Expected("wiki", "3000"),
    "wiki-team": Expected("outline", "3000", "/_health", front("https-portal", 80)),
    "wordpress": Expected("wordpress", "80"),
    "workflow-engine-worker": Expected("n8n", "5678?"),
}


@pytest.fixture(scope="module")
def read_all() -> dict[str, ReadCompose]:
    """As the real Compose reads them."""
    compose = find_compose()
    assert compose is not None, "lab setup"
    with ThreadPoolExecutor(4) as pool:
        read = pool.map(lambda one: read_compose(compose, [one]), FILES)
        return {file.stem: one for file, one in zip(FILES, read, strict=True)}


def test_the_table_has_all_files() -> None:
    """And at least so many."""
    assert {one.stem for one in FILES} == set(EXPECTED)
    assert len(FILES) >= 60


@pytest.mark.parametrize("name", EXPECTED)
def test_init_is_right_or_asks(name: str, read_all: dict[str, ReadCompose], tmp_path: Path) -> None:
    """What it writes is read by the lab itself as what it meant; where it asks, it names those between whom."""
    expected, read = EXPECTED[name], read_all[name]
    if expected.service == ASKS:
        with pytest.raises(UsageError, match=r"lab init --service \S+ \|"):
            guess_all(read, None, lambda _: {})
        return
    taken = guess_all(read, None, lambda _: {})
    port, ready = (f"{one.value}{'' if one.is_sure else '?'}" for one in (taken.port, taken.ready))
    assert (taken.service.value, port, ready) == expected[:3]
    assert expected.refused in why_refused(read, taken)
    assert bool(expected.refused) == bool(why_refused(read, taken))
    for file in ("compose.yaml", "journey.py"):
        (tmp_path / file).touch()
    (tmp_path / "lab.yaml").write_text(scenario_text(read, taken, ["compose.yaml"]))
    cluster = read_scenario(tmp_path / "lab.yaml").cluster
    assert (cluster.service, str(cluster.port), cluster.ready) == (
        taken.service.value,
        taken.port.value,
        taken.ready.value,
    )
    assert cluster.front == expected.front
    assert (tmp_path / "lab.yaml").read_text().count("# a guess: ") == f"{port}{ready}".count("?")


def test_stores_workers_and_what_reaches_out_get_their_roles(read_all: dict[str, ReadCompose]) -> None:
    """By image, by command, and by what a run would refuse."""

    def roles(name: str) -> dict[str, str]:
        read = read_all[name]
        text = scenario_text(read, guess_all(read, None, lambda _: {}), ["compose.yaml"])
        return dict(yaml.safe_load(text)["cluster"].get("services", {}))

    assert roles("rails-health-up") == {"db": "store", "jobs": "worker"}
    assert roles("traefik-by-labels") == {"traefik": "left_out"}
    assert roles("names-that-are-words") == {"2048": "store"}
    assert roles("helpers-of-one-image") == {
        "postgres": "store",
        "redis-cache": "store",
        "inventory-housekeeping": "worker",
    }


def test_databases_of_ones_own_are_told_by_the_last_word_of_their_names() -> None:
    """Not a job that is done on one, nor one that says it listens elsewhere."""
    names = ("orders-db", "user_db2", "shop.redis", "seed-db", "db-browser", "web-db")
    services: dict[str, dict[str, object]] = {name: {"image": f"acme/{name.replace('.', '-')}:1"} for name in names}
    services["web-db"]["ports"] = [{"target": 8080}]
    taken = guess({"name": "x", "services": {"app": {"image": "acme/app:1"}, **services}}, "app")
    assert taken.stores == ("orders-db", "user_db2", "shop.redis")


def test_what_a_store_reaches_is_mended_not_left_out() -> None:
    """Without it the app would not start; of a proxy alone it is said how it finds others without the engine."""
    db = {"image": "mysql:8", "cap_add": ["NET_ADMIN"]}
    jobs = {"image": "me/jobs:1", "volumes": [{"type": "bind", "source": "/var/run/docker.sock", "target": "/x"}]}

    def refused(**others: Mapping[str, object]) -> str:
        config = {"name": "x", "services": {"web": {"image": "me/app:1"}, **others}}
        read = ReadCompose(config=config, files=(Path("compose.yaml"),))
        return why_refused(read, guess(config, "web"))

    assert refused(db=db).endswith("an override file for the lab without that key")
    assert refused(jobs=jobs).endswith("cluster: {services: {jobs: left_out}}")


MISTAKABLE = ("on", "2048", "null", "1e3", "0x1f", "1_000", "no", "y")
"""Names of services and images that YAML would take for something else."""
NASTY = ("a b", 'x"y', "~", "web: #1", "ü\U0001f600", "- a")
"""No name of a service or an image."""


@pytest.mark.parametrize("text", [*MISTAKABLE, *NASTY])
def test_what_is_written_is_the_same_text_to_yaml(text: str) -> None:
    """Whatever names and images look like: what they are refused for is said of them, not of half a file."""
    config = {"name": "x", "services": {text: {"image": f"{text}:v1", "ports": [{"target": 80}]}}}
    written = scenario_text(ReadCompose(config=config, files=()), guess(config, None), ["compose.yaml"])
    cluster = yaml.safe_load(written)["cluster"]
    assert (cluster["service"], cluster["release"]) == (text, f"{text}:v1")


@pytest.mark.parametrize("text", MISTAKABLE)
def test_what_is_written_is_read_as_the_same(text: str, tmp_path: Path) -> None:
    """By the lab itself; names of files may be any."""
    config = {"name": "x", "services": {text: {"image": f"{text}:v1", "ports": [{"target": 80}]}}}
    read = ReadCompose(config=config, files=(tmp_path / "my app: #1.yaml",))
    (tmp_path / "my app: #1.yaml").touch()
    (tmp_path / "journey.py").touch()
    (tmp_path / "lab.yaml").write_text(scenario_text(read, guess(config, None), ["my app: #1.yaml"]))
    cluster = read_scenario(tmp_path / "lab.yaml").cluster
    assert (cluster.service, cluster.release) == (text, f"{text}:v1")


@pytest.mark.parametrize(
    ("image", "release", "to"),
    [
        ("me/app", "me/app:latest", "me/app:next"),
        ("me/app:next", "me/app:next", "me/app:next-2"),
        ("me/app@sha256:00ff", "me/app@sha256:00ff", "me/app:next"),
        ("here:5000/app:v1@sha256:00ff", "here:5000/app:v1@sha256:00ff", "here:5000/app:next"),
    ],
)
def test_the_next_release_is_another_tag_of_the_same_image(image: str, release: str, to: str) -> None:
    """Whether or not it has one now, or a digest."""
    config = {"name": "x", "services": {"web": {"image": image}}}
    text = scenario_text(ReadCompose(config=config, files=()), guess(config, None), ["compose.yaml"])
    written = yaml.safe_load(text)
    assert (written["cluster"]["release"], written["steps"][1]["roll"]["to"]) == (release, to)


def test_a_variable_that_is_not_set_is_told_at_once(tmp_path: Path) -> None:
    """Before anything is written, with the example of an environment that lies there."""
    (tmp_path / ".env.example").touch()
    config = {"name": "x", "services": {"web": {"image": "me/app:"}}}
    read = ReadCompose(config=config, files=(tmp_path / "compose.yaml",), unset=("VERSION",))
    with pytest.raises(UsageError, match=r"VERSION is not set[\s\S]*cp \S*\.env\.example"):
        guess_all(read, None, lambda _: {})


@pytest.mark.parametrize("told", [{"ports": [{"target": 5432}]}, {}], ids=["by its port", "by its name"])
def test_a_database_under_a_name_of_its_own_is_no_app(told: dict[str, object]) -> None:
    """Alone or not: nothing that it is asked for by HTTP would mean anything."""
    config = {"name": "x", "services": {"db": {"image": "monarca-v1", **told}}}
    with pytest.raises(UsageError, match="looks like an app"):
        guess(config, None)


def test_a_file_of_variables_that_is_missing_is_told_with_its_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is to be."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / ".env.sample").write_text("A=1\n")
    (tmp_path / "compose.yaml").write_text("services: {web: {image: 'me/app:1', env_file: [./api/.env]}}")
    with pytest.raises(UsageError, match="env file") as raised:
        write_scenario([], None, tmp_path, print)
    assert raised.value.hint.startswith(f"cp {tmp_path}/api/.env.sample {tmp_path}/api/.env   # then: ")
    (tmp_path / "api" / ".env.sample").unlink()
    with pytest.raises(UsageError, match="env file") as raised:
        write_scenario([], None, tmp_path, print)
    assert raised.value.hint.startswith(f"touch {tmp_path}/api/.env ")


def test_profiles_that_exclude_each_other_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Compose can't have all of them active at once."""
    monkeypatch.chdir(tmp_path)
    both = (FILES[0].parent / "one-or-the-other.yaml").read_text()
    (tmp_path / "compose.yaml").write_text(both)
    with pytest.raises(UsageError, match=r"app-cached \(cached\), app-plain \(plain\)") as raised:
        write_scenario([], None, tmp_path, print)
    assert raised.value.hint.startswith("COMPOSE_PROFILES=cached lab init")


def test_where_the_disk_refuses_a_file_none_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of one was, and the next call refused to overwrite it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compose.yaml").write_text("services: {web: {image: 'me/app:v1'}}")

    def full(path: Path, content: bytes) -> None:
        if path.name == "journey.py":
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr("lab.scenario.init.write_whole", full)
    with pytest.raises(UsageError, match="No space left on device") as raised:
        write_scenario([], None, Path(), print)
    assert raised.value.at == "journey.py"
    assert [one.name for one in tmp_path.iterdir()] == ["compose.yaml"]


def test_a_variable_that_must_be_set_is_told_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Compose's words, and how to set it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compose.yaml").write_text("services: {web: {image: 'me/app:${VERSION:?which one}'}}")
    with pytest.raises(UsageError, match="which one") as raised:
        write_scenario([], None, tmp_path, print)
    assert raised.value.hint.startswith("export VERSION=...")


def test_all_variables_that_must_be_set_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose names one alone; what is set, has a default or stands in a remark or a command is none of them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("SET=1\n")
    env = "{A: '${A:?err}', B: '${B?err}', C: '${SET:?err}', D: '${D:-1}', E: '$${E:?err}'}"
    file = f"services: {{web: {{image: 'me/app:1', environment: {env}}}}}\n# ${{F:?err}}\n"
    (tmp_path / "compose.yaml").write_text(file)
    with pytest.raises(UsageError, match="required variable") as raised:
        write_scenario([], None, tmp_path, print)
    assert sorted(raised.value.hint.partition("   #")[0].split()) == ["A=...", "B=...", "export"]
    assert "or lines in " in raised.value.hint


@pytest.mark.parametrize("asked", [None, "app"])
def test_an_app_of_a_profile_that_is_not_active_is_named(
    asked: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the profile that would make it active; with that it is taken."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compose.yaml").write_text(
        "services: {app: {image: me/app, profiles: [prod, test]}, db: {image: postgres}}"
    )
    with pytest.raises(UsageError, match=r"app \(prod or test\)") as raised:
        write_scenario([], asked, tmp_path, print)
    assert raised.value.hint.startswith("COMPOSE_PROFILES=prod lab init")
    monkeypatch.setenv("COMPOSE_PROFILES", "prod")
    write_scenario([], asked, tmp_path, print)
    assert read_scenario(tmp_path / "lab.yaml").cluster.service == "app"


def test_a_port_for_fastcgi_is_told_to_be_none_for_users() -> None:
    """The lab asks by HTTP: whoever reads the guess must know."""
    config = {"name": "x", "services": {"fpm": {"image": "me/app:1", "expose": ["9000"]}}}
    assert "FastCGI would not do" in guess(config, None).port.why


@pytest.mark.parametrize(("name", "is_fastcgi"), [("store-api", False), ("php", True)])
def test_what_users_reach_at_9000_speaks_fastcgi_only_where_it_may_be_php(name: str, *, is_fastcgi: bool) -> None:
    """Many apps listen there; it stays a guess."""
    port = guess({"name": "x", "services": {name: {"image": "me/app:1", "ports": [{"target": 9000}]}}}, None).port
    assert (port.value, port.is_sure, "FastCGI" in port.why) == ("9000", False, is_fastcgi)


def test_the_image_says_what_the_file_does_not() -> None:
    """Its port and its health check, where the engine has it."""
    config = {"name": "x", "services": {"web": {"image": "me/app:1"}}}
    image: dict[str, object] = {"ExposedPorts": {"80/tcp": {}}}
    assert guess(config, None, image).port.value == "80"
    health = {"Healthcheck": {"Test": ["CMD-SHELL", "curl -f http://localhost:81/ok"]}}
    taken = guess(config, None, image | health)
    assert (taken.port.value, taken.ready.value) == ("81", "/ok")


@pytest.mark.parametrize(
    ("test", "port", "ready"),
    [
        ("curl -f http://localhost:3000/up", "3000", "/up"),
        ("curl -fsS 127.0.0.1:3000/live", "3000", "/live"),
        ("curl -f localhost/live || exit 1", "80", "/live"),
        ("wget -qO- http://localhost:$$PORT/h", "5000", "/h"),
        ("wget -qO- http://localhost:$${PORT}/h?a=1", "5000", "/h?a=1"),
        ("wget -qO- http://$${HOSTNAME}:$${OTHER:-6000}/h", "6000", "/h"),
        ("curl http://$$(hostname -i):3000/h", "3000", "/h"),
        ("node -e fetch(`http://localhost:$${process.env.PORT}/h`)", "5000", "/h"),
        ("node -e fetch('http://localhost:'+process.env.PORT+'/h')", "8000?", "/healthz?"),
        ("curl http://localhost:$$ELSEWHERE/h", "8000?", "/h"),
        ("curl http://web:7000/h", "7000", "/h"),
        ("curl http://web-1.example:7000/h", "7000", "/h"),
        ("curl http://web.example.com:7000/h", "8000?", "/healthz?"),
        ("curl http://localhost.example.com/h", "8000?", "/healthz?"),
        ("python web/check.py", "8000?", "/healthz?"),
        ("redis-cli -u redis://localhost:6379/0", "8000?", "/healthz?"),
        ("nc -z localhost 7000", "7000?", "/healthz?"),
        ("nc -z -w 1 127.0.0.1 7000 || exit 1", "7000?", "/healthz?"),
        ("exec 3<>/dev/tcp/localhost/7000", "7000?", "/healthz?"),
        ("curl -k https://localhost:7000/h", "7000?", "/h"),
    ],
)
def test_a_health_check_says_where_and_what_it_asks(test: str, port: str, ready: str) -> None:
    """With a scheme or without, by whatever name and variable; what it does not say stays a guess."""
    web = {
        "image": "me/app:1",
        "hostname": "web-1.example",
        "healthcheck": {"test": ["CMD-SHELL", test]},
        "environment": {"PORT": "5000"} if "PORT" in test and port == "5000" else {},
    }
    taken = guess({"name": "x", "services": {"web": web}}, None)
    found = [f"{one.value}{'' if one.is_sure else '?'}" for one in (taken.port, taken.ready)]
    assert found == [port, ready]


def test_a_port_for_tls_is_told_to_be_none_for_the_lab() -> None:
    """By its number, or since the health check asks there so."""
    for told in (
        {"ports": [{"target": 443}]},
        {"ports": [{"target": 3000}], "healthcheck": {"test": ["CMD", "curl", "https://localhost:3000/"]}},
    ):
        port = guess({"name": "x", "services": {"web": {"image": "me/app:1", **told}}}, None).port
        assert "TLS would not do" in port.why
        assert not port.is_sure


def test_a_front_that_reaches_the_engine_is_left_out() -> None:
    """A run would refuse it; one that merely mounts its configuration is kept, and told how to mount it."""

    def read_with(source: str) -> ReadCompose:
        front = {
            "image": "traefik:v3",
            "ports": [{"target": 80}],
            "depends_on": {"web": {}},
            "volumes": [{"type": "bind", "source": source, "target": "/x"}],
        }
        config = {"name": "x", "services": {"web": {"image": "me/app:1"}, "front": front}}
        return ReadCompose(config=config, files=(Path("compose.yaml"),))

    def taken(source: str) -> tuple[object, object, str]:
        read = read_with(source)
        found = guess_all(read, None, lambda _: {})
        cluster = yaml.safe_load(scenario_text(read, found, ["compose.yaml"]))["cluster"]
        return cluster.get("front"), cluster.get("services"), why_refused(read, found)

    assert taken("/var/run/docker.sock") == (None, {"front": "left_out"}, "")
    front, services, refused = taken("/here/front.conf")
    assert (front, services) == ({"service": "front", "port": 80}, None)
    assert "mount it read-only" in refused
    read = read_with("/var/run/docker.sock")
    kept = OwnApp(compose=read.files, service="web", port=80, ready="/", front=Front(service="front", port=80))
    with pytest.raises(UsageError, match=r"services: \{front: left_out\}\}, and no front"):
        check_service(read.config, kept)


def test_what_is_not_set_and_what_is_not_active_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: a run would come later, without them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMPOSE_PROFILES", raising=False)
    monkeypatch.delenv("PG_VERSION", raising=False)
    db, jobs = "{image: 'postgres:${PG_VERSION}'}", "{image: 'me/app:v1', profiles: [full, jobs]}"
    (tmp_path / "compose.yaml").write_text(f"services: {{web: {{image: 'me/app:v1'}}, db: {db}, jobs: {jobs}}}")
    said: list[str] = []
    write_scenario([], None, tmp_path, said.append)
    assert "  note: the variable PG_VERSION is not set: Compose puts nothing in its place" in said
    assert "  note: left out are those of profiles that are not active: jobs (full or jobs)" in said


def test_hints_name_paths_for_a_shell(tmp_path: Path) -> None:
    """Whatever characters they have."""
    with pytest.raises(UsageError) as raised:
        write_scenario([str(tmp_path / "my app" / "a.yaml")], None, tmp_path, lambda _: None)
    assert raised.value.hint == f"ls '{tmp_path}/my app'"
    (tmp_path / "my app").mkdir()
    (tmp_path / "my app" / "lab.yaml").touch()
    with pytest.raises(UsageError) as raised:
        write_scenario([], None, tmp_path / "my app", lambda _: None)
    assert raised.value.hint == f"mv '{tmp_path}/my app/lab.yaml' '{tmp_path}/my app/lab.yaml.old'"


def test_a_worker_that_can_be_debugged_stays_a_worker() -> None:
    """What it publishes for that makes it no app, nor what stands before one."""
    app = {"image": "me/app:1", "ports": [{"target": 8000}]}
    jobs = {"image": "me/app:1", "command": ["node", "bullmq"], "ports": [{"target": 9229}], "depends_on": {"web": {}}}
    taken = guess({"name": "x", "services": {"web": app, "jobs": jobs}}, None)
    assert (taken.service.value, taken.workers) == ("web", ("jobs",))
    told = {**jobs, "ports": [*jobs["ports"], {"target": 3000}]}  # users come there, too
    assert guess({"name": "x", "services": {"web": app, "jobs": told}}, "web").workers == ()
