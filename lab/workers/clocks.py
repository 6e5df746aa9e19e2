"""By how much a worker's clock differs from the conductor's, and how little is known of that."""

from __future__ import annotations

from lab.clock import NS

WINDOW = 10 * NS
"""Nanoseconds within which only the best measurement counts: of a busy machine most answers come late."""
DRIFT = 500e-6
"""Seconds by which two clocks drift apart in a second at most, while time services slew them."""


class ClockOffset:
    """Fed with questions and answers. A worker's time plus `offset` is the conductor's, give or take `uncertainty`.

    The offset is fixed once, so that what a worker's clock put in order stays in it; whatever the clocks do afterwards
    is uncertainty. Two clocks that may be the same one are taken for the same.
    """

    def __init__(self) -> None:
        self.offset = 0
        """Nanoseconds."""
        self._best: tuple[int, int] | None = None
        """Of this window: the least and the most that the offset can be."""
        self._window_ends = 0
        self._worst = 0
        self._is_fixed = False

    def note(self, asked: int, answered: int, heard: int) -> None:
        """The worker's clock said `answered` between `asked` and `heard` by the conductor's."""
        if self._is_fixed and heard >= self._window_ends:
            self._close_window()
            self._window_ends = heard + WINDOW
        least, most = asked - answered, heard - answered
        if self._best is None or most - least < self._best[1] - self._best[0]:
            self._best = least, most

    def fix(self) -> None:
        """Take what is known by now for the offset. Raises ValueError where nothing is."""
        if self._best is None:
            raise ValueError("no clock was asked")
        least, most = self._best
        self.offset = 0 if least <= 0 <= most else (least + most) // 2
        self._is_fixed = True
        self._close_window()

    @property
    def uncertainty(self) -> int:
        """The most nanoseconds by which the offset may have been another one, in every window that is over."""
        return self._worst

    def _close_window(self) -> None:
        self._worst = max(self._worst, self._error(self._best))
        self._best = None

    def _error(self, interval: tuple[int, int] | None) -> int:
        if interval is None:
            return 0
        least, most = interval
        return max(most - self.offset, self.offset - least) + int(DRIFT * WINDOW)
