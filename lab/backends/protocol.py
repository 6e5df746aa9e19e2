"""The seam between a run and whatever its cluster is made of: a backend is one module of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from lab import record
from lab.balancer.protocol import LoadBalancer
from lab.clock import SYSTEM_CLOCK, Clock
from lab.cluster.found import FoundCluster
from lab.cluster.harm import Strikable
from lab.cluster.protocol import Cluster
from lab.deploy.deployer import Deployer
from lab.deploy.rollout import Strategy
from lab.errors import UsageError
from lab.machine.labels import Identity
from lab.machine.sweep import Leftover
from lab.model import Release, Slot, Value
from lab.scenario.spec import ClusterSpec, Scenario, may_be_empty
from lab.state.protocol import State
from lab.users.wire import Door
from lab.workers.line import WorkerPlaces

Say = Callable[[str], None]
Report = Callable[[record.AnyEvent], None]


class StoreHealth(Protocol):
    """How the stores of one cluster are; asking changes nothing."""

    def primary(self) -> str:
        """The name of the store that takes writes now; "" if none says."""
        ...

    def trouble(self) -> str:
        """What is wrong, "" if every store serves and is in step with the others."""
        ...


class RunOnce(Protocol):
    """Given a service, the release and the command: its exit code, None where its time was over. Hears each line."""

    def __call__(
        self, service: str, release: Release, argv: Sequence[str], /, *, within: float, hear: Callable[[str], None]
    ) -> int | None: ...


def _cannot_run(
    service: str, release: Release, argv: Sequence[str], /, *, within: float, hear: Callable[[str], None]
) -> int | None:
    del release, argv, within, hear
    raise UsageError("nothing can be run once in the lab's own shop", at=service, hint="an app of your own")


class OpenProject(Value):
    """One cluster that is up: its balancers and stores answer; replicas are the deployer's business."""

    project: str
    cluster: Cluster
    balancer: LoadBalancer
    strikable: Strikable
    stores: StoreHealth
    doors: tuple[tuple[str, int], ...]
    """Host and port of each balancer, for users."""
    halted: Callable[[], str]
    """Who has halted all strikes where this cluster is, or ""."""
    to_slot: Callable[[str], Door] | None = None
    """A door that leads to the replica in one slot alone, past everything that spreads requests."""
    start_later: Callable[[], None] = lambda: None
    """Starts the services that come once the app serves; may be called again."""
    deployer: Callable[..., Deployer] = Deployer
    """Makes whoever sees to it that the cluster is as wanted, from what a Deployer is made from."""
    recreate: Callable[[str, Release], None] = lambda _service, _release: None
    """Makes a worker of somebody's own anew from a release's image."""
    run_once: RunOnce = _cannot_run
    """Runs a command once in a container of somebody's own service, as a release has it."""
    workers: WorkerPlaces | None = None
    """Where workers of a crowd are started; None: nowhere."""

    @property
    def url(self) -> str:
        host, port = self.doors[0]
        return f"http://{host}:{port}"


class ClusterOrder(Value):
    """What is asked of a backend: a cluster without replicas."""

    identity: Identity
    spec: ClusterSpec
    may_be_empty: int = 0
    """How many slots may stand empty for long."""
    port: int | None = None
    """The users' port on 127.0.0.1; None: a free one."""


def order_of(scenario: Scenario, identity: Identity, *, port: int | None = None) -> ClusterOrder:
    """The cluster that a scenario needs."""
    return ClusterOrder(identity=identity, spec=scenario.cluster, may_be_empty=may_be_empty(scenario), port=port)


class Backend(Protocol):
    """Where clusters are. All methods raise LabError where what is behind fails."""

    @property
    def name(self) -> str: ...

    @property
    def is_shared(self) -> bool:
        """Whether other processes find the clusters here, so that deployers may be processes of their own."""
        ...

    @property
    def runs(self) -> Path:
        """The folder in which the records of runs lie."""
        ...

    def describe(self) -> Mapping[str, object]:
        """What the clusters are made with, for the record."""
        ...

    def release(self, image: str) -> Release:
        """The release that an image's name stands for: "shop:v1" is release v1."""
        ...

    def image_ids(self, images: Sequence[str]) -> Mapping[str, str]:
        """What these images are by content, by their full names, with the backend's own parts beside them."""
        ...

    def provide(self, images: Sequence[str], say: Say) -> None:
        """Make or fetch the images that are missing. Raises LabError for one that can't be had."""
        ...

    def check(self, spec: ClusterSpec, releases: Sequence[str], say: Say, *, pulls: bool = False) -> None:
        """Raise UsageError for a cluster that can't or must not be brought up here; nothing is started.

        `releases` are the app's images that will be needed. What a person must know of the run is said. With `pulls`
        images of somebody's own that are missing are pulled.
        """
        ...

    def cannot(self) -> Mapping[str, str]:
        """The faults that can't be done here, by the names of `lab.chaos.trial.TRIED`, and why.

        They are tried out, if that was not done yet.
        """
        ...

    def check_scenario(self, scenario: Scenario) -> None:
        """Raise UsageError for a scenario with a step that can't be done here."""
        ...

    def check_workers(self, scenario: Scenario, count: int, say: Say) -> None:
        """Raise UsageError where this scenario's users can't be divided among so many workers here.

        What workers need is made or fetched.
        """
        ...

    def check_rollout(self, strategy: Strategy) -> None:
        """Raise UsageError for a strategy that nobody here carries out."""
        ...

    def bring_up(
        self, order: ClusterOrder, *, is_kept: Callable[[], bool] = lambda: False
    ) -> AbstractContextManager[OpenProject]:
        """A cluster that is gone afterwards, however the block ends, unless `is_kept` says so then."""
        ...

    def attach(self, project: str, slots: tuple[Slot, ...]) -> AbstractContextManager[OpenProject]:
        """A cluster that stands; nothing is done to it by this. Raises UsageError where there is none."""
        ...

    def cluster(self, project: str) -> Cluster:
        """The replicas of a cluster alone, also where no balancer answers; none where there is no such cluster."""
        ...

    def found_again(self, project: str) -> FoundCluster | None:
        """What stands of a cluster that was kept, by what its parts say of themselves; None if nothing does."""
        ...

    def owner(self, project: str) -> Leftover | None:
        """Whose a cluster is, and whether they are gone; None where there is none of this name."""
        ...

    def is_there(self, project: str) -> bool:
        """Whether anything of a cluster of this name is left or up."""
        ...

    def events(self, project: str, report: Report, *, clock: Clock = SYSTEM_CLOCK) -> AbstractContextManager[object]:
        """Tell what happens to a cluster's containers, from whichever thread, while the block runs."""
        ...

    def log_lines(self, project: str, named: str, *, last: int, follows: bool) -> Iterator[str]:
        """The last lines that a slot's replica, a balancer, a store or a service wrote; with `follows` those that come.

        Raises UsageError, before the first line, where there is nobody of this name.
        """
        ...

    def halted(self) -> str:
        """Who has halted all strikes here, and when; "" if nobody has."""
        ...

    def halt(self, who: str) -> str:
        """No lab strikes here from now on, until `lift`; who halted them first."""
        ...

    def lift(self) -> bool:
        """Let labs strike again; False where strikes were not halted."""
        ...

    def tidy(self, project: str) -> None:
        """Remove helpers that a lab which was killed in the middle of a strike left in a cluster."""
        ...

    def state(self) -> AbstractContextManager[State]:
        """The lab's durable state, where desired states and open faults are kept."""
        ...

    def close(self) -> None:
        """Let go of what it is asked through; nothing is asked afterwards."""
        ...

    def sweep_abandoned(self, say: Say) -> None:
        """Remove what killed labs left; say what was removed, and what could not be."""
        ...

    def take_down(self, project: str) -> list[str]:
        """Remove a cluster and what was wanted of it; say what was removed. One that is not there is no error."""
        ...
