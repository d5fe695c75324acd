"""The event table: one row per OpenLineage event, once, with the job it belongs to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from psycopg.rows import tuple_row

from include.lineage.facets import JOB_FACET, TERMINAL
from include.lineage.naming import derived_job_id, is_rehearsal

if TYPE_CHECKING:
    import psycopg

EVENT_NAMESPACE = UUID("3b6d6c0e-52a8-5d0b-8a56-0f3f1b1f4d7e")
LANE_LOCK = 0x7411  # first half of the advisory locks of job names

# A run whose conf names no existing job keeps its events under the job of its own run, so that a refused run is
# recorded too and nobody else's job gains rows. Events of one job name are numbered in the order of their commits: the
# relay must not send 11 while 10 is still on its way into the table.
INSERT = """
WITH turn AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(%(lane_lock)s, hashtext(%(job_name)s))
), wanted AS (
    SELECT COALESCE((SELECT job_id FROM job WHERE job_id = %(job_id)s), %(derived)s::uuid) AS job_id
), announced AS (
    INSERT INTO job (job_id, family, status, rehearsal)
    SELECT job_id, %(family)s, 'announced', false FROM wanted
    ON CONFLICT (job_id) DO NOTHING
)
INSERT INTO event (event_id, run_id, job_namespace, job_name, event_type, event_time, body, job_id)
SELECT %(event_id)s, %(run_id)s, %(job_namespace)s, %(job_name)s, %(event_type)s, %(event_time)s,
       %(body)s::jsonb, wanted.job_id
FROM turn CROSS JOIN wanted
ON CONFLICT (event_id) DO NOTHING
RETURNING seq
"""


STARTED = """
SELECT body -> 'inputs', body -> 'outputs' FROM event
WHERE run_id = %(run_id)s AND event_type = 'START' ORDER BY seq DESC LIMIT 1
"""

# The newest end of the same job: what it carries is what this job's outputs look like.
LAST_SHAPE = """
SELECT body -> 'outputs' FROM event
WHERE job_namespace = %(job_namespace)s AND job_name = %(job_name)s AND event_type = 'COMPLETE'
ORDER BY seq DESC LIMIT 1
"""
SHAPE = ("schema", "columnLineage")

DECLARED = """
SELECT namespace, name, facets FROM dataset_declaration
JOIN unnest(%(namespaces)s::text[], %(names)s::text[]) AS wanted (namespace, name) USING (namespace, name)
"""


def event_id(event: dict[str, Any]) -> UUID:
    """Return the identity of an event: the same run, type, time and job are the same event."""
    job = event["job"]
    return uuid5(
        EVENT_NAMESPACE,
        f"{event['run']['runId']}/{event.get('eventType')}/{event['eventTime']}/{job['namespace']}/{job['name']}",
    )


def _with_datasets(connection: psycopg.Connection[Any], event: dict[str, Any]) -> dict[str, Any]:
    """Return an end that names no dataset with those of its START.

    When a task's process dies, Airflow's scheduler reports the end and knows no dataset; a lineage server would
    drop the job's edges for it.
    """
    if event.get("eventType") not in TERMINAL or event.get("inputs") or event.get("outputs"):
        return event
    row = _ask(connection, STARTED, {"run_id": event["run"]["runId"]}).fetchone()
    if row is None:
        return event
    return {**event, "inputs": row[0] or [], "outputs": row[1] or []}


def _with_shapes(connection: psycopg.Connection[Any], event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with the columns last seen on outputs that were not written and say nothing of theirs.

    A START, a skipped and a failed run declare outputs that they did not write; a lineage server would take each for
    a new version without columns, and the table's column lineage would be gone until the next full run.
    """
    outputs = event.get("outputs") or []
    if all(_written(item) for item in outputs):
        return event
    job = event["job"]
    row = _ask(
        connection, LAST_SHAPE, {"job_namespace": job["namespace"], "job_name": job["name"]}
    ).fetchone()
    known = {
        (item["namespace"], item["name"]): {
            name: facet for name, facet in item.get("facets", {}).items() if name in SHAPE
        }
        for item in (row[0] if row else None) or []
    }

    def shaped(item: dict[str, Any]) -> dict[str, Any]:
        shape = {} if _written(item) else known.get((item["namespace"], item["name"]), {})
        return {**item, "facets": {**shape, **(item.get("facets") or {})}} if shape else item

    return {**event, "outputs": [shaped(item) for item in outputs]}


def _with_declarations(connection: psycopg.Connection[Any], event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with what the deployment declared of its datasets, under what the event says itself."""
    items = [*(event.get("inputs") or []), *(event.get("outputs") or [])]
    if not items:
        return event
    names = {"namespaces": [one["namespace"] for one in items], "names": [one["name"] for one in items]}
    rows = _ask(connection, DECLARED, names).fetchall()
    known = {(namespace, name): facets for namespace, name, facets in rows}

    def told(item: dict[str, Any]) -> dict[str, Any]:
        declared = known.get((item["namespace"], item["name"]))
        return {**item, "facets": {**declared, **(item.get("facets") or {})}} if declared else item

    return {
        **event,
        **{side: [told(item) for item in event.get(side) or []] for side in ("inputs", "outputs")},
    }


def _ask(connection: psycopg.Connection[Any], sql: str, values: dict[str, Any]) -> psycopg.Cursor[Any]:
    """Return rows as tuples, whatever rows the connection makes: the relay's, which takes in the spool, makes dicts."""
    return connection.cursor(row_factory=tuple_row).execute(sql, values)


def _written(output: dict[str, Any]) -> bool:
    return "version" in (output.get("facets") or {})


def belongs(event: dict[str, Any]) -> bool:
    """Return whether an event is of a DAG run that others see."""
    facet = ((event.get("run") or {}).get("facets") or {}).get(JOB_FACET)
    return facet is not None and not is_rehearsal(facet["run_id"])


def store_event(connection: psycopg.Connection[Any], event: dict[str, Any]) -> bool:
    """Insert one scrubbed run event; return whether it was new.

    Events of a rehearsal (`airflow tasks test` without a run) and events that are no run's are not stored: the
    local file beside the table keeps them.
    """
    if not belongs(event):
        return False
    event = _with_datasets(connection, event)
    event = _with_shapes(connection, _with_declarations(connection, event))
    facet = event["run"]["facets"][JOB_FACET]
    row = connection.execute(
        INSERT,
        {
            "lane_lock": LANE_LOCK,
            "event_id": event_id(event),
            "run_id": event["run"]["runId"],
            "job_namespace": event["job"]["namespace"],
            "job_name": event["job"]["name"],
            "event_type": event.get("eventType"),
            "event_time": event["eventTime"],
            "body": json.dumps(event, ensure_ascii=False),
            "job_id": facet["job_id"],
            "derived": derived_job_id(facet["dag_id"], facet["run_id"]),
            "family": facet["dag_id"],
        },
    ).fetchone()
    return row is not None
