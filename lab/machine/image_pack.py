"""The lab's images alone in one file: what CI keeps from job to job, so that none of them builds any."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from docker import APIClient

from lab.errors import UsageError
from lab.machine.images import ImageShelf
from lab.machine.install import Say, still_at_it
from lab.machine.pack import FORMAT, IMAGES, MANIFEST, Manifest, load_images, read_manifest, save_images, sha256_of


def image_tags(shelf: ImageShelf) -> tuple[str, ...]:
    """The full tags of what every set-up makes. They carry a hash of what they are made from: so does their list."""
    return (shelf.base_tag, *map(shelf.tag, shelf.names))


def pack_images(engine: APIClient, tags: Sequence[str], to: Path, say: Say) -> Manifest:
    """Write these images into one file. Raises LabError; half a file is never left, and none is overwritten."""
    if to.exists():
        raise UsageError("is there already, and nothing is overwritten", at=str(to), hint=f"rm {to}")
    if not to.resolve().parent.is_dir():
        raise UsageError("no file can be made there", at=str(to), hint="lab pack images.tar")
    with tempfile.TemporaryDirectory(dir=to.resolve().parent, prefix=f".{to.name}.") as made:
        scratch = Path(made)
        say(f"saving {len(tags)} images")
        with still_at_it("images", say):
            save_images(engine, tags, scratch / IMAGES)
        manifest = Manifest(format=FORMAT, images=tuple(tags), images_sha256=sha256_of(scratch / IMAGES), python="")
        (scratch / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        with tarfile.open(scratch / "pack", "w") as tar:
            for name in (MANIFEST, IMAGES):
                tar.add(scratch / name, name)
        (scratch / "pack").rename(to)
    return manifest


def unpack_images(engine: APIClient, wanted: Sequence[str], file: Path, say: Say) -> Manifest:
    """Load the images of such a file, or of a workshop's. Those of other sources are of no use, and are told.

    Raises UsageError for what is no pack, or damaged.
    """
    manifest = read_manifest(file)
    missing = [tag for tag in wanted if tag not in manifest.images]
    if missing:
        say(f"note: {file} was packed from other sources: it has no {missing[0]}; lab setup makes what is missing")
    say(f"loading {len(manifest.images)} images")
    with still_at_it("images", say):
        load_images(engine, file, manifest)
    return manifest
