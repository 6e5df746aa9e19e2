"""The pack for a class without internet, as far as it needs no engine: what is in it, and what is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from docker import APIClient

from lab.errors import SetupError, UsageError
from lab.machine.images import ImageShelf
from lab.machine.pack import FORMAT, IMAGES, MANIFEST, Manifest, pack, read_manifest, sources, unpack
from lab.machine.places import Places, find_places

TAG, BASE = "cluster-lab/nginx:1", "cluster-lab/base:1"


class Shelf:
    """A checkout's images: nginx and the base."""

    names = ("nginx",)
    base_tag = BASE

    def tag(self, name: str) -> str:
        return f"cluster-lab/{name}:1"


class NoEngine:
    """Whatever is asked of it is a mistake: the pack must have been refused before."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the engine was asked to {name}")


def write(path: Path, *, images: tuple[str, ...] = (BASE, TAG), digest: str = "0" * 64, number: int = FORMAT) -> Path:
    """A pack whose archive of images is three bytes."""
    manifest = Manifest(format=number, images=images, images_sha256=digest, python="3")
    with tarfile.open(path, "w") as tar:
        for name, content in ((MANIFEST, msgspec.json.encode(manifest)), (IMAGES, b"abc")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def load(file: Path) -> None:
    shelf, engine = cast("ImageShelf", Shelf()), cast("APIClient", NoEngine())
    unpack(Places(root=file.parent, sources=file.parent), shelf, engine, file, lambda _line: None)


def test_a_damaged_archive_never_reaches_the_engine(tmp_path: Path) -> None:
    """Half an image is worse than none."""
    with pytest.raises(UsageError, match="damaged"):
        load(write(tmp_path / "p.tar"))


def test_a_pack_of_other_sources_is_refused_with_the_way_to_use_it(tmp_path: Path) -> None:
    """The tags carry a hash of the sources: its own are in it."""
    with pytest.raises(UsageError, match="different sources") as refused:
        load(write(tmp_path / "p.tar", images=(BASE, "cluster-lab/nginx:2")))
    assert "LAB_PACK=" in refused.value.hint


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_that_is_no_pack_is_told(tmp_path: Path, content: bytes | None) -> None:
    """Also one that is not there, and an archive of something else."""
    path = tmp_path / "p.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="is not a lab pack") as refused:
        read_manifest(path)
    assert "\n" not in refused.value.what  # tarfile tells each method that it tried
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("something"), io.BytesIO())
    with pytest.raises(UsageError, match="is not a lab pack"):
        read_manifest(path)


def test_a_pack_of_another_format_is_told(tmp_path: Path) -> None:
    """Rather than read wrongly."""
    with pytest.raises(UsageError, match="format 99"):
        read_manifest(write(tmp_path / "p.tar", number=99))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Whatever lies there was somebody's."""
    (tmp_path / "p.tar").write_text("mine")
    with pytest.raises(UsageError, match="nothing is overwritten"):
        pack(Places(root=tmp_path, sources=tmp_path), Shelf(), NoEngine(), (), tmp_path / "p.tar", print)  # type: ignore[arg-type]
    assert (tmp_path / "p.tar").read_text() == "mine"


def test_the_sources_are_all_that_a_class_needs_and_nothing_made() -> None:
    """What a setup without internet begins with; no environment, no runs, nobody's lessons, no history."""
    root = find_places().root
    packed = {path.relative_to(root).as_posix() for path in sources(root)}
    needed = {
        "Makefile",
        "README.md",
        "pyproject.toml",
        ".ci/constraints.txt",
        "lab/bootstrap.sh",
        "compose/cluster.yaml",
    }
    assert needed <= packed
    assert {"images/base/recipe.yaml", "lab/lessons/TRAINER.md", "lab/lessons/01-state-is-a-bug/lesson.yaml"} <= packed
    made = {".venv", ".lab", "runs", "workshop", ".git", "build"}
    assert not [path for path in packed if path.split("/")[0] in made or "__pycache__" in path]


def test_an_installed_lab_packs_nothing(tmp_path: Path) -> None:
    """It has not all of the sources; nothing is written."""
    installed = Places(root=tmp_path, sources=tmp_path / "shipped")
    with pytest.raises(SetupError, match="an installed lab has not all of them"):
        pack(installed, Shelf(), NoEngine(), (), tmp_path / "p.tar", print)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
