"""What a person sees of a run, folded from its events: one pure function for live and later."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lab import record
from lab.clock import NS
from lab.model import Value

NEWS_KEPT = 50


class SlotView(Value):
    """One slot as it stands. `state`: empty, starting, serving, draining, killed."""

    slot: str
    zone: str
    state: str = "empty"
    release: str = ""
    replica: str = ""
    incoming: str = ""
    """The release that is starting beside the serving one."""


class Board(Value):
    """All that happened so far, as little as a person wants to know."""

    began: int
    slots: Mapping[str, SlotView]
    phase: str = "up"
    text: str = ""
    serving: int = 0
    by_release: Mapping[str, int] = {}
    strikes: int = 0
    hits: int = 0
    upgraded: int = 0
    replaced: int = 0
    news: tuple[str, ...] = ()
    """The newest things that happened, each a sentence, oldest first."""
    told: int = 0
    """How many there have been; `news` holds the last of them."""
    trouble: str = ""


def fold(board: Board, event: record.AnyEvent) -> Board:
    """The board after one more event."""
    change = msgspec.structs.replace
    match event:
        case record.PhaseBegan():
            board = _tell(change(board, phase=event.name, text=event.text), event.at, event.text)
        case record.Serving():
            board = change(board, serving=event.total, by_release=event.by_release)
        case record.Strike():
            slots = {**board.slots, event.slot: change(board.slots[event.slot], state="killed")}
            said = f"{event.fault} to {event.victim} ({event.release}) while it served; {event.serving} were serving"
            board = _tell(change(board, strikes=board.strikes + 1, slots=slots), event.at, said)
        case record.StrikeProved():
            board = change(board, hits=board.hits + event.hit)
        case record.Trouble():
            board = _tell(change(board, trouble=event.what), event.at, f"trouble: {event.what}")
        case record.Step():
            board = _fold_step(board, event)
    return board


def _fold_step(board: Board, step: record.Step) -> Board:
    change = msgspec.structs.replace
    view = board.slots.get(step.slot)
    if view is None:
        return board
    who = f"{step.slot}: {step.replica} ({step.release})"
    took = "" if step.seconds is None else f" after {step.seconds:.1f} s"
    upgraded, replaced, said = board.upgraded, board.replaced, ""
    if step.action == "start":
        if view.state == "serving":
            view = change(view, incoming=step.release)
        else:
            view = change(view, state="starting", release=step.release, replica=step.replica)
        said = f"{who} starts: {step.why}"
    elif step.action == "ready":
        upgraded += view.state == "serving"
        replaced += step.why == "replacement"
        view = change(view, state="serving", release=step.release, replica=step.replica, incoming="")
        said = f"{who} is ready{took}"
    elif step.action == "drain":
        said = f"{who} drains"
    elif step.action == "remove" and step.seconds is not None:
        said = f"{who} left{took}"
    elif step.action == "give_up":
        view = change(view, incoming="")
        said = f"{who} never got ready; going back"
    board = change(board, slots={**board.slots, step.slot: view}, upgraded=upgraded, replaced=replaced)
    return _tell(board, step.at, said)


def _tell(board: Board, at: int, said: str) -> Board:
    if not said:
        return board
    line = f"{(at - board.began) / NS:6.1f} s  {said}"
    return msgspec.structs.replace(board, news=(*board.news, line)[-NEWS_KEPT:], told=board.told + 1)
