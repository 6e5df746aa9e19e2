"""Images go into a pack and come out of it on a real engine: with one of this test's own, which nobody else has."""

from __future__ import annotations

import io
import secrets
import tarfile
from pathlib import Path

import msgspec
import pytest

from lab.machine.engine import NotFound
from lab.machine.images import REPOSITORY
from lab.machine.pack import FORMAT, IMAGES, MANIFEST, Manifest, load_images, save_images, sha256_of
from lab.machine.setup import Toolbox

pytestmark = pytest.mark.e2e


def test_a_packed_image_is_back_after_it_was_removed(toolbox: Toolbox, tmp_path: Path) -> None:
    """Under its own tag, with its own id: what a class without internet rests on."""
    engine, tag = toolbox.engine, f"{REPOSITORY}/packed-by-a-test:{secrets.token_hex(6)}"
    repository, _, version = tag.partition(":")
    engine.import_image_from_data(
        one_file(secrets.token_bytes(64)),
        repository=repository,
        tag=version,
        changes=["LABEL lab.project=images", "LABEL lab.role=image"],
    )
    try:
        was = engine.inspect_image(tag)["Id"]
        save_images(engine, [tag], tmp_path / IMAGES)
        manifest = Manifest(format=FORMAT, images=(tag,), images_sha256=sha256_of(tmp_path / IMAGES), python="3")
        (tmp_path / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        with tarfile.open(tmp_path / "pack.tar", "w") as tar:
            tar.add(tmp_path / MANIFEST, MANIFEST)
            tar.add(tmp_path / IMAGES, IMAGES)
        engine.remove_image(tag)
        with pytest.raises(NotFound):
            engine.inspect_image(was)
        load_images(engine, tmp_path / "pack.tar", manifest)
        assert engine.inspect_image(tag)["Id"] == was
    finally:
        engine.remove_image(tag)


def one_file(content: bytes) -> bytes:
    """The root file system of an image."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("file")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()
