"""`lab setup`, `doctor`, `clean`, `schema`, `reference`, `completion`: this machine, and tools around the lab."""

from __future__ import annotations

import os
import sys
from functools import partial

import click

from lab.cli.parser import flag, verb
from lab.cli.terminal import complain, say
from lab.errors import ExitCode, LabFault, UsageError

SHELLS = ("bash", "zsh", "fish")
COMPLETE = "_LAB_COMPLETE"
"""The variable by which a shell's script asks what may follow."""


@verb("setup")
def setup() -> int:
    """Make this machine ready: engine, Compose, images."""
    from lab.machine.places import find_places
    from lab.machine.setup import make_ready

    if os.environ.get("LAB_PACK"):
        from pathlib import Path

        from lab.lessons.packing import unpack_workshop

        unpack_workshop(Path(os.environ["LAB_PACK"]), say)
    make_ready(find_places(), say)
    return ExitCode.HELD


@verb("doctor")
def doctor() -> int:
    """What this machine has, and the command that mends what is missing."""
    from lab.clock import SYSTEM_CLOCK
    from lab.machine.doctor import examine
    from lab.machine.places import find_places

    ill = 0
    for checkup in examine(find_places(), now=SYSTEM_CLOCK.wall()):
        ill += not checkup.is_well
        say(f"{'✓' if checkup.is_well else '✕'} {checkup.name:<22} {checkup.seen}")
        if not checkup.is_well:
            say(f"  try: {checkup.mend}")
    if not ill:
        _tell_impossible()
    return ExitCode.USAGE if ill else ExitCode.HELD


def _tell_impossible() -> None:
    """Try each fault on containers made for it: what an engine can't do is no illness, but a run must know it."""
    from lab.backends.abilities import try_abilities
    from lab.chaos.trial import TRIED
    from lab.machine.places import find_places
    from lab.machine.setup import make_ready

    toolbox = make_ready(find_places(), say)
    impossible = try_abilities(toolbox).impossible
    toolbox.engine.close()
    possible = [name for name in TRIED if name not in impossible]
    say(f"✓ {'faults':<22} {', '.join(possible) or 'none'}: tried, and confirmed by the engine")
    for name, why in impossible.items():
        say(f"- {name:<22} not possible on this engine: {why}")


@verb("pack")
@click.argument("file", required=False, help="such as images.tar")
@flag("--list", "lists", help="print the images' tags instead: two labs with the same list need the same images")
def pack(file: str | None, lists: bool) -> int:
    """Write the lab's images into one file, for a machine or a CI job that is to build none."""
    from pathlib import Path

    from lab.machine.engine import connect
    from lab.machine.image_pack import image_tags, pack_images
    from lab.machine.images import ImageShelf
    from lab.machine.places import find_places
    from lab.machine.setup import make_ready

    places = find_places()
    if lists:
        engine = connect()
        say("\n".join(image_tags(ImageShelf(engine, places.images))))
        engine.close()
        return ExitCode.HELD
    if file is None:
        raise UsageError("no file is given", at="FILE", hint="lab pack images.tar")
    toolbox = make_ready(places, say)
    manifest = pack_images(toolbox.engine, image_tags(toolbox.images), Path(file), say)
    say(f"wrote {file}: {Path(file).stat().st_size / 1e6:.0f} MB, {len(manifest.images)} images")
    return ExitCode.HELD


@verb("unpack")
@click.argument("file", help="such as images.tar")
def unpack(file: str) -> int:
    """Load the images of such a file, or of a workshop's."""
    from pathlib import Path

    from lab.machine.engine import connect
    from lab.machine.image_pack import image_tags, unpack_images
    from lab.machine.images import ImageShelf
    from lab.machine.places import find_places

    engine = connect()
    manifest = unpack_images(engine, image_tags(ImageShelf(engine, find_places().images)), Path(file), say)
    engine.close()
    say(f"{len(manifest.images)} images are there")
    return ExitCode.HELD


@verb("clean")
@flag("--all", "everything", typed_only=True, help="also clusters in use, and the lab's images")
@flag("-y", "--yes", typed_only=True, help="don't ask")
def clean(everything: bool, yes: bool) -> int:
    """Remove what killed labs left behind, by their labels alone."""
    from lab.backends.docker import take_down
    from lab.clock import SYSTEM_CLOCK
    from lab.machine.engine import connect
    from lab.machine.places import find_places
    from lab.machine.sweep import find_clusters, remove_images, sweep, sweep_files

    engine, places, now = connect(), find_places(), SYSTEM_CLOCK.wall()
    found = [one for one in find_clusters(engine, now=now) if one.is_abandoned or everything]
    for one in found:
        say(f"{one.identity.project}: {one.parts} containers, networks and volumes of {one.identity.owner}")
    if everything and not yes:
        if not sys.stdin.isatty():
            complain("lab: --all removes clusters in use and images; add --yes where nobody can be asked")
            return ExitCode.USAGE
        if not _agrees("remove all of this, and the lab's images? [y/N] "):
            return ExitCode.HELD
    swept = sweep(found, partial(take_down, engine, places))
    removed = [*swept.removed, *sweep_files(engine, places, now=now), *(remove_images(engine) if everything else ())]
    if removed or not swept.stuck:
        say("\n".join(f"removed {what}" for what in removed) or "nothing to remove")
    for why in swept.stuck:
        complain(f"lab: {why}")
    return ExitCode.COULD_NOT_TELL if swept.stuck else ExitCode.HELD


def _agrees(question: str) -> bool:
    try:
        return input(question).strip().lower() == "y"
    except EOFError:
        say("")
        return False


@verb("schema")
def schema() -> int:
    """The JSON Schema of the scenario file, for editors and other tools."""
    from lab.scenario.schema import schema_text

    print(schema_text(), end="", flush=True)
    return ExitCode.HELD


@verb("reference")
@click.pass_context
def reference(context: click.Context) -> int:
    """Every key, promise, fault, verb and option, as Markdown."""
    from lab.cli.verb_docs import docs_of_verbs
    from lab.scenario.reference import reference_text

    root = context.find_root().command
    assert isinstance(root, click.Group)  # noqa: S101 -- this is one of its verbs
    print(reference_text(docs_of_verbs(root), root.epilog or ""), end="", flush=True)
    return ExitCode.HELD


@verb("completion")
@click.argument("shell", type=click.Choice(SHELLS), metavar="SHELL", help="bash, zsh or fish")
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print a shell's completion script, as in: eval "$(lab completion bash)"."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise LabFault("click completes this shell's lines no more", at=shell)
    print(kind(context.find_root().command, {}, "lab", COMPLETE).source(), flush=True)
    return ExitCode.HELD


def answer_shell(root: click.Command) -> int | None:
    """What a completion script asks, if one does: the exit code then, else None."""
    asked = os.environ.get(COMPLETE)
    if not asked:
        return None
    from click.shell_completion import shell_complete

    return ExitCode.HELD if shell_complete(root, {}, "lab", COMPLETE, asked) == 0 else ExitCode.USAGE
