"""The view is disposable: the event table fills any lineage server again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

RESET = """
UPDATE event SET delivered_at = NULL, dead_at = NULL, next_at = NULL, last_error = NULL, attempts = 0
WHERE withdrawn_at IS NULL AND (%(job)s::uuid IS NULL OR job_id = %(job)s) AND (NOT %(dead)s OR dead_at IS NOT NULL)
"""
IN_ORDER = """
SELECT body FROM event
WHERE withdrawn_at IS NULL AND (%(job)s::uuid IS NULL OR job_id = %(job)s) AND (NOT %(dead)s OR dead_at IS NOT NULL)
ORDER BY seq
"""


def reset(dsn: str, *, job_id: UUID | None = None, dead: bool = False) -> int:
    """Let the relay deliver events anew; return how many wait. Withdrawn events stay withdrawn."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        count = connection.execute(RESET, {"job": job_id, "dead": dead}).rowcount
        connection.execute("NOTIFY throughline_event")
        return count


def send(
    dsn: str, deliver: Callable[[dict[str, Any]], None], *, job_id: UUID | None = None, dead: bool = False
) -> int:
    """Send events in the order they were stored to another server; return how many it took.

    Raises ProviderRefused or ProviderUnavailable at the first event that is not taken.
    """
    count = 0
    with psycopg.connect(dsn, row_factory=dict_row) as connection, connection.cursor("replay") as cursor:
        cursor.execute(IN_ORDER, {"job": job_id, "dead": dead})
        for row in cursor:
            deliver(row["body"])
            count += 1
    return count
