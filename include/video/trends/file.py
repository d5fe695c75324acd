"""Trends from a YouTube-trending CSV: one row per video and trending day, as the public data sets have it."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from include.errors import InvalidInput
from include.video.trends.trend import CATEGORIES, Trend, hashtags_of, tidy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLUMNS = (
    "video_id",
    "title",
    "publishedAt",
    "channelTitle",
    "categoryId",
    "trending_date",
    "tags",
    "view_count",
    "likes",
    "comment_count",
    "comments_disabled",
    "ratings_disabled",
    "description",
)
"""The columns that are read; a file may have more (the usual sixteen do)."""

_DAY_IN_NAME = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)")
_FIELD_LIMIT = 1_000_000


@dataclass(frozen=True)
class FileSource:
    """A captured CSV file. `label` is the name a person knows it by; messages and the snapshot day use it."""

    path: Path
    label: str = ""
    name: str = "trends"

    def fetch(self) -> list[Trend]:
        """Return one trend per video id, in the order of the file.

        A video seen on several days keeps its latest row, and the counters of the day before it as `previous_*`.
        `observed_at` is the later of the row's trending day and the day in the file's name (midnight UTC), moved on to
        the newest publication of that very day: a chart cannot be older than what it lists. The clock is never asked.

        Raises
        ------
        InvalidInput
            Not a CSV in UTF-8, a missing column, no rows, or a value that cannot be read; file, line and column named.
        """
        label = self.label or self.path.name
        rows = list(_rows(self.path, label))
        if not rows:
            msg = f"{label} holds no rows: give a file with at least one trend"
            raise InvalidInput(msg)
        in_name = _DAY_IN_NAME.search(label)
        named = _named_day(label, in_name) if in_name else None
        newest: dict[date, datetime] = {}
        for row in rows:
            row.day = max(row.day, named) if named else row.day
            midnight = datetime(row.day.year, row.day.month, row.day.day, tzinfo=UTC)
            seen = newest.get(row.day, midnight)
            same_day = row.published_at is not None and row.published_at.date() == row.day
            newest[row.day] = max(seen, row.published_at) if same_day and row.published_at else seen
        by_id: dict[str, list[_Row]] = {}
        for row in rows:
            by_id.setdefault(row.video_id, []).append(row)
        return [_trend(sightings, newest) for sightings in by_id.values()]


@dataclass
class _Row:
    video_id: str
    title: str
    channel: str | None
    category: str | None
    hashtags: list[str]
    published_at: datetime | None
    day: date
    views: int | None
    likes: int | None
    comments: int | None


def _trend(sightings: list[_Row], newest: dict[date, datetime]) -> Trend:
    ordered = sorted(sightings, key=lambda row: row.day)  # stable: of equal days the last row counts
    latest = ordered[-1]
    earlier = [row for row in ordered if row.day < latest.day and row.views is not None]
    before = earlier[-1] if earlier else None
    return Trend(
        platform="youtube",
        external_id=latest.video_id,
        title=latest.title,
        url=f"https://www.youtube.com/watch?v={latest.video_id}",
        channel=latest.channel,
        category=latest.category,
        hashtags=latest.hashtags,
        published_at=latest.published_at,
        observed_at=newest[latest.day],
        views=latest.views,
        likes=latest.likes,
        comments=latest.comments,
        previous_observed_at=newest[before.day] if before else None,
        previous_views=before.views if before else None,
    )


def _named_day(label: str, match: re.Match[str]) -> date:
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError as error:
        msg = f"{label}: the day {match[0]} in the file's name does not exist; rename the file"
        raise InvalidInput(msg) from error


def _rows(path: Path, label: str) -> Iterator[_Row]:
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_LIMIT))
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{label} is not a CSV file in UTF-8 (byte {error.start}): save it as UTF-8 text"
        raise InvalidInput(msg) from error
    if "\0" in text:
        msg = f"{label} is not a CSV file: it holds binary data"
        raise InvalidInput(msg)
    if not text.strip():
        msg = f"{label} is empty: give a CSV with the columns {', '.join(COLUMNS)}"
        raise InvalidInput(msg)
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip() for name in next(reader)]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            msg = f"{label} lacks the column {', '.join(missing)}; its header is: {', '.join(header)[:300]}"
            raise InvalidInput(msg)
        for values in reader:
            if not values:
                continue
            if len(values) != len(header):
                msg = (
                    f"{label} line {reader.line_num}: {len(values)} fields where the header has {len(header)};"
                    " check the quoting of that row"
                )
                raise InvalidInput(msg)
            yield _row(dict(zip(header, values, strict=True)), f"{label} line {reader.line_num}")
    except csv.Error as error:
        msg = f"{label} line {reader.line_num} is not readable as CSV: {error}"
        raise InvalidInput(msg) from error


def _row(values: dict[str, str], where: str) -> _Row:
    title = tidy(values["title"])
    for column, value in (("video_id", values["video_id"].strip()), ("title", title)):
        if not value:
            msg = f"{where}: {column} is blank"
            raise InvalidInput(msg)
    if len(values["video_id"].strip()) > 128:
        msg = f"{where}: video_id has more than 128 characters"
        raise InvalidInput(msg)
    tags = [tag.strip('" ') for tag in values["tags"].split("|")] if values["tags"] != "[none]" else []
    category = values["categoryId"].strip()
    return _Row(
        video_id=values["video_id"].strip(),
        title=title,
        channel=tidy(values["channelTitle"]) or None,
        category=CATEGORIES.get(int(category), category) if category.isdecimal() else category or None,
        hashtags=hashtags_of(title, values["description"], tags),
        published_at=_published(values["publishedAt"].strip(), where),
        day=_trending_day(values["trending_date"].strip(), where),
        views=_count(values, "view_count", where),
        likes=None if _true(values, "ratings_disabled") else _count(values, "likes", where),
        comments=None if _true(values, "comments_disabled") else _count(values, "comment_count", where),
    )


def _true(values: dict[str, str], column: str) -> bool:
    return values[column].strip().lower() in {"true", "1"}


def _count(values: dict[str, str], column: str, where: str) -> int | None:
    value = values[column].strip()
    if not value:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", value):
        msg = f"{where}: {column} is {value[:40]!r} where a whole number is due"
        raise InvalidInput(msg)
    return int(value)


def _published(value: str, where: str) -> datetime | None:
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        msg = f"{where}: publishedAt is {value[:40]!r} where a time like 2018-10-31T10:00:03.000Z is due"
        raise InvalidInput(msg) from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _trending_day(value: str, where: str) -> date:
    """Read YY.DD.MM, the form of the public data sets, or an ISO day."""
    try:
        old = re.fullmatch(r"(\d{2})\.(\d{2})\.(\d{2})", value)
        return date(2000 + int(old[1]), int(old[3]), int(old[2])) if old else date.fromisoformat(value[:10])
    except ValueError as error:
        msg = f"{where}: trending_date is {value[:40]!r} where YY.DD.MM or YYYY-MM-DD is due"
        raise InvalidInput(msg) from error
