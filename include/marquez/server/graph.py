"""The lineage graph of jobs and datasets: every node visited once, in one call to the database, whatever the shape."""

from __future__ import annotations

from collections import defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING
from uuid import UUID

from include.marquez.server.answers import ApiError, coded, invalid, no_such_page, not_found
from include.marquez.server.columns import fields_of
from include.marquez.server.datasets import known_dataset
from include.marquez.server.identity import NodeId, job_id, node_readings
from include.marquez.server.requests import uuid_param

if TYPE_CHECKING:
    from include.marquez.server.database import Connection
    from include.marquez.server.nodes import Nodes

MAX_HOPS = 1_000_000


async def lineage(
    connection: Connection, nodes: Nodes, text: str, depth: int, *, own_runs: bool = False
) -> bytes:
    """Return, as JSON, the jobs within `depth` hops of a node, and their datasets, undirected.

    A job is no hop from itself. A dataset stands for the job that came last to write it or, where that leads no longer to
    it or there is none, to read it.
    A job is shown with the run that stands for it or, with `own_runs`, its own latest.
    """
    hops = min(max(depth, 0), MAX_HOPS)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        node, start = await _start(connection, text, hops)
        around: list[UUID] = (
            await connection.fetchval("SELECT jobs_around($1::uuid[], $2)", start, hops) if start else []
        )
        jobs = await nodes.jobs(connection, around, own_runs=own_runs)
        wanted = {dataset for job in jobs for dataset, _, _ in job.edges}
        if node is not None:
            wanted.add(node)
        datasets = await nodes.datasets(connection, wanted)
    by_id = attrgetter("id")
    jobs.sort(key=by_id)
    into: dict[UUID, list[bytes]] = defaultdict(list)
    out_of: dict[UUID, list[bytes]] = defaultdict(list)
    for job in jobs:
        for dataset, is_input, edge in job.edges:
            (out_of if is_input else into)[dataset].append(edge)
    # In the order of their ids, in which datasets come before jobs.
    texts = [
        b'%b,"inEdges":[%b],"outEdges":[%b]}'
        % (
            dataset.text.removesuffix(b"}"),
            b",".join(into.get(dataset.key, ())),
            b",".join(out_of.get(dataset.key, ())),
        )
        for dataset in sorted(datasets, key=by_id)
    ]
    texts += [job.text for job in jobs]
    return b'{"graph":[%b]}' % b",".join(texts)


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
