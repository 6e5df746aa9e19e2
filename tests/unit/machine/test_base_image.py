"""For which processor images are made: the engine's own, or the one that is asked for."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from lab.errors import EngineError, UsageError
from lab.machine import base_image, worker_image
from lab.machine.base_image import PLATFORM, BaseRecipe, _mmdebstrap, foreign_processor
from lab.machine.images import ImageShelf
from lab.machine.places import find_places

RECIPE = BaseRecipe(suite="trixie", pull="debian:trixie-slim", variant="minbase", leave_out=())


class Engine:
    """One that has no image, for amd64; its builds fail with `error`."""

    def __init__(self, error: str = "") -> None:
        self.error, self.built_for = error, list[str | None]()

    def version(self) -> dict[str, str]:
        return {"Arch": "amd64"}

    def inspect_image(self, tag: str) -> dict[str, str]:
        return {"Id": tag}

    def build(self, **given: Any) -> Any:
        self.built_for.append(given["platform"])
        return iter([{"error": self.error}] if self.error else [])


def shelf(engine: Engine) -> ImageShelf:
    made = ImageShelf(engine, find_places().images)  # type: ignore[arg-type]
    made.missing = lambda _=(): ["nginx"]  # type: ignore[method-assign,assignment]
    return made


@pytest.mark.parametrize("asked", ["", "linux/amd64"])
def test_images_are_for_the_engines_own_processor(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    """And it makes no other names of them to ask for that."""
    monkeypatch.setenv(PLATFORM, asked)
    engine = Engine()
    assert not shelf(engine).foreign
    assert shelf(engine).base_tag.count("-") == shelf(engine).base_tag.rpartition("/")[2].count("-") + 1
    shelf(engine).make_missing(lambda _: None)
    assert engine.built_for == [None]


@pytest.mark.parametrize("asked", ["linux/arm64", "linux/arm64/v8"])
def test_another_processors_are_other_images(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    """They are built for it, and neither takes the other's place."""
    monkeypatch.delenv(PLATFORM, raising=False)
    own = shelf(Engine())
    monkeypatch.setenv(PLATFORM, asked)
    engine = Engine()
    other = shelf(engine)
    assert other.base_tag == f"{own.base_tag}-arm64"
    assert all(other.tag(name) != own.tag(name) for name in own.names)
    assert all(other.tag(name).endswith("-arm64") for name in own.names)
    other.make_missing(lambda _: None)
    assert engine.built_for == ["linux/arm64"]


@pytest.mark.parametrize("asked", ["windows/amd64", "linux/riscv64", "arm64", "linux", "linux/arm64/v9"])
def test_a_platform_that_images_are_not_made_for_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv(PLATFORM, asked)
    with pytest.raises(UsageError, match=rf"{PLATFORM}={asked}: .*linux/arm64 alone[\s\S]*unset {PLATFORM}"):
        foreign_processor(Engine())  # type: ignore[arg-type]


def test_packages_are_for_the_engines_processor_wherever_the_lab_is() -> None:
    """An engine elsewhere may be of another kind than this machine."""
    assert "--architectures=arm64" in _mmdebstrap(RECIPE, "arm64")
    assert "--architectures=amd64" in _mmdebstrap(RECIPE, "amd64")


def test_packages_that_never_come_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And are no fault of the lab's own."""

    def never(*_: Any, **__: Any) -> None:
        raise subprocess.TimeoutExpired("mmdebstrap", 1)

    monkeypatch.setattr(base_image, "_digest_at_registry", lambda _: "")
    monkeypatch.setattr(base_image, "provide_base_tools", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/mmdebstrap")
    monkeypatch.setattr("subprocess.run", never)
    with pytest.raises(EngineError, match=r"mmdebstrap did not end within"):
        base_image.make_base(Engine(), RECIPE, "cluster-lab/base:x", {}, "", lambda _: None)  # type: ignore[arg-type]


def test_a_processor_that_nothing_emulates_is_told() -> None:
    """With the way out, and not as a mirror that is not reached."""
    failing = shelf(Engine("exec /bin/sh: exec format error"))
    with pytest.raises(EngineError, match=r"exec format error[\s\S]*qemu-user-static"):
        failing.make_missing(lambda _: None)


def test_a_workers_packages_are_for_the_images_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """And for its system: this one's may be no Linux."""
    seen: list[str] = []

    class Done:
        returncode = 0

    def run(argv: list[str], **_: Any) -> Done:
        seen.extend(argv)
        return Done()

    monkeypatch.setattr(worker_image.subprocess, "run", run)  # type: ignore[attr-defined]
    worker_image._fetch(["msgspec==1"], "arm64", tmp_path)
    assert "--platform=manylinux2014_aarch64" in seen
