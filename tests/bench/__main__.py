"""`python -m tests.bench [rolling|demo]`: prints figures and ratios; takes some minutes, run it on a quiet machine."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from lab import record
from lab.clock import NS, SYSTEM_CLOCK
from lab.cluster.commands import ClusterPlan, environment
from lab.cluster.compose import ComposeCluster, tear_down, write_files
from lab.cluster.places import find_places
from lab.cluster.setup import Toolbox, make_ready
from lab.deploy.deployer import Deployer
from lab.deploy.plan import Wanted
from lab.model import Operation, Value
from lab.retry import wait_until
from lab.scenario.file import ClusterWish
from lab.scenario.wiring import release_of, run_identity, temporary_cluster
from lab.users import Crowd, CrowdSize, Target, Tries

HERE = Path(__file__).parent
SEED = 11
USERS = CrowdSize(users=60, two_devices=1 / 3, think=0.3)


class Upgrade(Value):
    """What users got while a whole cluster was upgraded under load, without any retry of theirs."""

    way: str
    seconds: float
    requests: int
    failed: int
    ready: tuple[float, ...] = ()
    """Start to ready of each replica, where it was told."""

    def line(self) -> str:
        share = 100 * self.failed / self.requests if self.requests else 0
        return f"{self.way:<44} {self.failed:>5} of {self.requests:>5} failed ({share:.2f} %)  {self.seconds:6.1f} s"


def main(asked: list[str]) -> None:
    """Run the benches that are named, or all."""
    benches: dict[str, Callable[[Toolbox], None]] = {"rolling": bench_rolling, "demo": bench_demo}
    toolbox = make_ready(find_places(), print)
    for name in asked or benches:
        benches[name](toolbox)


def bench_rolling(toolbox: Toolbox) -> None:
    """A rolling upgrade v1 to v2, and `docker compose up -d` with v2, on the same load."""
    ours, peer = roll_here(toolbox), compose_up(toolbox)
    print(ours.line())
    print(peer.line())
    print(f"failed requests: {ours.failed} vs `docker compose up -d` {peer.failed}")
    print(f"seconds of the upgrade vs `docker compose up -d`: {ours.seconds / peer.seconds:.2f}x")
    ready = sorted(ours.ready)
    print(f"start to ready under load: median {ready[len(ready) // 2]:.2f} s, worst {ready[-1]:.2f} s")


def roll_here(toolbox: Toolbox) -> Upgrade:
    """The lab's own rolling upgrade, one at a time."""
    v1, v2 = release_of(toolbox, "shop:v1"), release_of(toolbox, "shop:v2")
    slots = ClusterWish(release="shop:v1").slots
    ready: list[float] = []

    def note(event: record.AnyEvent) -> None:
        if isinstance(event, record.Step) and event.action == "ready" and event.seconds is not None:
            ready.append(event.seconds)

    with (
        temporary_cluster(toolbox, run_identity(f"bench-{secrets.token_hex(3)}"), slots, v1.image) as live,
        Deployer(live.cluster, live.balancer, {"v1": v1, "v2": v2}, Wanted(release="v1"), note) as deployer,
    ):
        wait_until("every slot serves", lambda: deployer.is_settled, within=90)
        ready.clear()
        with shopping(live.host, live.port) as seen:
            began = SYSTEM_CLOCK.now()
            deployer.want(Wanted(release="v2", previous="v1"))
            wait_until("the upgrade is done", lambda: deployer.is_settled, within=180)
            ended = SYSTEM_CLOCK.now()
    return measure("rolling upgrade, one at a time", seen, began, ended, tuple(ready))


def compose_up(toolbox: Toolbox) -> Upgrade:
    """The peer's: Compose recreates all replicas of the service at once."""
    identity = run_identity(f"bench-{secrets.token_hex(3)}")
    folder = toolbox.places.cluster(identity.project)

    def plan(image: str) -> ClusterPlan:
        return ClusterPlan(
            identity=identity,
            compose_file=HERE / "peer.yaml",
            folder=folder,
            app_image=toolbox.images.tag(image),
            nginx_image=toolbox.images.tag("nginx"),
            redis_image=toolbox.images.tag("redis"),
        )

    def up(image: str) -> None:
        argv = [*toolbox.compose, "--project-name", identity.project, "--file", str(HERE / "peer.yaml")]
        subprocess.run(
            [*argv, "--progress", "quiet", "up", "--detach", "--wait"],
            env={**os.environ, **environment(plan(image))},
            check=True,
        )

    try:
        write_files(plan("shop:v1"), (HERE / "peer_nginx.conf").read_text())
        up("shop:v1")
        host, port = ComposeCluster(toolbox.engine, project=identity.project, slots=()).address()
        with shopping(host, port) as seen:
            began = SYSTEM_CLOCK.now()
            up("shop:v2")
            ended = SYSTEM_CLOCK.now()
    finally:
        tear_down(toolbox.engine, identity.project, folder=folder)
    return measure("`docker compose up -d`, nginx by Docker's DNS", seen, began, ended)


@contextmanager
def shopping(host: str, port: int) -> Iterator[list[Operation]]:
    """The same users for both: logged in before, shopping while the block runs, one try each."""
    seen: list[Operation] = []
    with Crowd(
        [Target(host=host, port=port)],
        USERS,
        chance=Random(SEED),
        on_operation=seen.append,
        policy=Tries(most=1, timeout=10),
    ) as crowd:
        crowd.log_in(60)
        crowd.shop()
        warm = SYSTEM_CLOCK.now() + 2 * NS
        wait_until("the load is steady", lambda: SYSTEM_CLOCK.now() > warm, within=5)
        yield seen
        crowd.settle(30)


def measure(way: str, seen: list[Operation], began: int, ended: int, ready: tuple[float, ...] = ()) -> Upgrade:
    """What became of the requests that were sent while the upgrade went on."""
    during = [one.tries[0] for one in seen if began <= one.begin <= ended]
    failed = sum(not one.answered or one.result >= "500" for one in during)
    return Upgrade(way=way, seconds=(ended - began) / NS, requests=len(during), failed=failed, ready=ready)


def bench_demo(toolbox: Toolbox) -> None:
    """`make demo` in a fresh clone without images, and again."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(toolbox.places.root), str(clone)], check=True)
        for name in (*toolbox.images.names, ""):
            tag = toolbox.images.tag(name) if name else toolbox.images.base_tag
            toolbox.engine.remove_image(tag, force=True)
        cold, warm = time_demo(clone), time_demo(clone)
        shutil.rmtree(clone / "runs")
    print(f"make demo, cold (no environment, no images): {cold:6.1f} s")
    print(f"make demo, warm:                             {warm:6.1f} s   cold / warm: {cold / warm:.2f}x")


def time_demo(folder: Path) -> float:
    began = SYSTEM_CLOCK.now()
    subprocess.run(["make", "demo"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return (SYSTEM_CLOCK.now() - began) / NS


if __name__ == "__main__":
    main(sys.argv[1:])
