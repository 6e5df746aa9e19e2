"""`lab.watch(...)`: a deployment that somebody else performs, watched from Python, such as in a test."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.clock import NS, SYSTEM_CLOCK
from lab.console.reports import short
from lab.errors import ExitCode, NothingTold, StateLost, UsageError
from lab.machine.places import find_places
from lab.model import Value, Verdict
from lab.operate.runs import ChosenRun, unsaid, watch_one
from lab.operate.watch_checks import check_watched
from lab.oracle.telling import story
from lab.run.judge import JudgedRun
from lab.scenario.watch_options import WatchOptions, typed, watch_scenario
from lab.users.own import UserJourney


class WatchResult(Value):
    """A watched deployment by which nobody was hurt, and of which enough is known."""

    run: str
    folder: str
    seed: int
    verdict: str
    lines: tuple[str, ...]
    """The three closing lines."""
    kept: int
    """Users who kept their state: all of them."""
    served_by_new: int
    """Users who got an answer from the new release, as far as two signs say that there is one."""
    operations: int
    most_tries: int
    """How many tries an action needed at most."""


def watch(
    url: str | Sequence[str],
    journey: type[UserJourney],
    command: Sequence[str] = (),
    *,
    users: int = 20,
    rate: float | None = None,
    release_from: str | Sequence[str] = (),
    replica_from: str | None = None,
    evidence: str | None = None,
    allow: Sequence[str] = (),
    token_header: str | None = None,
    ca: str | None = None,
    within: float = 300.0,
    before: float = 5.0,
    after: float = 10.0,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    runs: Path | None = None,
) -> WatchResult:
    """Logged-in users at `url` while `command` deploys; then they read back, and the record is judged.

    The arguments are the options of `lab watch`; `settings` are other keys of the scenario by their paths
    ("users.think"). `journey` is a subclass of `lab.Journey`; files are found from the current folder.

    Raises StateLost where a promise was broken, with the first story; NothingTold where nothing can be told or the
    command failed; UsageError for what makes no sense, before anything is sent.
    """
    options = WatchOptions(
        urls=(url,) if isinstance(url, str) else tuple(url),
        journey=_named(journey),
        command=tuple(command),
        users=users,
        rate=rate,
        release_from=(release_from,) if isinstance(release_from, str) else tuple(release_from),
        replica_from=replica_from,
        evidence=evidence,
        allow=tuple(allow),
        token_header=token_header,
        ca=ca,
        within=within,
        before=before,
        after=after,
    )
    scenario = watch_scenario(options, tuple((settings or {}).items()), place=lambda key: f"lab.watch: {key}")
    if scenario.target is not None:
        check_watched(scenario.target)
    seed = secrets.randbelow(10**6) if seed is None else seed
    began = SYSTEM_CLOCK.now()
    judged, folder = watch_one(
        ChosenRun(scenario=scenario, seed=seed, repeat=typed(options)),
        runs or find_places().runs,
        say=unsaid,
        is_shown=False,
        own_user=journey,
    )
    took = (SYSTEM_CLOCK.now() - began) / NS
    lines = judged.closing(seconds=took, report=short(folder), repeat=typed(options))
    _raise_for(judged, lines)
    evidence_of = judged.judgement.evidence
    return WatchResult(
        run=folder.name,
        folder=str(folder),
        seed=seed,
        verdict=judged.judgement.verdict,
        lines=lines,
        kept=evidence_of.users - evidence_of.users_hurt,
        served_by_new=evidence_of.users_served_by_new,
        operations=evidence_of.operations,
        most_tries=evidence_of.first_tries.most_tries,
    )


def _raise_for(judged: JudgedRun, lines: Sequence[str]) -> None:
    judgement = judged.judgement
    if judgement.verdict is Verdict.BROKEN:
        told = story(judgement.findings[0], began=judged.began) if judgement.findings else []
        raise StateLost("\n".join([*lines, *told]))
    if judgement.exit_code != ExitCode.HELD:
        raise NothingTold("\n".join(lines))


def _named(journey: type[UserJourney]) -> str:
    """The journey's file and class, for the record."""
    if not (isinstance(journey, type) and issubclass(journey, UserJourney)):
        raise UsageError("is not a journey", at=f"lab.watch: {journey!r}", hint="class User(lab.Journey): ...")
    return f"{inspect.getfile(journey)}:{journey.__qualname__}"
