"""Events that were delivered once and that the lineage server no longer shows: sent again by the relay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.proof.differences import Difference

# A server that still lacks what it took this often cannot hold it; `throughline replay` starts the count anew.
MOST_DELIVERIES = 5
AGAIN = """
UPDATE event SET delivered_at = NULL, next_at = NULL, last_error = NULL
WHERE run_id = ANY(%(runs)s) AND delivered_at IS NOT NULL AND withdrawn_at IS NULL AND attempts < %(most)s
  AND (NOT %(ends)s OR event_type IN ('COMPLETE', 'FAIL', 'ABORT'))
"""


def requeue(dsn: str, differences: Iterable[Difference]) -> int:
    """Let the relay send again what the differences say is missing; return how many events wait.

    Where only the state differs, the end alone is sent: a server that believes the last event it hears would take a
    repeated START for a run that goes on. Needs the role that may change delivery state.
    """
    found = [difference for difference in differences if difference.run_id is not None]
    whole = {difference.run_id for difference in found if difference.what != "state"}
    ends = {difference.run_id for difference in found} - whole
    with psycopg.connect(dsn) as connection:
        count = sum(
            connection.execute(
                AGAIN, {"runs": list(runs), "ends": only_ends, "most": MOST_DELIVERIES}
            ).rowcount
            for runs, only_ends in ((whole, False), (ends, True))
        )
        if count:
            connection.execute("NOTIFY throughline_event")
    return count
