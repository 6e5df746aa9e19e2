"""`lab ui`, `check`, `report`, `runs`: what was recorded, seen again. Only a cluster's page needs an engine."""

from __future__ import annotations

from pathlib import Path

import click

from lab.cli.parser import COUNT, PORT, RUN, Decorated, flag, option, project, verb
from lab.cli.terminal import say, say_one_line
from lab.errors import UsageError

REPORTS = {
    "html": "one file that opens from disk, with a slider (report.html)",
    "markdown": "for a ticket or a CI's summary (report.md)",
    "junit": "a case for each promise (junit.xml)",
    "json": "all of it for programs (report.json)",
    "csv": "the kinds of request with counts and percentiles (requests.csv)",
    "chaostoolkit": "a Chaos Toolkit journal (journal.json)",
}
recorded_run = click.argument("run", type=RUN, help="a folder, or the name of a run in runs/")


@verb("ui")
@click.argument("run", required=False, type=RUN, help="a folder, or the name of a run in runs/ (default: the newest)")
@flag("--cluster", help="the page of the cluster that lab up made, instead")
@option("--port", type=PORT, help="where (default: a free port)")
@project
def ui(run: str | None, cluster: bool, port: int | None, project: str | None) -> int:
    """A page on 127.0.0.1, until Ctrl-C: of a run that goes on, of a recorded one, or of a cluster that stands."""
    if cluster or project is not None:
        if run is not None:
            raise UsageError("either a run or a cluster", at=f"lab ui {run}", hint="lab ui --cluster")
        from lab.operate.standing import show_cluster

        return show_cluster(project, port=port, say=say)
    from lab.console.page import show_run

    return show_run(run, port=port, say=say)


@verb("check")
@recorded_run
@flag("--json", "as_json", help="the whole verdict as JSON, and nothing else on stdout")
@option("--processes", type=COUNT, default=1, metavar="N", help="judge with so many processes (default: 1)")
@option("--parts", type=COUNT, metavar="N", help="judge so many parts of the users in turn (default: by size)")
def check(run: str, as_json: bool, processes: int, parts: int | None) -> int:
    """Judge a recorded run again, from its record alone."""
    from lab.operate.check import check_run

    return check_run(run, as_json=as_json, processes=processes, parts=parts or 0, say=say_one_line)


def _formats(function: Decorated) -> Decorated:
    for name, about in reversed(REPORTS.items()):
        function = flag(f"--{name}", help=about)(function)
    return function


@verb("report")
@recorded_run
@_formats
@option("-o", "--out", metavar="DIR", help="where to (default: into the run's own folder)")
def report(run: str, out: str | None, **formats: bool) -> int:
    """A recorded run as a report, from its record alone; HTML if nothing is asked."""
    from pathlib import Path

    from lab.console.reports import report_run
    from lab.report.write import Format

    wanted = [Format(name) for name in REPORTS if formats[name]]
    return report_run(run, wanted, Path(out) if out else None, say=say_one_line)


@verb("gate")
@click.argument("run", type=RUN, metavar="RUN", help="a folder, the name of a run in runs/, or next: the one to come")
@option("--port", type=PORT, metavar="PORT", help="where on 127.0.0.1 (default: a free one)")
def gate(run: str, port: int | None) -> int:
    """Say over HTTP, while a run goes on, whether to go on deploying: 200 yes, 409 no, 425 too early."""
    from lab.console.gate import serve_gate

    return serve_gate(run, port=port, say=say)


@verb("runs")
@option("--scenario", default="", help="only those of it: a name, or a part of a name or title")
@option("--verdict", default="", help="only those that ended so: held, broken, could-not-tell, not-judged")
@option("--since", default="", metavar="WHEN", help="only those since a date, or for so long: 7d, 12h, 30m")
@option("--last", type=click.IntRange(min=1), metavar="N", help="only the newest N")
@flag("--json", "as_json", help="a JSON object for each run, with its figures")
@flag("--page", "as_page", help="write a page of them with trends (runs/index.html)")
@option("-o", "--out", metavar="FILE", type=click.Path(path_type=Path), help="where that page goes to")
def runs(
    scenario: str, verdict: str, since: str, last: int | None, *, as_json: bool, as_page: bool, out: Path | None
) -> int:
    """The recorded runs: when, how long, which scenario and image, how they ended."""
    from lab.operate.records import list_runs, run_filter, write_runs_page

    wanted = run_filter(scenario, verdict, since, last)
    if as_page or out is not None:
        return write_runs_page(wanted, out, say=say_one_line)
    return list_runs(wanted, as_json=as_json, say=say_one_line)


@verb("compare")
@click.argument("before", metavar="A", type=RUN, help="the earlier one: a folder, or the name of a run in runs/")
@click.argument("after", metavar="B", type=RUN, help="the later one, likewise")
@flag("--json", "as_json", help="all of it as JSON, and nothing else on stdout")
def compare(before: str, after: str, *, as_json: bool) -> int:
    """What changed from one recorded run to another; exit 1 if a promise is newly broken."""
    from lab.operate.compare import compare_runs

    return compare_runs(before, after, as_json=as_json, say=say)
