"""What the kernel's own files say, and what is said where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.machine import host

ROUTES = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010011AC	0003	0	0	0	00000000	0	0	0
eth0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
"""
ID = "0123456789abcdef" * 4


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(host, "PROC", tmp_path)
    for folder in ("net", "self", "self/ns"):
        (tmp_path / folder).mkdir()
    return tmp_path


def test_routes_are_read_as_the_kernel_writes_them(proc: Path) -> None:
    """Addresses stand there backwards; the default is no destination that a network could overlap."""
    (proc / "net" / "route").write_text(ROUTES)
    assert host.routes() == ["172.17.0.0/16"]
    assert host.default_gateway() == "172.17.0.1"


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("mountinfo", f"612 599 254:0 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda rw"),
        ("cgroup", f"0::/system.slice/docker-{ID}.scope"),
        ("cgroup", f"12:pids:/docker/{ID}"),
    ],
)
def test_a_containers_own_id_stands_in_the_kernels_files(proc: Path, file: str, line: str) -> None:
    """In one or the other, as the engine sets it up."""
    (proc / "self" / file).write_text(f"something else\n{line}\n")
    assert list(host.container_ids()) == [ID]


def test_where_there_are_no_such_files_nothing_is_known(proc: Path) -> None:
    """As on macOS: no routes, no container, no namespace; and nothing is raised."""
    assert host.routes() == []
    assert host.default_gateway() == ""
    assert list(host.container_ids()) == []
    assert host.boot_and_namespace() is None
