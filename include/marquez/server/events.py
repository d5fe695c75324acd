"""Stored events and counts over time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]  # has no stubs

from include.marquez.server.answers import ApiError, as_told, at, coded
from include.marquez.server.openlineage import rendered
from include.marquez.server.paging import Cursor

if TYPE_CHECKING:
    from uuid import UUID

    from include.marquez.server.database import Connection
    from include.marquez.server.openlineage import Json

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2030, 1, 1, tzinfo=UTC)
"""What `after` and `before` are when they are not given, as in Marquez."""


async def list_events(
    connection: Connection,
    *,
    before: datetime,
    after: datetime,
    ascending: bool,
    limit: int,
    offset: int,
    namespace: str | None = None,
    job: str | None = None,
    run: UUID | None = None,
    event_type: str | None = None,
    cursor: Cursor | None = None,
) -> tuple[Json, Cursor | None]:
    """Return run events between two times, newest first unless `ascending`, filtered by job, run and type.

    With them, if the page is full, where the next one begins.
    """
    # Written out for what is asked, so that each question gets the plan and the index that suit it.
    where = "kind = 'R' AND event_time < $1 AND event_time >= $2"
    values: list[Any] = [before, after]

    def narrow(condition: str, value: Any) -> None:
        nonlocal where
        if value is not None:
            values.append(value)
            where += " AND " + condition.replace("$", f"${len(values)}")

    narrow("job_namespace = $", namespace)
    narrow("job_name = $ AND md5(job_name) = md5($)", job)
    narrow("run_id = $", run)
    narrow("event_type = $", event_type)
    if len(values) == 2:
        total = await _count(connection, before, after)
    else:
        total = await connection.fetchval(f"SELECT count(*) FROM event WHERE {where}", *values)  # noqa: S608  # constants
    direction = "ASC" if ascending else "DESC"
    if cursor:
        after_it = f"${len(values) + 1}, ${len(values) + 2}"
        where += f" AND (event_time, digest) {'>' if ascending else '<'} ({after_it})"
        values += [cursor.at, cursor.key]
    rows = await connection.fetch(
        f"SELECT body, event_time, digest FROM event WHERE {where}"  # noqa: S608  # constants
        f" ORDER BY event_time {direction}, digest {direction} LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        limit,
        0 if cursor else offset,
    )
    last = rows[-1] if rows and len(rows) == limit else None
    following = Cursor(last["event_time"], last["digest"]) if last else None
    events = [as_told(rendered(row["body"])) for row in rows]
    return {"totalCount": total, "events": events}, following


async def _count(connection: Connection, before: datetime, after: datetime) -> int:
    """Return how many run events there are between two times: whole days from their counts, the rest one by one."""
    total: int = await connection.fetchval(
        "WITH days AS (SELECT (($2::timestamptz + interval '1 day' - interval '1 microsecond') AT TIME ZONE 'UTC')::date"
        " AS first, ($1::timestamptz AT TIME ZONE 'UTC')::date AS last),"
        " edges AS (SELECT first::timestamp AT TIME ZONE 'UTC' AS first, last::timestamp AT TIME ZONE 'UTC' AS last,"
        " first <= last AS whole FROM days)"
        " SELECT (SELECT coalesce(sum(n), 0) FROM event_count, days WHERE day >= first AND day < last)::bigint"
        " + (SELECT count(*) FROM event, edges WHERE kind = 'R' AND event_time >= $2"
        " AND event_time < least(CASE WHEN whole THEN first ELSE $1 END, $1))"
        " + (SELECT count(*) FROM event, edges WHERE kind = 'R' AND whole AND event_time >= last AND event_time < $1)",
        before,
        after,
    )
    return total


_TABLES = {"jobs": "job", "datasets": "dataset"}


async def counts(connection: Connection, what: str, period: str, zone: str | None) -> list[Json]:
    """Return one row per hour of the last day, or per day of the last week in a time zone."""
    if period == "WEEK":
        if zone is None:
            if what == "lineage-events":
                raise ApiError(400, "Timezone must be specified for period 'WEEK'")
            return []
        try:  # the database knows every zone that clients may name: offsets and abbreviations, too
            await connection.fetchval("SELECT now() AT TIME ZONE $1", zone)
        except asyncpg.DataError as error:
            raise coded(400, f"query param timezone: '{zone[:60]}' is not a time zone") from error
    unit, span = ("hour", 24) if period == "DAY" else ("day", 7)
    zone = zone if period == "WEEK" and zone else "UTC"
    series = (
        "SELECT g AT TIME ZONE $1 AS lower, (g + ('1 ' || $2)::interval) AT TIME ZONE $1 AS upper FROM generate_series("
        "date_trunc($2, now() AT TIME ZONE $1) - (($3 - 1)::text || ' ' || $2)::interval,"
        " date_trunc($2, now() AT TIME ZONE $1), ('1 ' || $2)::interval) AS g"
    )
    if what == "lineage-events":
        rows = await connection.fetch(
            f"WITH s AS ({series}) SELECT s.lower, s.upper,"  # noqa: S608  # constants
            " count(*) FILTER (WHERE e.event_type = 'FAIL') AS fail, count(*) FILTER (WHERE e.event_type = 'START') AS start,"
            " count(*) FILTER (WHERE e.event_type = 'COMPLETE') AS complete,"
            " count(*) FILTER (WHERE e.event_type = 'ABORT') AS abort"
            " FROM s LEFT JOIN event e ON e.kind = 'R' AND e.event_time >= s.lower AND e.event_time < s.upper"
            " GROUP BY s.lower, s.upper ORDER BY s.lower",
            zone,
            unit,
            span,
        )
        keys: tuple[str, ...] = ("fail", "start", "complete", "abort")
    else:
        created = (
            "SELECT min(created_at) AS created_at FROM dataset GROUP BY source_name"
            if what == "sources"
            else f"SELECT created_at FROM {_TABLES[what]}"  # noqa: S608  # one of two constants
        )
        rows = await connection.fetch(
            f"WITH s AS ({series}), c AS ({created}) SELECT s.lower, s.upper,"  # noqa: S608  # constants
            " (SELECT count(*) FROM c WHERE c.created_at < s.upper) AS count FROM s ORDER BY s.lower",
            zone,
            unit,
            span,
        )
        keys = ("count",)
    return [
        {"startInterval": at(row["lower"]), "endInterval": at(row["upper"])} | {key: row[key] for key in keys}
        for row in rows
    ]
