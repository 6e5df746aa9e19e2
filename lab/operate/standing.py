"""The page of a cluster that stands: what becomes of its replicas, whoever upgrades or strikes it, and from where."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from lab import record
from lab.backends.choose import connect_backend
from lab.backends.protocol import Backend, OpenProject
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.console.page import serve_record
from lab.errors import ExitCode, LabError, UsageError
from lab.machine.places import find_places
from lab.machine.projects import project_of
from lab.model import Replica, ReplicaState, Slot
from lab.operate.faults import JOURNAL
from lab.operate.recovery import desk_of
from lab.record import RunRecord, written_by
from lab.scenario.spec import ClusterSpec, Scenario, UsersSpec

Say = Callable[[str], None]
LOOK_EVERY = 0.4
"""Seconds between two looks at who is there."""
SAID_EVERY = 2
"""Seconds after which the number of those that serve is told again, though it is the same."""


def show_cluster(project: str | None, *, port: int | None, say: Say) -> int:
    """Serve the page of a cluster that stands, until Ctrl-C or the cluster is gone. Raises UsageError for none."""
    project, backend = project_of(find_places(), project), connect_backend()
    if not backend.is_there(project):
        raise UsageError("is not up", at=project, hint="lab up, or a run's name: lab ui RUN")
    with ExitStack() as stack:
        state = stack.enter_context(backend.state())
        desired = desk_of(backend, state, project, say=say).read().desired
        live = stack.enter_context(backend.attach(project, desired.slots))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / project
        written = stack.enter_context(RunRecord(folder))
        written.write("scenario.json", scenario_of_cluster(project, desired.release.name, desired.slots))
        written.write("environment.json", {**written_by(), "run": project, "seed": 0})
        look = ClusterLook(live, written.event)
        stack.enter_context(backend.events(project, written.event))
        journal = _Journal(find_places().cluster(project) / JOURNAL, written.event)
        stack.enter_context(_watching(look, journal, backend, project))
        url = "  ".join(f"http://{host}:{door}" for host, door in live.doors)
        look.begin(url)
        with serve_record(folder, f"cluster {project}", port=port, say=say) as page:
            say(f"{project}: {url}\n  page {page}     Ctrl-C ends it, and leaves the cluster")
            try:
                look.gone.wait()
                say(f"{project} is gone")
            except KeyboardInterrupt:
                say("")
    return ExitCode.HELD


def scenario_of_cluster(project: str, release: str, slots: tuple[Slot, ...]) -> Scenario:
    """What a page must know of a cluster without users."""
    return Scenario(
        lab=1,
        name="cluster",
        title=f"cluster {project}",
        steps=(),
        cluster=ClusterSpec(release=release, zones=dict(Counter(one.zone for one in slots))),
        users=UsersSpec(count=0, on_two_devices=0),
    )


class ClusterLook:
    """Tells, from look to look, what became of the replicas; whoever deploys is not asked."""

    def __init__(
        self, live: OpenProject, report: Callable[[record.AnyEvent], None], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._live, self._report, self._clock = live, report, clock
        self._seen: dict[str, tuple[Replica, str]] = {}
        """By name, each replica and the last step that was told of it."""
        self._serving, self._due = -1, 0
        self.gone = threading.Event()

    def begin(self, where: str) -> None:
        """Say that it stands."""
        text = f"a cluster that stands, at {where}"
        self._report(record.PhaseBegan(at=self._clock.now(), name="stands", text=text))

    def look(self) -> None:
        """Look once. Raises LabError where the engine or the balancer can't be asked."""
        replicas = self._live.cluster.replicas()
        held = self._live.balancer.holders({one.slot for one in replicas})
        serving = {said.replica for said in held.values() if said.is_ready}
        there = {one.name: one for one in replicas}
        for one in there.values():
            self._tell(one, _step_of(one, serving, self._seen))
        for name in [name for name in self._seen if name not in there]:
            self._tell(self._seen[name][0], "remove")
            del self._seen[name]
        by_release = Counter(one.release for one in replicas if one.name in serving)
        now = self._clock.now()
        if by_release.total() != self._serving or now >= self._due:  # again and again, so that its clock goes on
            self._serving, self._due = by_release.total(), now + SAID_EVERY * NS
            self._report(record.Serving(at=now, by_release=dict(by_release), total=self._serving))

    def _tell(self, one: Replica, step: str) -> None:
        before = self._seen.get(one.name)
        if step and (before is None or before[1] != step):
            self._seen[one.name] = (one, step)
            self._report(
                record.Step(at=self._clock.now(), action=step, slot=one.slot, replica=one.name, release=one.release)
            )


def _step_of(one: Replica, serving: set[str], seen: Mapping[str, tuple[Replica, str]]) -> str:
    """The last step that a deployer must have done; "" where nothing new can be said."""
    before = seen[one.name][1] if one.name in seen else ""
    if one.name in serving:
        return "enter"
    if one.state is ReplicaState.RUNNING and before == "enter":
        return "drain"
    return before or "create"


@contextmanager
def _watching(look: ClusterLook, journal: _Journal, backend: Backend, project: str) -> Iterator[None]:
    """Look again and again, and pass on what is struck by hand, until the block ends or the cluster is gone."""
    ending = threading.Event()

    def run() -> None:
        while not ending.wait(LOOK_EVERY):
            try:
                look.look()
                journal.pass_on()
                if not backend.is_there(project):
                    break
            except LabError:  # it is being upgraded or taken down: the next look says more
                continue
        look.gone.set()

    thread = threading.Thread(target=run, name="cluster look", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


class _Journal:
    """What is struck by hand, as it is written down; what was there before is old."""

    def __init__(self, path: Path, report: Callable[[record.AnyEvent], None]) -> None:
        self._path, self._report = path, report
        self._read = path.stat().st_size if path.exists() else 0
        self._events: msgspec.json.Decoder[record.AnyEvent] = msgspec.json.Decoder(record.AnyEvent)

    def pass_on(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read += len(whole) + len(newline)
        for event in self._events.decode_lines(whole):
            self._report(event)
