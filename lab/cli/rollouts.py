"""`lab roll` and the verbs around it, `lab scale`, `lab deployer`: change a cluster that stands."""

from __future__ import annotations

from typing import Any

import click

from lab.cli.parser import SECONDS, flag, option, project, verb
from lab.cli.terminal import say
from lab.errors import UsageError


class Batch(click.ParamType[int | str]):
    """How many slots: a number, or a percentage, which the strategy checks."""

    name = "batch"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        text = str(value)
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text


class Shares(click.ParamType[list[float]]):
    """Parts of the whole, separated by commas."""

    name = "shares"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        try:
            return [float(one) for one in str(value).split(",")]
        except ValueError:
            self.fail(f"{value} is not a list of numbers, such as 0.1,0.5,1", param, ctx)


class StrategyChoice(click.Choice[str]):
    """A strategy's name, as scenarios have them; only who asks for one pays for the import."""

    def __init__(self) -> None:
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        from lab.deploy.rollout import StrategyName

        return tuple(str(one) for one in StrategyName)


@verb("roll")
@click.argument("image", help="the new release's image, such as shop:v2")
@option(
    "--strategy",
    type=StrategyChoice(),
    default="rolling",
    help="how",
)
@option("--batch", type=Batch(), help="slots under change at once: a number or a percentage (25%)")
@option("--surge", type=int, help="rolling: replicas more than slots; 0: the old one leaves first")
@option("--pause", type=SECONDS, metavar="S", help="seconds between two slots")
@option("--order", type=click.Choice(("spread", "zone")), help="round the zones, or zone by zone")
@option("--shares", type=Shares(), metavar="LIST", help="canary, red-black: shares of the slots, such as 0.1,0.5,1")
@option("--hold", type=SECONDS, metavar="S", help="canary, red-black: seconds that each share lasts")
@option("--keep", type=SECONDS, metavar="S", help="red-black: seconds that the old group stands by")
@option("--ready-within", type=SECONDS, metavar="S", help="seconds for a new replica to get ready")
@option("--grace", type=SECONDS, metavar="S", help="seconds for an old replica to drain")
@flag("--judge", help="compare what users get; needs somebody who watches them")
@flag("--approve", help="wait for `lab approve` after each share")
@flag("--detach", help="only write down what is wanted; a deployer does it")
@project
def roll(
    image: str, strategy: str, judge: bool, approve: bool, detach: bool, project: str | None, **options: object
) -> int:
    """Upgrade the cluster of `lab up`, and see it through."""
    from lab.operate import rollouts

    given: dict[str, object] = {name: value for name, value in options.items() if value is not None}
    given |= {"judge": {}} if judge else {}
    given |= {"approve": True} if approve else {}
    return rollouts.roll(image, strategy, given, project=project, detach=detach, say=say)


@verb("resume")
@project
def resume(project: str | None) -> int:
    """Go on with a rollout whose deployer died."""
    from lab.operate import rollouts

    return rollouts.resume(project=project, say=say)


@verb("reverse")
@project
def reverse(project: str | None) -> int:
    """Send everybody back to the old release: it is enabled first, then the new one disabled."""
    return _ask("reverse", project)


@verb("abort")
@project
def abort(project: str | None) -> int:
    """Stop a rollout and go back."""
    return _ask("abort", project)


def _ask(what: str, project: str | None) -> int:
    from lab.deploy.rollout import RolloutRequest
    from lab.operate import rollouts

    return rollouts.ask(RolloutRequest(what), project=project, say=say)


@verb("approve")
@project
def approve(project: str | None) -> int:
    """Let a rollout that waits for a person go on."""
    from lab.operate import rollouts

    return rollouts.approve(project=project, say=say)


@verb("lock")
@project
def lock(project: str | None) -> int:
    """Who leads the cluster, since when, at which step, and what to do."""
    from lab.operate import rollouts

    return rollouts.show_lock(project=project, say=say)


@verb("scale")
@click.argument("zone", nargs=-1, required=True, metavar="ZONE=COUNT...", help="such as a=1 b=2")
@project
def scale(zone: tuple[str, ...], project: str | None) -> int:
    """How many replicas each zone is to have."""
    from lab.operate import rollouts

    counts = {}
    for spec in zone:
        name, _, count = spec.partition("=")
        if not (count.isascii() and count.isdecimal() and len(count) < 10):
            raise UsageError("is not ZONE=COUNT", at=spec, hint="lab scale a=1 b=2")
        counts[name] = int(count)
    return rollouts.scale(counts, project=project, say=say)


@verb("deployer")
@project
@flag("--events", help="events as JSON lines; ends with its standard input")
@flag("--rehearse", help="wait for a line on standard input around every act")
@option("--script", metavar="FILE", help="upgrade as this file says, not in the lab's own way")
def deployer(project: str | None, events: bool, rehearse: bool, script: str | None) -> int:
    """Be a deployer: lead if nobody does, stand by otherwise."""
    from lab.operate import rollouts

    return rollouts.lead(project=project, events=events, rehearse=rehearse, script=script, say=say)
