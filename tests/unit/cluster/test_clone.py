"""A replica of another release: what its service says is kept, what only the first image said is the image's own."""

from __future__ import annotations

import json
from typing import Any, cast

from docker import APIClient

from lab.cluster.compose import SERVICE, ComposeCluster, clone
from lab.machine import labels
from lab.model import Release, Slot

IMAGE = {"Env": ["STORE=redis", "PATH=/bin"], "Cmd": ["serve"], "User": "app", "StopSignal": "SIGQUIT"}
"""What the first release's image says."""


def pattern(stated: dict[str, list[str]] | None) -> dict[str, Any]:
    carried = {SERVICE: "web", labels.ROLE: "pattern"}
    if stated is not None:
        carried[labels.STATED] = json.dumps(stated)
    return {
        "Id": "p" * 64,
        "Name": "/lab-x-web-1",
        "Image": "i",
        "Config": {**IMAGE, "Hostname": "p" * 12, "Env": [*IMAGE["Env"], "MORE=1"], "Labels": carried},
        "HostConfig": {"NetworkMode": "net"},
        "NetworkSettings": {
            "Networks": {"net": {"Aliases": ["lab-x-web-1", "web", "api", "p" * 12], "Links": ["lab-x-redis-1:cache"]}}
        },
    }


class Engine:
    """Has one pattern, and keeps what it was asked to create."""

    def __init__(self, stated: dict[str, list[str]] | None) -> None:
        self.pattern, self.body = pattern(stated), dict[str, Any]()

    def containers(self, **asked: Any) -> list[dict[str, Any]]:
        is_pattern = any(one.endswith("=pattern") for one in asked["filters"]["label"])
        return [{"Id": "the pattern"}] if is_pattern else []

    def inspect_container(self, _container: str) -> dict[str, Any]:
        return dict(self.pattern)

    def inspect_image(self, _image: str) -> dict[str, Any]:
        return {"Config": IMAGE}

    def create_container_from_config(self, body: dict[str, Any], _name: str) -> dict[str, str]:
        self.body = body
        return {"Id": "made"}


def made(stated: dict[str, list[str]] | None) -> dict[str, Any]:
    engine = Engine(stated)
    slot, v2 = Slot(name="a1", zone="a"), Release(name="v2", image="w:2")
    ComposeCluster(cast("APIClient", engine), project="lab-x", slots=[slot]).create(slot, v2)
    return engine.body


def test_what_the_service_says_is_kept_though_the_image_says_it_too() -> None:
    """Or the next image's own word would take its place without anybody having asked for it."""
    body = made({"keys": ["Cmd", "StopSignal"], "env": ["STORE", "MORE"]})
    assert {"STORE=redis", "MORE=1"} <= set(body["Env"])
    assert (body["Cmd"], body["StopSignal"]) == (["serve"], "SIGQUIT")
    assert "User" not in body, "the image's own"
    assert "PATH=/bin" not in body["Env"]


def test_where_nothing_is_stated_the_image_says_what_is_like_the_first_one_s() -> None:
    """As of the shop, whose releases all say the same."""
    body = made(None)
    assert "Cmd" not in body
    assert [line for line in body["Env"] if not line.startswith("LAB_")] == ["MORE=1"]


def test_its_names_and_links_come_along_but_for_those_of_the_pattern_alone() -> None:
    """Others find it as they would find what Compose made."""
    [endpoint] = made(None)["NetworkingConfig"]["EndpointsConfig"].values()
    assert endpoint == {"Links": ["lab-x-redis-1:cache"], "Aliases": ["web", "api"]}


def test_one_that_takes_another_s_place_has_its_names() -> None:
    """And no host name that was only the other one's id."""
    old = {**pattern(None), "ImageConfig": IMAGE}
    body = clone(old, image="w:2", own_labels={labels.RELEASE: "v2"}, service="worker", told={"MORE": "2"})
    assert body["Env"].count("MORE=2") == 1
    assert "MORE=1" not in body["Env"]
    assert (body["Image"], body["Hostname"]) == ("w:2", "")
    assert body["Labels"][labels.RELEASE] == "v2"
    assert body["NetworkingConfig"]["EndpointsConfig"]["net"]["Aliases"] == ["worker", "web", "api"]


def test_limits_are_asked_for_by_the_names_that_engines_take() -> None:
    """Podman 4 tells RLIMIT_NOFILE where it is given nofile, and refuses its own word."""
    told = {**pattern(None), "ImageConfig": IMAGE}
    for name in ("nofile", "RLIMIT_NOFILE"):
        told["HostConfig"] = {"NetworkMode": "net", "Ulimits": [{"Name": name, "Soft": 1, "Hard": 2}]}
        body = clone(told, image="w:2", own_labels={}, service="web", told={})
        assert body["HostConfig"]["Ulimits"] == [{"Name": "nofile", "Soft": 1, "Hard": 2}]
