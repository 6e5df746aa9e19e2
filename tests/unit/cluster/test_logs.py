"""Whose log is meant by a name, from what the engine lists alone."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cluster.logs import names_of, pick_container


def container(role: str, name: str, **said: str) -> dict[str, Any]:
    return {
        "Id": name,
        "Created": 1,
        "Labels": {"lab.role": role, **{f"lab.{key}": text for key, text in said.items()}},
    }


THERE = [
    container("app", "old", slot="a1", replica="a1-1", generation="1"),
    container("app", "new", slot="a1", replica="a1-7", generation="7"),
    container("gate", "gate", slot="a1", replica="a1-7", generation="8"),
    container("pattern", "pattern"),
    container("store", "store-b", zone="b"),
    {"Id": "db", "Labels": {"lab.role": "service", "com.docker.compose.service": "postgres"}},
]


@pytest.mark.parametrize(
    ("named", "is_meant"),
    [("a1", "new"), ("a1-1", "old"), ("store/b", "store-b"), ("store", "store-b"), ("postgres", "db"), ("a2", None)],
)
def test_a_name_means_the_newest_of_it_and_never_a_gate(named: str, is_meant: str | None) -> None:
    """A slot, a replica, a store with its zone, or a service."""
    found = pick_container(THERE, named)
    assert (found and found["Id"]) == is_meant


def test_gates_and_patterns_have_no_name() -> None:
    """Nobody asks for them."""
    assert names_of(THERE[2]) == names_of(THERE[3]) == ()
