"""What "none of so many" says: how often a thing may yet happen that never did, at 95 % confidence."""

from __future__ import annotations

from math import ceil

RULE = 3.0
"""The rule of three: of a thing that never came up in n trials, 3/n is an upper bound of its share with 95 %
confidence, since (1 - 3/n)^n is about e^-3, which is 5 %."""


def upper_bound(trials: int) -> float:
    """The share below which, with 95 % confidence, something lies that never happened in `trials`; 1 without any."""
    return min(1.0, RULE / trials) if trials > 0 else 1.0


def trials_for(share: float) -> int:
    """The trials it takes, none of which fails, to show that a smaller share than this fails."""
    return ceil(RULE / share)


def bound_text(trials: int) -> str:
    """For a person."""
    return f"under {upper_bound(trials):.2g} at 95 %" if trials > 0 else "nothing is shown"
