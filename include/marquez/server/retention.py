"""Removing old runs that nothing holds on to.

A run goes when its last event is older than the limit, unless it is the latest run of its job, wrote the current version
of a dataset, or wrote a version that a run which stays has read. With it go its events, its dataset versions and the
versions of its job that no run has any more. What has no run (job and dataset events, names, edges, tags) stays.

Runs are looked at from the newest to the oldest, so that a reader is gone before it is asked whether it still holds its
writer. Each batch is one transaction under the locks that ingest takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.marquez.server.identity import lock_keys
from include.marquez.server.jobs import READERS

if TYPE_CHECKING:
    from include.marquez.server.database import Connection, Pool

BATCH = 200
"""Runs looked at per transaction: a few tens of milliseconds during which their jobs and datasets take no events."""
RETENTION_LOCK = 0x7468_6C69_6E66
"""Key of the advisory lock of the one process that removes."""

AGED = (
    "SELECT r.id, r.job_id, r.updated_at FROM run r WHERE r.updated_at < $1 AND (r.updated_at, r.id) < ($2, $3)"
    " ORDER BY r.updated_at DESC, r.id DESC LIMIT $4"
)
TOUCHED = "SELECT DISTINCT dataset_id FROM run_io WHERE run_id = ANY($1::uuid[])"
UNUSED = (
    "SELECT r.id FROM run r WHERE r.id = ANY($1::uuid[]) AND r.updated_at < $2"  # noqa: S608  # a constant
    " AND NOT EXISTS (SELECT FROM job j WHERE j.id = r.job_id AND j.latest_run = r.id)"
    " AND NOT EXISTS (SELECT FROM dataset_version v JOIN dataset d ON d.id = v.dataset_id"
    f" WHERE v.run_id = r.id AND (d.current_version = v.id OR EXISTS {READERS}))"
)


@dataclass(frozen=True)
class Removed:
    """What a sweep did; `dry`: would have done."""

    runs: int
    events: int
    versions: int
    looked_at: int


async def remove_old_runs(pool: Pool, days: float, *, dry: bool = False) -> Removed | None:
    """Remove the runs whose last event is older than so many days; None when another process is at it."""
    async with pool.acquire() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", RETENTION_LOCK):
            return None
        try:
            return await _sweep(connection, datetime.now(UTC) - timedelta(days=days), dry=dry)
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", RETENTION_LOCK)


async def _sweep(connection: Connection, before: datetime, *, dry: bool) -> Removed:
    at, last = before, UUID(int=2**128 - 1)
    runs = events = versions = looked_at = 0
    while rows := await connection.fetch(AGED, before, at, last, BATCH):
        at, last = rows[-1]["updated_at"], rows[-1]["id"]
        looked_at += len(rows)
        async with connection.transaction():
            removed = await _batch(connection, rows, before, dry=dry)
        runs, events, versions = runs + removed[0], events + removed[1], versions + removed[2]
    return Removed(runs, events, versions, looked_at)


async def _batch(
    connection: Connection, rows: list[Any], before: datetime, *, dry: bool
) -> tuple[int, int, int]:
    candidates = [row["id"] for row in rows]
    jobs = {row["job_id"] for row in rows}
    touched = {row["dataset_id"] for row in await connection.fetch(TOUCHED, candidates)}
    await connection.execute(
        "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key",
        lock_keys({*candidates, *jobs, *touched}),
    )
    unused = [row["id"] for row in await connection.fetch(UNUSED, candidates, before)]
    if dry or not unused:
        return len(unused), 0, 0
    events = await connection.fetchval(
        "WITH gone AS (DELETE FROM event WHERE run_id = ANY($1::uuid[]) RETURNING kind, event_time),"
        " fewer AS (INSERT INTO event_count AS c (day, shard, n)"
        " SELECT (event_time AT TIME ZONE 'UTC')::date, 0, -count(*) FROM gone WHERE kind = 'R' GROUP BY 1 ORDER BY 1"
        " ON CONFLICT (day, shard) DO UPDATE SET n = c.n + excluded.n) SELECT count(*) FROM gone",
        unused,
    )
    versions = await connection.fetchval(
        "WITH gone AS (DELETE FROM dataset_version WHERE run_id = ANY($1::uuid[]) RETURNING 1) SELECT count(*) FROM gone",
        unused,
    )
    await connection.execute("DELETE FROM run WHERE id = ANY($1::uuid[])", unused)
    await connection.execute(
        "DELETE FROM job_version v USING job j WHERE j.id = ANY($1::uuid[]) AND v.job_id = j.id"
        " AND v.id IS DISTINCT FROM j.current_version AND v.created_at < $2"
        " AND NOT EXISTS (SELECT FROM run r WHERE r.job_version = v.version)",
        list(jobs),
        before,
    )
    return len(unused), events, versions
