"""Which compose files are read, what the real Compose makes of them, and what becomes of what is no file yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.cluster.own_app import contents_of, jobs_of
from lab.cluster.own_files import (
    ReadCompose,
    files_of,
    find_compose_files,
    inactive_services,
    profiles_with,
    read_compose,
)
from lab.cluster.services import state_of
from lab.errors import UsageError
from lab.machine.install import find_compose

reads_with_compose = pytest.mark.e2e
"""The real Compose reads the files, which a machine has after `lab setup`."""
BASE = "services: {web: {image: 'web:1', environment: {A: base}}}"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PROFILES", "VERSION", "TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def compose() -> list[str]:
    found = find_compose()
    assert found is not None, "lab setup"
    return found


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def read(compose: list[str], *files: Path) -> ReadCompose:
    return read_compose(compose, files_of(files))


@reads_with_compose
def test_a_usual_name_stands_for_its_override_too(tmp_path: Path, compose: list[str]) -> None:
    """As plain `docker compose` would take it."""
    write(tmp_path, compose__yaml=BASE, compose__override__yml="services: {web: {environment: {A: over, B: more}}}")
    found = read(compose, tmp_path / "compose.yaml")
    assert found.config["services"]["web"]["environment"] == {"A": "over", "B": "more"}
    assert found.files == (tmp_path / "compose.yaml", tmp_path / "compose.override.yml")
    assert find_compose_files(tmp_path) == found.files


@reads_with_compose
def test_files_that_are_named_are_all_there_is(tmp_path: Path, compose: list[str]) -> None:
    """In their order, and without an override file that nobody named."""
    write(tmp_path, a__yaml=BASE, b__yaml="services: {web: {environment: {A: b}}}", compose__override__yml="{}")
    found = read(compose, tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert found.config["services"]["web"]["environment"] == {"A": "b"}


@reads_with_compose
@pytest.mark.parametrize("where", ["environment", "dot env"])
def test_compose_file_says_which(
    tmp_path: Path, compose: list[str], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """In the environment, or in the folder's .env."""
    write(tmp_path, compose__yaml="services: {}", prod__yaml=BASE)
    if where == "environment":
        monkeypatch.setenv("COMPOSE_FILE", "prod.yaml")
    else:
        (tmp_path / ".env").write_text("# x\nCOMPOSE_FILE='prod.yaml'\n")
    assert "web" in read(compose, tmp_path / "compose.yaml").config["services"]
    assert find_compose_files(tmp_path) == (tmp_path / "prod.yaml",)


@reads_with_compose
def test_profiles_are_those_that_compose_has_active(tmp_path: Path, compose: list[str]) -> None:
    """By .env; the others are known by name alone."""
    write(tmp_path, compose__yaml="services: {web: {image: w, profiles: [on]}, db: {image: d, profiles: [off]}}")
    (tmp_path / ".env").write_text("COMPOSE_PROFILES=on")
    files = files_of([tmp_path / "compose.yaml"])
    assert set(read_compose(compose, files).config["services"]) == {"web"}
    assert inactive_services(compose, files) == {"web": ("on",), "db": ("off",)}


@reads_with_compose
def test_what_is_not_set_is_told(tmp_path: Path, compose: list[str]) -> None:
    """Compose only warns, and puts nothing there."""
    write(tmp_path, compose__yaml="services: {web: {image: 'me/app:${VERSION}', environment: {B: '${TOKEN:-x}'}}}")
    assert read(compose, tmp_path / "compose.yaml").unset == ("VERSION",)


@reads_with_compose
def test_what_compose_cannot_read_is_told_with_a_command_that_is_here(tmp_path: Path, compose: list[str]) -> None:
    """And with the example of an environment, where there is one and it was not taken."""
    write(tmp_path, compose__yaml="services: {web: {image: '${TAG:?say which}'}}", __env__example="TAG=1")
    with pytest.raises(UsageError, match=r"say which[\s\S]*cp \S*\.env\.example \S*\.env") as raised:
        read(compose, tmp_path / "compose.yaml")
    assert " ".join(compose) in raised.value.hint
    with pytest.raises(UsageError, match="is a folder"):
        read(compose, tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        read(compose, tmp_path / "nowhere.yaml")


CONTENT = """
services:
  web:
    image: w
    configs: [conf]
    secrets: [token, key]
    depends_on: {migrate: {condition: service_completed_successfully}, db: {condition: service_healthy}}
  migrate: {image: w}
  db: {image: d}
configs: {conf: {content: "a=${A:-1} $$b"}}
secrets: {token: {environment: TOKEN}, key: {file: ./key}}
"""


@reads_with_compose
def test_secrets_and_configs_that_are_no_files_become_some(tmp_path: Path, compose: list[str]) -> None:
    """With the content that Compose would give them, from .env too, and no dollar doubled."""
    write(tmp_path, compose__yaml=CONTENT, key="k")
    (tmp_path / ".env").write_text("TOKEN=s3cret")
    found = read(compose, tmp_path / "compose.yaml")
    assert contents_of(found.config, found.environment) == {"configs-conf": "a=1 $b", "secrets-token": "s3cret"}
    assert jobs_of(found.config) == {"migrate"}


STATES: list[tuple[dict[str, Any], bool, str]] = [
    ({"Status": "running"}, False, ""),
    ({"Status": "running"}, True, "has not ended yet"),
    ({"Status": "running", "Health": {"Status": "starting"}}, False, "is starting"),
    ({"Status": "running", "Health": {"Status": "healthy"}}, False, ""),
    ({"Status": "exited", "ExitCode": 0}, True, ""),
    ({"Status": "exited", "ExitCode": 0}, False, ""),
    ({"Status": "exited", "ExitCode": 3}, False, "ended with 3"),
    ({"Status": "restarting"}, False, "is restarting"),
    ({"Status": "created"}, True, "is created"),
]


@pytest.mark.parametrize(("state", "is_job", "why"), STATES)
def test_when_a_service_is_as_it_is_to_be(state: dict[str, Any], is_job: bool, why: str) -> None:
    """A job has ended well; whatever else runs, and is healthy where it can say so, or has ended well too."""
    assert state_of({"State": state}, is_job=is_job) == why


@pytest.mark.parametrize(
    "lines",
    [
        "COMPOSE_FILE=a.yaml:b.yaml  # ours",
        "COMPOSE_FILE='a.yaml:b.yaml' # ours",
        'export COMPOSE_FILE="a.yaml:b.yaml"',
        "COMPOSE_FILE=a.yaml;b.yaml\nCOMPOSE_PATH_SEPARATOR=;",
    ],
)
def test_a_file_of_variables_lists_files_as_compose_reads_it(lines: str, tmp_path: Path) -> None:
    """With quotes, remarks and a separator of its own."""
    (tmp_path / ".env").write_text(f"# files\n{lines}\n")
    assert files_of([tmp_path / "compose.yaml"]) == (tmp_path / "a.yaml", tmp_path / "b.yaml")


@reads_with_compose
def test_a_service_that_is_needed_is_named_with_its_profile(tmp_path: Path, compose: list[str]) -> None:
    """Compose calls it undefined where the profile is not active."""
    text = "services: {web: {image: 'w:1', depends_on: [db]}, db: {image: 'd:1', profiles: [stores, all]}}"
    write(tmp_path, compose__yaml=text)
    (tmp_path / ".env").write_text("COMPOSE_PROFILES=debug")
    with pytest.raises(UsageError, match=r"'db' belongs to the profile stores or all, which is not active") as raised:
        read(compose, tmp_path / "compose.yaml")
    assert raised.value.hint.startswith("export COMPOSE_PROFILES=debug,stores ")
    write(tmp_path, compose__yaml=text.replace("[db]", "[dbb]"))
    with pytest.raises(UsageError, match="undefined service") as raised:
        read(compose, tmp_path / "compose.yaml")
    assert "profile" not in str(raised.value)


def test_a_profile_becomes_active_beside_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says takes the place of what .env says, as for Compose."""
    assert profiles_with(tmp_path, "a") == "COMPOSE_PROFILES=a"
    (tmp_path / ".env").write_text("COMPOSE_PROFILES=b, a")
    assert profiles_with(tmp_path, "a") == "COMPOSE_PROFILES=b,a"
    monkeypatch.setenv("COMPOSE_PROFILES", "c")
    assert profiles_with(tmp_path, "a") == "COMPOSE_PROFILES=c,a"
