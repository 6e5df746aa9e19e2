"""What a person sees of a run, folded from its events: one pure function for live and later."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lab import record
from lab.clock import NS
from lab.model import Value
from lab.oracle.closing import Interference
from lab.report.sentences import tell_event

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
    to_come: tuple[str, ...] = ()
    """The names of the phases that are still to begin, as far as they are known."""
    phases: int = 0
    """How many of those that were to come have begun."""
    phase: str = "up"
    text: str = ""
    serving: int = 0
    by_release: Mapping[str, int] = {}
    done: Interference = Interference()
    """What was done to the cluster so far."""
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
            if board.to_come and board.to_come[0] == event.name:  # others, such as a round's, come between
                board = change(board, to_come=board.to_come[1:], phases=board.phases + 1)
            board = change(board, phase=event.name, text=event.text)
        case record.Serving():
            board = change(board, serving=event.total, by_release=event.by_release)
        case record.Strike():
            slots = board.slots
            if event.slot in slots and slots[event.slot].replica == event.victim:
                slots = {**slots, event.slot: change(slots[event.slot], state="killed")}
            board = change(board, slots=slots, done=_after_strike(board.done, event))
        case record.StrikeUndone():
            alive = {
                name: change(view, state="serving")
                for name, view in board.slots.items()
                if view.replica == event.victim and view.state == "killed"
            }
            board = change(board, slots={**board.slots, **alive})
        case record.ZoneLost():
            board = change(board, done=change(board.done, zones_lost=board.done.zones_lost + 1))
        case record.Trouble():
            board = change(board, trouble=event.what)
        case record.Step():
            board = _fold_step(board, event)
    return _tell(board, event.at, tell_event(event))


def _fold_step(board: Board, step: record.Step) -> Board:
    change = msgspec.structs.replace
    view = board.slots.get(step.slot)
    if view is None:
        return board
    done = board.done
    if step.action == "start":
        if view.state == "serving":
            view = change(view, incoming=step.release)
        else:
            view = change(view, state="starting", release=step.release, replica=step.replica)
    elif step.action == "enter":
        is_another = view.replica != step.replica or view.state == "starting"
        done = change(done, replacements=done.replacements + (step.why != "first" and is_another))
        view = change(view, state="serving", release=step.release, replica=step.replica, incoming="")
    return change(board, slots={**board.slots, step.slot: view}, done=done)


def _after_strike(done: Interference, strike: record.Strike) -> Interference:
    if strike.whole_zone:
        return done
    if strike.fault_kind == "kill":
        return msgspec.structs.replace(done, kills=done.kills + 1)
    return msgspec.structs.replace(done, other_strikes=done.other_strikes + 1)


def _tell(board: Board, at: int, said: str) -> Board:
    if not said:
        return board
    line = f"{(at - board.began) / NS:6.1f} s  {said}"
    return msgspec.structs.replace(board, news=(*board.news, line)[-NEWS_KEPT:], told=board.told + 1)
