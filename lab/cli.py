"""The command line: parse, call, print. Nothing heavy is imported before the verb that needs it is known."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, TypeAlias

from lab.errors import ExitCode, Interrupted, LabError, UsageError

_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

SCENARIOS = (
    "demo, demo-broken, rolling, canary, red-black, scale, deployer-death, pinned, zone-loss, edge-loss, store-loss,"
    " monkey, month-of-monkey, soak, or a YAML file"
)
EXIT_CODES = """\
exit codes:
  0    every promise held, and enough was checked
  1    a promise was broken
  2    the command line, a file or this machine is not fit; nothing was started
  3    the new release was given up and rolled back, users unharmed
  4    could not tell: engine, image, disk, time limit or a fault of the lab
  5    could not tell: too little was checked to say anything
  130  interrupted by Ctrl-C, after cleaning up (143: by SIGTERM)
"""

LARGEST_PORT = 65535
REPORTS = {
    "html": "one file that opens from disk, with a slider (report.html)",
    "markdown": "for a ticket or a CI's summary (report.md)",
    "junit": "a case for each promise (junit.xml)",
    "json": "all of it for programs (report.json)",
    "chaostoolkit": "a Chaos Toolkit journal (journal.json)",
}


def run_command_line(argv: Sequence[str]) -> int:
    """Do what the command line says and return the exit code; whatever is wrong is told without a traceback."""
    parser = build_parser()
    asked = parser.parse_args(argv)
    if not hasattr(asked, "verb"):
        parser.print_help()
        return ExitCode.USAGE
    if asked.color == "never":
        os.environ["NO_COLOR"] = "1"
    with _stoppable():
        try:
            verb: Callable[[argparse.Namespace], int] = asked.verb
            return int(verb(asked))
        except Interrupted as exc:
            print(f"lab: {exc}", file=sys.stderr)
            return exc.exit_code
        except LabError as exc:
            if asked.verbose:
                traceback.print_exc()
            print(f"lab: {exc}", file=sys.stderr)
            return exc.exit_code
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.COULD_NOT_TELL
        except Exception as exc:  # noqa: BLE001
            # A fault of the lab is never "a promise was broken": Python's own exit code for it would say just that.
            if asked.verbose:
                traceback.print_exc()
            fault = f"{type(exc).__name__}: {exc}"
            print(f"lab: a fault of the lab itself: {fault}\n  try: lab -v ...   # shows where", file=sys.stderr)
            return ExitCode.COULD_NOT_TELL


class _Parser(argparse.ArgumentParser):
    """A parser whose options may be given by the environment. Its verbs, and their acts, are such parsers too.

    Each takes its own when it is chosen: what stands there for one verb may be nonsense for another.
    """

    # The types are those of the base class, which are not to be named.
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Ends the process, as for any option, where the environment holds a value that is none."""
        _take_defaults(self, os.environ)
        return super().parse_known_args(args, namespace)


def build_parser() -> argparse.ArgumentParser:
    """All verbs and options."""
    parser: argparse.ArgumentParser = _Parser(
        prog="lab",
        description="Do logged-in users keep their state through upgrades and kills? Proved on real containers.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show the traceback of an error")
    parser.add_argument("--color", choices=("auto", "never"), default="auto", help="NO_COLOR is honoured too")
    verbs = parser.add_subparsers(metavar="VERB")

    setup = verbs.add_parser("setup", help="make this machine ready: engine, Compose, images")
    setup.set_defaults(verb=_setup)

    doctor = verbs.add_parser("doctor", help="what this machine has, and the command that mends what is missing")
    doctor.set_defaults(verb=_doctor)

    init = verbs.add_parser("init", help="write lab.yaml and journey.py for an app of your own, from its compose file")
    init.add_argument(
        "--compose", action="append", default=[], metavar="FILE", help="a compose file (default: those that are here)"
    )
    init.add_argument("--service", help="which of its services is the app (default: as the file says)")
    init.set_defaults(verb=_init)

    _add_run_verb(verbs)
    _add_record_verbs(verbs)
    _add_cluster_verbs(verbs)
    _add_rollout_verbs(verbs)
    _add_breaking_verbs(verbs)
    _add_kit_verbs(verbs)
    _add_lesson_verbs(verbs)

    clean = verbs.add_parser("clean", help="remove what killed labs left behind, by their labels alone")
    clean.add_argument("--all", action="store_true", help="also clusters in use, and the lab's images")
    clean.add_argument("-y", "--yes", action="store_true", help="don't ask")
    clean.set_defaults(verb=_clean)
    return parser


def _add_run_verb(verbs: _Verbs) -> None:
    run = verbs.add_parser("run", help="run a scenario and say whether every user kept their state")
    run.add_argument(
        "scenario",
        nargs="+",
        help=f"{SCENARIOS}; several run one after another, and the exit code is the worst of theirs: 1, 2, 4, 5, 3, 0",
    )
    run.add_argument("--seed", type=int, help="repeat the same schedule; a fresh one is drawn and printed otherwise")
    run.add_argument("--users", type=int, metavar="N", help="so many users; what is enough follows in proportion")
    run.add_argument("--think", type=float, metavar="S", help="mean seconds between two actions of a device; likewise")
    run.add_argument("--duration", type=float, metavar="S", help="seconds that each `repeat` step goes on (soak)")
    run.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any key of the scenario: users.tries=2"
    )
    run.add_argument("--dry-run", action="store_true", help="print the plan and what could be touched; touch nothing")
    run.add_argument("--pull", action="store_true", help="pull images of your own compose file that are missing")
    run.add_argument("--json", action="store_true", help="the run's events as JSON Lines, and nothing else on stdout")
    _add_page(run)
    run.add_argument("--control", action="store_true", help="the page may kill, freeze, roll and reverse, too")
    run.set_defaults(verb=_run)


def _port(text: str) -> int:
    """A port's number; 0: a free one."""
    if not text.isdecimal() or int(text) > LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port from 0 to {LARGEST_PORT}")
    return int(text)


def _add_page(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--port", type=_port, help="the users' port on 127.0.0.1 (default: a free one)")
    verb.add_argument("--ui", action="store_true", help="serve a live page of the run on 127.0.0.1")
    verb.add_argument("--ui-port", type=_port, metavar="PORT", help="where (default: a free port)")


def _add_record_verbs(verbs: _Verbs) -> None:
    ui = verbs.add_parser("ui", help="a run's page on 127.0.0.1, until Ctrl-C: one that goes on, or a recorded one")
    ui.add_argument("run", nargs="?", help="a folder, or the name of a run in runs/ (default: the newest)")
    ui.add_argument("--port", type=_port, help="where (default: a free port)")
    ui.set_defaults(verb=_ui)

    check = verbs.add_parser("check", help="judge a recorded run again, from its record alone")
    check.add_argument("run", help="a folder, or the name of a run in runs/")
    check.add_argument("--json", action="store_true", help="the whole verdict as JSON, and nothing else on stdout")
    check.set_defaults(verb=_check)

    report = verbs.add_parser(
        "report", help="a recorded run as a report, from its record alone; HTML if nothing is asked"
    )
    report.add_argument("run", help="a folder, or the name of a run in runs/")
    for name, about in REPORTS.items():
        report.add_argument(f"--{name}", action="append_const", dest="formats", const=name, help=about)
    report.add_argument("-o", "--out", metavar="DIR", help="where to (default: into the run's own folder)")
    report.set_defaults(verb=_report)

    runs = verbs.add_parser("runs", help="the recorded runs and how they ended")
    runs.set_defaults(verb=_runs)


def options_of(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """A parser's options by the variables that set them: `--dry-run` is LAB_DRY_RUN."""
    found = {}
    for action in parser._actions:
        long = [one for one in action.option_strings if one.startswith("--") and one != "--help"]
        if long:
            found["LAB_" + long[0].removeprefix("--").replace("-", "_").upper()] = action
    return found


def abouts_of(parser: argparse.ArgumentParser, before: str = "") -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """What each verb, and each act of one ("lesson check"), is said to do, and its parser."""
    found: dict[str, tuple[str, argparse.ArgumentParser]] = {}
    for verbs in (one for one in parser._actions if isinstance(one, argparse._SubParsersAction)):
        for one in verbs._choices_actions:
            name = f"{before}{one.dest}"
            found[name] = (one.help or "", verbs.choices[one.dest])
            found |= abouts_of(verbs.choices[one.dest], f"{name} ")
    return found


def _take_defaults(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """Let LAB_<OPTION> take the place of an option that is not given. Ends the process where a value is none.

    A flag is set by 1, true or yes; LAB_SET holds several, apart by spaces, as a shell reads them.
    """
    taken: dict[str, Any] = {}
    for name, action in options_of(parser).items():
        if not environment.get(name):
            continue
        try:
            value = _value_from(parser, action, environment[name])
        except (ValueError, argparse.ArgumentError) as exc:
            parser.error(f"{name}={environment[name]}: {getattr(exc, 'message', None) or exc}")
        if not isinstance(action, argparse._AppendConstAction):
            taken[action.dest] = value
        elif value:
            taken[action.dest] = [*taken.get(action.dest, ()), action.const]  # several flags fill one list
    parser.set_defaults(**taken)


def _value_from(parser: argparse.ArgumentParser, action: argparse.Action, text: str) -> object:
    if action.nargs == 0:
        if text.lower() not in {"0", "1", "true", "false", "yes", "no"}:
            raise ValueError("is neither 1 nor 0")
        return text.lower() in {"1", "true", "yes"}
    words = shlex.split(text) if isinstance(action.default, list) else [text]
    values = [parser._get_value(action, word) for word in words]
    for value in values:
        parser._check_value(action, value)
    return values if isinstance(action.default, list) else values[0]


def _add_cluster_verbs(verbs: _Verbs) -> None:
    up = verbs.add_parser("up", help="bring a cluster up and leave it running")
    up.add_argument("--release", default="shop:v1", help="the app's image (default: shop:v1)")
    up.add_argument("--port", type=_port, help="the users' port on 127.0.0.1 (default: a free one)")
    up.add_argument("--store", default="redis", help="what keeps the state: see the README's table of stores")
    up.add_argument("--orders", choices=("redis", "postgres"), default="redis", help="what keeps the orders")
    _add_project(up)
    up.set_defaults(verb=_up)

    down = verbs.add_parser("down", help="remove the cluster that `lab up` made, with its volumes")
    _add_project(down)
    down.set_defaults(verb=_down)

    status = verbs.add_parser("status", help="zones, replicas and who answers; exit 0 only if every slot serves")
    _add_project(status)
    status.set_defaults(verb=_status)


def _add_rollout_verbs(verbs: _Verbs) -> None:
    roll = verbs.add_parser("roll", help="upgrade the cluster of `lab up`, and see it through")
    roll.add_argument("image", help="the new release's image, such as shop:v2")
    roll.add_argument(
        "--strategy", choices=("rolling", "red-black", "canary", "drain-then-move"), default="rolling", help="how"
    )
    roll.add_argument("--batch", help="slots under change at once: a number or a percentage (25%%)")
    roll.add_argument("--surge", type=int, help="rolling: replicas more than slots; 0: the old one leaves first")
    roll.add_argument("--pause", type=float, metavar="S", help="seconds between two slots")
    roll.add_argument("--order", choices=("spread", "zone"), help="round the zones, or zone by zone")
    roll.add_argument("--shares", metavar="LIST", help="canary, red-black: shares of the slots, such as 0.1,0.5,1")
    roll.add_argument("--hold", type=float, metavar="S", help="canary, red-black: seconds that each share lasts")
    roll.add_argument("--keep", type=float, metavar="S", help="red-black: seconds that the old group stands by")
    roll.add_argument("--ready-within", type=float, metavar="S", help="seconds for a new replica to get ready")
    roll.add_argument("--grace", type=float, metavar="S", help="seconds for an old replica to drain")
    roll.add_argument("--judge", action="store_true", help="compare what users get; needs somebody who watches them")
    roll.add_argument("--approve", action="store_true", help="wait for `lab approve` after each share")
    roll.add_argument("--detach", action="store_true", help="only write down what is wanted; a deployer does it")
    _add_project(roll)
    roll.set_defaults(verb=_roll)

    for name, about in (
        ("resume", "go on with a rollout whose deployer died"),
        ("reverse", "send everybody back to the old release: it is enabled first, then the new one disabled"),
        ("abort", "stop a rollout and go back"),
        ("approve", "let a rollout that waits for a person go on"),
        ("lock", "who leads the cluster, since when, at which step, and what to do"),
    ):
        verb = verbs.add_parser(name, help=about)
        _add_project(verb)
        verb.set_defaults(verb=_by_hand, what=name)

    scale = verbs.add_parser("scale", help="how many replicas each zone is to have")
    scale.add_argument("zone", nargs="+", metavar="ZONE=COUNT", help="such as a=1 b=2")
    _add_project(scale)
    scale.set_defaults(verb=_scale)

    sweep = verbs.add_parser("sweep", help="rehearse a rollout with every fault at every phase, or kill its deployers")
    sweep.add_argument(
        "strategy", nargs="*", help="rolling, drain-then-move, canary, red-black, reverse (default: all, half an hour)"
    )
    sweep.add_argument("--fault", action="append", default=[], help="only this one, such as 'freeze the store'; again")
    sweep.add_argument("--at", action="append", default=[], metavar="POINT", help="only there, such as ready; again")
    sweep.add_argument("--seed", type=int, default=1, help="of the users and the random kills (default: 1)")
    sweep.add_argument(
        "--deployer-kills", type=int, metavar="N", help="kill deployers at every step boundary, and N at random"
    )
    sweep.set_defaults(verb=_sweep)

    deployer = verbs.add_parser("deployer", help="be a deployer: lead if nobody does, stand by otherwise")
    _add_project(deployer)
    deployer.add_argument("--events", action="store_true", help="events as JSON lines; ends with its standard input")
    deployer.add_argument("--rehearse", action="store_true", help="wait for a line on standard input around every act")
    deployer.add_argument("--script", metavar="FILE", help="upgrade as this file says, not in the lab's own way")
    deployer.set_defaults(verb=_deployer)


def _add_kit_verbs(verbs: _Verbs) -> None:
    repeat = verbs.add_parser("repeat", help="do a recorded run again: its scenario, seed, images and strikes")
    repeat.add_argument("run", help="a folder, or the name of a run in runs/")
    repeat.add_argument("--port", type=_port, help="the users' port on 127.0.0.1 (default: a free one)")
    repeat.set_defaults(verb=_repeat)

    shrink = verbs.add_parser("shrink", help="the fewest strikes of a broken run that still break the promise")
    shrink.add_argument("run", help="a folder, or the name of a run in runs/")
    shrink.add_argument("--most-runs", type=int, default=16, metavar="N", help="runs after which it ends (default: 16)")
    shrink.set_defaults(verb=_shrink)

    duel = verbs.add_parser(
        "duel", help="upgrade by several ways under the same users, and compare: a table, a picture"
    )
    duel.add_argument("way", nargs="*", help="recreate, docker-rollout, rolling, red-black, canary (default: all)")
    duel.add_argument("--seed", type=int, default=11, help="of the users (default: 11)")
    duel.add_argument("--users", type=int, default=60, metavar="N", help="default: 60")
    duel.add_argument("--think", type=float, default=0.3, metavar="S", help="default: 0.3")
    duel.add_argument("--tries", type=int, default=3, metavar="N", help="for each operation, at most (default: 3)")
    duel.add_argument("--from", dest="before", default="shop:v1", metavar="IMAGE", help="default: shop:v1")
    duel.add_argument("--to", default="shop:v2", metavar="IMAGE", help="default: shop:v2")
    duel.add_argument("-o", "--output", metavar="FILE", help="the picture, as SVG (default: in runs/)")
    duel.set_defaults(verb=_duel)

    schema = verbs.add_parser("schema", help="the JSON Schema of the scenario file, for editors and other tools")
    schema.set_defaults(verb=_schema)

    reference = verbs.add_parser("reference", help="every key, promise, fault, verb and option, as Markdown")
    reference.set_defaults(verb=_reference)


def _add_lesson_verbs(verbs: _Verbs) -> None:
    lesson = verbs.add_parser("lesson", help="the workshop: break it, predict it, mend it, have it graded")
    lesson.add_argument(
        "--folder",
        default=os.environ.get("LAB_WORKSHOP", "workshop"),
        help="where your lessons are (default: workshop, or what LAB_WORKSHOP says)",
    )
    acts = lesson.add_subparsers(metavar="ACT", required=True)
    for name, about in (
        ("list", "the lessons, and how far you are"),
        ("start", "copy a lesson's files into your folder"),
        ("check", "build what you have written, run it, and say whether it is passed"),
        ("hint", "one more hint"),
        ("solution", "what the solution changes, after a check that failed"),
        ("reset", "put the broken files back; yours are kept beside them"),
        ("next", "begin the first lesson that is not passed yet"),
    ):
        act = acts.add_parser(name, help=about)
        if name not in {"list", "next"}:
            which = "its number or name" + ("" if name == "start" else " (default: the one begun last)")
            act.add_argument("lesson", nargs=None if name == "start" else "?", help=which)
        if name == "check":
            act.add_argument("--seed", type=int, help="repeat the same schedule")
            _add_page(act)
        if name == "solution":
            act.add_argument("--peek", action="store_true", help="even before a check of your own failed")
        act.set_defaults(verb=_lesson, what=name)
    wheel = acts.add_parser("wheel", help="the wheel of misfortune: one of the lessons' faults, and nobody says which")
    wheel.add_argument("--seed", type=int, help="of what is drawn (default: a new one); the same draws the same")
    _add_page(wheel)
    then = wheel.add_mutually_exclusive_group()
    then.add_argument("--guess", metavar="NAME", help="name what was drawn last; if it is right you get its files")
    then.add_argument("--check", action="store_true", help="build what you have mended, run it, and say if it holds")
    then.add_argument("--sheet", action="store_true", help="print the game master's sheet: it tells everything")
    wheel.set_defaults(verb=_lesson_wheel)
    dev = acts.add_parser("dev-check", help="for authors: what is broken breaks by its promise, and the solution holds")
    dev.add_argument("lesson", nargs="*", help="numbers or names (default: all)")
    dev.add_argument("--seeds", type=int, default=1, help="how many seeds, from 1 (default: 1)")
    dev.set_defaults(verb=_lesson_dev_check)

    workshop = verbs.add_parser("workshop", help="the whole workshop in one file, for a class without internet")
    acts = workshop.add_subparsers(metavar="ACT", required=True)
    for name, about in (
        ("pack", "write sources, images and Python packages into one file"),
        ("unpack", "load the images of such a file"),
    ):
        act = acts.add_parser(name, help=about)
        act.add_argument("file", help="such as workshop.tar")
        act.set_defaults(verb=_workshop, what=name)


def _add_breaking_verbs(verbs: _Verbs) -> None:
    who = "a replica or its slot (a1), balancer, balancer/b, store, store/b, sentinel/b, orders, or any (default)"
    kill = verbs.add_parser("kill", help="kill a replica of the cluster of `lab up`, a balancer or a store")
    kill.add_argument("who", nargs="?", default="any", help=who)
    kill.add_argument("--zone", default="", help="one of this zone's")
    kill.add_argument("--any", action="store_true", help="one drawn at random: what is meant if nobody is named")
    kill.add_argument(
        "--how", choices=("kill", "crash", "stop", "squeeze"), default="kill", help="see the README's table"
    )
    kill.add_argument(
        "--signal", choices=("SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"), default="SIGKILL", help="if killed"
    )
    kill.set_defaults(verb=_strike)
    for name, about in (
        ("freeze", "freeze a replica, a balancer or a store: it is there and does nothing"),
        ("slow", "leave a replica, a balancer or a store a twentieth of a processor"),
        ("cut", "take a replica, a balancer or a store out of its networks"),
    ):
        verb = verbs.add_parser(name, help=about)
        verb.add_argument("who", nargs="?", default="any", help=who)
        if name == "cut":
            verb.add_argument(
                "--from", dest="off", default="", metavar="WHOM", help="from whom alone: store, a1, zone/b"
            )
        verb.set_defaults(verb=_strike, how=name, signal="SIGKILL", zone="", any=False)
    zone = verbs.add_parser("lose-zone", help="every container of a zone at once; none is made there until it is back")
    zone.add_argument("zone", help="which zone")
    zone.add_argument("--cut-off", action="store_true", help="alive, but out of all networks")
    zone.set_defaults(verb=_lose_zone)
    for name in ("kill", "freeze", "slow", "cut", "lose-zone"):
        verb = verbs.choices[name]
        verb.add_argument(
            "--for", dest="seconds", type=float, metavar="S", help="undo it then (default: at `lab heal`)"
        )
        verb.add_argument("--at-once", type=int, default=1, metavar="N", help="replicas that may be away at once")
        verb.add_argument("--least-serving", type=int, default=1, metavar="N", help="replicas that must go on serving")
        verb.add_argument("--dry-run", action="store_true", help="say who would be struck, and do nothing")
        _add_project(verb)
    halt = verbs.add_parser(
        "halt", help="the safety lever: no lab on this engine strikes any more, runs under way included"
    )
    halt.add_argument("--over", action="store_true", help="let them strike again")
    halt.set_defaults(verb=_halt)
    heal = verbs.add_parser("heal", help="undo every fault that is open, whoever left it, until every slot serves")
    _add_project(heal)
    heal.set_defaults(verb=_heal)


def _add_project(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("-p", "--project", help="the cluster's name (default: this checkout's own)")


# The verbs. Each imports what it needs when it is called: `lab --help` stays quick.


def _setup(_: argparse.Namespace) -> int:
    from lab.machine.places import find_places
    from lab.machine.setup import make_ready

    if os.environ.get("LAB_PACK"):
        from pathlib import Path

        from lab.lessons.packing import unpack_workshop

        unpack_workshop(Path(os.environ["LAB_PACK"]), _say)
    make_ready(find_places(), _say)
    return ExitCode.HELD


def _doctor(_: argparse.Namespace) -> int:
    from lab.clock import SYSTEM_CLOCK
    from lab.machine.doctor import examine
    from lab.machine.places import find_places

    ill = 0
    for checkup in examine(find_places(), now=SYSTEM_CLOCK.wall()):
        ill += not checkup.is_well
        print(f"{'✓' if checkup.is_well else '✕'} {checkup.name:<22} {checkup.seen}")
        if not checkup.is_well:
            print(f"  try: {checkup.mend}")
    return ExitCode.USAGE if ill else ExitCode.HELD


def _init(asked: argparse.Namespace) -> int:
    from pathlib import Path

    from lab.scenario.init import write_scenario

    folder = Path(asked.compose[0]).parent if asked.compose else Path()
    return write_scenario(asked.compose, asked.service, folder, _say)


def _run(asked: argparse.Namespace) -> int:
    from lab.console.page import PageSpec
    from lab.operate.runs import RunRequest, run_scenarios
    from lab.scenario.overrides import Overrides, parse_change

    overrides = Overrides(
        changes=tuple(parse_change(text) for text in asked.set),
        users=asked.users,
        think=asked.think,
        duration=asked.duration,
    )
    is_shown = asked.ui or asked.control or asked.ui_port is not None
    spec = RunRequest(
        scenarios=tuple(asked.scenario),
        seed=asked.seed,
        port=asked.port,
        overrides=overrides,
        is_dry=asked.dry_run,
        pulls=asked.pull,
        as_json=asked.json,
        page=PageSpec(port=asked.ui_port, control=asked.control) if is_shown else None,
    )
    return run_scenarios(spec, _say)


def _ui(asked: argparse.Namespace) -> int:
    from lab.console.page import show_run

    return show_run(asked.run, port=asked.port, say=_say)


def _check(asked: argparse.Namespace) -> int:
    from lab.operate.runs import check_run

    return check_run(asked.run, as_json=asked.json, say=_say)


def _report(asked: argparse.Namespace) -> int:
    from pathlib import Path

    from lab.console.reports import report_run
    from lab.report.write import Format

    wanted = [Format(name) for name in asked.formats or ()]
    return report_run(asked.run, wanted, Path(asked.out) if asked.out else None, say=_say)


def _runs(_: argparse.Namespace) -> int:
    from lab.operate.runs import list_runs

    return list_runs(say=_say)


def _repeat(asked: argparse.Namespace) -> int:
    from lab.experiments.repeat import repeat_run

    return repeat_run(asked.run, port=asked.port, say=_say)


def _shrink(asked: argparse.Namespace) -> int:
    from lab.experiments.repeat import shrink_run

    return shrink_run(asked.run, most_runs=asked.most_runs, say=_say)


def _duel(asked: argparse.Namespace) -> int:
    from lab.experiments.duel import run_duel
    from lab.experiments.upgrades import UserLoad

    load = UserLoad(users=asked.users, think=asked.think, tries=asked.tries, seed=asked.seed)
    return run_duel(asked.way, load, before=asked.before, to=asked.to, picture=asked.output, say=_say)


def _schema(_: argparse.Namespace) -> int:
    from lab.scenario.schema import schema_text

    sys.stdout.write(schema_text())
    return ExitCode.HELD


def _reference(_: argparse.Namespace) -> int:
    from lab.scenario.reference import reference_text

    sys.stdout.write(reference_text(abouts_of(build_parser()), EXIT_CODES))
    return ExitCode.HELD


def _up(asked: argparse.Namespace) -> int:
    from lab.operate.cluster import KeptStores, bring_up_and_keep

    keeps = KeptStores(store=asked.store, orders=asked.orders)
    return bring_up_and_keep(asked.release, keeps, project=asked.project, port=asked.port, say=_say)


def _down(asked: argparse.Namespace) -> int:
    from lab.operate.cluster import bring_down

    return bring_down(asked.project, say=_say)


def _status(asked: argparse.Namespace) -> int:
    from lab.operate.cluster import show_status

    return show_status(asked.project, say=_say)


def _roll(asked: argparse.Namespace) -> int:
    from lab.operate.rollouts import roll

    names = ("surge", "pause", "order", "hold", "keep", "ready_within", "grace")
    given: dict[str, object] = {name: getattr(asked, name) for name in names if getattr(asked, name) is not None}
    if asked.batch is not None:
        given["batch"] = int(asked.batch) if asked.batch.isdecimal() else asked.batch
    if asked.shares is not None:
        given["shares"] = _numbers(asked.shares)
    given |= {"judge": {}} if asked.judge else {}
    given |= {"approve": True} if asked.approve else {}
    return roll(asked.image, asked.strategy, given, project=asked.project, detach=asked.detach, say=_say)


def _by_hand(asked: argparse.Namespace) -> int:
    from lab.deploy.rollout import RolloutRequest
    from lab.operate import rollouts as hand

    if asked.what in {"reverse", "abort"}:
        return hand.ask(RolloutRequest(asked.what), project=asked.project, say=_say)
    verbs = {"resume": hand.resume, "approve": hand.approve, "lock": hand.show_lock}
    return verbs[asked.what](project=asked.project, say=_say)


def _scale(asked: argparse.Namespace) -> int:
    from lab.operate.rollouts import scale

    counts = {}
    for spec in asked.zone:
        zone, _, count = spec.partition("=")
        if not count.isdecimal():
            raise UsageError("is not ZONE=COUNT", at=spec, hint="lab scale a=1 b=2")
        counts[zone] = int(count)
    return scale(counts, project=asked.project, say=_say)


def _sweep(asked: argparse.Namespace) -> int:
    from lab.experiments.deployer_kills import KillSweepSpec, run_kill_sweep
    from lab.experiments.fault_matrix import choose, run_fault_sweep
    from lab.machine.places import find_places
    from lab.machine.setup import make_ready

    choose(asked.strategy, asked.fault, asked.at)
    if asked.deployer_kills is not None and (asked.deployer_kills < 0 or asked.strategy or asked.fault or asked.at):
        what = "kills go over every strategy, at every boundary, and so many at random"
        raise UsageError(what, at="--deployer-kills", hint="lab sweep --deployer-kills 100")
    toolbox = make_ready(find_places(), _say)
    if asked.deployer_kills is not None:
        spec = KillSweepSpec(each_boundary=True, random_kills=asked.deployer_kills, seed=asked.seed)
        return run_kill_sweep(toolbox, spec, _say)
    named = {"names": asked.strategy, "faults": asked.fault, "points": asked.at}
    return run_fault_sweep(toolbox, asked.seed, _say, **named)


def _deployer(asked: argparse.Namespace) -> int:
    from lab.operate.rollouts import lead

    return lead(project=asked.project, events=asked.events, rehearse=asked.rehearse, script=asked.script, say=_say)


def _lesson(asked: argparse.Namespace) -> int:
    from pathlib import Path

    from lab.console.page import PageSpec
    from lab.lessons.command import Workshop

    workshop = Workshop(Path(asked.folder), _say)
    if asked.what == "check":
        page = PageSpec(port=asked.ui_port) if asked.ui or asked.ui_port is not None else None
        return workshop.check(asked.lesson, seed=asked.seed, port=asked.port, page=page)
    if asked.what == "solution":
        return workshop.solution(asked.lesson, peek=asked.peek)
    if asked.what in {"list", "next"}:
        return workshop.show() if asked.what == "list" else workshop.next()
    return {"start": workshop.start, "hint": workshop.hint, "reset": workshop.reset}[asked.what](asked.lesson)


def _lesson_wheel(asked: argparse.Namespace) -> int:
    from pathlib import Path

    from lab.console.page import PageSpec
    from lab.lessons.wheel import Wheel

    wheel = Wheel(Path(asked.folder), _say)
    if asked.sheet:
        return wheel.show_sheet()
    if asked.guess is not None:
        return wheel.guess(asked.guess)
    page = PageSpec(port=asked.ui_port) if asked.ui or asked.ui_port is not None else None
    if asked.check:
        return wheel.check(port=asked.port, page=page)
    return wheel.spin(seed=asked.seed, port=asked.port, page=page)


def _workshop(asked: argparse.Namespace) -> int:
    from pathlib import Path

    from lab.lessons.packing import pack_workshop, unpack_workshop

    act = pack_workshop if asked.what == "pack" else unpack_workshop
    return act(Path(asked.file), _say)


def _lesson_dev_check(asked: argparse.Namespace) -> int:
    from lab.lessons.dev_check import check_lessons

    return check_lessons(asked.lesson, seeds=asked.seeds, say=_say)


def _strike(asked: argparse.Namespace) -> int:
    from lab.chaos.guard import BlastRadius
    from lab.operate.faults import StrikeRequest, strike

    spec = StrikeRequest(
        do=asked.how,
        to=asked.who,
        off=getattr(asked, "off", ""),
        in_zone=asked.zone,
        signal=asked.signal,
        seconds=asked.seconds,
        dry_run=asked.dry_run,
    )
    radius = BlastRadius(replicas=asked.at_once, least_serving=asked.least_serving)
    return strike(spec, radius, project=asked.project, say=_say)


def _lose_zone(asked: argparse.Namespace) -> int:
    from lab.chaos.guard import BlastRadius
    from lab.operate.faults import lose_zone

    return lose_zone(
        asked.zone,
        BlastRadius(replicas=asked.at_once, least_serving=asked.least_serving),
        cut_off=asked.cut_off,
        seconds=asked.seconds,
        dry_run=asked.dry_run,
        project=asked.project,
        say=_say,
    )


def _halt(asked: argparse.Namespace) -> int:
    from lab.operate.faults import halt_strikes

    return halt_strikes(over=asked.over, say=_say)


def _heal(asked: argparse.Namespace) -> int:
    from lab.operate.faults import heal

    return heal(project=asked.project, say=_say)


def _numbers(text: str) -> list[float]:
    try:
        return [float(one) for one in text.split(",")]
    except ValueError:
        raise UsageError("is not a list of numbers", at=f"--shares {text}", hint="--shares 0.1,0.5,1") from None


def _clean(asked: argparse.Namespace) -> int:
    from lab.backends.docker import take_down
    from lab.clock import SYSTEM_CLOCK
    from lab.machine.engine import connect
    from lab.machine.places import find_places
    from lab.machine.sweep import find_clusters, remove_images, sweep, sweep_files

    engine, places, now = connect(), find_places(), SYSTEM_CLOCK.wall()
    found = [one for one in find_clusters(engine, now=now) if one.is_abandoned or asked.all]
    for one in found:
        print(f"{one.identity.project}: {one.parts} containers, networks and volumes of {one.identity.owner}")
    if asked.all and not asked.yes:
        if not sys.stdin.isatty():
            print("lab: --all removes clusters in use and images; say --yes where nobody can be asked", file=sys.stderr)
            return ExitCode.USAGE
        if input("remove all of this, and the lab's images? [y/N] ").strip().lower() != "y":
            return ExitCode.HELD
    swept = sweep(found, partial(take_down, engine, places))
    removed = [*swept.removed, *sweep_files(engine, places, now=now), *(remove_images(engine) if asked.all else ())]
    if removed or not swept.stuck:
        print("\n".join(f"removed {what}" for what in removed) or "nothing to remove")
    for why in swept.stuck:
        print(f"lab: {why}", file=sys.stderr)
    return ExitCode.COULD_NOT_TELL if swept.stuck else ExitCode.HELD


def _say(line: str) -> None:
    print(line, flush=True)


@contextmanager
def _stoppable() -> Iterator[None]:
    """The first Ctrl-C or SIGTERM unwinds, cleaning up; the second leaves at once and says what would clean up."""
    stops = 0

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal stops
        stops += 1
        code = ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED
        if stops > 1:
            sys.stderr.write("\nlab: left at once; to remove what is still there: lab clean\n")
            os._exit(code)
        sys.stderr.write("\nlab: stopping and cleaning up; once more to leave at once\n")
        raise Interrupted(code)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
