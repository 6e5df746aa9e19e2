"""Judges a new release by what users got from it, against what they got from the old one in the same window: pure."""

from __future__ import annotations

import math
from enum import StrEnum

from lab.errors import UsageError
from lab.model import Value

SURE = 0.001
"""How likely it may be that an equal release looks this much worse by chance, each time the gate is asked."""
LATENCY_FLOOR_MS = 50.0
"""Milliseconds by which the new release must be slower at least: a ratio of two small numbers says nothing."""
EDGES_MS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 10000)
"""The upper edges of the latency histogram's bins; a last one takes what is slower."""


class Figures(Value):
    """What users got from one release in one window."""

    tries: int = 0
    failed: int = 0
    """Without a good answer: 5xx, cut, timed out, garbled, or a valid session refused."""
    broken: int = 0
    """Broken promises that count against this release."""
    latencies: tuple[int, ...] = ()
    """How many good answers fell into each bin of EDGES_MS."""

    def latency_ms(self, share: float) -> float | None:
        """The upper edge of the bin in which that share of the answers is reached; None without answers."""
        total = sum(self.latencies)
        if not total:
            return None
        reached = 0
        for edge, count in zip((*EDGES_MS, math.inf), self.latencies, strict=False):
            reached += count
            if reached >= share * total:
                return float(edge)
        return math.inf


class JudgeSettings(Value):
    """What makes a new release worse than the old one."""

    failed: float | str = 0.01
    """The share of failed tries that the new release may have more than the old: 0.01 or "1%"."""
    latency: float = 3.0
    """How many times the old release's 95th percentile the new one's may be."""
    least_tries: int = 100
    """Of each release, before anything is said but for a broken promise."""
    patience: float = 30.0
    """Seconds after which too few tries are a verdict of their own: what nobody tried can't be called good."""

    @property
    def failed_share(self) -> float:
        """`failed` as a number. Raises UsageError where it is none."""
        text = str(self.failed)
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share < 1:
            raise UsageError("is not a share from 0 to 1", at=f"judge.failed: {self.failed}", hint='"1%"')
        return share


class GateVerdict(StrEnum):
    """What the gate says of a release: go on, wait for more, or take it back."""

    GO = "go"
    HOLD = "hold"
    ROLL_BACK = "roll back"


class GateFinding(Value):
    """A verdict of the gate with its reason: one sentence with the figures in it."""

    verdict: GateVerdict
    why: str


def judge(new: Figures, old: Figures, settings: JudgeSettings, *, waited: float) -> GateFinding:
    """Compare two releases over one window; `waited` is how many seconds the new one has been served.

    A broken promise is enough by itself. Failures and latency are judged from `least_tries` of each on. That the
    new release fails in a larger share than the old one plus `failed` must be so unlikely by chance (Fisher's exact
    test, one-sided, at SURE) that a few unlucky tries never turn a good release back.
    """
    if new.broken > old.broken:
        return GateFinding(verdict=GateVerdict.ROLL_BACK, why=f"{new.broken} promises were broken by the new release")
    if new.tries < settings.least_tries:
        said = f"only {new.tries} of {settings.least_tries} tries reached the new release in {waited:.0f} s"
        verdict = GateVerdict.ROLL_BACK if waited > settings.patience else GateVerdict.HOLD
        return GateFinding(verdict=verdict, why=said)
    allowed = old.failed + math.ceil(settings.failed_share * old.tries)
    failed = f"{new.failed} of {new.tries} tries failed on the new release, {old.failed} of {old.tries} on the old"
    if old.tries >= settings.least_tries:
        chance = _worse_by_chance(new.failed, new.tries, min(allowed, old.tries), old.tries)
    else:  # all slots serve the new release: there is nothing beside it but what was promised of it
        chance = _at_least(new.failed, new.tries, max(settings.failed_share, 1e-6))
    if chance < SURE:
        return GateFinding(verdict=GateVerdict.ROLL_BACK, why=failed)
    slow, usual = new.latency_ms(0.95), old.latency_ms(0.95)
    if slow is not None and usual is not None and old.tries >= settings.least_tries:
        said = f"95 of 100 answers took up to {slow:g} ms on the new release, {usual:g} ms on the old"
        if slow > settings.latency * usual and slow - usual > LATENCY_FLOOR_MS:
            return GateFinding(verdict=GateVerdict.ROLL_BACK, why=said)
    return GateFinding(verdict=GateVerdict.GO, why=failed)


def _worse_by_chance(failed: int, tries: int, other_failed: int, other_tries: int) -> float:
    """Fisher's exact test: how likely so many failures fall on the first of two samples if both fail alike.

    The hypergeometric tail, by logarithms of factorials.
    """
    total, failures = tries + other_tries, failed + other_failed
    everything = _log_choose(total, failures)
    return sum(
        math.exp(_log_choose(tries, count) + _log_choose(other_tries, failures - count) - everything)
        for count in range(failed, min(tries, failures) + 1)
        if failures - count <= other_tries
    )


def _at_least(failed: int, tries: int, share: float) -> float:
    """The binomial tail: how likely at least so many of `tries` fail where `share` of them may."""
    return sum(
        math.exp(_log_choose(tries, count) + count * math.log(share) + (tries - count) * math.log1p(-share))
        for count in range(failed, tries + 1)
    )


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
