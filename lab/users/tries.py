"""How often and when a user tries again."""

from __future__ import annotations

from lab.model import Value

MOST_FACTORS = 50
"""So many make any factor over one larger than whatever anybody waits for."""


class Tries(Value):
    """How patient a user is: at most `most` tries of `timeout` seconds each.

    The pause before the second is drawn from 0 to `first` seconds, before each further one from 0 to `factor`
    times as much, but never to more than `longest` (full jitter, as in Marc Brooker's "Exponential Backoff And
    Jitter").
    """

    most: int = 3
    first: float = 0.05
    factor: float = 4.0
    longest: float = 10.0
    timeout: float = 2.5

    def pause_before(self, number: int, luck: float) -> float:
        """Seconds to wait before try `number` (2 is the first repeat); `luck` is drawn from [0, 1)."""
        return luck * min(self.longest, self.first * self.factor ** min(number - 2, MOST_FACTORS))
