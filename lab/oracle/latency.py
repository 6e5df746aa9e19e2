"""How long answers took, to within 5 % and in bounded memory: to inform by, and too coarse to judge by."""

from __future__ import annotations

from math import log2

from lab.clock import NS
from lab.model import Value

_STEPS = 16
"""Buckets for each doubling: a percentile is right to within 5 %."""


class Latency(Value):
    """Seconds within which half, 95 % and 99 % of the operations ended, and the slowest one."""

    half: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    slowest: float = 0.0


class Latencies:
    """Counts lengths of time; memory does not grow with their number."""

    __slots__ = ("_buckets", "_slowest")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._slowest = 0

    def add(self, nanoseconds: int) -> None:
        bucket = int(log2(max(nanoseconds, 1)) * _STEPS)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self._slowest = max(self._slowest, nanoseconds)

    def absorb(self, other: Latencies) -> None:
        """Count another's as well."""
        for bucket, count in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count
        self._slowest = max(self._slowest, other._slowest)

    def summary(self) -> Latency:
        """The percentiles so far; all zero where nothing was counted."""
        total = sum(self._buckets.values())
        return Latency(
            half=self._within(total * 0.5),
            p95=self._within(total * 0.95),
            p99=self._within(total * 0.99),
            slowest=self._slowest / NS,
        )

    def _within(self, rank: float) -> float:
        passed = 0
        for bucket in sorted(self._buckets):
            passed += self._buckets[bucket]
            if passed >= rank:
                return min(float(2.0 ** ((bucket + 1) / _STEPS)), self._slowest) / NS
        return 0.0
