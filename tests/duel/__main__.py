"""`python -m tests.duel [WAY/PROXY ...]`: all rows of what must come of watched deployments; a table, and duel.json."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import msgspec

from lab.errors import ExitCode
from lab.machine.places import find_places
from lab.machine.setup import Toolbox, make_ready
from lab.model import Value
from tests.duel.by_the_lab import watched_roll
from tests.duel.on_swarm import DIES, DRAIN, UPDATE, watched_on_swarm
from tests.duel.table import markdown
from tests.duel.watching import Figures, watched
from tests.swarm.yard import yard_of_nodes

FILE = Path(__file__).resolve().parents[2] / "duel.json"
MEASURED = None


class Row(Value):
    """One watched deployment, and what must come of it."""

    way: str
    proxy: str
    must: int | None = MEASURED
    """The exit code; None: as measured."""
    broken: str = ""
    """A promise that must be among the broken ones."""
    before: str = "shop:v1"
    to: str = "shop:v2"
    is_its_doing: bool = True
    """What breaks breaks because of the command, and the story must say so."""
    on_swarm: bool = False
    """A stack of three nodes, in place of a Compose project."""

    @property
    def name(self) -> str:
        return f"{self.way}/{self.proxy}" + ("" if self.to == "shop:v2" else f"/{self.to}")

    def wrong(self, got: Figures) -> str:
        """Why it is not as it must be, or ""."""
        if self.must is not None and got.exit_code != self.must:
            return f"ended with {got.exit_code}, not {self.must}"
        if self.broken and self.broken not in got.broken:
            return f"broke {', '.join(got.broken) or 'nothing'}, not {self.broken}"
        if self.must == ExitCode.BROKEN and self.is_its_doing and "the command" not in got.cause:
            return f"does not name the command: {got.cause!r}"
        if self.way == "fails" and got.exit_code == ExitCode.HELD:
            return "a command that failed half-way was called held"
        return ""


ROWS = (
    Row(way="recreate", proxy="plain nginx", must=ExitCode.BROKEN, broken="tries"),
    *(
        Row(way=way, proxy=proxy)
        for way in ("recreate", "docker-rollout", "stop-first")
        for proxy in ("nginx", "haproxy", "caddy")
    ),
    Row(way="lab roll", proxy="the lab's", must=ExitCode.HELD),
    Row(way="fails", proxy="nginx"),
    Row(
        way="docker-rollout",
        proxy="nginx",
        must=ExitCode.BROKEN,
        broken="logged_in",
        before="shop:v1-memory",
        to="shop:v2-memory",
        is_its_doing=False,  # behind a proxy that takes turns, such sessions are gone before anybody deploys
    ),
    *(Row(way=UPDATE, proxy=proxy, on_swarm=True) for proxy in ("nginx", "haproxy", "caddy")),
    *(Row(way=way, proxy="nginx", on_swarm=True) for way in (DRAIN, DIES)),
    Row(
        way=UPDATE,
        proxy="nginx",
        must=ExitCode.BROKEN,
        broken="logged_in",
        before="shop:v1-memory",
        to="shop:v2-memory",
        is_its_doing=False,
        on_swarm=True,
    ),
)


def main(asked: list[str]) -> int:
    """0 where every row is as it must be."""
    rows = [row for row in ROWS if not asked or row.name in asked]
    if not rows:
        sys.stderr.write(f"no such row; there are: {', '.join(row.name for row in ROWS)}\n")
        return 2
    images = list(dict.fromkeys(image for row in rows for image in (row.before, row.to)))
    toolbox = make_ready(find_places(), print_line, images)
    with yard_of_nodes() if any(row.on_swarm for row in rows) else nullcontext():
        return do_rows(toolbox, rows)


def do_rows(toolbox: Toolbox, rows: Sequence[Row]) -> int:
    """One after another, each told when it is over."""
    wrong = []
    for row in rows:
        with tempfile.TemporaryDirectory(prefix="duel-") as folder:
            got = watched_row(toolbox, row, Path(folder))
        known = known_figures() | {row.name: got}
        FILE.write_bytes(msgspec.json.format(msgspec.json.encode(known), indent=1))
        why = row.wrong(got)
        wrong += [f"{row.name}: {why}"] if why else []
        for line in got.last if why else ():
            print_line(f"  its command said: {line}")
        print_line(
            f"{row.name}: exit {got.exit_code}, {got.failed_first} first tries failed of {got.operations},"
            f" {why or 'as it must be'}"
        )
    known = known_figures()
    for line in markdown([known[row.name] for row in ROWS if row.name in known]):
        print_line(line)
    print_line(
        f"{len(rows) - len(wrong)} of {len(rows)} watched deployments as they must be"
        + "".join(f"; {one}" for one in wrong)
    )
    return int(bool(wrong))


def watched_row(toolbox: Toolbox, row: Row, folder: Path) -> Figures:
    """What came of one."""
    if row.way == "lab roll":
        return watched_roll(toolbox, folder)
    if row.on_swarm:
        return watched_on_swarm(toolbox, row.way, row.proxy, folder, before=row.before, to=row.to)
    return watched(toolbox, row.way, row.proxy, folder, before=row.before, to=row.to)[0]


def known_figures() -> dict[str, Figures]:
    """Those of this and of earlier calls: a row that is asked for alone joins the others."""
    return {} if not FILE.exists() else msgspec.json.decode(FILE.read_bytes(), type=dict[str, Figures])


def print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
