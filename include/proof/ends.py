"""Starts and ends that nobody reported: synthesised, marked `reconciled`, and delivered like any other event.

A task that is killed between its commit and its COMPLETE, or before it could say FAIL, leaves a run with a START and
no end. Its stage run in the ledger knows how it ended; where it has none, Airflow does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import structlog
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.serde import Serde
from psycopg.rows import dict_row

from include.errors import ProviderUnavailable
from include.lineage.events import store_event
from include.lineage.facets import JOB_FACET, PRODUCER, error_of, inputs_of, job_facet, outputs_of
from include.lineage.scrub import scrub
from include.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.proof.whereabouts import Orchestrator, Whereabouts

log = structlog.get_logger("throughline.reconcile")

OPEN_RUNS = """
SELECT DISTINCT ON (s.run_id) s.run_id AS ol_run_id, s.job_id AS event_job_id, s.body, s.event_time,
       r.stage_run_id, r.status, r.facts, r.finished_at, r.job_id, r.stage, r.key, r.attempt, r.dag_id, r.run_id,
       d.status AS dag_status, d.finished_at AS dag_finished_at,
       EXISTS (SELECT 1 FROM event later WHERE later.job_name = s.job_name AND later.seq > s.seq
               AND later.event_type = 'START' AND later.run_id <> s.run_id
               AND later.body #>> '{run,facets,throughline_job,run_id}'
                   = s.body #>> '{run,facets,throughline_job,run_id}') AS followed
FROM event s
LEFT JOIN LATERAL (
    SELECT * FROM stage_run WHERE stage_run.ol_run_id = s.run_id ORDER BY started_at DESC LIMIT 1) r ON true
LEFT JOIN job_run d ON d.dag_id = s.body #>> '{run,facets,throughline_job,dag_id}'
    AND d.run_id = s.body #>> '{run,facets,throughline_job,run_id}'
WHERE s.event_type = 'START' AND (%(job)s::uuid IS NULL OR s.job_id = %(job)s)
  AND COALESCE(r.finished_at, s.created_at) < now() - make_interval(secs => %(grace)s)
  AND NOT EXISTS (SELECT 1 FROM event t WHERE t.run_id = s.run_id AND t.event_type IN ('COMPLETE', 'FAIL', 'ABORT'))
ORDER BY s.run_id, s.seq
"""

# Stage runs of Airflow whose START nobody stored; the newest attempt speaks for its run.
UNTOLD = """
SELECT DISTINCT ON (r.ol_run_id) r.*, sibling.body AS sibling, same.body AS same_job, ended.event_time AS ended_at
FROM stage_run r JOIN job USING (job_id)
LEFT JOIN LATERAL (SELECT body FROM event WHERE event.job_id = r.job_id AND body #> '{run,facets,parent}' IS NOT NULL
    AND body #>> '{run,facets,throughline_job,run_id}' = r.run_id
    AND body #>> '{run,facets,throughline_job,dag_id}' = r.dag_id ORDER BY seq DESC LIMIT 1) sibling ON true
LEFT JOIN LATERAL (SELECT body FROM event WHERE event.job_name = r.ol_job_name ORDER BY seq DESC LIMIT 1) same ON true
LEFT JOIN LATERAL (SELECT event_time FROM event WHERE event.run_id = r.ol_run_id
    AND event_type IN ('COMPLETE', 'FAIL', 'ABORT') ORDER BY event_time LIMIT 1) ended ON true
WHERE r.ol_run_id IS NOT NULL AND r.run_id IS NOT NULL AND r.dag_id IS NOT NULL AND NOT job.rehearsal
  AND r.status <> 'running' AND r.finished_at < now() - make_interval(secs => %(grace)s)
  AND (%(job)s::uuid IS NULL OR r.job_id = %(job)s)
  AND NOT EXISTS (SELECT 1 FROM event s WHERE s.run_id = r.ol_run_id AND s.event_type = 'START')
ORDER BY r.ol_run_id, r.started_at DESC
"""
# A stage run whose task is over and that nobody took over would be called running for ever.
LEFT_RUNNING = """
UPDATE stage_run SET status = 'stale', finished_at = now(), error = 'its task ended without a word'
WHERE stage_run_id = %s AND status = 'running'
"""
ENDS = {
    "succeeded": RunState.COMPLETE,
    "reused": RunState.COMPLETE,
    "skipped": RunState.COMPLETE,
    "failed": RunState.FAIL,
    "stale": RunState.ABORT,
}
SUCCESS = {"success", "skipped"}
FAILED = {"failed", "upstream_failed"}
# The states in which a try is over; the others wait for a person, a trigger or a worker and may still end by themselves.
OVER = {*SUCCESS, *FAILED, "removed", "up_for_retry", None}
GONE = "gone"
# A real event about the same end may still come and must be the later one: lineage servers believe the last.
BEFORE = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Synthesised:
    """One event that was made from the ledger."""

    run_id: UUID
    job_name: str
    event_type: str


@dataclass(frozen=True)
class _End:
    """How a run ended, and when."""

    kind: RunState
    at: datetime


def start_untold(dsn: str, grace_s: float, job_id: UUID | None = None) -> list[Synthesised]:
    """Store a START, made from facts, for every ended stage run that has none; return them."""
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        rows = connection.execute(UNTOLD, {"grace": grace_s, "job": job_id}).fetchall()
    return _store(dsn, (_start(row) for row in rows))


def end_open(
    dsn: str, orchestrator: Orchestrator | None, grace_s: float, job_id: UUID | None = None
) -> list[Synthesised]:
    """Store one terminal event for every run that has a START, no end, and is over; return them.

    Airflow says which are over. Without an orchestrator to ask (None, or it does not answer) the ledger decides
    alone: its ended stage runs and DAG runs are over once `grace_s` seconds have passed.
    """
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        rows = connection.execute(OPEN_RUNS, {"grace": grace_s, "job": job_id}).fetchall()
        events = []
        for row in rows:
            try:
                end = _told_by(orchestrator, row) if orchestrator else _known(row)
            except ProviderUnavailable as error:
                log.warning("Airflow cannot be asked; the ledger decides alone", error=str(error))
                orchestrator, end = None, _known(row)
            if end is None:
                continue
            if row["status"] == "running":
                connection.execute(LEFT_RUNNING, (row["stage_run_id"],))
            events.append(_ended(row, end))
    return _store(dsn, iter(events))


def _store(dsn: str, events: Iterator[dict[str, Any]]) -> list[Synthesised]:
    made = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        for event in events:
            if store_event(connection, event):
                run_id = UUID(event["run"]["runId"])
                made.append(Synthesised(run_id, event["job"]["name"], event["eventType"]))
    return made


def _known(row: dict[str, Any]) -> _End | None:
    """Return the end that the ledger alone is sure of."""
    if row["status"] in ENDS:
        return _End(ENDS[row["status"]], row["finished_at"])
    if _is_dag(row) and row["dag_finished_at"] is not None:
        failed = row["dag_status"] == "failed"
        return _End(RunState.FAIL if failed else RunState.COMPLETE, row["dag_finished_at"])
    return None


def _told_by(orchestrator: Orchestrator, row: dict[str, Any]) -> _End | None:
    """Return the end of a run that the orchestrator calls over; None while it lives."""
    over = _dag_over(orchestrator, row) if _is_dag(row) else _task_over(orchestrator, row)
    if over is None:
        return None
    state, at = over
    if row["status"] in ENDS:
        return _End(ENDS[row["status"]], row["finished_at"])
    at = at - BEFORE if at else row["event_time"]
    if state in FAILED:
        return _End(RunState.FAIL, at)
    # A stage that its task's success left unfinished made nothing: only facts make a COMPLETE.
    complete = state in SUCCESS and row["status"] is None
    return _End(RunState.COMPLETE if complete else RunState.ABORT, at)


def _task_over(orchestrator: Orchestrator, row: dict[str, Any]) -> tuple[str, datetime | None] | None:
    facets = row["body"]["run"]["facets"]
    about = facets[JOB_FACET]
    instance = (facets.get("airflow") or {}).get("taskInstance") or {}
    map_index = instance.get("map_index")
    found = orchestrator.task(
        about["dag_id"],
        about["run_id"],
        row["body"]["job"]["name"].removeprefix(f"{about['dag_id']}."),
        -1 if map_index is None else int(map_index),
    )
    if found is None or found.try_number > int(instance.get("try_number") or found.try_number):
        return GONE, None  # the run was deleted, or another try has begun
    return _over(found)


def _dag_over(orchestrator: Orchestrator, row: dict[str, Any]) -> tuple[str, datetime | None] | None:
    if row["followed"]:  # cleared: the same DAG run goes on under another OpenLineage run
        return GONE, None
    about = row["body"]["run"]["facets"][JOB_FACET]
    found = orchestrator.dag_run(about["dag_id"], about["run_id"])
    return (GONE, None) if found is None else _over(found)


def _over(found: Whereabouts) -> tuple[str, datetime | None] | None:
    return (found.state or GONE, found.ended_at) if found.state in OVER else None


def _is_dag(row: dict[str, Any]) -> bool:
    about = row["body"]["run"]["facets"][JOB_FACET]
    return bool(row["body"]["job"]["name"] == about["dag_id"])


def _ended(row: dict[str, Any], end: _End) -> dict[str, Any]:
    start = row["body"]
    about = start["run"]["facets"].get(JOB_FACET) or {}
    facts = row["facts"] or {
        "job_id": str(row["job_id"] or row["event_job_id"]),
        "stage": row["stage"] or about.get("stage"),
        "key": row["key"],
        "attempt": row["attempt"],
        "status": row["status"],
    }
    kept = {name: value for name, value in start["run"].get("facets", {}).items() if name != JOB_FACET}
    return _event(
        end.kind,
        max(end.at, row["event_time"]),
        row["ol_run_id"],
        start["job"],
        facts,
        (row["dag_id"] or about["dag_id"], row["run_id"] or about["run_id"]),
        kept,
    )


def _start(row: dict[str, Any]) -> dict[str, Any]:
    facts = row["facts"] or {
        "job_id": str(row["job_id"]),
        "stage": row["stage"],
        "key": row["key"],
        "attempt": row["attempt"],
    }
    # What a START knows: the declared datasets, nothing of what was read or made.
    told = {name: value for name, value in facts.items() if name not in ("inputs", "outputs", "status")}
    same = (row["same_job"] or {}).get("job") or {}
    job = {
        "namespace": same.get("namespace") or settings().namespace,
        "name": row["ol_job_name"],
        "facets": same.get("facets") or {"jobType": _TASK},
    }
    sibling = (row["sibling"] or {}).get("run", {}).get("facets", {})
    facets = {name: sibling[name] for name in ("parent", "nominalTime") if name in sibling}
    at = row["started_at"] if row["ended_at"] is None else min(row["started_at"], row["ended_at"])
    return _event(RunState.START, at, row["ol_run_id"], job, told, (row["dag_id"], row["run_id"]), facets)


_TASK = {
    "_producer": PRODUCER,
    "_schemaURL": "https://openlineage.io/spec/facets/2-0-3/JobTypeJobFacet.json#/$defs/JobTypeJobFacet",
    "processingType": "BATCH",
    "integration": "AIRFLOW",
    "jobType": "TASK",
}


def _event(
    kind: RunState,
    at: datetime,
    run_id: UUID,
    job: dict[str, Any],
    facts: dict[str, Any],
    airflow: tuple[str, str],
    facets: dict[str, Any],
) -> dict[str, Any]:
    facet = job_facet(facts, dag_id=airflow[0], run_id=airflow[1])
    facet.reconciled = True
    named = facts.get("declared", {})
    event = Serde.to_dict(
        RunEvent(
            eventType=kind,
            eventTime=at.isoformat(),
            producer=PRODUCER,
            run=Run(runId=str(run_id), facets={}),
            job=Job(namespace=job["namespace"], name=job["name"], facets={}),
            inputs=inputs_of(facts, tuple(named.get("inputs", ()))),
            outputs=outputs_of(facts, tuple(named.get("outputs", ()))),
        )
    )
    event["job"]["facets"] = job.get("facets") or {}
    event["run"]["facets"] = {**facets, JOB_FACET: Serde.to_dict(facet)}
    if error := error_of(facts):
        event["run"]["facets"]["errorMessage"] = Serde.to_dict(error)
    found: dict[str, Any] = json.loads(json.dumps(scrub(event), default=str))
    return found
