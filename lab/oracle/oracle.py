"""The oracle: fed with what users did, it says what contradicts what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from lab.model import Finding, Operation
from lab.oracle.counts import CheckCounts
from lab.oracle.findings import Findings
from lab.oracle.ledger import Ledger
from lab.oracle.session import SessionLimits

ENOUGH_EARLY = 5
"""So many actions that ended early, and none that did not, are no bad luck."""


class Oracle:
    """Judges the state promises of all users while the run goes on, or afterwards (`check`): the same code.

    Never finds anything in a history that some order of the operations within their times explains. Every
    operation that began must be fed once it has ended, as unknown if nobody knows. Not safe for several threads.
    """

    def __init__(self, limits: SessionLimits | None = None) -> None:
        self._limits = limits or SessionLimits()
        self._found = Findings()
        self._counts = CheckCounts()
        self._ledgers: dict[str, Ledger] = {}
        self._finished = False
        self.is_cut_off = False
        """Whether it was fed only the beginning of a history."""
        self._closed: dict[str, tuple[bool, bool]] = {}
        """Of users whose ledgers are no longer needed: whether they were left undecided, and unjudged."""
        self.operations = 0

    def feed(self, operation: Operation) -> None:
        """Take in an operation, in the order in which a user's operations ended.

        One that says `quiet` is judged, with all that ended before. If an operation is fed later that had begun
        before that one ended, nothing more is claimed of this user (`unjudged`).
        """
        ledger = self._ledgers.get(operation.user)
        if ledger is None:
            ledger = Ledger(operation.user, self._found, self._counts, self._limits)
            self._ledgers[operation.user] = ledger
        self.operations += 1
        if operation.quiet:
            if not ledger.take_alone(operation):
                ledger.feed(operation)
                ledger.judge()
        else:
            ledger.feed(operation)

    def finish(self) -> Sequence[Finding]:
        """The run is over and everybody is quiet: judge what is left. Calling it again changes nothing."""
        if not self._finished:
            self._finished = True
            for ledger in self._ledgers.values():
                ledger.judge_all()
        return self.findings

    def cut_off(self) -> Sequence[Finding]:
        """The history goes on where this one ends: what has waited for a quiet moment since is never judged.

        An operation that was under way may be what explains it.
        """
        self._finished = self.is_cut_off = True
        return self.findings

    def close(self) -> None:
        """Finish, and keep of every user only what is asked of a finished oracle: little enough to be handed on."""
        self.finish()
        self._closed |= {user: (ledger.undecided, ledger.late) for user, ledger in self._ledgers.items()}
        self._ledgers.clear()

    def absorb(self, other: Oracle) -> None:
        """Take over what a closed oracle found about other users than this one's."""
        self._found.all += other._found.all
        self._found.all.sort(key=lambda finding: finding.at)
        self._found.hurt |= other._found.hurt
        self._counts.add(other._counts)
        self._closed |= other._closed
        self.operations += other.operations
        self._finished = True

    @property
    def findings(self) -> Sequence[Finding]:
        """All findings so far, in the order in which they became certain."""
        return self._found.all

    @property
    def users(self) -> Set[str]:
        """The users who did anything."""
        return self._ledgers.keys() | self._closed.keys()

    @property
    def users_hurt(self) -> Set[str]:
        """The users who have a finding."""
        return self._found.hurt

    @property
    def comparisons(self) -> int:
        """How many comparisons were made for all promises together."""
        return sum(self.counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """How many comparisons were made for each promise."""
        return self._counts.by_promise()

    @property
    def why_nothing(self) -> str:
        """Of somebody's own app: why no comparison of its state could have failed; empty where one could."""
        return "" if self._counts.reads_compared else self._counts.own_app.why_nothing()

    @property
    def why_no_logout(self) -> str:
        """Of somebody's own app: why every logout of its users ended early; empty where one did not."""
        return self._counts.own_app.why_no_logout()

    @property
    def always_ends_early(self) -> str:
        """Of somebody's own app: why every action of its users ended early so far; empty where one did not."""
        own_app = self._counts.own_app
        is_so = not own_app.ended_whole and own_app.ended_early.total() >= ENOUGH_EARLY
        return own_app.why_nothing() if is_so else ""

    @property
    def undecided(self) -> int:
        """Users with an object about which nothing was claimed, because its search would have grown too wide."""
        open_ones = sum(1 for ledger in self._ledgers.values() if ledger.undecided)
        return open_ones + sum(undecided for undecided, _ in self._closed.values())

    @property
    def unjudged(self) -> int:
        """Users about whom nothing was claimed any more, because a quiet point had been announced too early."""
        open_ones = sum(1 for ledger in self._ledgers.values() if ledger.late)
        return open_ones + sum(late for _, late in self._closed.values())


def check(operations: Iterable[Operation], limits: SessionLimits | None = None, *, is_cut_off: bool = False) -> Oracle:
    """Judge a whole history: in the order of the ends where operations say `quiet`, else in any order.

    One that `is_cut_off` is judged only as far as somebody was quiet. Without that word the quiet points are found from
    the begins and ends, once all is there; with it, memory is bounded by the users' state.
    """
    oracle = Oracle(limits)
    for operation in operations:
        oracle.feed(operation)
    if is_cut_off:
        oracle.cut_off()
    else:
        oracle.finish()
    return oracle
