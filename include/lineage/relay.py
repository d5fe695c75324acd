"""The relay: posts the event table to the lineage server, in order per job name, at least once.

One relay works at a time (an advisory lock of the ledger; a second one waits). Job names are lanes: within a
lane events go in `seq` order, because a lineage server keeps the edges of whichever run of a job comes last; a
refused event is dead and parks only its own run. All times are the database's.
"""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import structlog
from psycopg.rows import dict_row

from include.errors import ProviderRefused, ProviderUnavailable
from include.lineage.declarations import deliver_declarations

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

LOCK = 0x7411_0001  # any constant that no other advisory lock of the ledger uses
LANES = 4
BATCH = 200
MAX_ATTEMPTS = 20
IDLE_S = 2.0

# The oldest events that may go now, a whole lane's backlog at a time. A lane whose head waits for a retry waits as
# a whole; runs with a dead event are parked.
PENDING = """
WITH heads AS (
    SELECT DISTINCT ON (job_name) job_name, next_at
    FROM event WHERE delivered_at IS NULL AND dead_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM event dead WHERE dead.run_id = event.run_id AND dead.dead_at IS NOT NULL)
    ORDER BY job_name, seq
)
SELECT seq, event.job_name, run_id, body FROM event JOIN heads USING (job_name)
WHERE delivered_at IS NULL AND dead_at IS NULL AND (heads.next_at IS NULL OR heads.next_at <= now())
  AND NOT EXISTS (SELECT 1 FROM event dead WHERE dead.run_id = event.run_id AND dead.dead_at IS NOT NULL)
ORDER BY seq LIMIT %s
"""
DELIVERED = (
    "UPDATE event SET delivered_at = now(), last_error = NULL, attempts = attempts + 1 WHERE seq = ANY(%s)"
)
FAILED = """
UPDATE event SET attempts = attempts + 1, last_error = %(error)s,
    dead_at = CASE WHEN %(final)s OR attempts + 1 >= %(most)s THEN now() END,
    next_at = now() + make_interval(secs => least(300, power(2, least(attempts, 10))) * (0.75 + random() / 2))
WHERE seq = %(seq)s
"""


class Relay:
    """Delivers what is pending; `post` sends one event and raises the two provider errors."""

    def __init__(self, dsn: str, post: Callable[[dict[str, Any]], None]) -> None:
        self.dsn = dsn
        self.post = post
        self.stopping = threading.Event()

    def connect(self) -> psycopg.Connection[dict[str, Any]]:
        """Open a connection of the relay's own."""
        return psycopg.connect(
            self.dsn,
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=5,
            application_name="throughline-relay",
        )

    def drain(self, connection: psycopg.Connection[dict[str, Any]]) -> int:
        """Deliver everything that can go now; return how many events were delivered."""
        delivered = deliver_declarations(connection, self.post)
        while not self.stopping.is_set():
            rows = connection.execute(PENDING, (BATCH,)).fetchall()
            lanes: dict[str, list[dict[str, Any]]] = {}
            for row in rows:
                lanes.setdefault(row["job_name"], []).append(row)
            if not lanes:
                break
            with ThreadPoolExecutor(LANES) as pool:
                outcomes = list(pool.map(self._send_lane, lanes.values()))
            for sent, failure in outcomes:
                if sent:
                    connection.execute(DELIVERED, (sent,))
                    delivered += len(sent)
                if failure is not None:
                    connection.execute(FAILED, {**failure, "most": MAX_ATTEMPTS})
        return delivered

    def _send_lane(self, rows: list[dict[str, Any]]) -> tuple[list[int], dict[str, Any] | None]:
        sent: list[int] = []
        for row in rows:
            if self.stopping.is_set():
                break
            try:
                self.post(row["body"])
            except ProviderRefused as error:
                log.warning("event refused", seq=row["seq"], run=str(row["run_id"]), error=str(error))
                return sent, {"seq": row["seq"], "error": str(error)[:2000], "final": True}
            except ProviderUnavailable as error:
                return sent, {"seq": row["seq"], "error": str(error)[:2000], "final": False}
            sent.append(row["seq"])
        return sent, None

    def run(self) -> None:
        """Drain until told to stop (SIGTERM, SIGINT); woken by every new event."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopping.set())
        while not self.stopping.is_set():
            try:
                with self.connect() as connection:
                    self._lead(connection)
            except psycopg.OperationalError as error:
                log.warning("the ledger is away; trying again", error=str(error).splitlines()[0])
                self.stopping.wait(IDLE_S)

    def _lead(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        while not self.stopping.is_set():
            row = connection.execute("SELECT pg_try_advisory_lock(%s) AS mine", (LOCK,)).fetchone()
            if row is not None and row["mine"]:
                break
            self.stopping.wait(IDLE_S)
        connection.execute("LISTEN throughline_event")
        while not self.stopping.is_set():
            count = self.drain(connection)
            if count:
                log.info("delivered", events=count)
            # Wakes at once for a new event; the timeout serves retries whose time has come.
            for _ in connection.notifies(timeout=IDLE_S, stop_after=1):
                pass


def drain_once(dsn: str, post: Callable[[dict[str, Any]], None]) -> int | None:
    """Deliver what is pending unless a relay is at work; return the count, or None when one is."""
    relay = Relay(dsn, post)
    with relay.connect() as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s) AS mine", (LOCK,)).fetchone()
        if row is None or not row["mine"]:
            return None
        return relay.drain(connection)
