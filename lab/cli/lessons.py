"""`lab lesson`, `lab workshop`: the lessons, one by one, and all of them in one file for a class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lab.cli.parser import COUNT, PORT, SECONDS, SEED, LabGroup, flag, option, page, users_port, verb
from lab.cli.terminal import say
from lab.errors import UsageError

if TYPE_CHECKING:
    from lab.console.page import PageSpec
    from lab.lessons.command import Workshop
    from lab.lessons.wheel import Wheel

_begun = click.argument("lesson", required=False, help="its number or name (default: the one begun last)")


@click.group("lesson", cls=LabGroup, subcommand_metavar="ACT [ARGS]...")
@option(
    "--folder",
    envvar=("LAB_FOLDER", "LAB_WORKSHOP"),
    default="workshop",
    help="where your lessons are (default: workshop, or what LAB_WORKSHOP says)",
)
@click.pass_context
def lesson(context: click.Context, folder: str) -> None:
    """The workshop: break it, predict it, mend it, have it graded."""
    context.obj = Path(folder)


def _workshop(folder: Path) -> Workshop:
    from lab.lessons.command import Workshop

    return Workshop(folder, say)


def _page(ui: bool, ui_port: int | None) -> PageSpec | None:
    from lab.console.page import PageSpec

    return PageSpec(port=ui_port) if ui or ui_port is not None else None


@verb("list")
@click.pass_obj
def show(folder: Path) -> int:
    """The lessons, and how far you are."""
    return _workshop(folder).show()


@verb("start")
@click.argument("lesson", help="its number or name")
@click.pass_obj
def start(folder: Path, lesson: str) -> int:
    """Copy a lesson's files into your folder."""
    return _workshop(folder).start(lesson)


@verb("check")
@_begun
@option("--seed", type=SEED, help="repeat the same schedule")
@flag("--watch", help="and again whenever a file has changed, until it is passed or Ctrl-C")
@page
@click.pass_obj
def check(
    folder: Path, lesson: str | None, seed: int | None, watch: bool, port: int | None, ui: bool, ui_port: int | None
) -> int:
    """Build what you have written, run it, and say whether it is passed."""
    workshop = _workshop(folder)
    do = workshop.check_again if watch else workshop.check
    return do(lesson, seed=seed, port=port, page=_page(ui, ui_port))


@verb("hint")
@_begun
@click.pass_obj
def hint(folder: Path, lesson: str | None) -> int:
    """One more hint."""
    return _workshop(folder).hint(lesson)


@verb("solution")
@_begun
@flag("--peek", help="even before a check of your own failed")
@click.pass_obj
def solution(folder: Path, lesson: str | None, peek: bool) -> int:
    """What the solution changes, after a check that failed."""
    return _workshop(folder).solution(lesson, peek=peek)


@verb("reset")
@_begun
@click.pass_obj
def reset(folder: Path, lesson: str | None) -> int:
    """Put the broken files back; yours are kept beside them."""
    return _workshop(folder).reset(lesson)


@verb("next")
@click.pass_obj
def go_on(folder: Path) -> int:
    """Begin the first lesson that is not passed yet."""
    return _workshop(folder).next()


@verb("help")
@flag("--done", help="you wait no more")
@click.pass_obj
def ask_help(folder: Path, done: bool) -> int:
    """Raise your hand: the trainer of the class that you have joined sees that you wait."""
    return _workshop(folder).ask_help(is_done=done)


@verb("repair")
@click.argument("fault", required=False, help="which (for a trainer; --list names them); one is drawn otherwise")
@option("--seed", type=SEED, help="of what is drawn (default: a new one)")
@option("--within", type=SECONDS, default=900.0, metavar="S", help="seconds that you have (900 if not given)")
@users_port
@flag("--list", "lists", help="for a trainer: what can be wrong, and what mends it")
def repair(fault: str | None, seed: int | None, within: float, port: int | None, lists: bool) -> int:
    """Mend a cluster that runs: something is wrong with it, users are at work on it, and you are graded live."""
    from lab.lessons.repair import RepairSpec, repair_lines
    from lab.lessons.repair import repair as mend

    if lists:
        for line in repair_lines():
            say(line)
        return 0
    return mend(RepairSpec(fault=fault, seed=seed, within=within, port=port), say=say)


@verb("join")
@click.argument("address", help="what the trainer's `lab class` printed")
@option("--as", "name", required=True, metavar="NAME", help="your name in the class")
@click.pass_obj
def join(folder: Path, address: str, name: str) -> int:
    """Take a seat in a class: the trainer sees your name and how far you are."""
    from lab.lessons.joined import join_class

    join_class(folder, address, name, say=say)
    return 0


@verb("leave")
@click.pass_obj
def leave(folder: Path) -> int:
    """Leave the class: nothing is told any more."""
    from lab.lessons.joined import leave_class

    say("left" if leave_class(folder) else "no class was joined")
    return 0


@verb("wheel")
@option("--seed", type=SEED, help="of what is drawn (default: a new one); the same draws the same")
@page
@option("--guess", metavar="NAME", help="name what was drawn last; if it is right you get its files")
@flag("--check", "checks", help="build what you have mended, run it, and say if it holds")
@flag("--sheet", help="print the game master's sheet: it tells everything")
@click.pass_obj
def wheel(
    folder: Path,
    seed: int | None,
    port: int | None,
    ui: bool,
    ui_port: int | None,
    guess: str | None,
    checks: bool,
    sheet: bool,
) -> int:
    """The wheel of misfortune: one of the lessons' faults, and nobody says which."""
    if sum((guess is not None, checks, sheet)) > 1:
        raise UsageError("only one of --guess, --check and --sheet at a time", at="lab lesson wheel")
    wheel = _wheel(folder)
    if sheet:
        return wheel.show_sheet()
    if guess is not None:
        return wheel.guess(guess)
    if checks:
        return wheel.check(port=port, page=_page(ui, ui_port))
    return wheel.spin(seed=seed, port=port, page=_page(ui, ui_port))


def _wheel(folder: Path) -> Wheel:
    from lab.lessons.wheel import Wheel

    return Wheel(folder, say)


@verb("dev-check")
@click.argument("lesson", nargs=-1, help="numbers or names (default: all)")
@option("--seeds", type=COUNT, default=1, help="how many seeds, from 1 (default: 1)")
def dev_check(lesson: tuple[str, ...], seeds: int) -> int:
    """For authors: what is broken breaks by its promise, and the solution holds."""
    from lab.lessons.dev_check import check_lessons

    return check_lessons(list(lesson), seeds=seeds, say=say)


for _act in (show, start, check, hint, solution, reset, go_on, wheel, repair, join, leave, ask_help, dev_check):
    lesson.add_command(_act)


@verb("class")
@option("--bind", default="127.0.0.1", metavar="ADDRESS", help="where seats may come from: one address of this machine")
@option("--port", type=PORT, help="where seats come to (default: a free port)")
@option("--page-port", type=PORT, metavar="PORT", help="where your page is, on 127.0.0.1 (default: a free port)")
def class_(bind: str, port: int | None, page_port: int | None) -> int:
    """For a trainer: a page of all seats, until Ctrl-C."""
    from lab.lessons.class_room import ClassSpec, hold_class

    return hold_class(ClassSpec(bind=bind, port=port, page_port=page_port), say=say)


@click.group("workshop", cls=LabGroup, subcommand_metavar="ACT [ARGS]...")
def workshop() -> None:
    """The whole workshop in one file, for a class without internet."""


PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_file = click.argument("file", help="such as workshop.tar")


@verb("pack")
@_file
@option(
    "--python",
    type=click.Choice(PYTHONS),
    metavar="VERSION",
    envvar="LAB_PACK_PYTHON",
    help="the class's Python, if it is not the one of this machine: 3.13",
)
def pack(file: str, python: str | None) -> int:
    """Write sources, images and Python packages into one file."""
    from lab.lessons.packing import pack_workshop

    return pack_workshop(Path(file), say, python=python or "")


@verb("unpack")
@_file
def unpack(file: str) -> int:
    """Load the images of such a file."""
    from lab.lessons.packing import unpack_workshop

    return unpack_workshop(Path(file), say)


for _act in (pack, unpack):
    workshop.add_command(_act)
