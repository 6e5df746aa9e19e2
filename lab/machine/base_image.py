"""The base of every image of the lab: pulled where a registry answers quickly, else made from Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from docker import APIClient

from lab.errors import EngineError, SetupError, UsageError
from lab.machine.build_context import pack_context
from lab.machine.engine import engine_errors, try_connect
from lab.machine.install import Say, provide_base_tools, still_at_it
from lab.model import Value

REGISTRY_PATIENCE = 6
"""Seconds in which a registry must say what it has before the base is made from packages instead."""
MADE_WITHIN = 1800
"""Seconds for packages: under emulation it takes minutes where it is 30 s else."""
PLATFORM = "DOCKER_DEFAULT_PLATFORM"
"""For which processor images are built and taken, as for `docker` and Compose."""
DEBIAN = {"amd64": "amd64", "arm64": "arm64"}
"""What Debian calls a processor, by Docker's word for it; these are what the lab's images were built for."""
EMULATION = "apt-get install qemu-user-static binfmt-support arch-test"
"""What lets a Debian run programs of other processors."""


class BaseRecipe(Value):
    """images/base/recipe.yaml."""

    suite: str
    pull: str
    variant: str
    leave_out: tuple[str, ...]


def foreign_processor(engine: APIClient) -> str:
    """The processor that DOCKER_DEFAULT_PLATFORM asks for, by Docker's word; "" for none, or the engine's own.

    Raises UsageError for a platform that no image of the lab's is made for.
    """
    given = os.environ.get(PLATFORM, "")
    if not given:
        return ""
    system, _, processor = given.partition("/")
    processor = processor.removesuffix("/v8")
    if system != "linux" or processor not in DEBIAN:
        raise UsageError(
            "the lab's images are made for linux/amd64 and linux/arm64 alone",
            at=f"{PLATFORM}={given}",
            hint=f"unset {PLATFORM}   # the engine's own processor",
        )
    return "" if processor == own_processor(engine) else processor


def make_base(
    engine: APIClient, recipe: BaseRecipe, name: str, labels: Mapping[str, str], foreign: str, say: Say
) -> None:
    """Pull it, or make it, for the engine's own processor or a foreign one. `name`: repository:tag.

    Raises SetupError where the tools are not here, and EngineError where it can't be made.
    """
    processor = foreign or own_processor(engine)
    repository, _, tag = name.partition(":")
    digest = _digest_at_registry(recipe.pull)
    # By its digest, a foreign one takes nobody's own image of that name away.
    source = f"{recipe.pull.partition(':')[0]}@{digest}" if foreign else recipe.pull
    if digest and _pull(engine, source, processor, say):
        with engine_errors("name the base image", at=name):
            engine.tag(source, repository, tag)
        return
    provide_base_tools(say)
    if shutil.which("mmdebstrap") is None:
        raise SetupError(
            "no registry answers, and mmdebstrap, which makes a base image from Debian's packages, is not here",
            at="base image",
            hint="apt-get install mmdebstrap debian-archive-keyring   # or: docker pull " + recipe.pull,
        )
    takes = f"for {processor}, under emulation where this machine is another (minutes)" if foreign else "(about 30 s)"
    say(f"base image: making Debian {recipe.suite} from packages with mmdebstrap {takes}")
    try:
        with still_at_it("base image", say):
            made = subprocess.run(_mmdebstrap(recipe, processor), capture_output=True, check=False, timeout=MADE_WITHIN)
    except subprocess.TimeoutExpired as exc:
        what = f"mmdebstrap did not end within {MADE_WITHIN} s"
        raise EngineError(what, at="base image", hint="lab doctor   # is the mirror reached?") from exc
    if made.returncode:
        last = made.stderr.decode(errors="replace").strip().splitlines()[-3:]
        hint = EMULATION if foreign else "apt-get update; lab setup"
        raise EngineError(f"mmdebstrap failed: {' / '.join(last)}", at="base image", hint=hint)
    if foreign:
        _build_of(engine, made.stdout, name, labels, processor)
        return
    with engine_errors("import the base image", at=name):
        changes = [f'LABEL {label}="{value}"' for label, value in labels.items()]
        engine.import_image_from_data(made.stdout, repository=repository, tag=tag, changes=changes)


def own_processor(engine: APIClient) -> str:
    """The engine's, by Docker's word: amd64, arm64."""
    with engine_errors("ask the engine for its processor"):
        return str(engine.version()["Arch"])


def _build_of(engine: APIClient, tree: bytes, name: str, labels: Mapping[str, str], processor: str) -> None:
    """An import is always for the engine's own processor; a build is for the one that it is told."""
    with engine_errors("build the base image", at=name):
        for line in engine.build(
            fileobj=pack_context({"Dockerfile": b"FROM scratch\nADD base.tar /\n", "base.tar": tree}),
            custom_context=True,
            tag=name,
            rm=True,
            forcerm=True,
            decode=True,
            platform=f"linux/{processor}",
            labels=dict(labels),
        ):
            if "error" in line:
                raise EngineError(f"the base image can't be built: {str(line['error']).strip()}", at=name)


def _pull(engine: APIClient, image: str, processor: str, say: Say) -> bool:
    """Whether a registry gave it, for this processor; why not is said."""
    say(f"base image: pulling {image}")
    try:
        with still_at_it("base image", say), engine_errors("pull the base image", at=image):
            engine.pull(image, platform=f"linux/{processor}")
            given = engine.inspect_image(image)["Architecture"]
    except EngineError as exc:
        say(f"base image: {exc.what}")
        return False
    if given != processor:
        say(f"base image: the registry serves {image} for {given}, and it is wanted for {processor}")
    return bool(given == processor)


def _digest_at_registry(image: str) -> str:
    """What the engine's registry says within a few seconds that it has as `image`; "" where it does not."""
    quick = try_connect(timeout=REGISTRY_PATIENCE)
    if quick is None:
        return ""
    try:
        with engine_errors("ask the registry", at=image):
            return str(quick.inspect_distribution(image)["Descriptor"]["digest"])
    except EngineError:
        return ""
    finally:
        quick.close()


def _mmdebstrap(recipe: BaseRecipe, processor: str) -> list[str]:
    """For the processor of the engine, which may be another than this machine's."""
    leave_out = [f"--dpkgopt=path-exclude={path}" for path in recipe.leave_out]
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    keys = [f"--keyring={keyring}"] if keyring.exists() else []
    known = [f"--architectures={DEBIAN[processor]}"] if processor in DEBIAN else []
    return ["mmdebstrap", f"--variant={recipe.variant}", "--quiet", *known, *leave_out, *keys, recipe.suite, "-"]
