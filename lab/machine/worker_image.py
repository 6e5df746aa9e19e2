"""The image of one worker of a crowd: the lab's own base, a Python, and those of the lab's modules that users are of.

It has the very versions of the packages that this lab runs with, as wheels for the Python of the base.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from docker import APIClient

from lab.errors import EngineError, SetupError
from lab.machine import labels
from lab.machine.base_image import own_processor
from lab.machine.build_context import pack_context
from lab.machine.engine import engine_errors
from lab.machine.images import REPOSITORY, ImageShelf
from lab.machine.install import Say, still_at_it
from lab.machine.locks import layers_lock

WORKER = "worker"
PYTHON = "3.13"
"""Of Debian trixie, which the base is."""
PACKAGES = ("httptools", "msgspec", "uvloop")
PARTS = ("__init__.py", "clock.py", "collection.py", "errors.py", "model.py", "users", "workers")
"""Of the lab: what lies below users, and they."""
FETCHED_WITHIN = 300
WHEELS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
"""The kinds that Debian trixie can load and the packages come in."""
MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}
"""What a wheel calls a processor, by Docker's word."""


def make_worker_image(engine: APIClient, shelf: ImageShelf, images: Path, say: Say) -> str:
    """Build it unless it is there; its tag, which carries a hash of all that it is made of.

    Raises SetupError where the packages can't be had, and EngineError where it can't be built.
    """
    recipe = (images / WORKER / "Dockerfile").read_bytes()
    wanted = _packages()
    own = _own_files()
    tag = f"{REPOSITORY}/{WORKER}:{_digest(shelf.base_tag, recipe, ' '.join(wanted), own)}{shelf.suffix}"
    if shelf.id_of(tag) is not None:
        return tag
    shelf.make_missing(say)
    say(f"image {WORKER}: building {tag}")
    with tempfile.TemporaryDirectory() as folder, still_at_it(f"image {WORKER}", say):
        _fetch(wanted, shelf.foreign or own_processor(engine), Path(folder))
        site = {f"site/{path.relative_to(folder)}": path.read_bytes() for path in _files(Path(folder))}
        _build(engine, tag, {"Dockerfile": recipe, **site, **own}, shelf)
    return tag


def _packages() -> list[str]:
    """As this lab has them; what it can do without it may lack."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return found


def _own_files() -> dict[str, bytes]:
    """The lab's modules, by their place in the context."""
    root = Path(__file__).resolve().parents[1]
    those = [path for part in PARTS for path in ([root / part] if part.endswith(".py") else _files(root / part))]
    return {f"lab/{path.relative_to(root).as_posix()}": path.read_bytes() for path in those if path.suffix == ".py"}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _fetch(packages: list[str], processor: str, to: Path) -> None:
    """The packages, unpacked, for the Python of the image and the processor that it is for: this machine's own may be
    another, or no Linux."""
    pip = [sys.executable, "-P", "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
    how = ["--no-compile", "--only-binary", ":all:", "--python-version", PYTHON, "--target", str(to)]
    kinds = [f"--platform={kind}_{MACHINE[processor]}" for kind in WHEELS if processor in MACHINE]
    argv = [*pip, *how, *kinds, *packages]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=FETCHED_WITHIN)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise SetupError(f"pip could not fetch the packages of a worker: {said}", at=f"image {WORKER}")


def _build(engine: APIClient, tag: str, files: Mapping[str, bytes], shelf: ImageShelf) -> None:
    at = f"images/{WORKER}/Dockerfile"
    with engine_errors(f"build image {WORKER}", at=at), layers_lock(removes=False):
        for line in engine.build(
            fileobj=pack_context(files),
            custom_context=True,
            tag=tag,
            rm=True,
            forcerm=True,
            decode=True,
            platform=shelf.platform,
            buildargs={"BASE": shelf.base_tag},
            labels={labels.PROJECT: "images", labels.ROLE: "image", labels.RELEASE: WORKER},
        ):
            if "error" in line:
                said = str(line["error"]).strip()
                raise EngineError(f"image {WORKER} can't be built: {said}", at=at, hint="lab doctor")


def _digest(base: str, recipe: bytes, packages: str, files: Mapping[str, bytes]) -> str:
    made_of = hashlib.sha256(f"{base}\0{PYTHON}\0{packages}\0".encode() + recipe)
    for path, content in sorted(files.items()):
        made_of.update(f"{path}\0{len(content)}\0".encode() + content)
    return made_of.hexdigest()[:12]
