"""A cluster by itself: what its verbs refuse, and what they leave alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.cluster.places import Places
from lab.errors import UsageError
from lab.scenario import hand, keep, strike_by_hand


class NoEngine:
    """An engine that has nothing."""

    def containers(self, **_: object) -> list[object]:
        return []

    networks = containers

    def volumes(self, **_: object) -> dict[str, None]:
        return {"Volumes": None}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a lab with one file in it, beside somebody's folder "thesis"."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years of work")
    root = tmp_path / "checkout"
    (root / ".lab" / "clusters").mkdir(parents=True)
    (root / "README").write_text("read me")
    monkeypatch.delenv("LAB_STATE", raising=False)
    for module in (keep, hand, strike_by_hand):
        monkeypatch.setattr(module, "find_places", lambda: Places(root=root, sources=root))
        monkeypatch.setattr(module, "connect", NoEngine)
    return root


def unsaid(_: str) -> None:
    pass


@pytest.mark.parametrize("name", ["..", "../..", "thesis"])
@pytest.mark.parametrize(
    "verb",
    [
        lambda name: keep.bring_down(name, say=unsaid),
        lambda name: keep.show_status(name, say=unsaid),
        lambda name: keep.bring_up_and_keep("shop:v1", keep.KeptStores(), project=name, port=None, say=unsaid),
        lambda name: hand.resume(project=name, say=unsaid),
        lambda name: hand.approve(project=name, say=unsaid),
        lambda name: hand.show_lock(project=name, say=unsaid),
        lambda name: strike_by_hand.heal(project=name, say=unsaid),
    ],
    ids=["down", "status", "up", "resume", "approve", "lock", "heal"],
)
def test_a_path_is_no_project(checkout: Path, verb: Callable[[str], int], name: str) -> None:
    """`-p PATH` is a mistake in the command line, and removes nothing."""
    with pytest.raises(UsageError, match="project's name"):
        verb(str(checkout.parent / name) if name == "thesis" else name)
    assert (checkout / "README").exists()
    assert (checkout / ".lab" / "clusters").exists()
    assert (checkout.parent / "thesis" / "chapter").exists()
