"""Jobs, their versions and their runs, as the API shows them."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.marquez.server.answers import (
    as_facets,
    as_json,
    as_url,
    at,
    no_such_page,
    not_found,
    possible_namespace,
)
from include.marquez.server.catalog import one_namespace
from include.marquez.server.identity import job_id
from include.marquez.server.openlineage import REQUESTED
from include.marquez.server.paging import Cursor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from include.marquez.server.database import Connection
    from include.marquez.server.openlineage import Json

MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHANGED: Json = {"latestRun": None, "latestRuns": None, "outputs": []}
"""The answer to a change of a job leaves its runs and outputs out, as Marquez does."""
LATEST_RUNS = 10
"""A job is shown with so many of its latest runs."""

_RUN = (
    "SELECT r.id, r.created_at, r.updated_at, r.nominal_start, r.nominal_end, r.state, r.started_at, r.ended_at, r.args,"
    " r.facets, r.job_facets, r.job_version, r.job_id, j.namespace, j.name FROM run r JOIN job j ON j.id = r.job_id"
)
_RUN_ALONE = _RUN.replace(" r.job_facets,", "")
"""Without the facets of its job, which most answers leave out."""
_RUN_IN_ORDER = _RUN_ALONE.replace("SELECT ", "SELECT r.sort_at, ", 1)
READ = (
    "(SELECT k.id, k.version, k.run_id FROM dataset_version k WHERE io.is_input AND k.dataset_id = io.dataset_id"
    " AND k.current_at <= io.seen_at AND k.run_id IS DISTINCT FROM io.run_id"
    " ORDER BY k.current_at DESC, k.id DESC LIMIT 1)"
)
"""The version that a run read: the one that was current when it began to read, its own writes aside."""
OWN = (
    "(SELECT k.version, k.run_id FROM dataset_version k WHERE r.id IS NULL AND k.run_id = io.run_id"
    " AND k.dataset_id = io.dataset_id LIMIT 1)"
)
"""The version that a run wrote itself, where it read none: what nobody wrote before and the run writes, it reads from itself."""
READERS = (
    "(SELECT io.run_id, io.seen_at FROM (SELECT (SELECT n.current_at FROM dataset_version n"  # noqa: S608  # a constant
    " WHERE n.dataset_id = v.dataset_id AND n.current_at >= v.current_at AND (n.current_at, n.id) > (v.current_at, v.id)"
    # A run that wrote the next version reads past its own: readings are looked at up to the version after the next, which
    # the comparison of times alone finds in the index.
    " ORDER BY n.current_at, n.id OFFSET 1 LIMIT 1) AS at) after JOIN run_io io ON io.is_input"
    " AND io.dataset_id = v.dataset_id AND io.seen_at >= v.current_at AND io.seen_at < coalesce(after.at, 'infinity')"
    f" AND io.run_id <> v.run_id JOIN LATERAL {READ} k ON k.id = v.id)"
)
"""The runs that read the version `v` of another run, and when they began to."""
_TOUCHED = (
    "SELECT t.run_id, string_agg(t.shown, ',') FILTER (WHERE t.is_input) AS inputs,"  # noqa: S608  # constants
    " string_agg(t.shown, ',') FILTER (WHERE NOT t.is_input) AS outputs FROM (SELECT io.run_id, io.is_input,"
    """ '{"datasetVersionId":{"namespace":' || to_json(d.namespace)::text || ',"name":' || to_json(d.name)::text"""
    """ || ',"version":' || coalesce('"' || coalesce(r.version, w.version)::text || '"', 'null')"""
    """ || '},"facets":' || CASE WHEN $2 THEN io.io_facets ELSE '{}' END || '}' AS shown"""
    " FROM run_io io JOIN dataset d ON d.id = io.dataset_id"
    f" LEFT JOIN LATERAL {READ} r ON true LEFT JOIN LATERAL {OWN} w ON true"
    " WHERE io.run_id = ANY($1::uuid[]) ORDER BY io.run_id, d.namespace, d.name) t GROUP BY t.run_id"
)
_JOB = (
    "SELECT j.id, j.namespace, j.name, j.type, j.created_at, j.updated_at, j.location, j.description, j.labels, j.facets,"
    " j.current_version, j.latest_run, j.parent_id, p.name AS parent_name FROM job j LEFT JOIN job p ON p.id = j.parent_id"
)


# --- runs --------------------------------------------------------------------------------------------------------------


async def shown_runs(
    connection: Connection, rows: Sequence[Any], *, io_facets: bool = True, job_facets: bool = False
) -> dict[UUID, Json]:
    """Return the answer for each run row, by id. `job_facets`: show those in place of the run's own, as job versions do."""
    if not rows:
        return {}
    runs = {row["id"]: _shown_run(row, job_facets=job_facets) for row in rows}
    for row in await connection.fetch(_TOUCHED, list(runs), io_facets):
        run = runs[row["run_id"]]
        run["inputDatasetVersions"] = as_json(f"[{row['inputs'] or ''}]")
        run["outputDatasetVersions"] = as_json(f"[{row['outputs'] or ''}]")
    return runs


def _millis(moment: datetime) -> int:
    return (moment - EPOCH) // MILLISECOND


def _shown_run(row: Any, *, job_facets: bool) -> Json:
    started, ended = row["started_at"], row["ended_at"]
    duration = None
    if started is not None and ended is not None:
        # Marquez takes the difference of whole milliseconds, not the whole milliseconds of the difference.
        duration = max(0, _millis(ended) - _millis(started))
    return {
        "id": row["id"],
        "createdAt": at(row["created_at"]),
        "updatedAt": at(row["updated_at"]),
        "nominalStartTime": at(row["nominal_start"]),
        "nominalEndTime": at(row["nominal_end"]),
        "state": row["state"],
        "startedAt": at(started),
        "endedAt": at(ended),
        "durationMs": duration,
        "args": as_json(row["args"]),
        "jobVersion": {"namespace": row["namespace"], "name": row["name"], "version": row["job_version"]}
        if row["job_version"]
        else None,
        "inputDatasetVersions": [],
        "outputDatasetVersions": [],
        "facets": as_facets(row["job_facets"] if job_facets else row["facets"]),
    }


async def runs_by_id(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Json]:
    if not ids:
        return {}
    return await shown_runs(
        connection, await connection.fetch(_RUN_ALONE + " WHERE r.id = ANY($1::uuid[])", list(ids))
    )


async def one_run(connection: Connection, run_id: UUID) -> Json:
    runs = await runs_by_id(connection, [run_id])
    if run_id not in runs:
        raise not_found("Run", run_id)
    return runs[run_id]


async def run_facets(connection: Connection, run_id: UUID, kind: str) -> Json | None:
    """Return the RUN or JOB facets of a run; None when there are none: Marquez answers that with an empty body."""
    row = await connection.fetchrow("SELECT facets, job_facets FROM run WHERE id = $1", run_id)
    if row is None:
        raise not_found("Run", run_id)
    facets = {"RUN": row["facets"], "JOB": row["job_facets"], "DATASET": "{}"}[kind]
    return None if facets == "{}" else {"runId": run_id, "facets": as_facets(facets)}


async def job_runs(
    connection: Connection,
    namespace: str,
    name: str,
    limit: int,
    offset: int,
    cursor: Cursor | None = None,
) -> tuple[Json, Cursor | None]:
    """Return a page of a job's runs and, if the page is full, where the next one begins."""
    job = await find_job(connection, namespace, name)
    start = " AND r.sort_at <= $4 AND (r.sort_at < $4 OR r.id > $5)" if cursor else ""
    rows = await connection.fetch(
        f"{_RUN_IN_ORDER} WHERE r.job_id = $1{start} ORDER BY r.sort_at DESC, r.id LIMIT $2 OFFSET $3",
        job,
        limit,
        0 if cursor else offset,
        *((cursor.at, UUID(bytes=cursor.key)) if cursor else ()),
    )
    total = await connection.fetchval("SELECT count(*) FROM run WHERE job_id = $1", job)
    shown = await shown_runs(connection, rows)
    following = Cursor(rows[-1]["sort_at"], rows[-1]["id"].bytes) if rows and len(rows) == limit else None
    return {"runs": [shown[row["id"]] for row in rows], "totalCount": total}, following


# --- jobs --------------------------------------------------------------------------------------------------------------


async def find_job(connection: Connection, namespace: str, name: str) -> UUID:
    """Return the id of a job that is not deleted; its own namespace is missed before the job is."""
    found = await connection.fetchval(
        "SELECT id FROM job WHERE id = $1 AND NOT hidden", job_id(namespace, name)
    )
    if not isinstance(found, UUID):
        await one_namespace(connection, namespace)
        raise not_found("Job", name)
    return found


async def one_job(connection: Connection, namespace: str, name: str) -> Json:
    job = await find_job(connection, namespace, name)
    row = await connection.fetchrow(_JOB + " WHERE j.id = $1", job)
    return (await shown_jobs(connection, [row]))[0]


async def list_jobs(
    connection: Connection, namespace: str | None, states: Sequence[str], limit: int, offset: int
) -> Json:
    page = (
        "(SELECT id FROM job WHERE NOT hidden AND ($1::text IS NULL OR namespace = $1)"
        " AND (cardinality($2::text[]) = 0 OR latest_state = ANY($2)) ORDER BY updated_at DESC, id LIMIT $3 OFFSET $4)"
    )
    rows = await connection.fetch(
        _JOB.replace("FROM job j", f"FROM {page} page JOIN job j USING (id)")
        + " ORDER BY j.updated_at DESC, j.id",
        namespace,
        list(states),
        limit,
        offset,
    )
    total = await connection.fetchval(
        "SELECT count(*) FROM job WHERE NOT hidden AND ($1::text IS NULL OR namespace = $1)", namespace
    )
    if not total and namespace is not None and not possible_namespace(namespace):
        raise no_such_page()
    return {"totalCount": total, "jobs": await shown_jobs(connection, rows, of_latest=True)}


async def shown_jobs(connection: Connection, rows: Sequence[Any], *, of_latest: bool = False) -> list[Json]:
    """Return the answer for each job row.

    Its inputs and outputs are those of its current version and, on a side where that has none, those that its latest run
    has named so far; with `of_latest`, as in lists, those of its latest run if that has named any.
    """
    ids = [row["id"] for row in rows]
    if not ids:
        return []
    latest_rows = await connection.fetch(
        f"SELECT r.* FROM unnest($1::uuid[]) AS k(id) JOIN LATERAL ({_RUN} WHERE r.job_id = k.id"  # noqa: S608  # constants
        f" ORDER BY r.sort_at DESC, r.id LIMIT {LATEST_RUNS}) r ON true",
        ids,
    )
    shown = await shown_runs(connection, latest_rows)
    latest: dict[UUID, list[Any]] = defaultdict(list)
    for run in latest_rows:
        latest[run["job_id"]].append(run)
    edges = await job_edges(connection, ids)
    told = await _told_by(connection, [runs[0]["id"] for runs in latest.values()])
    tags = await job_tags(connection, ids)
    jobs = []
    for row in rows:
        runs = latest.get(row["id"], [])
        ended = any(run["job_version"] for run in runs)
        job = job_head(row, edges)
        sides = told.get(runs[0]["id"], {}) if runs else {}
        for key, is_input in (("inputs", True), ("outputs", False)):
            if sides and (of_latest or not job[key]):
                job[key] = sides.get(is_input, [])
        job |= {
            "latestRun": shown[runs[0]["id"]] if runs else None,
            "latestRuns": [shown[run["id"]] for run in runs] or None,
            "facets": as_facets(runs[0]["job_facets"] if runs else row["facets"]),
            # A job that a request described has no version until a run of it ends.
            "currentVersion": None if REQUESTED in row["facets"] and not ended else row["current_version"],
            "labels": as_json(row["labels"]),
            "tags": tags.get(row["id"], []),
        }
        jobs.append(job)
    return jobs


async def _told_by(connection: Connection, runs: Sequence[UUID]) -> dict[UUID, dict[bool, list[Json]]]:
    """Return the inputs (True) and outputs (False) that runs have named, datasets that are deleted left out."""
    told: dict[UUID, dict[bool, list[Json]]] = defaultdict(lambda: defaultdict(list))
    for row in await connection.fetch(
        "SELECT io.run_id, io.is_input, d.namespace, d.name FROM run_io io JOIN dataset d ON d.id = io.dataset_id"
        " WHERE io.run_id = ANY($1::uuid[]) AND NOT d.hidden ORDER BY d.namespace, d.name",
        list(runs),
    ):
        told[row["run_id"]][row["is_input"]].append({"namespace": row["namespace"], "name": row["name"]})
    return told


def job_head(row: Any, edges: Mapping[tuple[UUID, bool], list[Json]]) -> Json:
    """Return what a job's page and its node in a graph share."""
    name, parent = row["name"], row["parent_name"]
    return {
        "id": {"namespace": row["namespace"], "name": name},
        "type": row["type"],
        "name": name,
        "simpleName": name[len(parent) + 1 :] if parent and name.startswith(f"{parent}.") else name,
        "parentJobName": parent,
        "parentJobUuid": row["parent_id"] if parent else None,
        "createdAt": at(row["created_at"]),
        "updatedAt": at(row["updated_at"]),
        "namespace": row["namespace"],
        "inputs": edges.get((row["id"], True), []),
        "outputs": edges.get((row["id"], False), []),
        "location": as_url(row["location"]),
        "description": row["description"],
    }


async def jobs_by_id(connection: Connection, ids: Sequence[UUID]) -> Sequence[Any]:
    rows: list[Any] = await connection.fetch(
        _JOB.replace("SELECT ", "SELECT j.xmin, ", 1) + " WHERE j.id = ANY($1::uuid[]) AND NOT j.hidden",
        list(ids),
    )
    return rows


async def ancestors(connection: Connection, runs: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """Return, for each run, its line: itself, the run it names its parent, that one's, and so on to the root.

    The root stands for the run in a graph, as Marquez notes the parent's run as the current one of a job; in Airflow it is
    the run of the DAG. The last of a line may be a run that is not there any more.
    """
    parents: dict[UUID, UUID | None] = {}
    asked = set(runs)
    lines = {run: [run] for run in runs}
    while asked:
        rows = await connection.fetch(
            "SELECT id, (fold::jsonb -> 'parent' ->> 2)::uuid AS parent FROM run WHERE id = ANY($1::uuid[])",
            list(asked),
        )
        named = {row["id"]: row["parent"] for row in rows}
        parents |= dict.fromkeys(asked) | named
        asked = {parent for parent in named.values() if parent and parent not in parents}
    for line in lines.values():
        # Runs that call each other parent end the climb.
        while (above := parents[line[-1]]) and above not in line:
            line.append(above)
    return lines


async def job_edges(connection: Connection, ids: Sequence[UUID]) -> dict[tuple[UUID, bool], list[Json]]:
    """Return the current inputs (True) and outputs (False) of jobs, datasets that are deleted left out."""
    edges: dict[tuple[UUID, bool], list[Json]] = defaultdict(list)
    for edge in await connection.fetch(
        "SELECT e.job_id, e.is_input, d.namespace, d.name FROM job_edge e JOIN dataset d ON d.id = e.dataset_id"
        " WHERE e.job_id = ANY($1::uuid[]) AND NOT d.hidden ORDER BY d.namespace, d.name",
        list(ids),
    ):
        edges[edge["job_id"], edge["is_input"]].append({"namespace": edge["namespace"], "name": edge["name"]})
    return edges


async def job_tags(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    tags: dict[UUID, list[str]] = defaultdict(list)
    for row in await connection.fetch(
        "SELECT job_id, tag FROM job_tag WHERE job_id = ANY($1::uuid[]) ORDER BY tag", list(ids)
    ):
        tags[row["job_id"]].append(row["tag"])
    return tags


# --- versions ----------------------------------------------------------------------------------------------------------


async def job_versions(connection: Connection, namespace: str, name: str, limit: int, offset: int) -> Json:
    job = await find_job(connection, namespace, name)
    rows = await connection.fetch(
        "SELECT * FROM job_version WHERE job_id = $1 ORDER BY created_at DESC, id LIMIT $2 OFFSET $3",
        job,
        limit,
        offset,
    )
    return {"versions": await _shown_versions(connection, namespace, name, rows)}


async def one_job_version(connection: Connection, namespace: str, name: str, version: UUID) -> Json:
    job = await find_job(connection, namespace, name)
    rows = await connection.fetch(
        "SELECT * FROM job_version WHERE job_id = $1 AND version = $2", job, version
    )
    if not rows:
        raise not_found("Job version", version)
    return (await _shown_versions(connection, namespace, name, rows))[0]


async def _shown_versions(
    connection: Connection, namespace: str, name: str, rows: Sequence[Any]
) -> list[Json]:
    if not rows:
        return []
    names = {
        row["id"]: {"namespace": row["namespace"], "name": row["name"]}
        for row in await connection.fetch(
            "SELECT id, namespace, name FROM dataset WHERE id = ANY($1::uuid[]) ORDER BY namespace, name",
            list({identifier for row in rows for identifier in (*row["inputs"], *row["outputs"])}),
        )
    }
    run_rows = await connection.fetch(
        f"SELECT r.* FROM unnest($1::uuid[], $2::uuid[]) AS k(version, job_id) JOIN LATERAL ({_RUN}"  # noqa: S608  # constants
        " WHERE r.job_version = k.version AND r.job_id = k.job_id ORDER BY r.sort_at DESC, r.id LIMIT 1) r ON true",
        [row["version"] for row in rows],
        [row["job_id"] for row in rows],
    )
    runs = await shown_runs(connection, run_rows, io_facets=False, job_facets=True)
    latest = {run["job_version"]: runs[run["id"]] for run in run_rows}
    return [
        {
            "id": {"namespace": namespace, "name": name, "version": row["version"]},
            "name": name,
            "createdAt": at(row["created_at"]),
            "version": row["version"],
            "namespace": namespace,
            "location": as_url(row["location"]),
            "inputs": [shown for identifier, shown in names.items() if identifier in set(row["inputs"])],
            "outputs": [shown for identifier, shown in names.items() if identifier in set(row["outputs"])],
            "latestRun": latest.get(row["version"]),
        }
        for row in rows
    ]


# --- changes -----------------------------------------------------------------------------------------------------------


async def hide_job(connection: Connection, namespace: str, name: str) -> Json:
    """Delete a job softly and return it; a new event brings it back."""
    shown = await one_job(connection, namespace, name)
    await connection.execute("UPDATE job SET hidden = true WHERE id = $1", job_id(namespace, name))
    return shown | CHANGED


async def tag_job(connection: Connection, namespace: str, name: str, tag: str, *, add: bool) -> Json:
    job = await find_job(connection, namespace, name)
    if add:
        await connection.execute("INSERT INTO tag (name) VALUES ($1) ON CONFLICT DO NOTHING", tag)
        await connection.execute("INSERT INTO job_tag VALUES ($1, $2) ON CONFLICT DO NOTHING", job, tag)
    else:
        await connection.execute("DELETE FROM job_tag WHERE job_id = $1 AND tag = $2", job, tag)
    return await one_job(connection, namespace, name) | CHANGED
