"""`lab repeat`, `shrink`, `duel`, `sweep`: many runs that answer one question."""

from __future__ import annotations

import click

from lab.cli.parser import COUNT, SECONDS, SEED, WORDS, option, users_port, verb
from lab.cli.records import recorded_run
from lab.cli.terminal import say
from lab.errors import UsageError


@verb("repeat")
@recorded_run
@users_port
def repeat(run: str, port: int | None) -> int:
    """Do a recorded run again: its scenario, seed, images and strikes."""
    from lab.experiments.repeat import repeat_run

    return repeat_run(run, port=port, say=say)


@verb("shrink")
@recorded_run
@option("--most-runs", type=COUNT, default=16, metavar="N", help="runs after which it ends (default: 16)")
def shrink(run: str, most_runs: int) -> int:
    """The fewest strikes of a broken run that still break the promise."""
    from lab.experiments.repeat import shrink_run

    return shrink_run(run, most_runs=most_runs, say=say)


@verb("duel")
@click.argument("way", nargs=-1, help="recreate, docker-rollout, rolling, red-black, canary (default: all)")
@option("--seed", type=SEED, default=11, help="of the users (default: 11)")
@option("--users", type=COUNT, default=60, metavar="N", help="default: 60")
@option("--think", type=SECONDS, default=0.3, metavar="S", help="default: 0.3")
@option("--tries", type=COUNT, default=3, metavar="N", help="for each operation, at most (default: 3)")
@option("--from", "before", default="shop:v1", metavar="IMAGE", help="default: shop:v1")
@option("--to", default="shop:v2", metavar="IMAGE", help="default: shop:v2")
@option("-o", "--output", metavar="FILE", help="the picture, as SVG (default: in runs/)")
def duel(
    way: tuple[str, ...], seed: int, users: int, think: float, tries: int, before: str, to: str, output: str | None
) -> int:
    """Upgrade by several ways under the same users, and compare: a table, a picture."""
    from lab.experiments.duel import run_duel
    from lab.experiments.upgrades import UserLoad

    load = UserLoad(users=users, think=think, tries=tries, seed=seed)
    return run_duel(list(way), load, before=before, to=to, picture=output, say=say)


@verb("sweep")
@click.argument(
    "strategy", nargs=-1, help="rolling, drain-then-move, canary, red-black, reverse (default: all, half an hour)"
)
@option("--fault", type=WORDS, multiple=True, help="only this one, such as 'freeze the store'; may be repeated")
@option("--at", type=WORDS, multiple=True, metavar="POINT", help="only there, such as ready; may be repeated")
@option("--seed", type=SEED, default=1, help="of the users and the random kills (default: 1)")
@option("--deployer-kills", type=int, metavar="N", help="kill deployers at every step boundary, and N at random")
def sweep(
    strategy: tuple[str, ...], fault: tuple[str, ...], at: tuple[str, ...], seed: int, deployer_kills: int | None
) -> int:
    """Rehearse a rollout with every fault at every phase, or kill its deployers."""
    from lab.backends.choose import make_backend
    from lab.experiments.deployer_kills import KillSweepSpec, run_kill_sweep
    from lab.experiments.fault_matrix import choose, run_fault_sweep

    choose(strategy, fault, at)
    if deployer_kills is not None and (deployer_kills < 0 or strategy or fault or at):
        what = "kills go over every strategy, at every boundary, and so many at random"
        raise UsageError(what, at="--deployer-kills", hint="lab sweep --deployer-kills 100")
    backend = make_backend(say)
    if deployer_kills is not None:
        spec = KillSweepSpec(each_boundary=True, random_kills=deployer_kills, seed=seed)
        return run_kill_sweep(backend, spec, say)
    return run_fault_sweep(backend, seed, say, names=strategy, faults=fault, points=at)
