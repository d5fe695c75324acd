"""How far delivery got: one count for `throughline status`, its JSON and a metrics scraper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from include.lineage.spool import Spool

# Run events, and what is declared of jobs; a declaration is no run's, so nothing parks it.
COUNTS = """
WITH sent AS (
    SELECT run_id, attempts, created_at, last_error, delivered_at, dead_at FROM event
    UNION ALL
    SELECT NULL, attempts, created_at, last_error, delivered_at, dead_at FROM job_declaration
), waiting AS (
    SELECT attempts, created_at, last_error, COALESCE(run_id IN (
        SELECT run_id FROM event WHERE dead_at IS NOT NULL), false) AS parked
    FROM sent WHERE delivered_at IS NULL AND dead_at IS NULL
)
SELECT count(*) FILTER (WHERE NOT parked) AS pending,
    count(*) FILTER (WHERE NOT parked AND attempts > 0) AS failed,
    count(*) FILTER (WHERE parked) AS parked,
    extract(epoch FROM now() - min(created_at) FILTER (WHERE NOT parked))::float8 AS oldest_pending_s,
    (SELECT last_error FROM waiting WHERE NOT parked AND last_error IS NOT NULL
        ORDER BY created_at LIMIT 1) AS last_error,
    (SELECT count(*) FROM sent WHERE dead_at IS NOT NULL) AS dead,
    (SELECT count(*) FROM sent WHERE delivered_at IS NOT NULL) AS delivered
FROM waiting
"""
HELP = {
    "pending": "Events that wait for delivery.",
    "failed": "Pending events that were tried in vain at least once.",
    "parked": "Events that wait because an earlier one of their run is dead.",
    "dead": "Events that the lineage server refused for good.",
    "delivered": "Events that the lineage server took.",
    "oldest_pending_seconds": "Age of the oldest pending event.",
    "spool_lines": "Lines of the local file that the event table has not taken yet.",
    "spool_bytes": "Bytes of the local file that the event table has not taken yet.",
    "spool_rejects": "Spooled lines that are no event and were put aside.",
}


@dataclass(frozen=True)
class Backlog:
    """The state of delivery; `pending` includes `failed` and excludes `parked`. Ages are the database's, in seconds."""

    pending: int
    failed: int
    parked: int
    dead: int
    delivered: int
    oldest_pending_s: float | None
    last_error: str | None
    spool_lines: int
    spool_bytes: int
    spool_rejects: int


def read_backlog(dsn: str, spool: Spool) -> Backlog:
    """Count events in the ledger and lines in the spool; psycopg.Error where the ledger cannot be asked."""
    with psycopg.connect(dsn, connect_timeout=2, row_factory=dict_row) as connection:
        row = connection.execute(COUNTS).fetchone()
    unread = spool.unread()
    return Backlog(
        **(row or {}),
        spool_lines=unread.lines,
        spool_bytes=unread.size_bytes,
        spool_rejects=unread.rejects,
    )


def openmetrics(backlog: Backlog) -> str:
    """Return the text that a Prometheus scraper reads (https://prometheus.io/docs/specs/om/open_metrics_spec/)."""
    figures = {
        "pending": backlog.pending,
        "failed": backlog.failed,
        "parked": backlog.parked,
        "dead": backlog.dead,
        "delivered": backlog.delivered,
        "oldest_pending_seconds": backlog.oldest_pending_s or 0.0,
        "spool_lines": backlog.spool_lines,
        "spool_bytes": backlog.spool_bytes,
        "spool_rejects": backlog.spool_rejects,
    }
    lines = []
    for name, value in figures.items():
        full = f"throughline_lineage_{name}"
        lines += [f"# TYPE {full} gauge", f"# HELP {full} {HELP[name]}", f"{full} {value}"]
    return "\n".join([*lines, "# EOF", ""])
