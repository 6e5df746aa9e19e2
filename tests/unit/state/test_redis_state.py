"""The state in a Redis, as far as that can be told without one: what it asks for, and what it says of its address."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from lab.errors import LabError, SetupError, UsageError
from lab.state.redis import RedisState

pytest.importorskip("redis")


class Asked:
    """A client that is told what to look for and to delete."""

    def __init__(self) -> None:
        self.pattern = ""
        self.deleted: tuple[str, ...] = ()

    def scan_iter(self, pattern: str, **_: Any) -> list[str]:
        self.pattern = pattern
        return [f"below {pattern}"]

    def delete(self, *keys: str) -> None:
        self.deleted = keys


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("lab-x", "lab-x/*"), ("lab-*", r"lab-\*/*"), (r"?[a]\b", r"\?\[a\]\\b/*")],
)
def test_one_clusters_documents_are_forgotten_and_no_others(name: str, pattern: str) -> None:
    """A name is no pattern, whatever is in it."""
    state = RedisState("redis://127.0.0.1:1/0")
    state._client = asked = Asked()
    state.forget(name)
    assert asked.pattern == "{lab}:document:" + pattern
    assert asked.deleted[0] == f"{{lab}}:document:{name}"


@pytest.mark.parametrize(
    "url",
    [
        "myredis:6379",
        "redis://:s3/cret@h:port/0",
        "http://:s3cret@h/0",
        "redis://:s3cret@[::1",
        "rediss://h/0?ssl_cert_reqs=s3",
    ],
)
def test_what_is_no_address_is_a_mistake_of_the_command_line(url: str) -> None:
    """Told with what would be one, and without the password."""
    with pytest.raises(UsageError, match="LAB_STATE") as caught:
        RedisState(url)
    assert "s3" not in str(caught.value)


def test_a_missing_package_does_not_tell_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host alone says which Redis was meant."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SetupError, match=r"^db\.example/0: the redis package") as caught:
        RedisState("redis://:s3cret@db.example/0")
    assert "s3cret" not in str(caught.value)
    assert isinstance(caught.value, LabError)


@pytest.mark.parametrize("url", ["redis://h:1/0?password=S3CRET", "redis://u:S3CRET@h:1/0?password=S3CRET#S3CRET"])
def test_a_password_is_never_told_wherever_it_stands(url: str) -> None:
    """In the address's query it used to be."""
    state = RedisState(url)
    with pytest.raises(LabError) as raised:
        state.read("x")
    assert "S3CRET" not in str(raised.value)
    assert "h:1/0" in str(raised.value)


@pytest.mark.parametrize("query", ["foo=bar", "db=1&foo=", "password=S3CRET&decode_responses=1", "db=one"])
def test_an_option_that_nobody_knows_is_refused(query: str) -> None:
    """It used to be a TypeError with the first question."""
    with pytest.raises(UsageError, match="LAB_STATE h:1/0") as raised:
        RedisState(f"redis://h:1/0?{query}")
    assert "S3CRET" not in str(raised.value)
    assert raised.value.hint
