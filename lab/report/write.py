"""A judged record as reports in files, in whichever formats are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from lab.clock import NS
from lab.errors import RecordError
from lab.oracle.service import ServiceReport
from lab.oracle.verdict import Judgement
from lab.record import PhaseBegan, ReadRecord, write_whole
from lab.report.chaostoolkit import chaostoolkit
from lab.report.csv_table import requests_csv
from lab.report.document import OperationCounts, Report, build_report, ended
from lab.report.events import AnyPageEvent
from lab.report.fold import EVERY, PageFold, Tell
from lab.report.html import report_page
from lab.report.junit import junit
from lab.report.markdown import markdown
from lab.report.plan import RunPlan
from lab.report.replay import replay
from lab.report.requests import RequestTable

MOST_SAMPLES = 600
"""A report of a long run draws it more coarsely, so that its size stays bounded."""


class Format(StrEnum):
    """What a report may be written as."""

    HTML = "html"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    JSON = "json"
    CHAOSTOOLKIT = "chaostoolkit"
    CSV = "csv"


FILES = {
    Format.HTML: "report.html",
    Format.MARKDOWN: "report.md",
    Format.JUNIT: "junit.xml",
    Format.JSON: "report.json",
    Format.CHAOSTOOLKIT: "journal.json",
    Format.CSV: "requests.csv",
}


class RunReports(msgspec.Struct, frozen=True):
    """A run ready to be written down."""

    report: Report
    tape: Sequence[AnyPageEvent]
    record: Path
    """The folder of the run's record."""
    requests: RequestTable
    """Those that a page can be asked for without the record."""

    def text(self, wanted: Format, *, beside: bool = False) -> str:
        """The whole file; one that will lie `beside` the record links to its files."""
        if wanted is Format.HTML:
            return report_page(self.report, self.tape, self.requests, beside=beside)
        if wanted is Format.JSON:
            return msgspec.json.format(msgspec.json.encode(self.report), indent=2).decode() + "\n"
        writers: dict[Format, Callable[[Report], str]] = {
            Format.MARKDOWN: markdown,
            Format.JUNIT: junit,
            Format.CHAOSTOOLKIT: chaostoolkit,
            Format.CSV: requests_csv,
        }
        return writers[wanted](self.report)

    def write(self, wanted: Sequence[Format], folder: Path) -> Iterator[Path]:
        """Write each format into `folder`, which is made. Raises RecordError where the disk refuses."""
        for one in wanted:
            path = folder / FILES[one]
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write_whole(path, self.text(one, beside=folder.samefile(self.record)).encode())
            except OSError as exc:
                raise RecordError(f"the report can't be written: {exc}", at=str(path), hint="df -h .") from exc
            yield path


def tell_run(
    seen: ReadRecord, plan: RunPlan, judgement: Judgement, service: ServiceReport, closing: tuple[str, ...], tell: Tell
) -> RunReports:
    """Read a record once and make of it all that reports need."""
    phases, first, last = [], None, 0
    for event in seen.events():
        first, last = event.at if first is None else first, event.at
        if isinstance(event, PhaseBegan):
            phases.append(event)
    watch = OperationCounts(phases, began=first or 0, findings=judgement.findings)
    every = max(EVERY, (last - (first or 0)) / NS / MOST_SAMPLES)
    fold = PageFold(plan, tell=tell, every=every)
    tape = [*replay(seen, fold, watch=watch), *fold.finish(lambda t: ended(judgement, closing, t))]
    return RunReports(
        report=build_report(seen, plan, judgement, service, closing, watch),
        tape=tape,
        record=seen.folder,
        requests=watch.requests.table(),
    )
