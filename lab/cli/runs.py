"""`lab init`, `try`, `run`, `watch`: begin with an app of one's own, and prove that its users keep their state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lab.cli.parser import COUNT, SCENARIO, SECONDS, SEED, WORDS, begins_swarm, flag, on, option, page, verb
from lab.cli.terminal import say

if TYPE_CHECKING:
    from lab.scenario.watch_options import WatchOptions

SCENARIOS = (
    "demo, demo-broken, rolling, canary, red-black, scale, deployer-death, pinned, zone-loss, edge-loss, store-loss,"
    " monkey, month-of-monkey, soak, or a YAML file"
)


@verb("init")
@option(
    "--compose",
    type=WORDS,
    multiple=True,
    metavar="FILE",
    help="a compose file (default: those that are here); may be repeated",
)
@option("--service", help="which of its services is the app (default: as the file says)")
def init(compose: tuple[str, ...], service: str | None) -> int:
    """Write lab.yaml and journey.py for an app of your own, from its compose file."""
    from pathlib import Path

    from lab.scenario.init import write_scenario

    return write_scenario(compose, service, Path(compose[0]).parent if compose else Path(), say)


@verb("run")
@click.argument(
    "scenario",
    nargs=-1,
    required=True,
    type=SCENARIO,
    help=f"{SCENARIOS}; several run one after another, and the exit code is the worst of theirs: 1, 2, 4, 5, 3, 0",
)
@option("--seed", type=SEED, help="repeat the same schedule; a fresh one is drawn and printed otherwise")
@option("--users", type=COUNT, metavar="N", help="so many users; what is enough follows in proportion")
@option("--think", type=SECONDS, metavar="S", help="mean seconds between two actions of a device; likewise")
@option("--duration", type=SECONDS, metavar="S", help="seconds that each `repeat` step goes on (soak)")
@option("--until", type=float, metavar="SHARE", help="go on until fewer failures than this are shown: 1e-4")
@option(
    "--set",
    "changes",
    type=WORDS,
    multiple=True,
    metavar="KEY=VALUE",
    help="any key of the scenario: users.tries=2; may be repeated",
)
@flag("--pull", help="pull images of your own compose file that are missing")
@option("--workers", type=COUNT, metavar="N", help="divide the users among N workers inside the swarm (--on swarm)")
@flag("--dry-run", help="print the plan and what could be touched; touch nothing")
@flag("--json", "as_json", help="the run's events as JSON Lines, and nothing else on stdout")
@page
@flag("--control", help="the page may kill, freeze, roll and reverse, too")
@on
@begins_swarm
def run(
    scenario: tuple[str, ...],
    seed: int | None,
    users: int | None,
    think: float | None,
    duration: float | None,
    until: float | None,
    changes: tuple[str, ...],
    pull: bool,
    workers: int | None,
    dry_run: bool,
    as_json: bool,
    port: int | None,
    ui: bool,
    ui_port: int | None,
    control: bool,
) -> int:
    """Run a scenario and say whether every user kept their state."""
    from lab.console.page import PageSpec
    from lab.operate.runs import RunRequest, run_scenarios
    from lab.scenario.overrides import Overrides, parse_change

    overrides = Overrides(
        changes=tuple(parse_change(text) for text in changes),
        users=users,
        think=think,
        duration=duration,
        until=until,
    )
    is_shown = ui or control or ui_port is not None
    spec = RunRequest(
        scenarios=scenario,
        seed=seed,
        port=port,
        overrides=overrides,
        is_dry=dry_run,
        pulls=pull,
        as_json=as_json,
        page=PageSpec(port=ui_port, control=control) if is_shown else None,
        workers=workers or 0,
    )
    return run_scenarios(spec, say)


@verb("try")
@click.argument("scenario", type=SCENARIO, help="a YAML file with a journey of your own")
@option("--actions", type=COUNT, default=3, metavar="N", help="how often it acts (3 if not given)")
@option("--seed", type=SEED, default=1, help="what the journey draws (1 if not given)")
@option(
    "--set",
    "changes",
    type=WORDS,
    multiple=True,
    metavar="KEY=VALUE",
    help="any key of the scenario: cluster.release=web:v2; may be repeated",
)
def try_(scenario: str, actions: int, seed: int, changes: tuple[str, ...]) -> int:
    """Let one user try your journey on one replica, request by request, and say what would be checked."""
    from lab.operate.trial import TrialRequest, try_scenario
    from lab.scenario.overrides import Overrides, parse_change

    overrides = Overrides(changes=tuple(parse_change(text) for text in changes))
    return try_scenario(TrialRequest(scenario=scenario, actions=actions, seed=seed, overrides=overrides), say)


@verb("watch")
@click.argument(
    "scenario",
    nargs=-1,
    type=SCENARIO,
    help="YAML files that name a `target`; with --url instead, after --, the command that deploys. No engine is needed",
)
@option("--url", "urls", type=WORDS, multiple=True, metavar="URL", help="a door to the app; may be repeated")
@option("--journey", metavar="FILE.py:CLASS", help="what its users do")
@option("--users", type=COUNT, metavar="N", help="so many users (20)")
@option("--rate", type=float, metavar="N", help="requests a second at most, of all users; needed off this machine")
@option(
    "--release-from",
    type=WORDS,
    multiple=True,
    metavar="SOURCE",
    help="header:NAME or json:PATH of each answer; get:/PATH or get:/PATH#PLACE as a second sign; may be repeated",
)
@option("--replica-from", metavar="SOURCE", help="header:NAME or json:PATH of each answer")
@option("--evidence", metavar="SOURCE", help="compose:PROJECT, swarm:SERVICE, or command:PROGRAM that tells events")
@option("--allow", type=WORDS, multiple=True, metavar="HOST", help="a host elsewhere that agrees; may be repeated")
@option("--token-header", metavar="NAME", help="the header in which it gives the token back")
@option("--ca", metavar="FILE", help="the certificates to trust, in PEM (default: the system's)")
@option("--within", type=SECONDS, metavar="S", help="seconds that the command may take (300)")
@option("--before", type=SECONDS, metavar="S", help="seconds that users are there before it (5)")
@option("--after", type=SECONDS, metavar="S", help="seconds that they stay after it (10)")
@option("--seed", type=SEED, help="repeat the same users; a fresh one is drawn and printed otherwise")
@option(
    "--set",
    "changes",
    type=WORDS,
    multiple=True,
    metavar="KEY=VALUE",
    help="any key of the scenario: users.think=1; may be repeated",
)
@flag("--dry-run", help="print the plan; send nothing, run nothing")
@flag("--json", "as_json", help="the run's events as JSON Lines, and nothing else on stdout")
@flag("--ui", help="a live page on 127.0.0.1")
@flag("--strike", typed_only=True, help="do the scenario's strikes, on containers labelled lab.may-be-struck=true")
def watch(
    scenario: tuple[str, ...],
    seed: int | None,
    changes: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    ui: bool,
    strike: bool,
    **of: Any,
) -> int:
    """Watch a deployment that somebody else performs, and say whether its users kept their state."""
    from lab.console.page import PageSpec
    from lab.operate.runs import RunRequest, run_scenarios
    from lab.scenario.overrides import Overrides, parse_change

    options = _watch_options(scenario, of)
    spec = RunRequest(
        scenarios=scenario if options is None else (),
        seed=seed,
        overrides=Overrides(changes=tuple(parse_change(text) for text in changes)),
        is_dry=dry_run,
        as_json=as_json,
        page=PageSpec() if ui else None,
        watch=options,
        may_strike=strike,
        only_targets=True,
    )
    return run_scenarios(spec, say)


def _watch_options(words: tuple[str, ...], of: dict[str, Any]) -> WatchOptions | None:
    """What the options ask for; None where files do. Raises UsageError where neither does, or both do."""
    from lab.errors import UsageError
    from lab.scenario.watch_options import WatchOptions

    given = {name: value for name, value in of.items() if value not in (None, ())}
    if "urls" not in given:
        if given:
            option = next(iter(given)).replace("_", "-")
            raise UsageError(
                "is for a deployment that --url names", at=f"--{option}", hint="--url, or --set with a file"
            )
        if not words:
            hint = "lab watch FILE.yaml, or: lab watch --url URL --journey journey.py:User -- ./deploy.sh"
            raise UsageError("there is nothing to watch", at="lab watch", hint=hint)
        return None
    if "journey" not in given:
        raise UsageError("nobody uses it: there is no journey", at="--url", hint="--journey journey.py:User")
    return WatchOptions(command=words, **given)
