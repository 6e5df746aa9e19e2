"""All verbs in one command, and the exit code of whatever comes of it."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import click
from click.core import ParameterSource

from lab.cli import cluster, experiments, faults, lessons, machine, records, rollouts, runs, yard
from lab.cli.parser import LabGroup, flag, option
from lab.cli.terminal import complain, describe, output_error, prepare_streams
from lab.errors import ExitCode, Interrupted, LabError, LabFault, UsageError, blame

EXIT_CODES = """\
exit codes:
  0    every promise held, and enough was checked
  1    a promise was broken
  2    the command line, a file or this machine is not fit; nothing was started
  3    the new release was given up and rolled back, or a command failed; users unharmed
  4    could not tell: engine, image, disk, time limit or a fault of the lab
  5    could not tell: too little was checked to say anything
  130  interrupted by Ctrl-C, after cleaning up (143: by SIGTERM)
"""


def _print_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"lab {version('cluster-lab')}")
        context.exit()


@click.group(
    "lab",
    cls=LabGroup,
    epilog=EXIT_CODES,
    subcommand_metavar="VERB [ARGS]...",
)
@flag("-v", "--verbose", help="show the traceback of an error")
@option("--color", type=click.Choice(("auto", "never")), default="auto", help="NO_COLOR is honoured too")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="show the version and exit",
)
def root(verbose: bool, color: str) -> None:  # noqa: ARG001 -- `verbose` is for whoever called it
    """Do logged-in users keep their state through upgrades and kills? Proved on real containers.

    An option --some-option may also be given as LAB_SOME_OPTION; "lab reference" names the few that may not.
    """
    if color == "never":
        os.environ["NO_COLOR"] = "1"
    try:
        Path.cwd()
    except OSError as exc:
        raise UsageError("the current folder is gone", at=".", hint="cd to a folder that exists") from exc


root.add_section(
    "Run",
    runs.init,
    runs.try_,
    runs.run,
    runs.watch,
    *(experiments.repeat, experiments.shrink, experiments.duel, experiments.sweep),
)
root.add_section("Look", records.runs, records.compare, records.check, records.report, records.ui, records.gate)
root.add_section(
    "A cluster by hand",
    *(
        cluster.up,
        cluster.status,
        cluster.logs,
        cluster.down,
        rollouts.roll,
        rollouts.resume,
        rollouts.reverse,
        rollouts.abort,
    ),
    *(rollouts.approve, rollouts.lock, rollouts.scale, rollouts.deployer),
)
root.add_section(
    "Break it", faults.kill, faults.freeze, faults.slow, faults.cut, faults.lose_zone, faults.heal, faults.halt
)
root.add_section("Workshop", lessons.lesson, lessons.class_, lessons.workshop)
root.add_section(
    "This machine",
    *(machine.setup, machine.doctor, machine.pack, machine.unpack, machine.clean, yard.yard),
    *(machine.schema, machine.reference, machine.completion),
)


def main() -> int:
    """The command line of this process: its exit code, whatever its streams can take."""
    if not prepare_streams():
        complain("lab: standard output is closed\n  try: lab ... >/dev/null")
        return ExitCode.USAGE
    code = run_command_line(sys.argv[1:])
    if output_error() is not None and code == ExitCode.HELD:
        return ExitCode.COULD_NOT_TELL
    return code


def run_command_line(argv: Sequence[str]) -> int:
    """Do what the command line says and return the exit code; what is wrong is reported without a traceback."""
    answered = machine.answer_shell(root)
    if answered is not None:
        return answered
    settings: dict[str, object] = {}
    with _stoppable():
        try:
            with root.make_context("lab", list(argv)) as context:
                settings = context.params
                return int(root.invoke(context))
        except BaseException as exc:  # noqa: BLE001 -- each kind has its exit code; Python's own mean something else here
            if settings.get("verbose") and not isinstance(exc, (click.exceptions.Exit, Interrupted)):
                complain(traceback.format_exc())
            return _conclude(exc)


def _conclude(exc: BaseException) -> int:
    """Say what ended the verb early; the exit code for it."""
    match exc:
        case click.exceptions.Exit():
            return exc.exit_code
        case Interrupted():
            complain("\n  ".join([f"lab: {exc}", *getattr(exc, "__notes__", ())]))
            return exc.exit_code
        case KeyboardInterrupt():
            complain("lab: interrupted")
            return ExitCode.INTERRUPTED
        case click.exceptions.NoArgsIsHelpError():
            click.echo(exc.format_message())
            return ExitCode.USAGE
        case click.ClickException():
            error: LabError = _usage_error(exc)
        case LabError():
            error = exc
        case SystemExit():
            error = _ended_by_user_code(exc)
        case OSError() if (lost := output_error()) is not None:
            if lost.errno == errno.EPIPE:  # `lab runs | head`
                return ExitCode.COULD_NOT_TELL
            error = LabFault(f"can't be written: {lost.strerror}", at="standard output")
        case _:
            # A fault of the lab is never "a promise was broken": Python's own exit code for it would say just that.
            error = LabFault(f"internal error: {type(exc).__name__}: {exc}", hint="lab -v ...   # shows where")
    complain(describe(error))
    return error.exit_code


def _usage_error(exc: click.ClickException) -> UsageError:
    """What click refused, in the form of every other error: where, what, what to do."""
    context = exc.ctx if isinstance(exc, click.UsageError) else None
    path = context.command_path if context is not None else "lab"
    at, what, near = path, exc.message.rstrip("."), list[str]()
    match exc:
        case click.NoSuchOption():
            at, what, near = exc.option_name, "no such option", exc.possibilities or []
        case click.exceptions.NoSuchCommand():
            at, what = f"{path} {exc.command_name}", "no such verb"
            near = [f"{path} {one}" for one in exc.possibilities or ()]
        case click.MissingParameter() if exc.param is not None:
            what = f"{_name_of(exc.param)} is missing"
        case click.BadOptionUsage():
            at, what = exc.option_name, what.removeprefix(f"Option {exc.option_name!r} ")
        case click.BadParameter() if exc.param is not None:
            at = _place_of(exc.param, exc.ctx)
    meant = f"did you mean {' or '.join(near)}? see " if near else ""
    what = what[:1].lower() + what[1:] if what[1:2].islower() else what
    return UsageError(what, at=at, hint=f"{meant}{path} --help")


def _name_of(param: click.Parameter) -> str:
    return max(param.opts, key=len) if isinstance(param, click.Option) else param.human_readable_name


def _place_of(param: click.Parameter, context: click.Context | None) -> str:
    """The option, or the variable that stands for it and what it holds."""
    if context is not None and context.get_parameter_source(param.name) is ParameterSource.ENVIRONMENT:
        names = [param.envvar] if isinstance(param.envvar, str) else param.envvar or ()
        return next(f"{name}={os.environ[name]}" for name in names if os.environ.get(name))
    return _name_of(param)


def _ended_by_user_code(exc: SystemExit) -> LabFault:
    """Nothing in the lab exits by itself: a journey, a script or a hook did, and its code is no verdict."""
    what, at = blame(exc)
    return LabFault(what, at=at, hint="raise an error, or return")


@contextmanager
def _stoppable() -> Iterator[None]:
    """The first Ctrl-C or SIGTERM unwinds, cleaning up; the second leaves at once and says what would clean up."""
    stops = 0

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal stops
        stops += 1
        code = ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED
        if stops > 1:
            _complain_at_once("\nlab: left at once; to remove what is still there: lab clean\n")
            os._exit(code)
        _complain_at_once("\nlab: stopping and cleaning up; once more to leave at once\n")
        raise Interrupted(code)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _complain_at_once(text: str) -> None:
    """From a signal's handler, which may have come into the midst of another write: past Python's buffers."""
    with suppress(OSError):
        os.write(2, text.encode())
