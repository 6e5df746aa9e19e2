"""What the reference says of each verb, from the parser."""

from __future__ import annotations

from collections.abc import Iterator

import click

from lab.cli.parser import about_of, variable_of
from lab.scenario.reference import ArgumentDoc, VerbDoc


def docs_of_verbs(root: click.Group, before: str = "") -> list[VerbDoc]:
    """Each verb, and each act of one ("lesson check"), with its arguments and options."""
    context, found = click.Context(root), []
    for name in root.list_commands(context):
        command = root.commands[name]
        found.append(VerbDoc(name=f"{before}{name}", about=about_of(command), arguments=tuple(_arguments_of(command))))
        if isinstance(command, click.Group):
            found += docs_of_verbs(command, f"{before}{name} ")
    return found


def _arguments_of(command: click.Command) -> Iterator[ArgumentDoc]:
    context = click.Context(command)
    for one in command.params:
        if isinstance(one, click.Option):
            value = "" if one.is_flag else f" {one.make_metavar(context)}"
            spelled = f"{', '.join(one.opts)}{value}"
            yield ArgumentDoc(spelled=spelled, variable=variable_of(one) or "", about=one.help or "")
        elif isinstance(one, click.Argument):
            yield ArgumentDoc(spelled=one.make_metavar(context).strip("[]."), about=one.help or "")
    if isinstance(command, click.Group):
        acts = command.commands
        about = " · ".join(f"`{name}`: {about_of(act)}" for name, act in acts.items())
        yield ArgumentDoc(spelled="{" + ",".join(acts) + "}", about=about)
