"""What the lab's verbs and options are to click: variables beside options, kinds of values, shell completion."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

LARGEST_PORT = 65535
ON, BEGINS_SWARM = "LAB_ON", "LAB_BEGINS_SWARM"
"""What lab/backends/choose.py looks for; nothing of it is imported before it is needed."""
LIBRARY = Path(__file__).resolve().parents[1] / "scenarios"

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

Decorated = TypeVar("Decorated", bound="Callable[..., Any] | click.Command")


def variable_of(option: click.Option) -> str | None:
    """The variable that stands for an option which is not given: `--dry-run` is LAB_DRY_RUN. None for consent."""
    if not option.envvar:
        return None
    return option.envvar if isinstance(option.envvar, str) else option.envvar[0]


class LabOption(click.Option):
    """An option that LAB_<OPTION> may give as well, unless it is `typed_only`.

    Consent to what can't be undone, and how far it reaches, are typed each time: a variable that some other tool or a
    forgotten line of a profile sets must never remove a cluster.
    """

    def __init__(self, spelled: Sequence[str], *, typed_only: bool = False, **attributes: Any) -> None:
        super().__init__(spelled, **attributes)
        if not typed_only and self.envvar is None:
            long = next(one for one in self.opts if one.startswith("--"))
            self.envvar = "LAB_" + long.removeprefix("--").replace("-", "_").upper()

    def value_from_envvar(self, ctx: click.Context) -> Any:
        try:
            return super().value_from_envvar(ctx)
        except ValueError as exc:  # a quotation mark without its second
            ctx.set_parameter_source(self.name, ParameterSource.ENVIRONMENT)
            raise click.BadParameter(str(exc), ctx, self) from None

    def make_metavar(self, ctx: click.Context) -> str:
        if self.metavar is not None:
            return self.metavar
        if isinstance(self.type, click.Choice):
            return "{" + ",".join(map(str, self.type.choices)) + "}"
        return max(self.opts, key=len).removeprefix("--").replace("-", "_").upper()


class LabVerb(click.Command):
    """A verb."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        # Its own, though it would have its parent's: click keeps what it made for the first context it was shown in.
        attributes.setdefault("context_settings", SETTINGS)
        super().__init__(*args, **attributes)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        found = super().get_help_option(ctx)
        if found is not None:
            found.help = "show this message and exit"
        return found


class LabGroup(LabVerb, click.Group):
    """A verb that has acts of its own, listed in the order in which they were added and told whole."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.sections: dict[str, list[str]] = {}
        """Names by what a person is after. Whatever is in none of them is listed first."""

    def add_section(self, title: str, *verbs: click.Command) -> None:
        """Add verbs that a person looks for at the same time."""
        self.sections[title] = [str(verb.name) for verb in verbs]
        for verb in verbs:
            self.add_command(verb)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in (self.sections or {"Acts": list(self.commands)}).items():
            with formatter.section(title):
                formatter.write_dl([(name, about_of(self.commands[name])) for name in names])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As it is written: it is a table."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write(self.epilog)


def about_of(command: click.Command) -> str:
    """What a verb does, in one line without a full stop."""
    return " ".join((command.help or "").split()).removesuffix(".")


def verb(name: str) -> Callable[[Callable[..., int]], click.Command]:
    """Make a verb of a function, whose docstring is the verb's help and whose result is the exit code."""
    return click.command(name, cls=LabVerb)


def option(*spelled: str, **attributes: Any) -> Callable[[Decorated], Decorated]:
    """An option with its variable; `typed_only=True` for consent and scope."""
    return click.option(*spelled, cls=LabOption, **attributes)


def flag(*spelled: str, **attributes: Any) -> Callable[[Decorated], Decorated]:
    """An option without a value."""
    return option(*spelled, is_flag=True, **attributes)


class Port(click.ParamType[int]):
    """A port's number; 0: a free one."""

    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        # str.isdecimal takes other scripts' digits too, and int() a number of any length.
        if not (text.isascii() and text.isdecimal()) or len(text) > len(str(LARGEST_PORT)) or int(text) > LARGEST_PORT:
            self.fail(f"{text} is not a valid port (0-{LARGEST_PORT})", param, ctx)
        return int(text)


class Seconds(click.ParamType[float]):
    """A length of time."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            self.fail(f"{value} is not a valid number of seconds", param, ctx)
        return seconds


class Words(click.ParamType[str]):
    """Text that may be given several times; its variable holds several, separated by spaces, as a shell reads them."""

    name = "words"

    def split_envvar_value(self, rv: str) -> list[str]:
        return shlex.split(rv)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)


class ProjectName(click.ParamType[str]):
    """A cluster's name."""

    name = "project"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from lab.machine.places import is_project

        if not is_project(str(value)):
            what = "is empty" if not value else f"{value} is not a valid name (a-z, 0-9, - and _, no - or _ in front)"
            self.fail(what, param, ctx)
        return str(value)


class ScenarioName(click.ParamType[str]):
    """A scenario that comes with the lab, or a file of one's own."""

    name = "scenario"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        names = sorted(path.stem for path in LIBRARY.glob("*.yaml"))
        return [*_starting(names, incomplete), CompletionItem(incomplete, type="file")]


class RunName(click.ParamType[str]):
    """A recorded run: the name of one in runs/, or a folder."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value:
            self.fail("is empty", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from lab.console.reports import recorded_runs

        newest_first = reversed(recorded_runs())
        return [*_starting(newest_first, incomplete), CompletionItem(incomplete, type="dir")]


def _starting(names: Any, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


PORT, SECONDS, WORDS, SCENARIO, RUN = Port(), Seconds(), Words(), ScenarioName(), RunName()
COUNT, SEED = click.IntRange(min=1), click.IntRange(0, 2**63 - 1)

_project = option("-p", "--project", type=ProjectName(), help="the cluster's name (default: this checkout's own)")


def _remember_bind(_: click.Context, __: click.Parameter, value: str | None) -> None:
    """Kept where whoever brings a cluster up looks for it, processes that this one starts among them."""
    if value is not None:
        os.environ["LAB_BIND"] = value


def users_port(function: Decorated) -> Decorated:
    """Where users come in."""
    for add in (
        option(
            "--bind",
            metavar="ADDRESS",
            expose_value=False,
            callback=_remember_bind,
            help="publish users' doors on this address of the engine's machine (default: 127.0.0.1; an engine elsewhere"
            " needs one)",
        ),
        option("--port", type=PORT, help="the users' port on 127.0.0.1 (default: a free one)"),
    ):
        function = add(function)
    return function


def _choose(_: click.Context, __: click.Parameter, value: str | None) -> None:
    """Say it to whoever opens a backend, in this process and in those that it starts."""
    if value is not None:
        os.environ[ON] = value


on = option(
    "--on",
    type=click.Choice(("engine", "swarm")),
    expose_value=False,
    callback=_choose,
    help="where clusters are: this machine's engine (default), or a swarm (see docs/how-to/swarm.md)",
)


def project(function: Decorated) -> Decorated:
    """Which cluster, and where it is."""
    return _project(on(function))


def begins_swarm(function: Decorated) -> Decorated:
    """Consent to make a swarm of an engine that is in none."""

    def agree(_: click.Context, __: click.Parameter, value: bool) -> None:
        if value:
            os.environ[BEGINS_SWARM] = str(os.getpid())

    return flag(
        "--init",
        typed_only=True,
        expose_value=False,
        callback=agree,
        help="with --on swarm: let an engine that is in no swarm begin one of its own",
    )(function)


def page(function: Decorated) -> Decorated:
    """The options of whatever can be watched in a browser."""
    for add in (
        option("--ui-port", type=PORT, metavar="PORT", help="where (default: a free port)"),
        flag("--ui", help="serve a live page of the run on 127.0.0.1"),
        users_port,
    ):
        function = add(function)
    return function
