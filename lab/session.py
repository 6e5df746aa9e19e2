"""A cluster that stands while a test tells it, step by step, what to do: each of its runs is recorded and judged."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from lab.backends.choose import backend_on
from lab.backends.protocol import Backend, OpenProject
from lab.clock import NS, SYSTEM_CLOCK
from lab.cluster.own_files import files_of, read_compose
from lab.console.page import PageSpec, watched
from lab.console.reports import short
from lab.deploy.rollout import Ending, Rolling
from lab.errors import LabFault, NothingTold, ScenarioError, StateLost, UsageError
from lab.machine.places import find_places
from lab.machine.projects import kept_identity, run_identity
from lab.machine.setup import make_ready
from lab.model import Value, Verdict
from lab.operate.runs import judge_and_write, unsaid
from lab.oracle.telling import story
from lab.oracle.verdict import Enough, Evidence
from lab.record import RunRecord, Trouble
from lab.retry import wait_until
from lab.run.conductor import Conductor
from lab.run.judge import JudgedRun
from lab.run.steps import Stage
from lab.run.view import QuietView
from lab.scenario.check import check_cluster, check_scenario, check_settings
from lab.scenario.spec import ClusterSpec, Promises, Scenario, StepSpec, UsersSpec
from lab.users.own import UserJourney

FRESH_WITHIN = 120.0
TIME_LIMIT = 600.0
"""Seconds that one run may take."""
OPERATIONS_PER_USER = 5
"""What each user must have done at least for a run to tell anything, and how often its state was compared."""

USUAL_ZONES = 3
"""Zones of a test's cluster, where it has so many replicas."""

MARKER = "marker lab"
"""Where its arguments stand, for whoever wrote them."""
_SECONDS = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|)")
_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: float | str) -> float:
    """Seconds from a number or "15s", "500ms", "2m". Raises UsageError."""
    if isinstance(text, int | float):
        return float(text)
    found = _SECONDS.fullmatch(text.strip())
    if found is None:
        raise UsageError("is not a duration", at=repr(text), hint='"15s", "500ms", "2m", or a number of seconds')
    return float(found["number"]) * _UNITS[found["unit"]]


class RollResult(Value):
    """How an upgrade ended."""

    ending: str
    why: str

    @property
    def rolled_back(self) -> bool:
        """Whether the old release serves again because the new one failed or was judged worse."""
        return self.ending == Ending.ROLLED_BACK


class RunResult(Value):
    """How one run ended, for whoever tells of it."""

    run: str
    folder: str
    project: str
    seed: int
    verdict: str
    lines: tuple[str, ...]
    """The three closing lines."""


class ClusterSession:
    """A cluster of which every slot serves, from `with` to its end.

    Runs on it come one after another. Its own record holds what happens before, between and after them.
    """

    def __init__(
        self,
        cluster: ClusterSpec,
        backend: Backend,
        *,
        project: str,
        seed: int,
        runs: Path,
        keeps: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """`keeps`: whether it may be left in the end, for `lab down -p PROJECT` to remove.

        With `say` each run has a live page, of which it tells the address.
        """
        self.spec, self.backend, self.project, self.seed = cluster, backend, project, seed
        self._runs, self._keeps, self._say = runs, keeps, say
        self.is_kept = False
        """Set before the end: leave it."""
        self.results: list[RunResult] = []
        self._users = 0
        self._stack = ExitStack()
        self._live: OpenProject | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._record = stack.enter_context(RunRecord(self._runs / self._stem))
            self._empty = self.scenario("standing", "a cluster for tests", UsersSpec())
            self._conductor = Conductor(self._empty, self.seed, self.backend, self._record, QuietView())
            identity = kept_identity(self.project) if self._keeps else run_identity(self._stem)
            up = self._conductor.cluster(identity, is_kept=lambda: self._keeps and self.is_kept)
            self._live = stack.enter_context(up)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, value, trace)

    @property
    def _stem(self) -> str:
        return self.project.removeprefix("lab-")

    @property
    def live(self) -> OpenProject:
        """The cluster. Raises LabFault while it is not up."""
        if self._live is None:
            raise LabFault("the cluster is not up")
        return self._live

    def scenario(self, name: str, title: str, users: UsersSpec, steps: tuple[StepSpec, ...] = ()) -> Scenario:
        """A scenario on this cluster with these steps."""
        return Scenario(
            lab=1,
            name=name,
            title=title,
            cluster=self.spec,
            users=users,
            steps=steps,
            seed=self.seed,
            time_limit=TIME_LIMIT,
        )

    def freshen(self) -> None:
        """Go back to the release that the cluster began with, where an earlier run left another one."""
        desk = self._conductor.desk
        first = self.backend.release(self.spec.release)
        wait_until(
            "the cluster reaches its desired state", desk.is_settled, within=FRESH_WITHIN, next_step="lab status"
        )
        if desk.read().desired.release != first:
            desk.roll(first, Rolling(batch=len(self.spec.slots)), id=f"back-{len(self.results)}", by="the next test")
            wait_until("the first release serves", desk.is_settled, within=FRESH_WITHIN, next_step="lab status")

    @contextmanager
    def traffic(
        self,
        journey: type[UserJourney] | None,
        title: str,
        *,
        users: UsersSpec,
        promises: Promises,
        enough: Enough | None = None,
        repeat: str = "",
    ) -> Iterator[Traffic]:
        """Logged-in users of a run of its own while the block runs; then everybody reads back, and it is judged.

        Raises StateLost where a promise was broken, and NothingTold where nothing can be told.
        """
        name = re.sub(r"\W+", "-", title).strip("-")[-60:]
        scenario = msgspec.structs.replace(self.scenario(name, title, users), promises=promises)
        check_scenario(scenario, _place)
        began, folder = SYSTEM_CLOCK.now(), self._runs / f"{self._stem}-run{len(self.results) + 1}"
        page = PageSpec() if self._say is not None else None
        shown_on = watched(folder, title, [self.spec.release], page, self._say or unsaid)
        with shown_on as shown, RunRecord(folder) as run_record:
            first, self._users = self._users + 1, self._users + users.count
            view = QuietView()
            self._conductor.begin(scenario, self.seed, run_record, view, own_user=journey, first_user=first)
            traffic = Traffic(self, scenario, self._conductor, enough)
            try:
                self._conductor.write_scenario(scenario)
                with self._conductor.users(self.live) as stage:
                    traffic.enter(stage)
                    yield traffic
            except BaseException as exc:
                what = f"the test ended it: {type(exc).__name__}: {exc}"
                run_record.event(Trouble(at=SYSTEM_CLOCK.now(), what=what))
                raise
            finally:
                self._conductor.begin(self._empty, self.seed, self._record, QuietView())
                run_record.write("scenario.json", traffic.scenario)
                judged = traffic.judged = judge_and_write(run_record)
                lines = judged.closing(seconds=(SYSTEM_CLOCK.now() - began) / NS, report=short(folder), repeat=repeat)
                self._note(folder, judged, lines)
                shown.tell(judged, lines)
        raise_for(judged, lines)

    def _note(self, folder: Path, judged: JudgedRun, lines: tuple[str, ...]) -> None:
        self.results.append(
            RunResult(
                run=folder.name,
                folder=str(folder),
                project=self.project,
                seed=self.seed,
                verdict=judged.judgement.verdict,
                lines=lines,
            )
        )


def raise_for(judged: JudgedRun, lines: Sequence[str]) -> None:
    """Raise what a test must not pass over: with the finding's own words, and the first story."""
    judgement = judged.judgement
    if judgement.verdict is Verdict.BROKEN:
        told = story(judgement.findings[0], began=judged.began) if judgement.findings else []
        raise StateLost("\n".join([*lines, *told]))
    if judgement.verdict is Verdict.COULD_NOT_TELL:
        raise NothingTold("\n".join(lines))


class Traffic:
    """What a test may ask of its run, and the steps that it may tell it while the users are there."""

    def __init__(
        self, standing: ClusterSession, scenario: Scenario, conductor: Conductor, enough: Enough | None
    ) -> None:
        self._standing, self._conductor, self._enough = standing, conductor, enough
        self._begun = scenario
        self._steps: list[StepSpec] = []
        self._strikes = 0
        self._has_rolled = False
        self._stage: Stage | None = None
        self.judged: JudgedRun | None = None
        """Set when the block has ended."""

    def enter(self, stage: Stage) -> None:
        """The users are there."""
        self._stage = stage

    @property
    def scenario(self) -> Scenario:
        """What was asked for until now, as a scenario of which the run is the record."""
        users = self._begun.users.count
        enough = self._enough or Enough(
            operations=OPERATIONS_PER_USER * users,
            checks=OPERATIONS_PER_USER * users,
            strikes_that_hit=self._strikes,
            users_served_by_new=users if self._has_rolled else 0,
        )
        return msgspec.structs.replace(self._begun, steps=tuple(self._steps), enough=enough)

    # what a test may ask

    @property
    def kept(self) -> int:
        """Users of whom no promise was broken: until now, or in all. None where no user of an app of your own was ever
        shown a change that could have been lost."""
        ended = self.judged
        oracle = self._conductor.oracle
        if oracle.why_nothing if ended is None else ended.judgement.evidence.why_nothing:
            return 0
        hurt = len(self._conductor.oracle.users_hurt) if ended is None else ended.judgement.evidence.users_hurt
        return self._begun.users.count - hurt

    @property
    def most_tries(self) -> int:
        """The most tries that any operation needed; known when the block has ended."""
        return self._evidence.first_tries.most_tries

    @property
    def operations(self) -> int:
        """How much the users did; known when the block has ended."""
        return self._evidence.operations

    @property
    def strikes_that_hit(self) -> int:
        """Strikes whose victim was serving; known when the block has ended."""
        return self._evidence.strikes_that_hit

    @property
    def _evidence(self) -> Evidence:
        if self.judged is None:
            raise UsageError("is known after the `with` block has ended", at="lab.traffic", hint="ask after it")
        return self.judged.judgement.evidence

    # steps

    def roll(self, image: str, **settings: Any) -> RollResult:
        """Upgrade, and return when it is over; raises ScenarioError for settings that make no sense."""
        spec = self._spec("roll", {"to": image, **settings})
        self._standing.backend.provide([image], unsaid)
        self._has_rolled = True
        self._conductor.do(spec, self._open())
        rollout = self._conductor.desk.read().desired.rollout
        return (
            RollResult(ending=str(rollout.ending or ""), why=rollout.why) if rollout else RollResult(ending="", why="")
        )

    def wait(self, length: float | str) -> None:
        """Let the users act for so long; returns when every slot serves."""
        self._conductor.do(self._spec("settle", {"for": seconds(length)}), self._open())

    def strike(self, told: Mapping[str, Any], lasts: float | str) -> None:
        """One fault of the table; returns when it is undone and every slot serves."""
        self._break("strike", told, lasts)

    def lose_zone(self, told: Mapping[str, Any], lasts: float | str) -> None:
        """A whole zone; returns when it is back and every slot serves."""
        self._break("lose_zone", told, lasts)

    def _break(self, name: str, told: Mapping[str, Any], lasts: float | str) -> None:
        spec = self._spec(name, {**told, "for": seconds(lasts)})
        self._strikes += 1
        self._conductor.do(spec, self._open())

    @contextmanager
    def monkey(self, **settings: Any) -> Iterator[None]:
        """Replicas that serve are killed at random while the block runs."""
        spec = self._spec("monkey", settings)
        self._strikes += spec.monkey.at_least if spec.monkey is not None else 0
        with self._conductor.doing(spec, self._open()) as step:
            yield
            step.is_over()  # raises what ended the monkey, if anything did

    def _spec(self, name: str, told: Mapping[str, Any]) -> StepSpec:
        """A step as the scenario file would have it, checked, and from here on part of what the run is judged by."""
        try:
            spec = msgspec.convert({name: told}, StepSpec)
        except msgspec.ValidationError as exc:
            raise ScenarioError(str(exc).replace("$.", ""), at=f"lab.{name}", hint="lab reference") from exc
        check_scenario(msgspec.structs.replace(self.scenario, steps=(*self._steps, spec)), _place)
        self._steps.append(spec)
        return spec

    def _open(self) -> Stage:
        if self._stage is None or self.judged is not None:
            raise UsageError("there are no users", at="lab", hint="with lab.traffic(...): ...")
        return self._stage


def _place(key: str) -> str:
    return f"the test's run: {key}"


def stand(
    asked: Mapping[str, Any],
    *,
    project: str,
    seed: int,
    runs: str,
    keeps: bool,
    say: Callable[[str], None],
    has_page: bool = False,
) -> ClusterSession:
    """A cluster as a test's marker asks for it, not up yet; the machine is made ready, and what killed labs left goes.

    Raises UsageError for what makes no sense.
    """
    places = find_places()
    toolbox = make_ready(places, say)
    spec = cluster_of(asked, lambda file: read_compose(toolbox.compose, files_of([file])).config)
    backend = backend_on(toolbox)
    backend.check(spec, [spec.release], say)
    backend.provide([spec.release], say)
    backend.sweep_abandoned(say)
    return ClusterSession(
        spec,
        backend,
        project=project,
        seed=seed,
        runs=Path(runs).resolve() if runs else places.runs,
        keeps=keeps,
        say=say if has_page else None,
    )


def cluster_of(asked: Mapping[str, Any], read: Callable[[Path], Mapping[str, Any]]) -> ClusterSpec:
    """The cluster that a marker asks for: pure but for `read`, which says what Compose makes of a file."""
    unknown = sorted(asked.keys() - {"compose", "service", "image", "port", "ready", "replicas", "zones"})
    if unknown:
        raise UsageError(f"there is no {unknown[0]!r} here", at=MARKER, hint="pytest --markers")
    told = {key: asked[key] for key in ("compose", "service", "port", "ready") if asked.get(key) is not None}
    told |= {"zones": _zones(asked.get("zones"), asked.get("replicas")), "release": asked.get("image") or "shop:v1"}
    if "compose" in told and asked.get("image") is None:
        service = (read(Path(told["compose"])).get("services") or {}).get(told.get("service"), {})
        if not service.get("image"):
            raise UsageError("no image given, and the service names none", at=MARKER, hint='image="web:dev"')
        told["release"] = service["image"]
    try:
        spec = msgspec.convert(told, ClusterSpec)
    except msgspec.ValidationError as exc:
        raise _misfit(exc, MARKER) from exc
    check_cluster(spec, lambda key: f"{MARKER}: {'image' if key == 'release' else key}".removesuffix(": "))
    return spec


def _zones(zones: object, replicas: object) -> dict[str, int]:
    """Replicas by zone: as they are specified, or so many spread over so many zones called a, b, c."""
    if isinstance(zones, Mapping):
        for zone, count in zones.items():
            if not isinstance(zone, str) or not isinstance(count, int) or isinstance(count, bool):
                at = f"{MARKER}: zones"
                raise UsageError(
                    f"{zone!r}: {count!r} is not a name and a number", at=at, hint="zones={'a': 2, 'b': 1}"
                )
        if replicas is not None:
            what = "zones names the replicas of each zone, so replicas can't be given beside it"
            raise UsageError(what, at=f"{MARKER}: replicas", hint="leave replicas out")
        return dict(zones)
    if zones is None:
        zones = min(replicas, USUAL_ZONES) if isinstance(replicas, int) and replicas > 0 else USUAL_ZONES
    count = 2 * zones if replicas is None and isinstance(zones, int) else replicas
    if not isinstance(zones, int) or not isinstance(count, int) or not 1 <= zones <= min(count, 26):
        raise UsageError(f"zones={zones!r}, replicas={replicas!r}", at=MARKER, hint="zones=3, replicas=6")
    return {chr(ord("a") + place): (count - place + zones - 1) // zones for place in range(zones)}


def _misfit(exc: msgspec.ValidationError, at: str) -> UsageError:
    """What msgspec says of an argument, with the name that the argument has for whoever wrote it."""
    what, _, key = str(exc).partition(" - at ")
    named = key.strip("`").removeprefix("$").lstrip(".")
    hint = "pytest --markers" if at == MARKER else "lab reference"
    return UsageError(what, at=f"{at}: {named}" if named else at, hint=hint)


def traffic_of(
    standing: ClusterSession,
    journey: type[UserJourney] | None,
    test: str,
    users: Mapping[str, Any],
    promises: Mapping[str, Any] | None,
    enough: Mapping[str, Any] | None,
    repeat: str,
) -> AbstractContextManager[Traffic]:
    """Traffic as a test asks for it. Raises UsageError for what makes no sense."""
    named = None if journey is None else f"{inspect.getfile(journey)}:{journey.__name__}"
    try:
        spec = msgspec.convert({**users, "journey": named}, UsersSpec)
        if named is None and spec.on_two_devices is None:
            spec = msgspec.structs.replace(spec, on_two_devices=spec.count // 3)
        promised = msgspec.convert(promises or {}, Promises)
        wanted = None if enough is None else msgspec.convert(enough, Enough)
    except msgspec.ValidationError as exc:
        raise _misfit(exc, "lab.traffic") from exc
    for part in (spec, promised, wanted):
        if part is not None:
            check_settings(part, lambda key: f"lab.traffic: {key}")
    return standing.traffic(journey, test, users=spec, promises=promised, enough=wanted, repeat=repeat)
