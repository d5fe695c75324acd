"""The view is disposable: the event table fills any lineage server again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from include.lineage.declarations import current_declarations

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

RESET = """
UPDATE event SET delivered_at = NULL, dead_at = NULL, next_at = NULL, last_error = NULL, attempts = 0
WHERE withdrawn_at IS NULL AND (%(job)s::uuid IS NULL OR job_id = %(job)s) AND (NOT %(dead)s OR dead_at IS NOT NULL)
"""
# What holds is the newest of each name; dead ones are tried again whichever they are.
RESET_DECLARATIONS = """
UPDATE job_declaration SET delivered_at = NULL, dead_at = NULL, next_at = NULL, last_error = NULL, attempts = 0
WHERE CASE WHEN %(dead)s THEN dead_at IS NOT NULL ELSE seq IN (
    SELECT max(seq) FROM job_declaration GROUP BY job_namespace, job_name) END
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
        if job_id is None:
            count += connection.execute(RESET_DECLARATIONS, {"dead": dead}).rowcount
        connection.execute("NOTIFY throughline_event")
        return count


def send(
    dsn: str, deliver: Callable[[dict[str, Any]], None], *, job_id: UUID | None = None, dead: bool = False
) -> int:
    """Send declarations, then events in the order they were stored, to another server; return how many it took.

    Raises ProviderRefused or ProviderUnavailable at the first event that is not taken.
    """
    count = 0
    if job_id is None and not dead:
        with psycopg.connect(dsn, row_factory=dict_row) as connection:
            for body in current_declarations(connection):
                deliver(body)
                count += 1
    with psycopg.connect(dsn, row_factory=dict_row) as connection, connection.cursor("replay") as cursor:
        cursor.execute(IN_ORDER, {"job": job_id, "dead": dead})
        for row in cursor:
            deliver(row["body"])
            count += 1
    return count
