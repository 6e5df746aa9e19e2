"""The kinds of request as a table for spreadsheets and programs."""

from __future__ import annotations

import csv
import io

import msgspec

from lab.report.document import Report
from lab.report.events import KindCount

_TIMES = frozenset({"p50", "p95", "p99", "slowest"})
HEAD = ("request", *(f"{name}_ms" if name in _TIMES else name for name in KindCount.__struct_fields__))


def requests_csv(report: Report) -> str:
    """A row for each kind of request: how many, how many failed or were repeated, and how long they took."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(HEAD)
    for kind, one in report.kinds.items():
        table.writerow((kind, *msgspec.structs.astuple(one)))
    return out.getvalue()
