"""Runs whose end nobody reported: synthesised from the facts, marked, and delivered like any other event.

A task that is killed between its commit and its COMPLETE, or before it could say FAIL, leaves a run with a START
and no end. Its stage run in the ledger knows how it ended.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.serde import Serde
from psycopg.rows import dict_row

from include.lineage.events import store_event
from include.lineage.facets import JOB_FACET, PRODUCER, error_of, inputs_of, job_facet, outputs_of
from include.lineage.scrub import scrub

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN_RUNS = """
SELECT r.ol_run_id, r.status, r.facts, r.dag_id, r.run_id, r.finished_at, r.job_id, r.stage, r.key, r.attempt,
       s.body, s.event_time
FROM stage_run r
JOIN event s ON s.run_id = r.ol_run_id AND s.event_type = 'START'
WHERE r.status <> 'running' AND r.finished_at < now() - make_interval(secs => %s)
  AND NOT EXISTS (SELECT 1 FROM stage_run later WHERE later.ol_run_id = r.ol_run_id
                  AND later.started_at > r.started_at)
  AND NOT EXISTS (SELECT 1 FROM event t WHERE t.run_id = r.ol_run_id
                  AND t.event_type IN ('COMPLETE', 'FAIL', 'ABORT'))
ORDER BY r.finished_at, s.seq
"""
ENDS = {
    "succeeded": RunState.COMPLETE,
    "reused": RunState.COMPLETE,
    "skipped": RunState.COMPLETE,
    "failed": RunState.FAIL,
    "stale": RunState.ABORT,
}
GRACE_S = 30  # a task reports its own end within seconds; younger runs are left to it


@dataclass(frozen=True)
class Synthesised:
    """One end that was made from the ledger."""

    run_id: UUID
    job_name: str
    event_type: str


def reconcile(dsn: str, grace_s: float = GRACE_S) -> list[Synthesised]:
    """Store one terminal event for every ended stage run that has a START and no end; return them."""
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        rows = connection.execute(OPEN_RUNS, (grace_s,)).fetchall()
    made = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        for event in _ends(rows):
            if store_event(connection, event):
                made.append(
                    Synthesised(UUID(event["run"]["runId"]), event["job"]["name"], event["eventType"])
                )
    return made


def _ends(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    seen = set()
    for row in rows:
        if row["ol_run_id"] in seen:  # a run that waited for a person has two STARTs
            continue
        seen.add(row["ol_run_id"])
        start = row["body"]
        facts = row["facts"] or {
            "job_id": str(row["job_id"]),
            "stage": row["stage"],
            "key": row["key"],
            "attempt": row["attempt"],
            "status": row["status"],
        }
        declared = facts.get("declared", {})
        facet = job_facet(facts, dag_id=row["dag_id"], run_id=row["run_id"])
        facet.reconciled = True
        event = Serde.to_dict(
            RunEvent(
                eventType=ENDS[row["status"]],
                eventTime=max(row["finished_at"], row["event_time"]).isoformat(),
                producer=PRODUCER,
                run=Run(runId=str(row["ol_run_id"]), facets={}),
                job=Job(namespace=start["job"]["namespace"], name=start["job"]["name"], facets={}),
                inputs=inputs_of(facts, tuple(declared.get("inputs", ()))),
                outputs=outputs_of(facts, tuple(declared.get("outputs", ()))),
            )
        )
        event["job"]["facets"] = start["job"].get("facets", {})
        kept = {name: value for name, value in start["run"].get("facets", {}).items() if name != JOB_FACET}
        event["run"]["facets"] = {**kept, JOB_FACET: Serde.to_dict(facet)}
        if error := error_of(facts):
            event["run"]["facets"]["errorMessage"] = Serde.to_dict(error)
        yield json.loads(json.dumps(scrub(event), default=str))
