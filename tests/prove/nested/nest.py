"""One container with an engine inside, or with a lab that has another's: made, used and removed whole."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from docker import APIClient

from lab.errors import LabFault
from lab.machine.engine import NotFound
from lab.model import Value
from lab.retry import wait_until

FOLDER = Path(__file__).parent
CONTEXT = (
    "Dockerfile",
    "containers.conf",
    "delay.py",
    "foreign.py",
    "ping.py",
    "registries.conf",
    "runc-here",
    "storage.conf",
)
MARK = "lab-prove"
"""The label of everything that is made here."""
NEEDED = {"DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE": "1"}
"""Without it engines of version 28 join no network where IPv6 can't be turned off."""
KEPT = ("/var/lib/docker", "/var/lib/containers", "/home/lab/.local")
"""Folders of engines: volumes, since no engine's layers can lie on another one's."""
Say = Callable[[str], None]


class Kind(Value):
    """An engine as Debian packages it. `argv` starts it; `socket` is where it answers in its container."""

    name: str
    suite: str
    packages: str
    argv: tuple[str, ...]
    socket: str = "/var/run/docker.sock"
    user: str = "root"


class Ran(Value):
    """What came of a command in a nest."""

    code: int
    text: str

    @property
    def last(self) -> str:
        """Its last line that says something."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        return lines[-1].strip() if lines else "no output"


def build_image(engine: APIClient, base: str, kind: Kind, say: Say) -> str:
    """The image of this kind, from the lab's own base. Raises LabFault with the engine's words."""
    say(f"{kind.name}: an image from Debian {kind.suite}'s packages")
    tag = f"cluster-lab-prove/{kind.name}:latest"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in CONTEXT:
            tar.add(FOLDER / name, name)
    packed.seek(0)
    given = {"BASE": base, "SUITE": kind.suite, "PACKAGES": kind.packages}
    for line in engine.build(
        fileobj=packed, custom_context=True, tag=tag, buildargs=given, rm=True, forcerm=True, decode=True
    ):
        if "error" in line:
            raise LabFault(f"the image of {kind.name} can't be built: {line['error']}", at=str(FOLDER / "Dockerfile"))
    return tag


class Nest:
    """A container that is there; `run` does something in it."""

    def __init__(self, engine: APIClient, name: str) -> None:
        self._engine, self.name = engine, name

    def run(self, script: str, *, user: str = "root", environment: Mapping[str, str] | None = None) -> Ran:
        """A shell's script in it, to its end."""
        argv = ["sh", "-c", script]
        made = self._engine.exec_create(self.name, argv, user=user, environment=dict(environment or {}))
        said = b"".join(self._engine.exec_start(made["Id"], stream=True))
        return Ran(code=int(self._engine.exec_inspect(made["Id"])["ExitCode"]), text=said.decode(errors="replace"))

    def must(self, script: str, *, user: str = "root", environment: Mapping[str, str] | None = None) -> str:
        """The same; raises LabFault where it fails."""
        done = self.run(script, user=user, environment=environment)
        if done.code:
            raise LabFault(f"{script.splitlines()[0][:80]!r} ended with {done.code}: {done.text[-600:]}", at=self.name)
        return done.text

    def put(self, file: Path, folder: str = "/") -> None:
        """A file of this machine into it."""
        with tarfile.open(fileobj=(packed := io.BytesIO()), mode="w") as tar:
            tar.add(file, file.name)
        packed.seek(0)
        self._engine.put_archive(self.name, folder, packed)

    @property
    def address(self) -> str:
        """Where others in its network find it."""
        networks = self._engine.inspect_container(self.name)["NetworkSettings"]["Networks"]
        return next(str(one["IPAddress"]) for one in networks.values() if one["IPAddress"])

    def wait_for_engine(self, kind: Kind, *, within: float = 90, log: str = "") -> None:
        """Until the engine in it answers. Raises WaitTimeout with what the engine last said, in that file if any."""
        wait_until(
            f"{kind.name} answers",
            lambda: self.run(f"python3 /ping.py {kind.socket}", user=kind.user).code == 0,
            within=within,
            every=0.5,
            seen=lambda: self._last_words(log),
        )

    def _last_words(self, log: str) -> str:
        said = (
            self.run(f"tail -n 8 {log}").text if log else self._engine.logs(self.name, tail=8).decode(errors="replace")
        )
        return said[-600:]


@contextmanager
def network(engine: APIClient, name: str) -> Iterator[str]:
    """A network of its own, from which nobody reaches anything else."""
    drop_network(engine, name)
    engine.create_network(name, internal=True, labels={MARK: name})
    try:
        yield name
    finally:
        drop_network(engine, name)


@contextmanager
def nest(
    engine: APIClient,
    name: str,
    image: str,
    argv: Sequence[str],
    *,
    within: str = "none",
    user: str = "root",
    environment: Mapping[str, str] | None = None,
    devices: Sequence[str] = (),
) -> Iterator[Nest]:
    """A container in which an engine may run, in that network and with these devices of the machine; gone afterwards
    with its volumes."""
    drop_container(engine, name)
    volumes = {f"{name}-{number}": folder for number, folder in enumerate(KEPT)}
    for volume in volumes:
        engine.create_volume(volume, labels={MARK: name})
    body = {
        "Image": image,
        "Hostname": name,
        "User": user,
        "Cmd": list(argv),
        "Env": [f"{key}={value}" for key, value in {**NEEDED, **(environment or {})}.items()],
        "Labels": {MARK: name},
        "HostConfig": {
            "NetworkMode": within,
            # As --privileged gives it, but for what a container may not have here.
            "CapAdd": ["ALL"],
            "CapDrop": ["SYS_RESOURCE"],
            "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
            "MaskedPaths": [],
            "ReadonlyPaths": [],  # Podman's networks set what the kernel keeps below /proc/sys
            "CgroupnsMode": "host",
            "Binds": ["/sys/fs/cgroup:/sys/fs/cgroup", *(f"{volume}:{at}" for volume, at in volumes.items())],
            "Init": True,
            "Devices": [{"PathOnHost": one, "PathInContainer": one, "CgroupPermissions": "rwm"} for one in devices],
        },
    }
    try:
        engine.start(engine.create_container_from_config(body, name)["Id"])
        yield Nest(engine, name)
    finally:
        drop_container(engine, name)


def drop_container(engine: APIClient, name: str) -> None:
    """Remove it with its volumes, if it is there."""
    with suppress(NotFound):
        engine.remove_container(name, force=True, v=True)
    for volume in engine.volumes(filters={"label": f"{MARK}={name}"})["Volumes"] or ():
        engine.remove_volume(volume["Name"])


def drop_network(engine: APIClient, name: str) -> None:
    """Remove the network, if it is there."""
    for one in engine.networks(filters={"label": f"{MARK}={name}"}):
        engine.remove_network(one["Id"])
