"""A device's own chance: seeded, repeatable, and small enough to have one for each of ten thousand users."""

from __future__ import annotations

import hashlib
from math import log

_FACTOR, _STEP, _MASK = 6364136223846793005, 1442695040888963407, (1 << 64) - 1
"""Knuth's MMIX generator (The Art of Computer Programming, volume 2, 3.3.4); its high bits are the good ones."""


class Chance:
    """Draws from [0, 1) in an order that `seed` alone decides.

    `random.Random` keeps 2.5 KB for a quality that plans of users don't need; this keeps one number.
    """

    __slots__ = ("_state",)

    def __init__(self, seed: str) -> None:
        self._state = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "big")

    def random(self) -> float:
        """The next number of 53 bits, from 0 up to but not 1."""
        self._state = state = (self._state * _FACTOR + _STEP) & _MASK
        return (state >> 11) * 2.0**-53

    def exponential(self, mean: float) -> float:
        """The next time between two events that come `mean` seconds apart in the mean, whatever was before."""
        return -log(1.0 - self.random()) * mean
