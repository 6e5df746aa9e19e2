"""A recorded run, read through once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab.clock import NS
from lab.model import Operation
from lab.record import ReadRecord
from lab.report.events import AnyPageEvent
from lab.report.fold import PageFold
from lab.report.merge import Merge

LATE = 2 * NS
"""No line of a record is written later than this after what it tells of."""
AT_ONCE = 512
"""Operations read before the older ones are folded: memory does not grow with their number."""


def replay(
    seen: ReadRecord, fold: PageFold, *, watch: Callable[[Operation], None] = lambda _: None
) -> Iterator[AnyPageEvent]:
    """The page events of a whole record, but for the verdict. `watch` is shown every operation on the way."""
    merge = Merge()
    merge.add(seen.events())
    for read, operation in enumerate(seen.history(), 1):
        watch(operation)
        merge.add((operation,))
        if read % AT_ONCE == 0:
            for item in merge.take(operation.end - LATE):
                yield from fold.take(item)
    for item in merge.take():
        yield from fold.take(item)
