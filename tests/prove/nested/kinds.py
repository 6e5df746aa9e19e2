"""The engines of the matrix, as Debian's suites package them."""

from __future__ import annotations

from tests.prove.nested.nest import Kind

SOCKET = "/var/run/docker.sock"
_PODMAN = "podman runc netavark aardvark-dns uidmap slirp4netns fuse-overlayfs catatonit nftables"


def dockerd(name: str, *more: str) -> tuple[str, ...]:
    """Docker as root; its containers' processes are counted below its own container's."""
    return ("dockerd", "--cgroup-parent", f"/{name}", "-H", f"unix://{SOCKET}", *more)


PODMAN = ("podman", "system", "service", "--time=0", f"unix://{SOCKET}")
"""Podman's service on Docker's API, at the socket where Docker's would be."""
DOCKER_20 = Kind(name="docker-20.10", suite="bookworm", packages="docker.io", argv=dockerd("docker-20.10"))
DOCKER_26 = Kind(name="docker-26", suite="trixie", packages="docker.io docker-cli", argv=dockerd("docker-26"))
DOCKER_28 = Kind(name="docker-28", suite="sid", packages="docker.io docker-cli", argv=dockerd("docker-28"))
REGISTRY = Kind(
    name="registry", suite="trixie", packages="docker.io docker-cli docker-registry", argv=("sleep", "infinity")
)
PODMAN_4 = Kind(name="podman-4", suite="bookworm", packages=_PODMAN, argv=PODMAN)
PODMAN_5 = Kind(name="podman-5", suite="trixie", packages=f"{_PODMAN} passt", argv=PODMAN)

LAB_USER, LAB_HOME, RUNTIME = "lab", "/home/lab", "/run/user/1000"
"""Who has an engine of their own, and where it keeps what it needs: the image makes the user."""
PODMAN_ROOTLESS = Kind(
    name="podman-rootless",
    suite="trixie",
    packages=f"{_PODMAN} passt",
    argv=("podman", "system", "service", "--time=0", f"unix://{RUNTIME}/podman.sock"),
    socket=f"{RUNTIME}/podman.sock",
    user=LAB_USER,
)
DOCKER_ROOTLESS = Kind(
    name="docker-rootless",
    suite="trixie",
    packages="docker.io docker-cli rootlesskit slirp4netns uidmap fuse-overlayfs",
    argv=("/usr/share/docker.io/contrib/dockerd-rootless.sh",),
    socket=f"{RUNTIME}/docker.sock",
    user=LAB_USER,
)
