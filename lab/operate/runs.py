"""`lab run` and `lab watch`: read the scenario, make the machine ready, conduct, judge, and say how it ended."""

from __future__ import annotations

import os
import secrets
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from shlex import quote
from typing import BinaryIO, Protocol, TextIO

import msgspec

from lab.backends.choose import make_backend
from lab.backends.own_app import check_dry
from lab.backends.protocol import Backend
from lab.backends.target import Target
from lab.backends.worker_fit import check_shared_users
from lab.clock import NS, SYSTEM_CLOCK
from lab.cluster.own_images import OwnParts
from lab.collection import rare_collection
from lab.console.page import PageSpec, watched
from lab.console.reports import leave_report, report_path
from lab.console.terminal import choose_view, say_closing
from lab.errors import ExitCode, JourneyMistake, LabError, LabFault, ProvesNothing, UsageError, blame, printable
from lab.machine.halt import halted_in
from lab.machine.places import find_places
from lab.model import Value
from lab.operate.watch_checks import check_watched, opted_of, strikes_target
from lab.record import HELD_BACK, ReadRecord, RunBegan, RunEnded, RunRecord, Trouble
from lab.run.conductor import Conductor
from lab.run.controls import RunControls
from lab.run.crowds import own_user_of
from lab.run.judge import JudgedRun, judge_run
from lab.run.outside_strike import Opted
from lab.run.view import QuietView, View
from lab.run.watcher import Watcher
from lab.scenario.overrides import Overrides, read_changed
from lab.scenario.plan import plan_lines
from lab.scenario.possible import check_faults
from lab.scenario.read import find_scenario
from lab.scenario.spec import Scenario, images_of, lab_images_of
from lab.scenario.watch_options import WatchOptions, typed, watch_scenario
from lab.users.loading import MakeUser

Say = Callable[[str], None]


class RunRequest(Value):
    """What `lab run` was asked for."""

    scenarios: tuple[str, ...]
    seed: int | None = None
    port: int | None = None
    overrides: Overrides = Overrides()
    is_dry: bool = False
    pulls: bool = False
    """Pull images of an app of one's own that are missing."""
    as_json: bool = False
    """Events as JSON Lines on standard output, and nothing else there."""
    page: PageSpec | None = None
    """A live page beside the run."""
    watch: WatchOptions | None = None
    """A deployment to watch of which no file tells."""
    may_strike: bool = False
    """Strike what the owner of a target offers by a label."""
    only_targets: bool = False
    """Refuse a scenario that makes a cluster of its own."""
    workers: int = 0
    """Among so many the users are divided; 0: they are in this process."""


class ChosenRun(Value):
    """A scenario that is about to run, and how a person would ask for it again."""

    scenario: Scenario
    seed: int
    repeat: str = ""
    """`lab repeat` with the run's own name if not given."""
    workers: int = 0
    holds_back_cause: bool = False
    """Whether somebody is to find out by themselves why it broke."""


class Conducts(Protocol):
    """Whatever does a scenario to its end and records it."""

    def run(self) -> None: ...


MakeConductor = Callable[[RunRecord, View, str, RunControls | None], Conducts]
"""From the record, who looks on, how the run is repeated, and through what a person acts on it."""


BADNESS = (
    ExitCode.HELD,
    ExitCode.ROLLED_BACK,
    ExitCode.TOO_LITTLE_CHECKED,
    ExitCode.COULD_NOT_TELL,
    ExitCode.USAGE,
    ExitCode.BROKEN,
)
"""Exit codes from best to worst: that of several runs is the worst of theirs."""


def worst_of(codes: Iterable[int]) -> ExitCode:
    """The exit code of several runs."""
    return max((ExitCode(code) for code in codes), key=BADNESS.index, default=ExitCode.HELD)


def run_scenarios(spec: RunRequest, say: Say) -> int:
    """Run scenarios one after another; the worst exit code. Nothing is started before all have been read whole.

    An engine is needed only where one of them has a cluster.
    """
    notice = _say_on(sys.stderr)
    read = [(named, read_changed(find_scenario(named), spec.overrides, notice=notice)) for named in spec.scenarios]
    if spec.watch is not None:
        read.append((typed(spec.watch), watch_scenario(spec.watch, spec.overrides.changes, notice=notice)))
    for named, scenario in read:
        _check_request(spec, named, scenario)
    if spec.is_dry:
        for _, scenario in read:
            check_dry(scenario, say, partial(_say_plan, scenario, spec, say))
        return ExitCode.HELD
    out = sys.stderr if spec.as_json else sys.stdout
    say = _say_on(out) if spec.as_json else say
    for _, scenario in read:
        if scenario.target is not None:
            check_watched(scenario.target)
    backend = _backend_for([scenario for _, scenario in read if scenario.target is None], spec, say)
    with nullcontext() if backend is None else closing(backend):
        return worst_of(_codes(read, backend, spec, say, out))


def _codes(
    read: Iterable[tuple[str, Scenario]], backend: Backend | None, spec: RunRequest, say: Say, out: TextIO
) -> Iterator[int]:
    """Run them, one after another; each one's exit code."""
    for named, scenario in read:
        seed = next(one for one in (spec.seed, scenario.seed, secrets.randbelow(10**6)) if one is not None)
        heard = _heard_on(sys.stdout.buffer) if spec.as_json else _unheard
        chosen = ChosenRun(scenario=scenario, seed=seed, workers=spec.workers)
        if backend is not None and scenario.target is None:
            judged, _ = run_one(chosen, backend, say=say, port=spec.port, out=out, heard=heard, page=spec.page)
        else:
            chosen = msgspec.structs.replace(chosen, repeat=_repeat(named, spec, seed))
            halted, runs = partial(halted_in, find_places().own), find_places().runs
            with opted_of(scenario) as opted:
                judged, _ = watch_one(
                    chosen, runs, say=say, out=out, heard=heard, page=spec.page, halted=halted, opted=opted
                )
        yield judged.judgement.exit_code


def _say_plan(scenario: Scenario, spec: RunRequest, say: Say, own: OwnParts | None) -> None:
    seed = spec.seed if spec.seed is not None else scenario.seed
    for line in plan_lines(scenario, seed=seed, runs=find_places().runs, own=own):
        say(line)


def _repeat(named: str, spec: RunRequest, seed: int) -> str:
    """How a person watches the same again."""
    if spec.watch is None:
        return f"lab watch {quote(named)} --seed {seed}"
    head, dashes, command = named.partition(" -- ")
    return f"{head} --seed {seed}{dashes}{command}"


def _check_request(spec: RunRequest, named: str, scenario: Scenario) -> None:
    """Raise UsageError for what can't be asked of this scenario, and for a journey that can't be loaded."""
    own_user_of(scenario.users)
    if scenario.target is None:
        if spec.workers:
            check_shared_users(scenario, spec.workers)
        if spec.only_targets:
            raise UsageError("has no target to watch", at=named, hint=f"lab run {named}")
        return
    if not spec.may_strike and not spec.is_dry and strikes_target(scenario):
        raise UsageError("the scenario strikes somebody else's deployment", at=named, hint="lab watch --strike")
    if spec.page is not None and spec.page.control:
        raise UsageError("the page can't act on somebody else's deployment", at="--control", hint="--ui")
    if spec.workers:
        raise UsageError("workers have users of the lab's own clusters alone", at="--workers", hint="leave it out")
    if spec.port is not None:
        raise UsageError("the lab opens no port for a target", at="--port", hint="leave --port out")


def _backend_for(scenarios: Sequence[Scenario], spec: RunRequest, say: Say) -> Backend | None:
    """Where these can be brought up, checked and swept; None where there is nothing to bring up."""
    if not scenarios:
        return None
    backend = make_backend(say, [image for scenario in scenarios for image in lab_images_of(scenario)])
    for scenario in scenarios:
        backend.check_scenario(scenario)
        if spec.workers:
            backend.check_workers(scenario, spec.workers, say)
        backend.check(scenario.cluster, images_of(scenario), say, pulls=spec.pulls)
        check_faults(scenario, backend.cannot)
    backend.sweep_abandoned(say)
    return backend


def run_one(
    chosen: ChosenRun,
    backend: Backend,
    *,
    say: Say,
    port: int | None = None,
    out: TextIO = sys.stdout,
    heard: Callable[[bytes], None] = lambda _: None,
    page: PageSpec | None = None,
    is_shown: bool = True,
) -> tuple[JudgedRun, Path]:
    """Run one scenario, judge it from its record, tell how it ended; the record's folder beside the verdict."""

    def conductor(run_record: RunRecord, view: View, repeat: str, hands: RunControls | None) -> Conductor:
        return Conductor(
            chosen.scenario,
            chosen.seed,
            backend,
            run_record,
            view,
            port=port,
            repeat=repeat,
            hands=hands,
            workers=chosen.workers,
        )

    return _tell_run(chosen, backend.runs, conductor, say=say, out=out, heard=heard, page=page, is_shown=is_shown)


def watch_one(
    chosen: ChosenRun,
    runs: Path,
    *,
    say: Say,
    out: TextIO = sys.stdout,
    heard: Callable[[bytes], None] = lambda _: None,
    page: PageSpec | None = None,
    halted: Callable[[], str] = lambda: "",
    own_user: MakeUser | None = None,
    opted: Opted | None = None,
    is_shown: bool = True,
) -> tuple[JudgedRun, Path]:
    """The same of one that watches a target, whose doors have answered; its record is made in `runs`.

    `own_user` makes the users in place of the scenario's journey. `opted` are those that may be struck.
    """
    spec = chosen.scenario.target
    if spec is None:
        raise UsageError("has no target to watch", at=chosen.scenario.name, hint="lab run")
    target = Target(spec)

    def watcher(run_record: RunRecord, view: View, repeat: str, _: RunControls | None) -> Watcher:
        return Watcher(
            chosen.scenario,
            chosen.seed,
            target,
            run_record,
            view,
            repeat=repeat,
            halted=halted,
            own_user=own_user,
            opted=opted,
        )

    return _tell_run(chosen, runs, watcher, say=say, out=out, heard=heard, page=page, is_shown=is_shown)


def _tell_run(
    chosen: ChosenRun,
    runs: Path,
    make: MakeConductor,
    *,
    say: Say,
    out: TextIO,
    heard: Callable[[bytes], None],
    page: PageSpec | None,
    is_shown: bool,
) -> tuple[JudgedRun, Path]:
    scenario, seed = chosen.scenario, chosen.seed
    folder = new_run(runs)
    repeat = chosen.repeat or f"lab repeat {folder.name}"
    began = SYSTEM_CLOCK.now()
    view = choose_view(scenario.title, out) if is_shown else QuietView()
    say(f"{printable(scenario.title, keep='')}\n  run {folder.name}, seed {seed}")
    shown_on = watched(folder, scenario.title, images_of(scenario), page, say)
    with shown_on as shown, RunRecord(folder, heard=heard) as run_record:
        if chosen.holds_back_cause:
            run_record.write(HELD_BACK, {"why": "somebody is still to name the cause"})
        run_record.event(RunBegan(at=began, run=folder.name, scenario=scenario.name, title=scenario.title, seed=seed))
        conductor = make(run_record, view, repeat, shown.hands)
        with troubles_recorded(run_record), view, rare_collection():
            conductor.run()
        judged = judge_and_write(run_record)
        seconds = (SYSTEM_CLOCK.now() - began) / NS
        closing = judged.closing(seconds=seconds, report=report_path(folder), repeat=repeat)
        if is_shown:
            leave_report(folder, judged, closing, say=say)
        shown.tell(judged, closing)
    say_closing(closing, out if is_shown else None, say=say)
    return judged, folder


def new_run(runs: Path) -> Path:
    """The folder of a new run, which is not there yet."""
    return runs / f"{SYSTEM_CLOCK.wall():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@contextmanager
def troubles_recorded(run_record: RunRecord) -> Iterator[None]:
    """Whatever ends a run early goes into its record; what was seen until then is judged all the same."""
    try:
        yield
    except LabError as exc:
        run_record.event(
            Trouble(
                at=SYSTEM_CLOCK.now(),
                what=str(exc),
                is_mistake=isinstance(exc, JourneyMistake),
                proves_nothing=isinstance(exc, ProvesNothing),
            )
        )
    except SystemExit as exc:  # a journey's or a script's: its code is no verdict
        what, at = blame(exc)
        run_record.event(Trouble(at=SYSTEM_CLOCK.now(), what=f"{at}: {what}"))
    except Exception as exc:  # noqa: BLE001 -- the lab's own fault
        what = f"internal error: {type(exc).__name__}: {exc}"
        (run_record.folder / "fault.txt").write_text(traceback.format_exc())
        run_record.event(Trouble(at=SYSTEM_CLOCK.now(), what=what))


def judge_and_write(run_record: RunRecord) -> JudgedRun:
    """Judge a run that is over by its record, and make the verdict part of it."""
    ended = SYSTEM_CLOCK.now()
    run_record.flush()
    judged = judge_run(ReadRecord(run_record.folder), is_over=True)
    judgement = judged.judgement
    run_record.event(
        RunEnded(
            at=ended,
            verdict=judgement.verdict,
            exit_code=int(judgement.exit_code),
            reasons=judgement.reasons,
            operations=run_record.operations,
            history=run_record.history,
        )
    )
    run_record.write("verdict.json", judgement)  # last: whoever sees it finds a record that has its end
    return judged


def _heard_on(out: BinaryIO) -> Callable[[bytes], None]:
    """Tells `out` each line. Raises LabFault where its output is closed, once, so that the run ends in order."""

    def heard(line: bytes) -> None:
        try:
            out.write(line)
            out.flush()
        except OSError as exc:
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
            raise LabFault(f"output closed: {exc.strerror}", hint="lab run --json ... >FILE") from exc

    return heard


def _unheard(_: bytes) -> None:
    pass


def unsaid(_: str) -> None:
    """For whoever is told nothing."""


def _say_on(out: TextIO) -> Say:
    def say(line: str) -> None:
        out.write(f"{line}\n")
        out.flush()

    return say
