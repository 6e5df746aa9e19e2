"""`lab kill`, `freeze`, `slow`, `cut`, `lose-zone`, `halt`, `heal`: break a cluster that stands, and mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lab.cli.parser import SECONDS, Decorated, flag, option, project, verb
from lab.cli.terminal import say
from lab.errors import UsageError

if TYPE_CHECKING:
    from lab.chaos.faults import Signal

_who = click.argument(
    "who",
    default="any",
    help="a replica or its slot (a1), balancer, balancer/b, store, store/b, sentinel/b, orders, or any (default)",
)


def _limits(function: Decorated) -> Decorated:
    """The options of every strike: for how long, how far it may reach, on which cluster."""
    at_once = option(
        "--at-once",
        type=click.IntRange(min=0),
        default=1,
        metavar="N",
        typed_only=True,
        help="replicas that may be away at once",
    )
    least_serving = option(
        "--least-serving",
        type=click.IntRange(min=0),
        default=1,
        metavar="N",
        typed_only=True,
        help="replicas that must go on serving",
    )
    for add in (
        project,
        flag("--dry-run", help="say who would be struck, and do nothing"),
        least_serving,
        at_once,
        option("--for", "seconds", type=SECONDS, metavar="S", help="undo it then (default: at `lab heal`)"),
    ):
        function = add(function)
    return function


@verb("kill")
@_who
@option("--zone", default="", help="one of this zone's")
@flag("--any", "anyone", help="one drawn at random: what is meant if nobody is named")
@option(
    "--how",
    type=click.Choice(("kill", "crash", "stop", "squeeze")),
    default="kill",
    help="see docs/reference/faults.md",
)
@option(
    "--signal",
    type=click.Choice(("SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP")),
    default="SIGKILL",
    help="if killed",
)
@_limits
def kill(
    who: str,
    zone: str,
    anyone: bool,
    how: str,
    signal: Signal,
    seconds: float | None,
    at_once: int,
    least_serving: int,
    dry_run: bool,
    project: str | None,
) -> int:
    """Kill a replica of the cluster of `lab up`, a balancer or a store."""
    if anyone and who != "any":
        raise UsageError("is named, and --any asks for one drawn at random", at=who, hint="leave one of them out")
    return _strike(
        how, who, at_once, least_serving, project, zone=zone, signal=signal, seconds=seconds, dry_run=dry_run
    )


@verb("freeze")
@_who
@_limits
def freeze(
    who: str, seconds: float | None, at_once: int, least_serving: int, dry_run: bool, project: str | None
) -> int:
    """Freeze a replica, a balancer or a store: it is there and does nothing."""
    return _strike("freeze", who, at_once, least_serving, project, seconds=seconds, dry_run=dry_run)


@verb("slow")
@_who
@_limits
def slow(who: str, seconds: float | None, at_once: int, least_serving: int, dry_run: bool, project: str | None) -> int:
    """Leave a replica, a balancer or a store a twentieth of a processor."""
    return _strike("slow", who, at_once, least_serving, project, seconds=seconds, dry_run=dry_run)


@verb("cut")
@_who
@option("--from", "off", default="", metavar="WHOM", help="from whom alone: store, a1, zone/b")
@_limits
def cut(
    who: str, off: str, seconds: float | None, at_once: int, least_serving: int, dry_run: bool, project: str | None
) -> int:
    """Take a replica, a balancer or a store out of its networks."""
    return _strike("cut", who, at_once, least_serving, project, off=off, seconds=seconds, dry_run=dry_run)


def _strike(
    how: str,
    who: str,
    at_once: int,
    least_serving: int,
    project: str | None,
    *,
    seconds: float | None,
    dry_run: bool,
    off: str = "",
    zone: str = "",
    signal: Signal = "SIGKILL",
) -> int:
    from lab.chaos.guard import BlastRadius
    from lab.operate.faults import StrikeRequest, strike

    spec = StrikeRequest(do=how, to=who, off=off, in_zone=zone, signal=signal, seconds=seconds, dry_run=dry_run)
    return strike(spec, BlastRadius(replicas=at_once, least_serving=least_serving), project=project, say=say)


@verb("lose-zone")
@click.argument("zone", help="which zone")
@flag("--cut-off", help="alive, but out of all networks")
@_limits
def lose_zone(
    zone: str,
    cut_off: bool,
    seconds: float | None,
    at_once: int,
    least_serving: int,
    dry_run: bool,
    project: str | None,
) -> int:
    """Every container of a zone at once; none is made there until it is back."""
    from lab.chaos.guard import BlastRadius
    from lab.operate import faults

    radius = BlastRadius(replicas=at_once, least_serving=least_serving)
    return faults.lose_zone(zone, radius, cut_off=cut_off, seconds=seconds, dry_run=dry_run, project=project, say=say)


@verb("halt")
@flag("--over", typed_only=True, help="let them strike again")
def halt(over: bool) -> int:
    """The safety lever: no lab on this engine strikes any more, runs under way included."""
    from lab.operate.faults import halt_strikes

    return halt_strikes(over=over, say=say)


@verb("heal")
@project
def heal(project: str | None) -> int:
    """Undo every fault that is open, whoever left it, until every slot serves."""
    from lab.operate import faults

    return faults.heal(project=project, say=say)
