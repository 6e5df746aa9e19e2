"""When the monkey strikes: seconds from its start, drawn from a seed; pure."""

from __future__ import annotations

from random import Random

from lab.model import Value


class MonkeySettings(Value):
    """How often and how hard. Times in seconds."""

    at_least: int = 4
    """Strikes that must be made; fewer and the run proves too little."""
    at_most: int = 4
    mean_gap: float = 3.0
    least_gap: float = 1.5
    signal: str = "SIGKILL"
    least_serving: int = 5
    """A strike may not leave fewer replicas serving than this."""


def draw_gaps(settings: MonkeySettings, random: Random) -> list[float]:
    """The time before each strike: exponential around the mean, never under the least gap."""
    spread = max(settings.mean_gap - settings.least_gap, 0.001)
    return [settings.least_gap + random.expovariate(1 / spread) for _ in range(settings.at_most)]
