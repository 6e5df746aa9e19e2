"""The table of watched deployments, as the documents have it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.duel.watching import Figures


def markdown(figures: Sequence[Figures]) -> Iterator[str]:
    """One line a watched deployment."""
    heads = ("deployed by", "behind", "exit code", "operations meanwhile", "first tries failed", "saved by a retry")
    yield f"| {' | '.join((*heads, 'lost', 'seconds', 'containers at the peak'))} |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|"
    for one in figures:
        yield (
            f"| {one.way} | {one.proxy} | {one.exit_code} | {one.operations} | {one.failed_first} | {one.saved}"
            f" | {one.lost} | {one.seconds:.1f} | {one.peak} |"
        )
