"""How often and when a user tries again, and what all the tries together say about the effect."""

from __future__ import annotations

from lab.model import Outcome, TryResult, Value
from lab.users.wire import HttpAnswer


class Tries(Value):
    """How patient a user is: at most `most` tries of `timeout` seconds each.

    The pause before the second is drawn from 0 to `first` seconds, before each further one from 0 to `factor`
    times as much (full jitter).
    """

    most: int = 3
    first: float = 0.05
    factor: float = 4.0
    timeout: float = 2.5

    def pause_before(self, number: int, luck: float) -> float:
        """Seconds to wait before try `number` (2 is the first repeat); `luck` is drawn from [0, 1)."""
        return luck * self.first * self.factor ** (number - 2)


def is_harmless(came: HttpAnswer | TryResult) -> bool:
    """Whether the try surely had no effect: never sent, or refused by an app that knows it did nothing.

    The word of the last replica says nothing of those that the balancer asked before it: after a repeat at the
    edge, an earlier one may have done it and died before it could say so.
    """
    if not isinstance(came, HttpAnswer):
        return came is TryResult.UNSENT
    head = came.head
    if head.status < 400 or len(head.edge) > 1:
        return False
    if head.status == 503:
        return head.header(b"x-not-applied") == "1"
    return head.status < 500


def outcome_of(last: str, *, all_harmless: bool) -> Outcome:
    """What is known of an operation whose last try ended as `last`."""
    if last == "200" or (last.isdigit() and 200 <= int(last) < 300):
        return Outcome.OK
    return Outcome.REFUSED if all_harmless else Outcome.UNKNOWN
