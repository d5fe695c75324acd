"""What must be true after every fault, once the machinery that heals has run: nothing lost, nothing twice, nothing half.

A test programs its fault, asserts that it fired, lets the work be done again, and then calls `settle` and
`assert_sound`: first what operators run (`throughline verify --repair`, the relay, `throughline sweep`), then the oracle.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from include.artifacts.digests import sha256_file
from include.ledger.session import transaction
from include.lineage.relay import drain_once
from include.lineage.spool import Spool
from include.proof.reconcile import Reconciled, reconcile
from include.proof.sweep import Swept, sweep
from include.proof.verify import oracle, traced
from include.settings import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.lineage.lanes import Server
    from include.marquez.client import MarquezClient
    from include.proof.whereabouts import Orchestrator

Event = dict[str, Any]
TERMINAL = ("COMPLETE", "FAIL", "ABORT")


@dataclass(frozen=True)
class Settled:
    """What the healing did: events made up or withdrawn, events delivered, files removed."""

    reconciled: Reconciled
    delivered: int
    swept: Swept


def settle(
    dsn: str, server: Server, *, orchestrator: Orchestrator | None = None, spool: Spool | None = None
) -> Settled:
    """Do at once what the running system does in time: take in the spool, reconcile, deliver, sweep.

    Without `orchestrator` the ledger decides alone which runs are over.
    """
    spool = spool or Spool(settings().spool_dir)
    with psycopg.connect(dsn, autocommit=True) as connection:
        spool.ingest(connection)
    reconciled = reconcile(dsn, orchestrator=orchestrator, grace_s=0)
    with psycopg.connect(dsn, autocommit=True) as connection:  # what waits for another try need not wait
        connection.execute("UPDATE event SET next_at = NULL WHERE delivered_at IS NULL AND dead_at IS NULL")
    delivered = drain_once(dsn, server, spool)
    assert delivered is not None, "another relay holds the lock of this ledger"
    with transaction(dsn) as session:
        swept = sweep(session, dry_run=False, older_than_s=0)
    return Settled(reconciled, delivered, swept)


def assert_sound(dsn: str, received: Sequence[Event], *, client: MarquezClient | None = None) -> None:
    """Fail unless the ledger, the store and what a lineage server `received` (in order of arrival) agree.

    With `client`, a lineage server that answers questions, it must also show what the ledger holds.
    """
    with transaction(dsn) as session:
        assert [str(finding) for finding in oracle(session, client)] == []
        line = traced(session)
        assert line.untraced == ()
        assert line.files == line.traced > 0
    assert_files_hold(dsn)
    assert_events_arrived(dsn, received)


def assert_files_hold(dsn: str) -> None:
    """Fail unless the store has exactly the files that rows name, each the bytes of its address, and nothing unfinished."""
    root = settings().store
    rows = _ask(
        dsn, "SELECT sha256, path, size_bytes FROM blob WHERE sha256 IN (SELECT sha256 FROM artifact)"
    )
    named = {row["path"]: (row["sha256"], row["size_bytes"]) for row in rows}
    on_disk = {
        path.relative_to(root).as_posix(): (sha256_file(path), path.stat().st_size)
        for path in (root / "blobs").glob("*/*")
    }
    assert on_disk == named
    assert [path for path, (sha256, _) in named.items() if sha256 not in path] == []
    assert [path.name for path in (root / "incoming").glob("*")] == []
    hidden = [path for name in ("out", "lake", "catalog") for path in (root / name).rglob(".*")]
    assert hidden == []
    assert [path for path in (root / "out").rglob("*") if path.is_symlink() and not path.exists()] == []
    twice = (
        "SELECT 1 FROM artifact WHERE superseded_at IS NULL GROUP BY job_id, kind, key HAVING count(*) > 1"
    )
    assert _ask(dsn, twice) == []


def assert_events_arrived(dsn: str, received: Sequence[Event]) -> None:
    """Fail unless every event of the table that stands was received, per run in order, and every run ended once."""
    events = _ask(
        dsn,
        "SELECT seq, run_id, job_name, event_type, event_time, delivered_at, dead_at, withdrawn_at FROM event ORDER BY seq",
    )
    assert [event for event in events if event["dead_at"] or not event["delivered_at"]] == []
    standing = [event for event in events if event["withdrawn_at"] is None]
    arrived = {(one["run"]["runId"], one["job"]["name"], one["eventType"]) for one in received}
    told = {(str(one["run_id"]), one["job_name"], one["event_type"]) for one in standing}
    assert told - arrived == set()

    first: dict[tuple[str, bool], int] = {}
    for place, event in enumerate(received):
        first.setdefault((event["run"]["runId"], event["eventType"] in TERMINAL), place)
    runs = {str(event["run_id"]) for event in standing}
    assert [run for run in runs if first[run, False] > first[run, True]] == [], "an end before its start"

    ends = Counter(str(event["run_id"]) for event in standing if event["event_type"] in TERMINAL)
    assert dict(ends) == dict.fromkeys(runs, 1), "one end to each run"
    ran = "SELECT ol_run_id FROM stage_run JOIN job USING (job_id) WHERE ol_run_id IS NOT NULL AND NOT job.rehearsal"
    assert {str(row["ol_run_id"]) for row in _ask(dsn, ran)} - runs == set(), "a stage run without events"
    assert _ask(dsn, "SELECT stage, key FROM stage_run WHERE status = 'running'") == []


def _ask(dsn: str, sql: str) -> list[dict[str, Any]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute(sql).fetchall()
