"""What CI keeps from job to job: images alone, never half a file, never over another one."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import NotFound

from lab.errors import LabFault, UsageError
from lab.machine.image_pack import pack_images, unpack_images
from lab.machine.pack import IMAGES, MANIFEST

TAGS = ("cluster-lab/base:1", "cluster-lab/nginx:2")


class Engine:
    """Saves whatever is asked for, and has what was loaded."""

    base_url, api_version = "http://engine", "1.41"

    def __init__(self) -> None:
        self.loaded, self.forgets = b"", False

    @contextmanager
    def get(self, url: str, *, params: list[tuple[str, str]], stream: bool) -> Iterator[Any]:
        assert url == "http://engine/v1.41/images/get"
        assert stream

        class Answer:
            def raise_for_status(self) -> None: ...

            def iter_content(self, _: int) -> Iterator[bytes]:
                yield " ".join(tag for _, tag in params).encode()

        yield Answer()

    def load_image(self, parts: Iterator[bytes]) -> Iterator[dict[str, str]]:
        self.loaded = b"".join(parts)
        return iter(())

    def inspect_image(self, tag: str) -> dict[str, Any]:
        if tag not in TAGS or self.forgets:
            raise NotFound("no such image", response=requests.Response())
        return {"Id": tag}


def test_what_is_packed_is_loaded_again(tmp_path: Path) -> None:
    """Two parts and nothing else; the scratch is gone."""
    engine, file, said = Engine(), tmp_path / "images.tar", list[str]()
    pack_images(engine, TAGS, file, said.append)  # type: ignore[arg-type]
    with tarfile.open(file) as tar:
        assert tar.getnames() == [MANIFEST, IMAGES]
    assert list(tmp_path.iterdir()) == [file]
    assert unpack_images(engine, TAGS, file, said.append).images == TAGS  # type: ignore[arg-type]
    assert engine.loaded
    assert not [line for line in said if line.startswith("note:")]


def test_an_engine_that_loads_and_has_nothing_is_told(tmp_path: Path) -> None:
    """By the image that it lacks."""
    engine, file = Engine(), tmp_path / "images.tar"
    pack_images(engine, TAGS, file, print)  # type: ignore[arg-type]
    engine.forgets = True
    with pytest.raises(LabFault, match="loaded the images, but has no cluster-lab/base:1"):
        unpack_images(engine, TAGS, file, print)  # type: ignore[arg-type]


def test_a_cache_of_other_sources_is_told_and_used_as_far_as_it_goes(tmp_path: Path) -> None:
    """The base of before may be the base of now."""
    engine, file, said = Engine(), tmp_path / "images.tar", list[str]()
    pack_images(engine, TAGS, file, said.append)  # type: ignore[arg-type]
    unpack_images(engine, (*TAGS, "cluster-lab/redis:3"), file, said.append)  # type: ignore[arg-type]
    assert [line for line in said if "it has no cluster-lab/redis:3; lab setup makes what is missing" in line]


def test_nothing_is_overwritten_and_no_folder_made(tmp_path: Path) -> None:
    """A typing error costs no file."""
    (tmp_path / "mine").write_text("mine")
    for to, why in (
        (tmp_path / "mine", "nothing is overwritten"),
        (tmp_path / "no" / "x", "no file can be made there"),
    ):
        with pytest.raises(UsageError, match=why):
            pack_images(Engine(), TAGS, to, print)  # type: ignore[arg-type]
    assert (tmp_path / "mine").read_text() == "mine"
