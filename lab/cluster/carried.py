"""Files for an engine that does not see ours: what a cluster's containers would mount is copied in instead.

A folder becomes a volume of the cluster's own, filled before any container has it; so do the lab's own files and all
secrets, which lie in folders of their own. Any other single file is copied into the container between its making and
its start, and goes on from the template container to every replica. Nothing of what files hold stands in labels or
environments.
"""

from __future__ import annotations

import copy
import io
import json
import secrets
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from docker import APIClient

from lab.cluster.tear_down import remove_container
from lab.errors import UsageError
from lab.machine import labels
from lab.machine.engine import NotFound, engine_errors
from lab.machine.labels import Identity
from lab.model import Value

SERVICE = "com.docker.compose.service"
SECRETS, LAB_FILES = "/run/secrets", "/run/lab"
"""Folders that no image has: a volume hides nothing there."""
MOST = 256 * 2**20
"""Bytes of files that are copied for one mount; more is data, and belongs into an image or a volume."""
FILLED = "/filled"


class CarriedFile(Value):
    """One file or folder of ours, and where it goes."""

    service: str
    source: str
    target: str
    """Its path in the container, or in the volume."""
    volume: str = ""
    """The volume that it goes into; "": the container itself."""


class Carriage(Value):
    """A compose file whose containers mount nothing of this machine, and what is to be copied."""

    config: dict[str, Any]
    files: tuple[CarriedFile, ...] = ()

    @property
    def volumes(self) -> tuple[str, ...]:
        """Those to be filled, in the file's order."""
        return tuple(dict.fromkeys(one.volume for one in self.files if one.volume))


def carry(
    config: Mapping[str, Any], project: str, *, is_folder: Callable[[str], bool], is_there: Callable[[str], bool]
) -> Carriage:
    """What `docker compose config` made of a cluster, with copies in place of mounts: pure but for these two looks.

    Raises UsageError for a file that can go nowhere: into a container that may not be written to.
    """
    made, files = copy.deepcopy(dict(config)), list[CarriedFile]()
    volumes: dict[str, Any] = {}
    for name, service in made["services"].items():
        mounts = service.get("volumes") or []
        kept = [one for one in mounts if one.get("type") != "bind"]
        wanted = [*_of_parts(service, config), *_of_binds(mounts)]
        for key in ("secrets", "configs"):
            service.pop(key, None)
        for source, target, is_writable in wanted:
            whole = is_folder(source) or not is_there(source)  # what is not there Docker makes a folder of
            folder = target if whole else str(PurePosixPath(target).parent)
            if not whole and not _is_bare(folder):
                _check_writable(name, service, target)
                files.append(CarriedFile(service=name, source=source, target=target))
                continue
            volume = next((one["source"] for one in kept if one.get("target") == folder), "")
            if not volume:
                volume = f"lab-files-{len(volumes) + 1}"
                volumes[volume] = {"external": True, "name": f"{project}_{volume}"}
                kept.append(
                    {"type": "volume", "source": volume, "target": folder, "read_only": not is_writable, "volume": {}}
                )
            inside = "" if whole else PurePosixPath(target).name
            files.append(CarriedFile(service=name, source=source, target=inside, volume=volume))
        if kept or mounts:
            service["volumes"] = kept
        paths = [one.target for one in files if one.service == name and not one.volume]
        if paths:
            service["labels"] = {**(service.get("labels") or {}), labels.CARRIED: json.dumps(paths)}
    made["volumes"] = {**(made.get("volumes") or {}), **volumes}
    for kind in ("secrets", "configs"):
        made.pop(kind, None)
    return Carriage(config=made, files=tuple(files))


def _is_bare(folder: str) -> bool:
    return any(PurePosixPath(folder).is_relative_to(one) for one in (SECRETS, LAB_FILES))


def _of_parts(service: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """The file, the path in the container, and whether it may be written to, of a service's secrets and configs."""
    for kind, usual in (("secrets", SECRETS), ("configs", "")):
        for one in service.get(kind) or ():
            source = str(config[kind][one["source"]]["file"])
            target = str(one.get("target") or one["source"])
            yield source, target if target.startswith("/") else f"{usual}/{target}", False


def _of_binds(mounts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, bool]]:
    for one in mounts:
        if one.get("type") == "bind":
            yield str(one["source"]), str(one["target"]), not one.get("read_only")


def _check_writable(name: str, service: Mapping[str, Any], target: str) -> None:
    if service.get("read_only"):
        raise UsageError(
            f"service {name!r} is read_only and mounts the file {target!r}: the engine does not see this machine's"
            " files, and the lab can't copy one into a container that may not be written to",
            at=f"services.{name}.volumes",
            hint="mount its folder instead of the file, or leave read_only out in an override file for the lab",
        )


def rebound(config: Mapping[str, Any], doors: Sequence[str], bind: str) -> dict[str, Any]:
    """The same with the ports of these services published on another address of the engine's machine: pure."""
    made = copy.deepcopy(dict(config))
    for name in doors:
        for port in made["services"][name].get("ports") or ():
            port["host_ip"] = bind
    return made


def joined(config: Mapping[str, Any], doors: Sequence[str], network: str, subnet: str) -> dict[str, Any]:
    """The same with doors that are reached inside `network`: each has an address of its own there for as long as it
    is, so that it is found where it was when it is started again. Pure."""
    made = copy.deepcopy(dict(config))
    engine_name = f"{made['name']}_{network}"
    made["networks"][network] = {**(made["networks"].get(network) or {}), "ipam": {"config": [{"subnet": subnet}]}}
    for name, address in zip(doors, _addresses(subnet), strict=False):
        service = made["services"][name]
        service["networks"] = {**(service.get("networks") or {}), network: {"ipv4_address": address}}
        service["labels"] = {**(service.get("labels") or {}), labels.INSIDE: f"{engine_name} {address}"}
    return made


def labelled(config: Mapping[str, Any], name: str, value: str) -> dict[str, Any]:
    """The same with one more label on everything that is made: pure."""
    made = copy.deepcopy(dict(config))
    for kind in ("services", "networks", "volumes"):
        for key, one in (made.get(kind) or {}).items():
            if not (one or {}).get("external"):
                made[kind][key] = {**(one or {}), "labels": {**((one or {}).get("labels") or {}), name: value}}
    return made


def _addresses(subnet: str) -> Iterator[str]:
    """Those that are given out: in the upper half, far from what the engine takes by itself."""
    head = subnet.rpartition(".")[0]
    return (f"{head}.{last}" for last in range(200, 250))


def fill(engine: APIClient, carriage: Carriage, identity: Identity, image: str) -> None:
    """Make the volumes, with what goes into them. A container of `image` takes it in; it never runs, and is removed."""
    if not carriage.volumes:
        return
    with engine_errors("copy files to the engine", at=identity.project):
        for volume in carriage.volumes:
            engine.create_volume(f"{identity.project}_{volume}", labels=identity.labels("volume"))
        binds = [f"{identity.project}_{volume}:{FILLED}/{volume}" for volume in carriage.volumes]
        body = {
            "Image": image,
            "Cmd": ["none"],
            "Labels": identity.labels("look"),
            "HostConfig": {"Binds": binds},
        }
        made = engine.create_container_from_config(body, f"{identity.project}-files-{secrets.token_hex(4)}")["Id"]
        try:
            for volume in carriage.volumes:
                files = [(one.target, Path(one.source)) for one in carriage.files if one.volume == volume]
                engine.put_archive(made, f"{FILLED}/{volume}", packed(files))
        finally:
            remove_container(engine, made)


def put_in(engine: APIClient, carriage: Carriage, project: str) -> None:
    """Copy single files into the containers that Compose has made of each service, and not started."""
    for service in dict.fromkeys(one.service for one in carriage.files if not one.volume):
        files = [
            (one.target.lstrip("/"), Path(one.source))
            for one in carriage.files
            if one.service == service and not one.volume
        ]
        only = [f"{labels.PROJECT}={project}", f"{SERVICE}={service}"]
        with engine_errors("copy files into a container", at=service):
            for one in engine.containers(all=True, filters={"label": only}):
                engine.put_archive(one["Id"], "/", packed(files))


def carried_files(engine: APIClient, container: Mapping[str, Any]) -> bytes:
    """The files that were copied into a container, as a tar from its root; b"" for none. Raises as the SDK does."""
    paths = json.loads((container["Config"]["Labels"] or {}).get(labels.CARRIED, "[]"))
    if not paths:
        return b""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as to:
        for path in paths:
            try:
                stream, _ = engine.get_archive(container["Id"], path)
            except NotFound:  # the app has removed it
                continue
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
                for member in tar:
                    if member.isfile():
                        content = tar.extractfile(member)
                        member.name = path.lstrip("/")
                        to.addfile(member, content)
    return whole.getvalue()


def packed(files: Sequence[tuple[str, Path]]) -> bytes:
    """Files and folders as a tar, each at its path; whoever runs in a container may read them.

    Raises UsageError where that is more than a mount for configuration holds.
    """
    whole, size = io.BytesIO(), 0
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for target, source in files:
            for path in sorted([source, *source.rglob("*")] if source.is_dir() else [source]):
                name = str(PurePosixPath(target, path.relative_to(source))) if path != source else target
                if not name or not path.exists():
                    continue
                size += path.stat().st_size if path.is_file() else 0
                if size > MOST:
                    raise UsageError(
                        f"more than {MOST // 2**20} MB would have to be copied to the engine",
                        at=str(source),
                        hint="build them into an image, or give the service a named volume",
                    )
                tar.add(path.resolve(), name, recursive=False, filter=_readable)
    return whole.getvalue()


def _readable(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Whose it is here means nothing there; sockets and devices stay here."""
    if not (member.isfile() or member.isdir()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode |= 0o555 if member.isdir() or member.mode & 0o100 else 0o444
    return member
