"""Times as events and requests tell them, and as answers show them."""

from __future__ import annotations

import re
from calendar import month_name, monthrange
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import NoReturn
from zoneinfo import available_timezones

import orjson

TIME = re.compile(
    r"([+-]?\d{4,9})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{0,9}))?)?"
    r"(?:[Zz]|([+-])(\d\d)(?::?(\d\d)(?::(\d\d))?)?)?(?:\[[^\]]*\])?"
)


def parse_time(text: str) -> datetime | None:
    """Return the instant of an ISO date-time in UTC, rounded to microseconds; None for anything else. Without offset: UTC.

    >>> parse_time("2026-11-10T23:02:00.123456789Z").isoformat()
    '2026-11-10T23:02:00.123457+00:00'
    >>> parse_time("2026-02-30T24:00:00Z").isoformat()
    '2026-03-01T00:00:00+00:00'
    >>> parse_time("2026-11-15") is None
    True
    """
    split = _split(text)
    if split is None:
        return None
    second, digits = split
    try:
        return finite_time(second + timedelta(microseconds=(int(digits.ljust(9, "0")) + 500) // 1000))
    except OverflowError:
        return None


def _split(text: str) -> tuple[datetime, str] | None:
    """Return the second of a date-time in UTC and the digits of its fraction.

    As in Marquez, a month ends with its last day where a later one is told, and 24:00 is the next day's midnight.
    """
    match = TIME.fullmatch(text)
    if match is None:
        return None
    digits, sign = match[7] or "", match[8]
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    offset = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0), seconds=int(match[11] or 0))
    try:
        days = (
            timedelta(days=1)
            if (hour, minute, second) == (24, 0, 0) and not digits.strip("0")
            else timedelta()
        )
        day = min(day, monthrange(year, month)[1]) if day <= 31 else day
        zone = timezone(-offset if sign == "-" else offset)
        local = datetime(year, month, day, 0 if days else hour, minute, second, tzinfo=zone)
        return local.astimezone(UTC) + days, digits
    except (ValueError, OverflowError):
        return None


def told_time(value: str | float) -> str | None:
    """Write a time that an event told as Java's ZonedDateTime is written: in UTC, with the digits that were told.

    >>> told_time("2026-11-10T23:02:00.1200+01:00"), told_time(1.5), told_time("now")
    ('2026-11-10T22:02:00.12Z', '1970-01-01T00:00:01.5Z', None)
    """
    if isinstance(value, str):
        split = _split(value.strip())
        if split is None:
            return None
        second, digits = split
    else:
        moment = datetime.fromtimestamp(value, UTC)
        second, digits = moment.replace(microsecond=0), f"{moment.microsecond:06d}"
    digits = digits.rstrip("0")
    return instant(second).removesuffix("Z") + (f".{digits}Z" if digits else "Z")


def short_time(text: str) -> str:
    """Return a written time without seconds where there are none, and else with their digits in groups of three.

    >>> short_time("2026-11-01T02:00:00Z"), short_time("2026-11-01T02:00:00.1234Z")
    ('2026-11-01T02:00Z', '2026-11-01T02:00:00.123400Z')
    """
    whole, _, digits = text.removesuffix("Z").partition(".")
    if not digits:
        return f"{whole.removesuffix(':00') if whole.count(':') == 2 else whole}Z"
    return f"{whole}.{digits.ljust(-(-len(digits) // 3) * 3, '0')}Z"


def finite_time(moment: datetime) -> datetime:
    """Return the instant, the calendar's first and last as their neighbours: to the database driver those are infinity."""
    return min(max(moment, FIRST), LAST)


FIRST = datetime.min.replace(tzinfo=UTC) + timedelta(microseconds=1)
LAST = datetime.max.replace(tzinfo=UTC) - timedelta(microseconds=1)


def instant(moment: datetime) -> str:
    """Write an instant as Java does: UTC, seconds always, fraction in groups of three digits.

    >>> instant(datetime(2026, 11, 1, 2, 0, 0, 120000, tzinfo=UTC))
    '2026-11-01T02:00:00.120Z'
    """
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    # A graph has thousands of them, and isoformat takes five times as long.
    text = orjson.dumps(utc, option=orjson.OPT_UTC_Z).decode()[1:-1]
    return f"{text[:-4]}Z" if utc.microsecond and text.endswith("000Z") else text


PARTS = tuple(
    re.compile(part)
    for part in (r"\d{4}(?!\d)|\+\d{5,9}|-\d{4,9}", "-", r"\d\d", "-", r"\d\d", "[Tt]", r"\d\d", ":", r"\d\d")
)
SECONDS = re.compile(r"(?::(\d\d)(?:\.\d{0,9})?)?")
OFFSET = re.compile(r"[Zz]|[+-]\d\d(?::\d\d(?::\d\d)?)?")
ZONE = re.compile(r"\[([^\]]*)\]")
RANGES = (
    ("MonthOfYear", 1, 12), ("DayOfMonth", 1, 31), ("HourOfDay", 0, 23), ("MinuteOfHour", 0, 59), ("SecondOfMinute", 0, 59),
)  # fmt: skip


@cache
def _zones() -> frozenset[str]:
    """Return the names of zones in capitals; finding them reads a file for each."""
    return frozenset(name.upper() for name in available_timezones())


def zoned_time(text: str) -> datetime:
    """Return the instant of a date-time that has an offset, read as strictly as Marquez reads parameters.

    One beyond the calendar is the calendar's end.

    Raises
    ------
    ValueError
        For anything else; what is wrong is named by its place in the text.
    """

    def refuse(what: str) -> NoReturn:
        shown = text if len(text) <= 64 else f"{text[:64]}..."
        raise ValueError(f"Text '{shown}' could not be parsed{what}")

    place, found = 0, []
    for part in PARTS:
        match = part.match(text, place)
        if match is None:
            refuse(f" at index {place}")
        found.append(match[0])
        place = match.end()
    seconds = SECONDS.match(text, place)
    place = seconds.end() if seconds else place
    offset = OFFSET.match(text, place)
    if offset is None:
        refuse(f" at index {place}")
    place = offset.end()
    zone = ZONE.match(text, place)
    if zone and zone[1].upper() in _zones():
        place = zone.end()
    if place < len(text):
        refuse(f", unparsed text found at index {place}")
    numbers = [int(number) for number in (*found[2::2], (seconds and seconds[1]) or "0")]
    for (name, low, high), number in zip(RANGES, numbers, strict=True):
        if not low <= number <= high:
            refuse(f": Invalid value for {name} (valid values {low} - {high}): {number}")
    year = int(found[0])
    if not 1 <= year <= 9999:
        return FIRST if year < 1 else LAST
    moment = parse_time(text)
    if moment is None or numbers[1] > monthrange(year, numbers[0])[1]:
        refuse(f": Invalid date '{month_name[numbers[0]].upper()} {numbers[1]}'")
    return moment
