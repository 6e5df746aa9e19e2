"""The record of a run: what everything that acts writes, and all that judges or shows ever reads.

runs/<id>/
  environment.json   the machine, the engine, the images, the seed
  scenario.json      what was asked for
  events.jsonl       one event a line: phases, container events, steps, strikes
  history.jsonl      one operation a line, in the order in which they ended
  verdict.json       what was found
  logs/              the end of what each replica wrote that died or was there at the end
  held_back.json     only there while somebody is still to name the cause
"""

from __future__ import annotations

from lab.record.events import (
    AnyEvent,
    AppStopped,
    CommandBegan,
    CommandEnded,
    CommandSaid,
    ContainerEvent,
    EngineBack,
    EngineGone,
    Event,
    IdleClosed,
    MachineBusy,
    NotReady,
    Observed,
    Office,
    PhaseBegan,
    RolloutMoved,
    RunBegan,
    RunEnded,
    Scaled,
    Serving,
    Step,
    Strike,
    StrikeProved,
    StrikeSource,
    StrikeUndone,
    Trouble,
    WorkerBegan,
    WorkerEnded,
    WouldStrike,
    ZoneBack,
    ZoneLost,
)
from lab.record.folder import FORMAT, HELD_BACK, RunRecord, write_whole, written_by
from lab.record.logs import LAST_LINES, keep_log, kept_log
from lab.record.reading import FollowedRecord, ReadRecord

__all__ = [
    "AnyEvent",
    "AppStopped",
    "CommandBegan",
    "CommandEnded",
    "CommandSaid",
    "ContainerEvent",
    "Event",
    "FORMAT",
    "FollowedRecord",
    "HELD_BACK",
    "LAST_LINES",
    "EngineBack",
    "EngineGone",
    "IdleClosed",
    "MachineBusy",
    "NotReady",
    "Observed",
    "Office",
    "PhaseBegan",
    "ReadRecord",
    "RolloutMoved",
    "RunBegan",
    "RunEnded",
    "RunRecord",
    "Scaled",
    "Serving",
    "Step",
    "Strike",
    "StrikeProved",
    "StrikeSource",
    "StrikeUndone",
    "Trouble",
    "WorkerBegan",
    "WorkerEnded",
    "WouldStrike",
    "ZoneBack",
    "ZoneLost",
    "keep_log",
    "kept_log",
    "write_whole",
    "written_by",
]
