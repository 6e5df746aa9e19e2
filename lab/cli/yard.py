"""`lab yard up`, `down`, `status`: three engines in containers of this machine, in one swarm."""

from __future__ import annotations

import click

from lab.cli.parser import LabGroup, verb
from lab.cli.terminal import say


@click.group("yard", cls=LabGroup, subcommand_metavar="ACT")
def yard() -> None:
    """Three engines in containers of this machine, in one swarm."""


@verb("up")
def up() -> int:
    """Bring the yard up and leave it running."""
    from lab.operate.yard import bring_yard_up

    return bring_yard_up(say=say)


@verb("down")
def down() -> int:
    """Remove its engines, with all that is on them."""
    from lab.operate.yard import take_yard_down

    return take_yard_down(say=say)


@verb("status")
def status() -> int:
    """Each node and what the swarm says of it; exit 0 only if all are ready."""
    from lab.operate.yard import show_yard

    return show_yard(say=say)


for act in (up, down, status):
    yard.add_command(act)
