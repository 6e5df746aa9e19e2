"""The command line: parse, call, print. Nothing heavy is imported before the verb that needs it is known."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from lab.errors import ExitCode, Interrupted, LabError

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


def build_parser() -> argparse.ArgumentParser:
    """All verbs and options."""
    parser = argparse.ArgumentParser(
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

    run = verbs.add_parser("run", help="run a scenario and say whether every user kept their state")
    run.add_argument("scenario", help="demo, demo-broken, or a YAML file")
    run.add_argument("--seed", type=int, help="repeat the same schedule; a fresh one is drawn and printed otherwise")
    run.add_argument("--port", type=int, help="the users' port on 127.0.0.1 (default: a free one)")
    run.set_defaults(verb=_run)

    check = verbs.add_parser("check", help="judge a recorded run again, from its record alone")
    check.add_argument("run", help="a folder, or the name of a run in runs/")
    check.add_argument("--json", action="store_true", help="the whole verdict as JSON, and nothing else on stdout")
    check.set_defaults(verb=_check)

    runs = verbs.add_parser("runs", help="the recorded runs and how they ended")
    runs.set_defaults(verb=_runs)

    up = verbs.add_parser("up", help="bring a cluster up and leave it running")
    up.add_argument("--release", default="shop:v1", help="the app's image (default: shop:v1)")
    up.add_argument("--port", type=int, help="the users' port on 127.0.0.1 (default: a free one)")
    _add_project(up)
    up.set_defaults(verb=_up)

    down = verbs.add_parser("down", help="remove the cluster that `lab up` made, with its volumes")
    _add_project(down)
    down.set_defaults(verb=_down)

    status = verbs.add_parser("status", help="zones, replicas and who answers; exit 0 only if every slot serves")
    _add_project(status)
    status.set_defaults(verb=_status)

    clean = verbs.add_parser("clean", help="remove what killed labs left behind, by their labels alone")
    clean.add_argument("--all", action="store_true", help="also clusters in use, and the lab's images")
    clean.add_argument("-y", "--yes", action="store_true", help="don't ask")
    clean.set_defaults(verb=_clean)
    return parser


def _add_project(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("-p", "--project", help="the cluster's name (default: this checkout's own)")


# The verbs. Each imports what it needs when it is called: `lab --help` stays quick.


def _setup(_: argparse.Namespace) -> int:
    from lab.cluster.places import find_places
    from lab.cluster.setup import make_ready

    make_ready(find_places(), _say)
    return ExitCode.HELD


def _doctor(_: argparse.Namespace) -> int:
    from lab.clock import SYSTEM_CLOCK
    from lab.cluster.doctor import examine
    from lab.cluster.places import find_places

    ill = 0
    for checkup in examine(find_places(), now=SYSTEM_CLOCK.wall()):
        ill += not checkup.is_well
        print(f"{'✓' if checkup.is_well else '✕'} {checkup.name:<22} {checkup.seen}")
        if not checkup.is_well:
            print(f"  try: {checkup.mend}")
    return ExitCode.USAGE if ill else ExitCode.HELD


def _run(asked: argparse.Namespace) -> int:
    from lab.scenario.command import run_scenario

    return run_scenario(asked.scenario, seed=asked.seed, port=asked.port, say=_say)


def _check(asked: argparse.Namespace) -> int:
    from lab.scenario.command import check_run

    return check_run(asked.run, as_json=asked.json, say=_say)


def _runs(_: argparse.Namespace) -> int:
    from lab.scenario.command import list_runs

    return list_runs(say=_say)


def _up(asked: argparse.Namespace) -> int:
    from lab.scenario.keep import bring_up_and_keep

    return bring_up_and_keep(asked.release, project=asked.project, port=asked.port, say=_say)


def _down(asked: argparse.Namespace) -> int:
    from lab.scenario.keep import take_down

    return take_down(asked.project, say=_say)


def _status(asked: argparse.Namespace) -> int:
    from lab.scenario.keep import show_status

    return show_status(asked.project, say=_say)


def _clean(asked: argparse.Namespace) -> int:
    from lab.clock import SYSTEM_CLOCK
    from lab.cluster.engine import connect
    from lab.cluster.places import find_places
    from lab.cluster.sweep import find_clusters, remove_images, sweep, sweep_files

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
    removed = sweep(engine, places, found) + sweep_files(engine, places, now=now)
    removed += remove_images(engine) if asked.all else []
    print("\n".join(f"removed {what}" for what in removed) or "nothing to remove")
    return ExitCode.HELD


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
