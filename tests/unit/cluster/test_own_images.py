"""Which images of somebody's own compose file are pulled, and how one that is missing is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from docker.errors import NotFound

from lab.cluster.own_app import OwnApp
from lab.cluster.own_files import ReadCompose
from lab.cluster.own_images import check_images, pull_missing
from lab.errors import UsageError
from lab.scenario.init import guess_all

BUILD = {"context": "/work/todo", "dockerfile": "Dockerfile", "args": {"BASE": "debian:12", "TOKEN": None}}
CONFIG: dict[str, Any] = {
    "name": "todo",
    "services": {"web": {"build": BUILD, "depends_on": {"db": {}}}, "db": {"image": "redis:8"}},
}
READ = ReadCompose(files=(Path("/work/todo/compose.yaml"),), config=CONFIG)
APP = OwnApp(compose=READ.files, service="web", port=8000, ready="/healthz")


class EmptyEngine(APIClient):
    """An engine that has no image and notes what it pulls."""

    def __init__(self) -> None:  # it needs no door
        self.pulled: list[str] = []

    def inspect_image(self, image: str) -> dict[str, Any]:
        raise NotFound(image)

    def pull(self, repository: str, *_: object, **__: object) -> str:
        self.pulled.append(repository)
        return ""


@pytest.mark.parametrize("releases", [("todo-web:latest", "todo-web:next"), ("todo-web", "todo-web:next")])
def test_no_tag_of_what_is_built_here_is_pulled(releases: tuple[str, ...]) -> None:
    """Whatever its tag: no registry has it."""
    engine = EmptyEngine()
    assert list(pull_missing(engine, READ, APP, releases)) == ["redis:8"]
    assert engine.pulled == ["redis:8"]


def test_a_further_tag_is_built_as_the_compose_file_builds_the_first() -> None:
    """With its arguments, its file and its folder; what Compose can build it builds."""
    with pytest.raises(UsageError) as raised:
        check_images(EmptyEngine(), ["docker", "compose"], READ, APP, ["todo-web:next"])
    assert (
        "docker build -t todo-web:next --build-arg BASE=debian:12 --build-arg TOKEN"
        " -f /work/todo/Dockerfile /work/todo" in str(raised.value.hint)
    )


def test_what_compose_builds_under_no_tag_it_is_told_to_build() -> None:
    """Also where the scenario calls it `latest`, and by the app's own service where others share its image."""
    services = {"beat": {"build": BUILD, "image": "todo"}, "web": {"build": BUILD, "image": "todo"}}
    read = ReadCompose(files=READ.files, config={"name": "todo", "services": services})
    with pytest.raises(UsageError) as raised:
        check_images(EmptyEngine(), ["docker", "compose"], read, APP, ["todo:latest"])
    assert raised.value.hint.endswith("docker compose -f /work/todo/compose.yaml build web")


def test_an_image_that_lacks_a_variable_names_all_that_are_not_set() -> None:
    """Which of them it lacks, Compose does not say."""
    services = {"web": {"image": "todo:v1"}, "mail": {"image": "mail:"}}
    read = ReadCompose(files=READ.files, config={"name": "todo", "services": services}, unset=("TAG", "MAIL"))
    with pytest.raises(UsageError, match="'mail:' is not the name of an image; not set: TAG, MAIL") as raised:
        check_images(EmptyEngine(), ["docker", "compose"], read, APP, ["todo:v2"])
    assert raised.value.hint.startswith("TAG=... MAIL=... lab run ...")


@pytest.mark.parametrize("image", ['a"b:v1', "a/B:v1", "web:v 1"])
def test_what_no_engine_takes_for_a_name_is_told_before_one_is_asked(image: str) -> None:
    """An engine's own word for it is an error of its, which passed for a fault of the engine."""
    read = ReadCompose(files=READ.files, config={"name": "todo", "services": {"web": {"image": image}}})
    with pytest.raises(UsageError, match="is not the name of an image"):
        check_images(EmptyEngine(), ["docker", "compose"], read, APP, [image])
    with pytest.raises(UsageError, match="is not the name of an image"):
        guess_all(read, "web", look=lambda _: {})


DIGEST = f"sha256:{'0f' * 32}"


@pytest.mark.parametrize("image", ["todo:v1", f"todo@{DIGEST}", f"here:5000/todo:v1@{DIGEST}"])
def test_what_no_file_builds_is_pulled_and_so_is_a_digest(image: str) -> None:
    """No command builds an image under a digest, nor does anyone here build what the file merely names."""
    read = ReadCompose(files=READ.files, config={"name": "todo", "services": {"web": {"image": image}}})
    for release in (image, f"todo@{DIGEST}"):
        with pytest.raises(UsageError) as raised:
            check_images(EmptyEngine(), ["docker", "compose"], read, APP, [release])
        assert raised.value.hint == f"docker pull {release}"
    with pytest.raises(UsageError) as raised:
        check_images(EmptyEngine(), ["docker", "compose"], read, APP, [image, "todo:next"])
    assert raised.value.hint.splitlines() == [
        f"docker pull {image}",
        "docker build -t todo:next .   # or: docker pull",
    ]
