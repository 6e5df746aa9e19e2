"""Whether one release of somebody's own app reads what another one has written: state as a whole has one format."""

from __future__ import annotations

from collections import Counter

from lab.model import Kind, Operation, Outcome
from lab.oracle.own_state import leaves

LEAST = 3
"""So many states must have been shown, and as many not."""
EXCEPTIONS = 0.1
"""The share of either that may be otherwise: a user's other device may write meanwhile."""

_Pair = tuple[str, str]
"""The release that wrote last, and the one that was asked then."""


class OwnFormats:
    """Fed with everything in order; memory grows with the users."""

    def __init__(self) -> None:
        self._writer: dict[str, str | None] = {}
        """The release that took each user's last change."""
        self._shown: Counter[_Pair] = Counter()
        self._unread: Counter[_Pair] = Counter()
        """How often a state was shown as it should be; how often nothing of it was, or the app failed over it."""

    def note(self, operation: Operation) -> None:
        """The next operation."""
        release = operation.final.release
        if operation.kind is Kind.ACT and operation.outcome is Outcome.OK:
            self._writer[operation.user] = release
        writer = self._writer.get(operation.user)
        if writer is not None and operation.kind is Kind.READ:
            failed = [one.release for one in operation.tries if one.answered and one.result >= "500"]
            self._unread.update((writer, one) for one in failed if one is not None)
        if operation.kind is not Kind.STATE or not operation.allowed or release is None or writer is None:
            return
        if operation.answer in operation.allowed:
            self._shown[writer, release] += 1
        elif not leaves(operation.answer) & leaves(operation.allowed[-1]):
            self._unread[writer, release] += 1

    @property
    def cause(self) -> str:
        """Empty where who writes does not show it either, or others that did not write it do."""
        for (writer, reader), unread in self._unread.items():
            if writer == reader or unread < LEAST or self._shown[writer, reader] > EXCEPTIONS * unread:
                continue
            if self._shows(writer) and self._shows(reader):
                return f"{reader} shows nothing once {writer} has written: it does not read what that writes (formats)"
        return ""

    def _shows(self, release: str) -> bool:
        """Whether it shows what it has written itself."""
        shown = self._shown[release, release]
        return shown >= LEAST and self._unread[release, release] <= EXCEPTIONS * shown
