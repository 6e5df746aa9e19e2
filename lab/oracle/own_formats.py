"""Whether one release of somebody's own app reads what another one has written: state as a whole has one format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lab.model import Kind, Operation, Outcome
from lab.oracle.own_state import leaves

LEAST = 3
"""So many states must have been shown, and as many not."""
EXCEPTIONS = 0.1
"""The share of either that may be otherwise: a user's other device may write meanwhile."""

_Pair = tuple[str, str]
"""The other release that had written for a user, or the same where none had, and the one that was asked then."""


class OwnFormats:
    """Fed with everything in order; memory grows with the users."""

    def __init__(self) -> None:
        self._writers: dict[str, list[str]] = {}
        """The releases that took changes of each user, the last one last."""
        self._shown: Counter[_Pair] = Counter()
        self._unread: Counter[_Pair] = Counter()
        """How often a state was shown as it should be; how often nothing of it was, or the app failed over it."""

    def note(self, operation: Operation) -> None:
        """The next operation."""
        release, writers = operation.final.release, self._writers.setdefault(operation.user, [])
        if operation.kind is Kind.ACT and operation.outcome is Outcome.OK and release is not None:
            if release in writers:
                writers.remove(release)
            writers.append(release)
        elif operation.kind is Kind.READ and writers:
            failed = [one.release for one in operation.tries if one.answered and one.result >= "500"]
            self._unread.update(_pair(writers, one) for one in failed if one is not None)
        elif operation.kind is Kind.STATE and operation.allowed and release is not None and writers:
            if operation.answer in operation.allowed:
                self._shown[_pair(writers, release)] += 1
            elif not leaves(operation.answer) & leaves(operation.allowed[-1]):
                self._unread[_pair(writers, release)] += 1

    @property
    def cause(self) -> str:
        """Empty where who writes does not show it either, or others that did not write it do."""
        for (writer, reader), unread in self._unread.items():
            if writer == reader or unread < LEAST or self._shown[writer, reader] > EXCEPTIONS * unread:
                continue
            own, not_own = self._shown[reader, reader], self._unread[reader, reader]
            if self._shows(writer) and own >= LEAST and not_own <= EXCEPTIONS * min(own, unread):
                return f"{reader} shows nothing once {writer} has written: it does not read what that writes (formats)"
        return ""

    def _shows(self, release: str) -> bool:
        """Whether it shows what there is, whoever wrote it."""
        shown, unread = (
            sum(count for (_, by), count in those.items() if by == release) for those in (self._shown, self._unread)
        )
        return shown >= LEAST and unread <= EXCEPTIONS * shown


def _pair(writers: Sequence[str], reader: str) -> _Pair:
    return next((one for one in reversed(writers) if one != reader), reader), reader
