"""`lab up`, `down`, `status`, `logs`: a cluster that stands until somebody takes it down."""

from __future__ import annotations

import click

from lab.cli.parser import COUNT, begins_swarm, flag, option, project, users_port, verb
from lab.cli.terminal import say


@verb("up")
@option("--release", default="shop:v1", help="the app's image (default: shop:v1)")
@users_port
@option("--store", default="redis", help="what keeps the state: see docs/reference/stores.md")
@option("--orders", type=click.Choice(("redis", "postgres")), default="redis", help="what keeps the orders")
@begins_swarm
@project
def up(release: str, port: int | None, store: str, orders: str, project: str | None) -> int:
    """Bring a cluster up and leave it running."""
    from lab.operate.cluster import KeptStores, bring_up_and_keep

    return bring_up_and_keep(release, KeptStores(store=store, orders=orders), project=project, port=port, say=say)


@verb("down")
@flag("-y", "--yes", typed_only=True, help="even if it is the cluster of a run that goes on")
@project
def down(yes: bool, project: str | None) -> int:
    """Remove the cluster that `lab up` made, with its volumes."""
    from lab.operate.cluster import bring_down

    return bring_down(project, say=say, is_agreed=yes)


@verb("status")
@flag("--watch", help="again and again, until Ctrl-C or the cluster is gone")
@project
def status(watch: bool, project: str | None) -> int:
    """Zones, replicas and who answers; exit 0 only if every slot serves."""
    from lab.console.terminal import redrawn
    from lab.operate.cluster import show_status, watch_status

    if not watch:
        return show_status(project, say=say)
    with redrawn() as redraw:
        return watch_status(project, say=say, redraw=redraw)


@verb("logs")
@click.argument("who", help="a slot or a replica (a1, a1-7), balancer, store/a, or a service of your compose file")
@flag("-f", "--follow", help="and what comes, until Ctrl-C or its end")
@option("--last", type=COUNT, default=100, metavar="N", help="so many lines at most (100 if not given)")
@project
def logs(who: str, follow: bool, last: int, project: str | None) -> int:
    """What a replica, a store, a balancer or a service wrote."""
    from lab.operate.cluster import show_log

    return show_log(who, project, last=last, follows=follow, say=say)
