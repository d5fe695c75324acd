"""The lineage graph of jobs and datasets: every node visited once, in one call to the database, whatever the shape."""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING
from uuid import UUID

from include.marquez.server.answers import ApiError, coded, invalid, no_such_page, not_found
from include.marquez.server.columns import fields_of
from include.marquez.server.datasets import graph_datasets, known_dataset
from include.marquez.server.identity import NodeId, job_id, node_readings
from include.marquez.server.jobs import job_head, jobs_by_id, runs_by_id, standing_runs
from include.marquez.server.requests import uuid_param

if TYPE_CHECKING:
    from include.marquez.server.database import Connection
    from include.marquez.server.openlineage import Json

MAX_HOPS = 1_000_000


async def lineage(connection: Connection, text: str, depth: int, *, own_runs: bool = False) -> Json:
    """Return the jobs within `depth` hops of a node, and their datasets, undirected.

    A job is no hop from itself. A dataset stands for the job that came last to write it or, where that leads no longer to
    it or there is none, to read it.
    A job is shown with the run that stands for it or, with `own_runs`, its own latest.
    """
    hops = min(max(depth, 0), MAX_HOPS)
    node, start = await _start(connection, text, hops)
    jobs: list[UUID] = (
        await connection.fetchval("SELECT jobs_around($1::uuid[], $2)", start, hops) if start else []
    )
    rows = await jobs_by_id(connection, jobs)
    edges = await connection.fetch(
        "SELECT e.job_id, e.dataset_id, e.is_input FROM job_edge e WHERE e.job_id = ANY($1::uuid[])",
        [row["id"] for row in rows],
    )
    wanted = {edge["dataset_id"] for edge in edges}
    if node is not None:
        wanted.add(node)
    datasets = await graph_datasets(connection, list(wanted))
    latest = {row["id"]: row["latest_run"] for row in rows}
    if not own_runs:
        children = [row["latest_run"] for row in rows if row["parent_id"] and row["latest_run"]]
        standing = await standing_runs(connection, children)
        latest = {job: standing.get(run, run) for job, run in latest.items()}
    runs = await runs_by_id(connection, list({run for run in latest.values() if run}))
    ids: dict[UUID, str] = {row["id"]: f"job:{row['namespace']}:{row['name']}" for row in rows}
    ids |= {key: f"dataset:{data['namespace']}:{data['name']}" for key, data in datasets.items()}
    sides: dict[tuple[UUID, bool], list[Json]] = defaultdict(list)
    into: dict[UUID, list[Json]] = defaultdict(list)
    out_of: dict[UUID, list[Json]] = defaultdict(list)
    drawn = [edge for edge in edges if edge["dataset_id"] in ids]
    drawn.sort(key=lambda edge: (ids[edge["dataset_id"]], ids[edge["job_id"]]))
    for job, dataset, is_input in drawn:
        sides[job, is_input].append(datasets[dataset]["id"])
        origin, destination = (dataset, job) if is_input else (job, dataset)
        edge = {"origin": ids[origin], "destination": ids[destination]}
        out_of[origin].append(edge)
        into[destination].append(edge)
    heads = {
        row["id"]: job_head(row, sides)
        | {"currentRunUuid": latest[row["id"]], "latestRun": runs.get(latest[row["id"]])}
        for row in rows
    }
    nodes = [
        {
            "id": ids[key],
            "type": kind,
            "data": data,
            "inEdges": into.get(key, []),
            "outEdges": out_of.get(key, []),
        }
        for kind, data_of in (("JOB", heads), ("DATASET", datasets))
        for key, data in data_of.items()
    ]
    nodes.sort(key=itemgetter("id"))
    return {"graph": nodes}


async def _must_exist(connection: Connection, readings: list[NodeId]) -> None:
    """Miss a run or field that there is none of, before its kind is refused."""
    first = readings[0]
    if first.kind == "run":
        run = uuid_param(first.name)
        if not await connection.fetchval("SELECT true FROM run WHERE id = $1", run):
            raise not_found("Run", run)
    elif not any([await fields_of(connection, reading) for reading in readings]):
        raise coded(404, f"Field '{first.field}' not found for dataset '{first.name}'.")


async def _start(connection: Connection, text: str, hops: int) -> tuple[UUID | None, list[UUID]]:
    """Return the dataset (or None) and the jobs to start from."""
    if not text:
        raise invalid("query param nodeId must not be null")
    readings = node_readings(text)
    if not readings:
        raise no_such_page()
    if readings[0].kind in ("run", "datasetField"):
        if "#" not in text:
            await _must_exist(connection, readings)
        raise coded(404, f"Node '{text}' must be of type dataset or job!")
    for reading in readings:
        found = await _start_of(connection, reading, hops)
        if found is not None:
            return found
    raise missing(readings[0])


async def _start_of(connection: Connection, node: NodeId, hops: int) -> tuple[UUID | None, list[UUID]] | None:
    if node.kind == "job":
        job = job_id(node.namespace, node.name)
        if await connection.fetchval("SELECT true FROM job WHERE id = $1 AND NOT hidden", job):
            return None, [job]
        return None
    found = await known_dataset(connection, node.namespace, node.name)
    if found is None:
        return None
    rows = await connection.fetch(
        "SELECT e.job_id, e.is_input FROM job_edge e JOIN job j ON j.id = e.job_id AND NOT j.hidden"
        " LEFT JOIN job_version v ON v.id = j.current_version"
        " WHERE e.dataset_id = $1 ORDER BY e.is_input, v.created_at DESC, j.name, j.id LIMIT 1",
        found,
    )
    if rows and rows[0]["is_input"]:  # nobody writes it now
        writer = await connection.fetchval(_LAST_WRITER, found, hops)
        if isinstance(writer, UUID):
            return found, [writer]
    return found, [row["job_id"] for row in rows]


_LAST_WRITER = (
    "WITH writer AS (SELECT r.job_id FROM dataset_version v JOIN run r ON r.id = v.run_id"
    " JOIN job j ON j.id = r.job_id AND NOT j.hidden WHERE v.dataset_id = $1 AND r.job_version IS NOT NULL"
    " ORDER BY v.created_at DESC, v.id DESC LIMIT 1),"
    " led AS MATERIALIZED (SELECT job_id, jobs_around(ARRAY[job_id], $2) AS jobs FROM writer)"
    " SELECT job_id FROM led WHERE EXISTS"
    " (SELECT FROM job_edge e WHERE e.dataset_id = $1 AND e.job_id = ANY (led.jobs))"
)
"""The job whose run was the last to write a dataset, if that leads to it within some hops, as by others that it wrote."""


def missing(node: NodeId) -> ApiError:
    return not_found("Job" if node.kind == "job" else "Dataset", node.name)
