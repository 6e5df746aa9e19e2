"""Files for an engine that does not see ours: what becomes a volume, what is copied, and what can go nowhere."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import carried
from lab.cluster.carried import carry, joined, packed, rebound
from lab.errors import UsageError
from lab.machine import labels

PROJECT = "lab-x"


def config(**service: Any) -> dict[str, Any]:
    return {
        "name": PROJECT,
        "services": {"app": {"image": "a", **service}},
        "networks": {"edge": {"name": "lab-x_edge"}},
        "volumes": {"data": {}},
        "secrets": {"key": {"file": "/lab/key"}, "other": {"file": "/lab/other"}},
        "configs": {"conf": {"file": "/lab/conf"}},
    }


def carry_over(made: dict[str, Any], *folders: str) -> carried.Carriage:
    return carry(made, PROJECT, is_folder=lambda path: path in folders, is_there=lambda _: True)


def test_secrets_and_the_labs_own_files_lie_in_volumes_of_the_service() -> None:
    """Both of one service in one, which may not be written to; no mount of this machine is left."""
    done = carry_over(config(secrets=[{"source": "key"}, {"source": "other", "target": "renamed"}], read_only=True))
    app = done.config["services"]["app"]
    assert app["volumes"] == [
        {"type": "volume", "source": "lab-files-1", "target": "/run/secrets", "read_only": True, "volume": {}}
    ]
    assert [(one.source, one.volume, one.target) for one in done.files] == [
        ("/lab/key", "lab-files-1", "key"),
        ("/lab/other", "lab-files-1", "renamed"),
    ]
    assert done.config["volumes"]["lab-files-1"] == {"external": True, "name": "lab-x_lab-files-1"}
    assert not {"secrets", "configs"} & (done.config.keys() | app.keys())


def test_two_services_never_share_a_volume_of_secrets() -> None:
    """Or each would see the other's."""
    made = config(secrets=[{"source": "key"}])
    made["services"]["store"] = {"image": "s", "secrets": [{"source": "other"}]}
    assert {(one.service, one.volume) for one in carry_over(made).files} == {
        ("app", "lab-files-1"),
        ("store", "lab-files-2"),
    }


def test_a_folder_becomes_a_volume_as_it_was_mounted() -> None:
    """Named volumes stay as they are."""
    binds = [
        {"type": "bind", "source": "/here/d", "target": "/srv", "read_only": True},
        {"type": "bind", "source": "/here/w", "target": "/var/w"},
        {"type": "volume", "source": "data", "target": "/data"},
    ]
    app = carry_over(config(volumes=binds), "/here/d", "/here/w").config["services"]["app"]
    assert {one["target"]: (one["source"], one.get("read_only", False)) for one in app["volumes"]} == {
        "/data": ("data", False),
        "/srv": ("lab-files-1", True),
        "/var/w": ("lab-files-2", False),
    }


def test_a_single_file_goes_into_the_container_which_says_so_by_its_path_alone() -> None:
    """Whoever clones it finds the paths; what is in the files stands nowhere."""
    done = carry_over(config(configs=[{"source": "conf", "target": "/etc/app/conf"}]))
    app = done.config["services"]["app"]
    assert json.loads(app["labels"][labels.CARRIED]) == ["/etc/app/conf"]
    assert [(one.target, one.volume) for one in done.files] == [("/etc/app/conf", "")]
    assert "volumes" not in app


def test_a_file_for_a_container_that_may_not_be_written_to_is_refused_before_anything_is_made() -> None:
    """With the service and what to do."""
    with pytest.raises(UsageError, match=r"services\.app\.volumes: service 'app' is read_only and mounts the file"):
        carry_over(config(configs=[{"source": "conf", "target": "/etc/app/conf"}], read_only=True))


def test_doors_are_published_elsewhere_or_found_inside() -> None:
    """Each has an address of its own in the network, and says which."""
    made = config(ports=[{"host_ip": "127.0.0.1", "target": 8080, "published": "20000"}], networks={"inside": None})
    bound = rebound(made, ["app"], "10.0.0.5")["services"]["app"]["ports"]
    assert bound == [{"host_ip": "10.0.0.5", "target": 8080, "published": "20000"}]
    inside = joined(made, ["app"], "edge", "10.213.7.0/24")
    assert inside["services"]["app"]["networks"] == {"inside": None, "edge": {"ipv4_address": "10.213.7.200"}}
    assert inside["services"]["app"]["labels"] == {labels.INSIDE: "lab-x_edge 10.213.7.200"}
    assert inside["networks"]["edge"]["ipam"] == {"config": [{"subnet": "10.213.7.0/24"}]}
    assert made["services"]["app"]["networks"] == {"inside": None}, "what was given is left as it was"


def test_everything_that_is_made_says_whose_job_it_is() -> None:
    """What is filled before is the lab's own making, and bears its labels already."""
    made = carried.labelled(carry_over(config(secrets=[{"source": "key"}])).config, labels.JOB, "j")
    assert made["services"]["app"]["labels"] == made["volumes"]["data"]["labels"] == {labels.JOB: "j"}
    assert "labels" not in made["volumes"]["lab-files-1"]


def test_what_is_packed_may_be_read_by_whoever_runs_there(tmp_path: Path) -> None:
    """It is nobody's of this machine; what is executable stays so."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "secret").write_text("s")
    (tmp_path / "in" / "secret").chmod(0o400)
    (tmp_path / "run").write_text("r")
    (tmp_path / "run").chmod(0o500)
    with tarfile.open(fileobj=io.BytesIO(packed([("etc/d", tmp_path / "in"), ("bin/run", tmp_path / "run")]))) as tar:
        found = {one.name: (oct(one.mode), one.uid) for one in tar}
    assert found["etc/d/secret"] == ("0o444", 0)
    assert found["bin/run"] == ("0o555", 0)


def test_data_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount of gigabytes is none for configuration."""
    monkeypatch.setattr(carried, "MOST", 3)
    (tmp_path / "big").write_text("four")
    with pytest.raises(UsageError, match="would have to be copied to the engine"):
        packed([("", tmp_path)])
