"""A real cluster of the shop, shared by the tests that only ask it things."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.backends.docker import LiveCluster, release_of, temporary_cluster
from lab.backends.state import open_state
from lab.cluster.bring_up import LAB_PASSWORD
from lab.cluster.compose import LAB_PORT
from lab.deploy.deployer import ENTER_SIGNAL
from lab.deploy.rollout import first_desired
from lab.machine.locks import host_lock
from lab.machine.projects import run_identity
from lab.machine.setup import Toolbox
from lab.model import Release, ReplicaState, Slot
from lab.retry import wait_until
from lab.run.deployed import deployed, wait_settled
from lab.scenario.spec import ClusterSpec
from tests.e2e.own_apps import build_django, write_readme_files

IMAGES = ("shop:v1", "shop:v2", "shop:v2-never-ready")


@dataclass
class ShopCluster:
    """A cluster of the shop under test, and what tests may ask of it."""

    live: LiveCluster
    toolbox: Toolbox
    releases: dict[str, Release]

    @property
    def url(self) -> str:
        return self.live.url

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self.live.cluster.slots

    def ask(self, slot: str, method: str, path: str, **request: Any) -> requests.Response:
        """A request through the balancer's inner door to the replica in one slot, never repeated elsewhere."""
        [(host, port)] = self.live.cluster.addresses(LAB_PORT)
        return requests.request(
            method, f"http://{host}:{port}/_lab/slot/{slot}{path}", timeout=10, allow_redirects=False, **request
        )

    def log_in(self, account: str) -> dict[str, str]:
        """The headers of a logged-in client."""
        said = requests.post(
            f"{self.url}/login",
            json={"account": account, "password": "a long password"},
            headers={"Accept": "application/json", "Idempotency-Key": f"{account}.login"},
            timeout=10,
        )
        assert said.status_code == 200, said.text
        return {"Cookie": said.headers["Set-Cookie"].split(";")[0], "Accept": "application/json"}

    def store(self, *command: str) -> str:
        """Run a command in the store as its administrator; the reply's text."""
        engine, store = self.toolbox.engine, self._container("store")
        password = (self.toolbox.places.cluster(self.live.project) / LAB_PASSWORD).read_text()
        argv = ["redis-cli", "--user", "lab", "--pass", password, "--no-auth-warning", *command]
        made = engine.exec_create(store, argv)
        said = str(engine.exec_start(made["Id"]).decode()).rstrip("\n")
        code = engine.exec_inspect(made["Id"])["ExitCode"]
        assert code == 0, f"redis-cli ended with {code}: {said!r}"  # no reply is something else than an empty one
        return said

    def logs(self) -> str:
        """Everything that every container of the cluster has written so far."""
        found = self.toolbox.engine.containers(all=True, filters={"label": f"lab.project={self.live.project}"})
        return "\n".join(self.live.cluster.logs(one["Id"], last=100_000) for one in found)

    def inspect(self) -> dict[str, dict[str, Any]]:
        """What the engine says of every container, by name."""
        engine = self.toolbox.engine
        found = engine.containers(all=True, filters={"label": f"lab.project={self.live.project}"})
        return {one["Names"][0].lstrip("/"): engine.inspect_container(one["Id"]) for one in found}

    def upgrade(self, slot: str, release: str) -> None:
        """Replace one slot's replica by one of another release, as the deployer does: ready first, then drain."""
        cluster, name = self.live.cluster, slot
        old = [one for one in cluster.replicas() if one.slot == name]
        place = next(one for one in self.slots if one.name == name)
        new = cluster.create(place, self.releases[release])
        cluster.start(new)
        wait_until(
            f"{new.name} is ready",
            lambda: (said := self.live.balancer.replicas([new.name]).get(new.name)) and said.is_ready,
            within=30,
        )
        cluster.signal(new, ENTER_SIGNAL)
        wait_until(
            f"{new.name} answers in {name}",
            lambda: (said := self.live.balancer.holders([name]).get(name)) and said.replica == new.name,
            within=30,
        )
        for one in old:
            cluster.signal(one, "SIGTERM")
        gone = {one.container for one in old}

        def have_left() -> bool:
            states = [one.state for one in cluster.replicas() if one.container in gone]
            return all(state is ReplicaState.DEAD for state in states)

        wait_until(f"the old replicas of {name} have left", have_left, within=20)
        for one in old:
            cluster.remove(one)

    def mend(self, release: str) -> None:
        """Put a replica of this release into every slot that answers nobody; what is left of an earlier one goes."""
        answers = self.live.balancer.holders([slot.name for slot in self.slots])
        empty = [slot.name for slot in self.slots if not ((said := answers.get(slot.name)) and said.is_ready)]
        for one in self.live.cluster.replicas():
            if one.slot in empty:
                self.live.cluster.signal(one, "SIGKILL")  # a frozen one obeys nothing else
        for slot in empty:
            self.upgrade(slot, release)

    def _container(self, role: str) -> str:
        wanted = [f"lab.project={self.live.project}", f"lab.role={role}"]
        return str(self.toolbox.engine.containers(filters={"label": wanted})[0]["Id"])


@pytest.fixture(scope="session")
def django_images(toolbox: Toolbox) -> None:
    """A team's own app in all its releases, built by one test process at a time: the next finds its layers."""
    with host_lock(print):
        build_django(toolbox.engine, toolbox.images.base_tag)


@pytest.fixture
def readme_files(tmp_path: Path) -> Path:
    """A folder with the files that the README shows, beside the site's compose file."""
    write_readme_files(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def shop_cluster(toolbox: Toolbox) -> Iterator[ShopCluster]:
    """Six replicas of v1 behind a balancer, brought up once."""
    releases = {one.name: one for one in (release_of(toolbox, image) for image in IMAGES)}
    identity = run_identity(f"test-{secrets.token_hex(3)}")
    slots = ClusterSpec(release="shop:v1").slots
    with temporary_cluster(toolbox, identity, slots, releases["v1"].image) as live:
        with (
            open_state(toolbox.places) as state,
            deployed(live, state, lambda _: None, first=first_desired(releases["v1"], slots)) as (desk, deployer),
        ):
            wait_settled(desk, deployer, within=90)
        yield ShopCluster(live=live, toolbox=toolbox, releases=releases)


@pytest.fixture
def whole_again(shop_cluster: ShopCluster) -> Iterator[None]:
    """However a test ends that breaks the shared cluster, the next one finds a replica in every slot."""
    yield
    shop_cluster.mend("v1")
