"""The view is disposable: the event table fills any lineage server again."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from include.lineage.declarations import current_declarations
from include.marquez.client import NOT_TRIED, Delivery, run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from include.lineage.lanes import Server

CHUNK = 500
"""Events that are handed to the server's client at a time."""

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
CHOSEN = """
FROM event
WHERE withdrawn_at IS NULL AND (%(job)s::uuid IS NULL OR job_id = %(job)s) AND (NOT %(dead)s OR dead_at IS NOT NULL)
"""


@dataclass(frozen=True)
class Refused:
    """An event that the other server will not take, or a later one of its run: those are left out with it."""

    job_name: str
    run_id: str | None
    event_type: str | None
    error: str


@dataclass
class Sent:
    """What became of a replay: how many events the server took, and those that it did not."""

    taken: int = 0
    refused: list[Refused] = field(default_factory=list)


def reset(dsn: str, *, job_id: UUID | None = None, dead: bool = False) -> int:
    """Let the relay deliver events anew; return how many wait. Withdrawn events stay withdrawn."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        count = connection.execute(RESET, {"job": job_id, "dead": dead}).rowcount
        if job_id is None:
            count += connection.execute(RESET_DECLARATIONS, {"dead": dead}).rowcount
        connection.execute("NOTIFY throughline_event")
        return count


def send(
    dsn: str,
    server: Server,
    *,
    job_id: UUID | None = None,
    dead: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Sent:
    """Send declarations, then events in the order they were stored, to another server, many at a time where it can.

    `progress` is told the events done and the total, after every chunk. Raises ProviderUnavailable where the server
    fails or is away; what was sent before stays, and sending it again changes nothing.
    """
    sent, done = Sent(), 0
    chosen = {"job": job_id, "dead": dead}
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        found = [] if job_id is not None or dead else list(current_declarations(connection))
        counted = connection.execute("SELECT count(*) AS n" + CHOSEN, chosen).fetchone()
        total = len(found) + (counted["n"] if counted else 0)
        with connection.cursor("replay") as cursor:
            cursor.execute("SELECT body" + CHOSEN + "ORDER BY seq", chosen)
            for chunk in _chunks(chain(found, (row["body"] for row in cursor))):
                done += _sent(server, chunk, sent)
                progress(done, total)
    return sent


def _chunks(bodies: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while chunk := list(islice(bodies, CHUNK)):
        yield chunk


def _sent(server: Server, chunk: list[dict[str, Any]], sent: Sent) -> int:
    lost = {one.run_id for one in sent.refused if one.run_id}
    wanted = [event for event in chunk if run_of(event) not in lost]
    told = iter(server.post_batch(wanted))
    for event in chunk:
        delivery = Delivery(NOT_TRIED) if run_of(event) in lost else next(told)
        if delivery.delivered:
            sent.taken += 1
            continue
        why = (
            f"{delivery.status}: {delivery.error}"
            if delivery.tried
            else "left out: an event before it was refused"
        )
        sent.refused.append(Refused(event["job"]["name"], run_of(event), event.get("eventType"), why))
    return len(chunk)
