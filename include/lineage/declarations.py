"""What jobs are said to read and make when they are deployed: OpenLineage JobEvents, kept and delivered like run events.

A declaration belongs to a deployment, to no job and no run, so it has a table of its own. The newest one of a job name
holds; an unchanged one is not stored again. What is declared of datasets is kept beside, for the run events of tasks,
which do not know it. The relay delivers declarations before the run events that wait, so that
the edges of a run that ended later stand.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from include.artifacts.digests import sha256_json
from include.errors import ProviderRefused, ProviderUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import psycopg

log = structlog.get_logger(__name__)

LOCK = 0x7411_0002  # any constant that no other advisory lock of the ledger uses
MAX_ATTEMPTS = 20
LASTING = {
    "dataSource",
    "datasetType",
    "documentation",
    "ownership",
    "schema",
    "columnLineage",
    "storage",
    "tags",
}

STORE = """
INSERT INTO job_declaration (job_namespace, job_name, sha256, event_time, body)
SELECT %(namespace)s, %(name)s, %(sha256)s, %(event_time)s, %(body)s::jsonb
WHERE %(sha256)s IS DISTINCT FROM (
    SELECT sha256 FROM job_declaration WHERE job_namespace = %(namespace)s AND job_name = %(name)s
    ORDER BY seq DESC LIMIT 1)
RETURNING seq
"""
STORE_DATASET = """
INSERT INTO dataset_declaration (namespace, name, facets) VALUES (%s, %s, %s::jsonb)
ON CONFLICT (namespace, name) DO UPDATE SET facets = excluded.facets, declared_at = now()
WHERE dataset_declaration.facets IS DISTINCT FROM excluded.facets
"""
PENDING = """
SELECT seq, job_name, body FROM job_declaration
WHERE delivered_at IS NULL AND dead_at IS NULL AND (next_at IS NULL OR next_at <= now())
ORDER BY seq
"""
DELIVERED = """
UPDATE job_declaration SET delivered_at = now(), last_error = NULL, attempts = attempts + 1 WHERE seq = %s
"""
FAILED = """
UPDATE job_declaration SET attempts = attempts + 1, last_error = %(error)s,
    dead_at = CASE WHEN %(final)s OR attempts + 1 >= %(most)s THEN now() END,
    next_at = now() + make_interval(secs => least(300, power(2, least(attempts, 10))) * (0.75 + random() / 2))
WHERE seq = %(seq)s
"""
# What the newest run of a job read and made.
SEEN = """
SELECT body -> 'inputs', body -> 'outputs' FROM event
WHERE job_namespace = %s AND job_name = %s AND event_type = 'COMPLETE' ORDER BY seq DESC LIMIT 1
"""
CURRENT = """
SELECT DISTINCT ON (job_namespace, job_name) body FROM job_declaration
ORDER BY job_namespace, job_name, seq DESC
"""


def store_declarations(connection: psycopg.Connection[Any], events: Iterable[dict[str, Any]]) -> list[str]:
    """Store the scrubbed JobEvents that say something new, in one transaction; return their job names.

    `eventTime` does not count as news, and is set to now. What the job's newest run read and made beyond its
    declaration is kept with it: a lineage server would take the later declaration for all there is, and the edges that
    only a run knows would be gone until the next one.
    """
    stored = []
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        for event in events:
            said = {name: value for name, value in event.items() if name != "eventTime"}
            moment = datetime.now(UTC).isoformat()
            seen = connection.execute(SEEN, (event["job"]["namespace"], event["job"]["name"])).fetchone()
            kept = {
                side: _joined(said.get(side, []), row or [])
                for side, row in zip(("inputs", "outputs"), seen or ([], []), strict=True)
            }
            values = {
                "namespace": event["job"]["namespace"],
                "name": event["job"]["name"],
                "sha256": sha256_json(said),
                "event_time": moment,
                "body": json.dumps({**said, **kept, "eventTime": moment}, ensure_ascii=False),
            }
            if connection.execute(STORE, values).fetchone() is not None:
                stored.append(str(values["name"]))
    return stored


def _joined(declared: list[dict[str, Any]], seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the declared datasets and, with what is lasting of their facets, the others that were seen."""
    places = {(item["namespace"], item["name"]) for item in declared}
    others = [
        {
            "namespace": item["namespace"],
            "name": item["name"],
            "facets": {name: facet for name, facet in item.get("facets", {}).items() if name in LASTING},
        }
        for item in seen
        if (item["namespace"], item["name"]) not in places
    ]
    return [*declared, *others]


def store_datasets(
    connection: psycopg.Connection[Any], datasets: Mapping[tuple[str, str], Mapping[str, Any]]
) -> None:
    """Keep the declared facets of datasets, by (namespace, name); run events of tasks get them when they are stored."""
    with connection.transaction():
        for (namespace, name), facets in sorted(datasets.items()):
            connection.execute(STORE_DATASET, (namespace, name, json.dumps(facets, ensure_ascii=False)))


def deliver_declarations(
    connection: psycopg.Connection[dict[str, Any]], post: Callable[[dict[str, Any]], None]
) -> int:
    """Post the declarations that wait, in order; return how many the server took. Ends at the first outage."""
    delivered = 0
    for row in connection.execute(PENDING).fetchall():
        try:
            post(row["body"])
        except (ProviderRefused, ProviderUnavailable) as error:
            final = isinstance(error, ProviderRefused)
            log.warning("declaration not taken", job=row["job_name"], final=final, error=str(error))
            failure = {"seq": row["seq"], "error": str(error)[:2000], "final": final, "most": MAX_ATTEMPTS}
            connection.execute(FAILED, failure)
            if not final:
                break
        else:
            connection.execute(DELIVERED, (row["seq"],))
            delivered += 1
    return delivered


def current_declarations(connection: psycopg.Connection[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest declaration of every job name, as events."""
    return [row["body"] for row in connection.execute(CURRENT).fetchall()]
