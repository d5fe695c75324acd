"""What an operator sees of delivery: counts that add up, and what a scraper reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from include.lineage.backlog import Backlog, openmetrics, read_backlog
from include.lineage.events import store_event
from include.lineage.relay import Relay
from include.lineage.spool import Spool
from tests.include.lineage.made_events import make_event

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from include.marquez.client import MarquezClient
    from tests.include.lineage.receiver import Receiver


def test_every_event_is_in_one_state(
    ledger: str,
    events: psycopg.Connection[tuple[Any, ...]],
    job: UUID,
    server: MarquezClient,
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path)
    assert read_backlog(ledger, spool) == Backlog(0, 0, 0, 0, 0, None, None, 0, 0, 0)
    bad = uuid4()
    receiver.statuses[str(bad)] = 422
    for minute, (name, kind, run) in enumerate(
        [("a", "START", uuid4()), ("b", "START", bad), ("b", "COMPLETE", bad), ("c", "START", uuid4())]
    ):
        store_event(events, make_event(job, name, kind, minute, run))
    relay = Relay(ledger, server, spool)
    with relay.connect() as connection:
        relay.drain(connection)
        receiver.status = 503
        for minute in range(4, 6):
            store_event(events, make_event(job, "a", "START", minute, uuid4()))
        relay.drain(connection)
    events.execute(
        "UPDATE event SET created_at = now() - interval '1 hour' WHERE attempts = 1 AND next_at IS NOT NULL"
    )
    spool.path.write_bytes(b"one\ntwo\nto")
    spool.rejects.write_bytes(b"{}\n")
    seen = read_backlog(ledger, spool)
    assert seen.oldest_pending_s is not None
    assert 3600 <= seen.oldest_pending_s < 3700
    assert "503" in (seen.last_error or "")
    assert (seen.pending, seen.failed, seen.parked, seen.dead, seen.delivered) == (2, 1, 1, 1, 2)
    assert (seen.spool_lines, seen.spool_bytes, seen.spool_rejects) == (2, 10, 1)

    text = openmetrics(seen)
    assert text.endswith("# EOF\n")
    figures = dict(re.findall(r"^throughline_lineage_(\w+) ([0-9.]+)$", text, re.M))
    assert float(figures.pop("oldest_pending_seconds")) == seen.oldest_pending_s
    assert {name: int(value) for name, value in figures.items()} == {
        "pending": 2,
        "failed": 1,
        "parked": 1,
        "dead": 1,
        "delivered": 2,
        "spool_lines": 2,
        "spool_bytes": 10,
        "spool_rejects": 1,
    }
