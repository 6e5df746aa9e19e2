"""The recently viewed items: an append-only list of unique ids, of which a read shows the newest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from lab.model import Operation
from lab.oracle import history_rules
from lab.oracle.breach import Breach
from lab.oracle.counts import CheckCounts
from lab.oracle.interval import NEVER, begin_of, end_of
from lab.oracle.words import HISTORY, OK, UNKNOWN, VIEW

SHOWN = 100
"""How many entries a read shows at most."""
LISTED_AT_MOST, LISTED_KEPT = 2 * SHOWN, SHOWN + SHOWN // 4
"""So many known entries are too many, and so many of them stay: those that a read may show, and some to name."""


class History:
    """Exact while no more than SHOWN views lie between two reads of a user; beyond that only sound.

    The slots "reads that count 0, first entry, reads that count 1, second entry, ..." are totally ordered, so
    the answers are linearizable if and only if all reads are prefixes of one list and no operation ended before
    one of an earlier slot began. An acknowledged view that no read has shown yet belongs after all of them; one
    of unknown outcome may never happen. Entries that no read has shown (`hidden`) are only counted, never guessed.
    """

    __slots__ = (
        "_counts",
        "_from",
        "_hidden",
        "_latest",
        "_latest_begin",
        "_newest",
        "last_read",
        "listed",
        "refused",
        "unknown",
        "unseen",
        "views",
    )

    def __init__(self, counts: CheckCounts) -> None:
        self._counts = counts
        self.listed: list[str] = []
        """The newest known entries, from position `_from` on."""
        self._from = 0
        self._newest: list[str] = []
        """What the next read must show if nothing is viewed before: the last SHOWN of the listed entries. A list of
        its own, so that a read is compared without a copy."""
        self.views: dict[str, Operation] = {}
        """The views of the listed entries."""
        self.unseen: dict[str, Operation] = {}
        self.unknown: dict[str, Operation] = {}
        self.refused: dict[str, Operation] = {}
        self._hidden = 0
        self._latest: Operation | None = None
        self._latest_begin = -NEVER
        self.last_read: Operation | None = None

    def fits(self, operation: Operation) -> bool:
        """Is it a view, or a read that shows what is known and, in their order, all views that came since?"""
        if operation.kind is VIEW:
            if operation.key is None:
                return False
            self.unseen[operation.key] = operation
            return True
        count, shown = operation.answer
        unseen, newest = self.unseen, self._newest
        if count != self._from + len(self.listed) + len(unseen) or not self._in_turn(unseen.values()):
            return False
        newest += unseen
        del newest[:-SHOWN]
        if shown != newest:
            self._newest = self.listed[-SHOWN:]
            return False
        if unseen:
            # Each in its turn and at its place: there is nothing that `_append` could object to.
            self.views.update(unseen)
            self._list(unseen)
            unseen.clear()
        self._latest_begin, self._latest = operation.begin, operation
        self.last_read = operation
        self._counts.reads_compared += 1
        return True

    def _in_turn(self, views: Iterable[Operation]) -> bool:
        """Did each begin after the one before it, and all after whatever is known, with one try?"""
        began = self._latest_begin
        for view in views:
            if view.begin <= began or len(view.tries) != 1:
                return False
            began = view.begin
        return True

    def judge(self, window: Sequence[Operation]) -> Breach | None:
        """Take in all views and reads between two quiet points; the first contradiction, or None."""
        reads: list[Operation] = []
        for operation in window:
            if operation.kind is VIEW:
                self._note(operation)
            elif operation.outcome is OK:
                reads.append(operation)
        if len(reads) > 1:
            reads.sort(key=lambda read: (read.answer[0], read.begin))
        first = 0
        for after in range(1, len(reads) + 1):
            if after == len(reads) or reads[after].answer[0] != reads[first].answer[0]:
                found = self._judge_slot(reads[first:after], reads)
                if found is not None:
                    return found
                first = after
        return None

    def shows(self, operation: Operation, identifier: str) -> bool:
        """Does this read show the id?"""
        return operation.kind is HISTORY and identifier in operation.answer[1]

    def _note(self, view: Operation) -> None:
        if view.key is None:
            return
        if view.outcome is OK:
            self.unseen[view.key] = view
        elif view.outcome is UNKNOWN:
            self.unknown[view.key] = view
        else:
            self.refused[view.key] = view

    def _judge_slot(self, same_count: Sequence[Operation], reads: Sequence[Operation]) -> Breach | None:
        for read in same_count:
            found = self._place(read)
            if found is not None:
                return found
        for read in same_count:
            if read.end < self._latest_begin and self._latest is not None:
                return history_rules.too_early(read, self._latest)
        for read in same_count:
            self._began(read)
        self.last_read = same_count[-1]
        self._counts.reads_compared += len(same_count)
        return self._find_missing(same_count[-1], reads) if self.unseen else None

    def _place(self, read: Operation) -> Breach | None:
        count, shown = read.answer
        known = self._from + len(self.listed)
        first = count - len(shown)
        if len(shown) != min(count, SHOWN):
            return history_rules.cut_short(read, min(count, SHOWN))
        if count < known:
            return history_rules.shrunk(self, read)
        if first > known:
            return self._skip(read, first - known)
        overlap = known - first
        if self.listed[len(self.listed) - overlap :] != shown[:overlap]:
            return history_rules.rewritten(self, read, self.listed[len(self.listed) - overlap :])
        if count > known:
            return self._append(read, shown[overlap:])
        return None

    def _append(self, read: Operation, entries: Sequence[str]) -> Breach | None:
        for entry in entries:
            view = self.unseen.pop(entry, None) or self.unknown.pop(entry, None)
            if view is None:
                return history_rules.unexplained(self, read, entry)
            if end_of(view) < self._latest_begin and self._latest is not None:
                return history_rules.out_of_order(view, self._latest, read)
            self._began(view)
            self.views[entry] = view
        self._list(entries)
        self._newest = self.listed[-SHOWN:]
        return None

    def _list(self, entries: Collection[str]) -> None:
        """Count them too, and forget the oldest ones once there are many."""
        self.listed += entries
        self._counts.writes_found += len(entries)
        if len(self.listed) > LISTED_AT_MOST:
            for entry in self.listed[:-LISTED_KEPT]:
                self.views.pop(entry, None)
            self._from += len(self.listed) - LISTED_KEPT
            del self.listed[:-LISTED_KEPT]

    def _skip(self, read: Operation, hidden: int) -> Breach | None:
        shown = set(read.answer[1])
        could = sum(1 for entry in (*self.unseen, *self.unknown) if entry not in shown)
        if hidden > could:
            return history_rules.too_many(read, hidden, could)
        self._hidden += hidden
        self._from += len(self.listed) + hidden
        self.listed = []
        self.views = {}
        return self._append(read, read.answer[1])

    def _began(self, operation: Operation) -> None:
        begin = begin_of(operation)
        if begin > self._latest_begin:
            self._latest_begin, self._latest = begin, operation

    def _find_missing(self, read: Operation, reads: Sequence[Operation]) -> Breach | None:
        late = [view for view in self.unseen.values() if view.end < self._latest_begin]
        for view in late:
            if not self._hidden:
                return history_rules.missing(view, self._latest or read, read, reads)
            self._hidden -= 1
            self.unseen.pop(view.key or "")
        return None
