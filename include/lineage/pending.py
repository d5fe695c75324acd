"""The event table as a queue: what may be delivered now, and what became of it. All times are the database's.

Job names are lanes. Within a lane events go in `seq` order, because a lineage server keeps the edges of whichever run
of a job comes last. A lane whose first event waits for another try waits as a whole; an event that was refused is dead
and parks the rest of its own run only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import psycopg

    Ledger = psycopg.Connection[dict[str, Any]]

MOST = 500
"""Events of one look at the queue."""
MOST_OF_A_LANE = 100
MAX_ATTEMPTS = 20
"""An event that the server failed at so often, while it took others, is dead."""

# Lanes are found by skipping from name to name through the index of what is pending, so that a long backlog costs no
# more than a short one. An end whose START was stored after it (the START had to wait in the spool) lets it go first.
DUE = """
WITH RECURSIVE names AS (
    (SELECT job_name FROM event WHERE delivered_at IS NULL AND dead_at IS NULL ORDER BY job_name LIMIT 1)
    UNION ALL
    SELECT (SELECT job_name FROM event WHERE delivered_at IS NULL AND dead_at IS NULL
            AND job_name > names.job_name ORDER BY job_name LIMIT 1)
    FROM names WHERE names.job_name IS NOT NULL
), lanes AS (
    SELECT names.job_name FROM names CROSS JOIN LATERAL (
        SELECT run_id FROM event WHERE delivered_at IS NULL AND dead_at IS NULL AND job_name = names.job_name
            AND NOT EXISTS (SELECT 1 FROM event d WHERE d.run_id = event.run_id AND d.dead_at IS NOT NULL)
        ORDER BY seq LIMIT 1) head
    WHERE NOT EXISTS (SELECT 1 FROM event w WHERE w.run_id = head.run_id AND w.job_name = names.job_name
        AND w.next_at > now() AND w.delivered_at IS NULL)
), picked AS (
    SELECT front.seq, front.run_id, front.event_type FROM lanes CROSS JOIN LATERAL (
        SELECT seq, run_id, event_type FROM event
        WHERE delivered_at IS NULL AND dead_at IS NULL AND job_name = lanes.job_name
            AND NOT EXISTS (SELECT 1 FROM event d WHERE d.run_id = event.run_id AND d.dead_at IS NOT NULL)
        ORDER BY seq LIMIT %(most_of_a_lane)s) front
    ORDER BY front.seq LIMIT %(most)s
), late AS (
    SELECT s.seq, min(picked.seq) AS place FROM picked JOIN event s ON s.run_id = picked.run_id AND s.seq > picked.seq
    WHERE picked.event_type IN ('COMPLETE', 'FAIL', 'ABORT')
        AND s.event_type = 'START' AND s.delivered_at IS NULL AND s.dead_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM event f WHERE f.run_id = picked.run_id AND f.event_type = 'START'
            AND f.seq < picked.seq)
    GROUP BY s.seq
), placed AS (
    SELECT seq, min(place) AS place FROM (
        SELECT seq, seq AS place FROM picked UNION ALL SELECT seq, place FROM late) AS both_of_them
    GROUP BY seq
)
SELECT seq, event.job_name, event.run_id, event.body FROM placed JOIN event USING (seq)
ORDER BY place, seq = place, seq
"""
DELIVERED = """
UPDATE event SET delivered_at = now(), next_at = NULL, last_error = NULL, attempts = attempts + 1 WHERE seq = ANY(%s)
"""
REFUSED = "UPDATE event SET dead_at = now(), last_error = %s, attempts = attempts + 1 WHERE seq = %s"
# Doubling from a second, and a quarter more or less, so that lanes do not come back all at once.
FAILED = """
UPDATE event SET attempts = attempts + 1, last_error = %(error)s,
    dead_at = CASE WHEN attempts + 1 >= %(most)s THEN now() END,
    next_at = now() + make_interval(secs => least(300, power(2, least(attempts, 10))) * (0.75 + random() / 2))
WHERE seq = %(seq)s
"""
# An outage counts for the back-off only, up to the fifth attempt: no event dies of it, and none comes long after it.
WAITING = """
UPDATE event SET attempts = greatest(attempts, least(attempts + 1, 5)), last_error = %(error)s,
    next_at = now() + make_interval(secs => power(2, least(attempts, 5)) * (0.75 + random() / 2))
WHERE seq = ANY(%(seqs)s)
"""
ERROR_LENGTH = 2000


@dataclass(frozen=True, slots=True)
class Pending:
    """One event that may go now."""

    seq: int
    job_name: str
    run_id: UUID
    body: dict[str, Any]


def due(ledger: Ledger, *, most: int = MOST, most_of_a_lane: int = MOST_OF_A_LANE) -> list[Pending]:
    """Return the events that may go now, in the order in which each lane must keep them."""
    rows = ledger.execute(DUE, {"most": most, "most_of_a_lane": most_of_a_lane}).fetchall()
    return [Pending(row["seq"], row["job_name"], row["run_id"], row["body"]) for row in rows]


def delivered(ledger: Ledger, seqs: Sequence[int]) -> None:
    """Note that the server took events."""
    ledger.execute(DELIVERED, (list(seqs),))


def refused(ledger: Ledger, seq: int, error: str) -> None:
    """Note that the server will never take an event: it is dead, the rest of its run is parked."""
    ledger.execute(REFUSED, (error[:ERROR_LENGTH], seq))


def failed(ledger: Ledger, seq: int, error: str) -> None:
    """Note that the server failed at this event while it took others: again later, dead after `MAX_ATTEMPTS`."""
    ledger.execute(FAILED, {"seq": seq, "error": error[:ERROR_LENGTH], "most": MAX_ATTEMPTS})


def waiting(ledger: Ledger, seqs: Sequence[int], error: str) -> None:
    """Note that nothing can be delivered now: the lanes that these events lead wait, half a minute at most or so."""
    ledger.execute(WAITING, {"seqs": list(seqs), "error": error[:ERROR_LENGTH]})
