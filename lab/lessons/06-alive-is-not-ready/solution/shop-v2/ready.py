"""Whether a replica may be sent users: once it can answer them."""

from __future__ import annotations

from typing import Protocol


class Prices(Protocol):
    """The price list, which is read in the background from the start."""

    @property
    def are_loaded(self) -> bool: ...


def why_not(prices: Prices) -> str:
    """Why this replica is not ready, for /readyz and the log; empty if it is. Asked every tenth of a second."""
    return "" if prices.are_loaded else "the price list is being read"
