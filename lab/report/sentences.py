"""Events of a record as sentences, in the words that the terminal, the page and the reports share."""

from __future__ import annotations

from lab import record
from lab.report.outside import tell_outside


def tell_event(event: record.AnyEvent) -> str:
    """An event as a sentence; nothing for what a person need not know."""
    said = ""
    match event:
        case record.PhaseBegan():
            said = event.text
        case record.Strike():
            release = f" ({event.release})" if event.release else ""
            what = _struck(event.fault, f"{event.victim}{release}")
            if event.source is not record.StrikeSource.PIN:  # whose victim need not have served
                what = f"{what} while it served"
            said = f"{what}; {event.serving} were serving"
        case record.ZoneLost() | record.ZoneBack():
            said = _tell_zone(event)
        case record.StrikeUndone():
            said = f"{event.fault} of {event.victim} is over"
        case record.WouldStrike():
            said = f"leashed: {_struck(event.fault, event.victim)}" + (f", {event.when}" if event.when else "")
        case record.MachineBusy() | record.EngineGone() | record.EngineBack() | record.Trouble():
            said = _tell_unwell(event)
        case record.NotReady():
            said = _tell_not_ready(event)
        case record.RolloutMoved():
            said = f"rollout to {event.to}: {event.ending or event.phase}" + (f" ({event.why})" if event.why else "")
        case record.Scaled():
            said = f"{event.to} replicas are wanted instead of {event.before}: {event.why}"
        case record.Office() if event.action == "fenced" or not event.is_first:
            said = event.text
        case record.Step():
            said = _tell_step(event)
    return said or _tell_worker(event) or tell_outside(event)


def _struck(fault: str, victim: str) -> str:
    """As one says it: "SIGKILL to b1-2", "freeze b1-2", "cut b1-2 from the store", "stop the deployer: deployer-1"."""
    verb, _, rest = fault.partition(" ")
    if verb.startswith("SIG"):
        return f"{fault} to {victim}"
    if rest.startswith("the "):
        return f"{fault}: {victim}"
    return f"{verb} {victim} {rest}".rstrip()


def _tell_zone(event: record.ZoneLost | record.ZoneBack) -> str:
    if isinstance(event, record.ZoneBack):
        return f"zone {event.zone} is back"
    return f"zone {event.zone} is {'cut off' if event.cut_off else 'lost'}"


def _tell_worker(event: record.AnyEvent) -> str:
    if not isinstance(event, record.WorkerBegan | record.WorkerEnded):
        return ""
    who, give = f"worker {event.worker}", f"give or take {event.uncertainty / 1e6:.1f} ms"
    if isinstance(event, record.WorkerBegan):
        return f"{who} has {event.users} users on {event.devices} devices, at {event.where}; its clock is known {give}"
    if event.lost:
        return f"{who} is lost after {event.operations} operations: {event.lost}"
    return f"{who} has ended after {event.operations} operations; its clock was known {give}"


def _tell_not_ready(event: record.NotReady) -> str:
    wrote = " | ".join(event.log)
    said = f"{event.slot}: {event.replica} ({event.release}) is not ready: {event.saw}"
    return f"{said}; its last lines: {wrote}" if wrote else said


def _tell_step(step: record.Step) -> str:
    who = f"{step.slot}: {step.replica} ({step.release})"
    took = "" if step.seconds is None else f" after {step.seconds:.1f} s"
    said = {
        "recreate": f"{step.replica} is made anew ({step.release})",
        "start": f"{who} starts: {step.why}",
        "ready": f"{who} is ready{took}",
        "drain": f"{who} drains",
        "remove": f"{who} left{took}" if step.seconds is not None else "",
        "stop": f"{who} is stopped: {step.why}",
    }
    return said.get(step.action, "")


def _tell_unwell(event: record.MachineBusy | record.EngineGone | record.EngineBack | record.Trouble) -> str:
    if isinstance(event, record.EngineGone):
        return "the engine does not answer any more"
    if isinstance(event, record.EngineBack):
        return f"the engine is back; started anew: {', '.join(event.started) or 'nothing'}"
    if isinstance(event, record.Trouble):
        return f"trouble: {event.what}"
    return f"the machine is busy: load average {event.load:.1f} on {event.cores} cores; lateness may be its doing"
