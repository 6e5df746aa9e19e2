"""The images that somebody's own compose file needs: all there, told apart, and with no mount over the app's files."""

from __future__ import annotations

import secrets
import shlex
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from io import RawIOBase
from pathlib import PurePosixPath
from typing import Any

from docker import APIClient

from lab.clock import SYSTEM_CLOCK
from lab.cluster.own_app import OwnApp, brought_up, image_of, left_out
from lab.cluster.own_files import ReadCompose, command_of, copy_example
from lab.errors import UsageError
from lab.machine.engine import NotFound, engine_errors
from lab.machine.labels import Identity, this_process
from lab.model import Value, is_image_name

LOOK_LIVES = 600
"""Seconds after which `lab clean` may remove a container that was made to look into its image."""
CONFIGURATION = frozenset({"etc", "conf", "conf.d", "config"})
"""Folders in which a mounted file is taken for configuration: it is the same under every release, and told."""


class OwnParts(Value):
    """What a run of somebody's own compose file consists of, beside the app."""

    services: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What a person must know of it: what is left out and what is not as in production, and why."""


def parts_of(read: ReadCompose, app: OwnApp) -> OwnParts:
    """The services that come along, and what is told before anything is started: pure."""
    config = read.config
    services = config["services"]
    notes = [f"service {name} is left out: {why}" for name, why in left_out(config, app).items()]
    for mount in _fixed_mounts(config, app):
        if _is_configuration(str(mount["target"])):
            notes.append(
                f"{mount['target']} is mounted into every release alike: what an image has there is not tested"
            )
    notes += [
        f"service {name} has a pre_stop hook, which the lab runs of {app.service} alone"
        for name in brought_up(config, app)
        if services[name].get("pre_stop")
    ]
    notes += map(unset_note, read.unset)
    return OwnParts(services=brought_up(config, app), notes=tuple(notes))


def unset_note(variable: str) -> str:
    """What is told of a variable that the files ask for and nothing sets."""
    return f"the variable {variable} is not set: Compose puts nothing in its place"


def check_images(
    engine: APIClient, compose: Sequence[str], read: ReadCompose, app: OwnApp, releases: Sequence[str]
) -> None:
    """Raise UsageError where images are missing, all of them at once; where two releases are one image; and where a
    mount hides files of the app's images, so that every release would run the same ones.
    """
    config, at = read.config, ", ".join(map(str, app.compose))
    beside = {name: image_of(config, name) for name in brought_up(config, app)}
    for image in (*releases, *beside.values()):
        if not is_image_name(image):
            missing = f"; not set: {', '.join(read.unset)}" if read.unset else ""
            raise UsageError(f"{image!r} is not the name of an image{missing}", at=at, hint=_set_hint(read))
    ids = {image: _id_of(engine, image) for image in dict.fromkeys((*releases, *beside.values()))}
    lacking = [image for image, content in ids.items() if content is None]
    if lacking:
        what = f"the engine has no image {lacking[0]!r}" if len(lacking) == 1 else "the engine lacks images: "
        what += "" if len(lacking) == 1 else ", ".join(map(repr, lacking))
        todo = [_how_to_get(image, compose, read, app, beside) for image in lacking]
        raise UsageError(what, at=at, hint="\n".join(todo))
    for number, image in enumerate(releases):
        same = next((one for one in releases[:number] if ids[one] == ids[image]), None)
        if same is not None:
            raise UsageError(
                f"{same!r} and {image!r} are the same image: an upgrade between them would show nothing",
                at=at,
                hint=f"docker build -t {image} .   # from what the next release is made of",
            )
    targets = [str(mount["target"]) for mount in _fixed_mounts(config, app)]
    targets = [target for target in targets if not _is_configuration(target)]
    for image in releases if targets else ():
        for target, file in _hidden(engine, image, targets):
            raise UsageError(
                f"service {app.service!r} mounts something over {target!r}, where {image!r} has files ({file}): every"
                " release would run the same ones",
                at=f"{at}: services.{app.service}.volumes",
                hint="leave the mount out in an override file for the lab (volumes: !override []), and build the files"
                " into the image",
            )


def pull_missing(engine: APIClient, read: ReadCompose, app: OwnApp, releases: Sequence[str]) -> Iterator[str]:
    """Pull what is missing and is not built here; yields each image before it is pulled. Raises EngineError."""
    config = read.config
    built = _built(config)
    for image in dict.fromkeys((*releases, *(image_of(config, name) for name in brought_up(config, app)))):
        if _repository(image) in built or _id_of(engine, image) is not None:
            continue
        yield image
        with engine_errors(f"pull {image}", at=image, hint=f"docker pull {image}"):
            engine.pull(image)


def _repository(image: str) -> str:
    """The image's name without tag and digest: each tag of what is built here is built here."""
    name = image.partition("@")[0]
    return name[: name.rindex(":")] if ":" in name.rpartition("/")[2] else name


def _built(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """By the name of its image, how each service is built that these files build."""
    services = config["services"]
    return {_repository(image_of(config, name)): one["build"] for name, one in services.items() if one.get("build")}


def _docker_build(image: str, build: Mapping[str, Any]) -> str:
    """The command that builds a further tag of an image as its compose file builds the first."""
    args = build.get("args") or {}
    words = ["docker", "build", "-t", image]
    words += [
        word for key, value in args.items() for word in ("--build-arg", key if value is None else f"{key}={value}")
    ]
    words += ["--target", build["target"]] if build.get("target") else []
    context = str(build.get("context", "."))
    words += ["-f", str(PurePosixPath(context) / build["dockerfile"])] if build.get("dockerfile") else []
    return shlex.join([*words, context])


def _set_hint(read: ReadCompose) -> str:
    variables = read.files[0].parent / ".env"
    values = " ".join(f"{name}=..." for name in read.unset or ("TAG",))
    return copy_example(variables) or f"{values} lab run ...   # or in {variables}"


def _how_to_get(image: str, compose: Sequence[str], read: ReadCompose, app: OwnApp, beside: Mapping[str, str]) -> str:
    """The command that makes or brings it; nobody can build to a digest."""
    if "@" in image:
        return f"docker pull {image}"
    services = read.config["services"]
    own = {app.service: image_of(read.config, app.service), **beside}
    same = {image, image.removesuffix(":latest")}
    builds = next((name for name, one in own.items() if one in same and services[name].get("build")), None)
    if builds is not None:
        return command_of(compose, read.files, "build", builds)
    built = _built(read.config).get(_repository(image))
    if built is not None:
        return f"{_docker_build(image, built)}   # as {image_of(read.config, app.service)} is, from the next code"
    if image in own.values():
        return f"docker pull {image}"
    return f"docker build -t {image} .   # or: docker pull"


def _id_of(engine: APIClient, image: str) -> str | None:
    with engine_errors("look at an image", at=image):
        try:
            return str(engine.inspect_image(image)["Id"])
        except NotFound:
            return None


def _fixed_mounts(config: Mapping[str, Any], app: OwnApp) -> Iterator[Mapping[str, Any]]:
    """The app's mounts that hold the same for every replica. A volume without a name is each container's own."""
    for mount in config["services"][app.service].get("volumes") or ():
        if mount["type"] == "bind" or (mount["type"] == "volume" and mount.get("source")):
            yield mount


def _is_configuration(target: str) -> bool:
    return bool(CONFIGURATION & set(PurePosixPath(target).parts))


def _hidden(engine: APIClient, image: str, targets: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The targets at which an image has files, each with one of them. A container is made for the look, never run."""
    run = f"look-{secrets.token_hex(4)}"
    own = Identity(
        project=f"lab-{run}", run=run, owner=this_process(), expires=int(SYSTEM_CLOCK.wall().timestamp()) + LOOK_LIVES
    )
    with engine_errors("look into an image", at=image):
        made = engine.create_container(image, command=["none"], labels=own.labels("look"))["Id"]
        try:
            for target in targets:
                file = _file_at(engine, made, target)
                if file:
                    yield target, file
        finally:
            with suppress(NotFound):
                engine.remove_container(made, force=True, v=True)


def _file_at(engine: APIClient, container: str, target: str) -> str:
    """A file that a container has at or under this path; "" for none."""
    try:
        stream, _ = engine.get_archive(container, target)
    except NotFound:
        return ""
    with closing(stream), tarfile.open(fileobj=_Chunks(stream), mode="r|") as tar:
        found = next((one for one in tar if one.isfile() or one.issym()), None)
    return "" if found is None else str(PurePosixPath(target).parent / found.name)


class _Chunks(RawIOBase):
    """A stream of chunks as a file that is read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
