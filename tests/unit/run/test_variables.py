"""The variables of a compose file: what is recorded of them, and what makes them the same again."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.run.variables import Changes, changes_to, interpolated

COMPOSE = """
services:
  web:
    image: "app:${TAG:-v1}"
    environment: {A: $PLAIN, B: "${DB_PASSWORD}", C: "$$NOT", D: "${UNSET-x}", E: "${FROM_FILE}"}
"""


def test_what_a_compose_file_takes_is_recorded(tmp_path: Path) -> None:
    """From the environment before the file beside it; secrets as digests, unset ones not at all."""
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE)
    (tmp_path / ".env").write_text("# PLAIN=no\nTAG=old\nexport FROM_FILE='a b'  \nOTHER=1\n")
    found = interpolated([str(file)], {"TAG": "v7", "PLAIN": "p", "DB_PASSWORD": "geheim", "NOT": "n", "HOME": "/"})
    assert found == {
        "TAG": "v7",
        "PLAIN": "p",
        "FROM_FILE": "a b",
        "DB_PASSWORD": f"sha256:{sha256(b'geheim').hexdigest()}",
    }
    assert interpolated([], {"TAG": "v7"}) == {}
    assert interpolated([str(tmp_path / "gone.yaml")], {"TAG": "v7"}) == {}


def test_what_differs_is_set_again() -> None:
    """And what was not there then is taken out."""
    now = {"TAG": "v9", "NEW": "1", "SAME": "s"}
    assert changes_to({"TAG": "v7", "GONE": "g", "SAME": "s"}, now, now) == Changes(
        sets={"GONE": "g", "TAG": "v7"}, drops=("NEW",)
    )
    assert changes_to(now, now, now) == Changes()


@pytest.mark.parametrize(
    ("then", "now", "at"),
    [
        ({"KEY": "sha256:1"}, {"KEY": "sha256:2"}, "variable KEY"),
        ({"KEY": "sha256:1"}, {}, "variable KEY"),
        ({}, {"NEW": "1"}, r"variable NEW in .env"),
    ],
)
def test_what_only_its_owner_can_set_is_asked_for(then: dict[str, str], now: dict[str, str], at: str) -> None:
    """It would be another experiment."""
    with pytest.raises(UsageError, match=f"^{at}: "):
        changes_to(then, now, {})
