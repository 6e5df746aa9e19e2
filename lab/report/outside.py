"""What somebody else does to a deployment, and what is seen of it, as sentences: never told as the lab's own doing."""

from __future__ import annotations

from lab import record

_OBSERVED = {"started": "started", "ready": "is ready", "leaving": "is told to leave", "ended": "ended"}


def tell_outside(event: record.AnyEvent) -> str:
    """A sentence; nothing for any other event."""
    match event:
        case record.CommandBegan():
            return f"command {event.command} begins: {' '.join(event.argv)}"
        case record.CommandSaid():
            return f"command {event.command}: {event.line}"
        case record.CommandEnded():
            return _tell_end(event)
        case record.Observed():
            who = " ".join(filter(None, (event.who, f"({event.release})" if event.release else "")))
            return f"observed by {event.source}: {who} {_OBSERVED.get(event.what, event.what)}"
    return ""


def _tell_end(event: record.CommandEnded) -> str:
    how = "succeeded" if event.code == 0 else f"ended with {event.code}" if event.code is not None else "was ended"
    why = f" ({event.why})" if event.why else ""
    dropped = f"; {event.dropped} more lines were not kept" if event.dropped else ""
    return f"command {event.command} {how}{why} after {event.seconds:.1f} s{dropped}"
