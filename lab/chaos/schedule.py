"""When the monkey strikes, drawn from a seed: by gaps, or by a calendar of working days in model time; pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lab.chaos.faults import FaultName, Signal
from lab.errors import UsageError
from lab.model import Role, Value

WorkDay = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEK: tuple[WorkDay, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Calendar(Value):
    """Working days and hours in which alone the monkey strikes. They pass in model time, the rest takes none."""

    begins: str = "2026-01-01"
    """The first day."""
    days: int = 30
    """Days of the calendar from `begins` on, those without work included."""
    time_zone: str = "UTC"
    """Whose clocks and days they are: a name of the IANA data base."""
    opens: str = "09:00"
    """From when on somebody is there to look: no strike before."""
    closes: str = "15:00"
    """Until when; no strike after."""
    work_days: tuple[WorkDay, ...] = ("mon", "tue", "wed", "thu", "fri")
    """Days on which strikes may fall."""
    most_a_day: int = 1
    """Strikes a day at most, in each group."""
    apart: float = 30.0
    """Model minutes between two strikes at least."""
    day_lasts: float = 4.0
    """Seconds that a working day's hours take in the run."""


class MonkeySettings(Value, rename={"seconds": "for"}):
    """How often and how hard. Times in seconds."""

    at_least: int = 4
    """Strikes that must be made; fewer and the run proves too little."""
    at_most: int = 4
    """Strikes after which it stops: a hard cap, with a calendar too."""
    mean_gap: float = 3.0
    """Mean seconds between two strikes."""
    least_gap: float = 1.5
    """Seconds between two strikes, at least."""
    jitter: float = 1.0
    """How much chance there is in a gap: 0 is a metronome, 1 as if nobody remembered the last strike."""
    signal: Signal = "SIGKILL"
    """What its victims get, if they are killed."""
    least_serving: int = 5
    """A strike may not leave fewer replicas serving than this."""
    do: tuple[FaultName, ...] = ("kill",)
    """The faults of the table that are drawn from."""
    seconds: float = 2.0
    """How long a fault lasts that does not end its victim."""
    groups: tuple[str, ...] = ("app",)
    """Who has opted in: a tier ("app", "balancer", "store", "sentinel", "orders"), its share of a zone ("app/a"), or a
    service of your own that has a role ("redis"); nobody else is ever struck."""
    probability: float = 1.0
    """That a strike which is due is made; with a calendar: in each group, each day."""
    leashed: bool = False
    """It only says what it would do."""
    calendar: Calendar | None = None
    """Working days in model time, in place of the gaps."""


GROUPS = frozenset({Role.APP, Role.BALANCER, Role.STORE, Role.SENTINEL, Role.ORDERS, Role.WORKER})
"""The tiers that may opt in."""


class Due(Value):
    """A strike that the schedule asks for."""

    gap: float
    """Seconds of the run since the one before was due or, without a calendar, was made."""
    group: str = ""
    """Whom to draw from; "": anybody who has opted in."""
    when: str = ""
    """The model time, for a person."""


def draw_schedule(settings: MonkeySettings, random: Random) -> list[Due]:
    """Every strike that is to be made, in order; the same seed gives the same."""
    if settings.calendar is None:
        return [Due(gap=gap) for gap in draw_gaps(settings, random)]
    return list(_in_run_time(settings.calendar, draw_days(settings, settings.calendar, random)))[: settings.at_most]


def draw_gaps(settings: MonkeySettings, random: Random) -> list[float]:
    """The time before each strike: exponential around the mean, never under the least gap."""
    spread = max(settings.mean_gap - settings.least_gap, 0.001)
    gaps = []
    waited = 0.0
    for _ in range(settings.at_most):
        chance = (1 - settings.jitter) + settings.jitter * random.expovariate(1.0)
        waited += settings.least_gap + spread * chance
        if settings.probability >= 1 or random.random() < settings.probability:
            gaps.append(waited)
            waited = 0.0
    return gaps


def draw_days(settings: MonkeySettings, calendar: Calendar, random: Random) -> list[tuple[datetime, str]]:
    """When each group is struck, by the calendar: within the hours, not more a day than allowed, apart as asked."""
    drawn = []
    for opens, closes in working_hours(calendar):
        for group in settings.groups:
            for _ in range(calendar.most_a_day):
                if random.random() < settings.probability:
                    drawn.append((opens + random.random() * (closes - opens), group))
    drawn.sort()
    kept: list[tuple[datetime, str]] = []
    for at, group in drawn:
        if not kept or at - kept[-1][0] >= timedelta(minutes=calendar.apart):
            kept.append((at, group))
    return kept


def working_hours(calendar: Calendar) -> Iterator[tuple[datetime, datetime]]:
    """From when until when people are there, on each day on which they are."""
    zone, first = ZoneInfo(calendar.time_zone), date.fromisoformat(calendar.begins)
    opens, closes = time.fromisoformat(calendar.opens), time.fromisoformat(calendar.closes)
    for day in (first + timedelta(days=number) for number in range(calendar.days)):
        if _WEEK[day.weekday()] in calendar.work_days:
            yield datetime.combine(day, opens, zone), datetime.combine(day, closes, zone)


def _in_run_time(calendar: Calendar, drawn: list[tuple[datetime, str]]) -> Iterator[Due]:
    """Working hours follow each other without a break, each day's in `day_lasts` seconds."""
    last = 0.0
    hours = list(working_hours(calendar))
    for at, group in drawn:
        number, (opens, closes) = next((n, one) for n, one in enumerate(hours) if one[0] <= at <= one[1])
        seconds = (number + (at - opens) / (closes - opens)) * calendar.day_lasts
        yield Due(gap=seconds - last, group=group, when=f"{at:%a %d %b %H:%M}")
        last = seconds


def check_monkey(settings: MonkeySettings) -> None:
    """What types alone can't say. Raises UsageError with the key."""
    for group in settings.groups:
        tier, _, zone = group.partition("/")
        if tier not in GROUPS or group.endswith("/") or "/" in zone:
            raise UsageError(f"{group!r} is not a group", at="groups", hint="groups: [app, app/a, balancer/b]")
    if not settings.groups or not settings.do:
        raise UsageError("nothing has opted in", at="groups", hint="groups: [app]")
    if not 0 < settings.probability <= 1 or not 0 <= settings.jitter <= 1:
        raise UsageError("is a share from 0 to 1", at="probability", hint="probability: 0.5")
    if settings.calendar is not None:
        _check_calendar(settings.calendar)


def _check_calendar(calendar: Calendar) -> None:
    try:
        ZoneInfo(calendar.time_zone)
        date.fromisoformat(calendar.begins) + timedelta(days=calendar.days)
        opens, closes = time.fromisoformat(calendar.opens), time.fromisoformat(calendar.closes)
    except (ZoneInfoNotFoundError, OSError) as exc:  # OSError: the name of a folder of the data base
        raise UsageError("is not a time zone", at="calendar.time_zone", hint="time_zone: Europe/Berlin") from exc
    except (ValueError, OverflowError) as exc:
        raise UsageError(str(exc), at="calendar", hint='begins: "2026-01-01", opens: "09:00"') from exc
    if opens.tzinfo is not None or closes.tzinfo is not None:
        raise UsageError("opens and closes are by the clocks of time_zone", at="calendar.opens", hint='opens: "09:00"')
    if opens >= closes or calendar.days < 1 or calendar.day_lasts <= 0 or calendar.most_a_day < 1:
        raise UsageError("leaves no hour in which to strike", at="calendar", hint='opens: "09:00", closes: "15:00"')
