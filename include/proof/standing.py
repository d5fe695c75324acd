"""One end per run: where two were told, which one stands.

A real event stands against a synthesised one, which was only made because the real one was missing. Among real ones
the last by event time stands: it is the orchestrator's last word (a run marked failed by hand after its success), and
what every lineage server believes. The others are withdrawn: kept in the event table, never sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from uuid import UUID

ENDS = """
SELECT run_id, min(job_name) AS job_name, array_agg(seq ORDER BY synthesised, event_time DESC, seq DESC) AS seqs
FROM (
    SELECT run_id, job_name, seq, event_time,
           COALESCE(CAST(body #>> '{run,facets,throughline_job,reconciled}' AS boolean), false) AS synthesised
    FROM event WHERE event_type IN ('COMPLETE', 'FAIL', 'ABORT') AND withdrawn_at IS NULL
      AND (%(job)s::uuid IS NULL OR job_id = %(job)s)
) told GROUP BY run_id HAVING count(*) > 1
"""
WITHDRAW = """
UPDATE event SET withdrawn_at = now(), delivered_at = COALESCE(delivered_at, now()), dead_at = NULL, next_at = NULL
WHERE seq = ANY(%s)
"""
# A server that believes whatever came last is told the standing end again, after the one that was withdrawn.
LAST_WORD = """
UPDATE event SET delivered_at = NULL, next_at = NULL WHERE seq = %(stands)s AND delivered_at IS NOT NULL
  AND EXISTS (SELECT 1 FROM event loser WHERE loser.seq = ANY(%(losers)s) AND loser.attempts > 0
              AND loser.delivered_at > event.delivered_at)
"""


@dataclass(frozen=True)
class Withdrawn:
    """The ends of one run that do not stand, by their `seq` in the event table, and the one that does."""

    run_id: UUID
    job_name: str
    stands: int
    withdrawn: tuple[int, ...]


def withdraw(dsn: str, job_id: UUID | None = None) -> list[Withdrawn]:
    """Leave one end to every run and return what was withdrawn; needs the role that may change delivery state."""
    made = []
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        for row in connection.execute(ENDS, {"job": job_id}).fetchall():
            stands, *losers = row["seqs"]
            connection.execute(LAST_WORD, {"stands": stands, "losers": losers})
            connection.execute(WITHDRAW, (losers,))
            made.append(Withdrawn(row["run_id"], row["job_name"], stands, tuple(losers)))
        if made:
            connection.execute("NOTIFY throughline_event")
    return made
