"""The routes that write without OpenLineage, which older clients still use.

They are answered by making the events that say the same, so that there is one way into the database.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Request, Response

from include.marquez.server import catalog, datasets, jobs
from include.marquez.server.answers import answer, invalid, no_such_page, not_found
from include.marquez.server.identity import job_id
from include.marquez.server.openlineage import (
    NAMESPACE,
    REQUESTED,
    REQUESTED_RUN,
    Json,
    instant,
    malformed,
    parse_time,
    read_event,
)
from include.marquez.server.requests import Name, ingest_of, json_object, pool_of, uuid_param

if TYPE_CHECKING:
    from include.marquez.server.database import Connection, Pool
    from include.marquez.server.group_commit import Ingest

router = APIRouter()

SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
FACET = {"_producer": REQUESTED, "_schemaURL": SCHEMA + "BaseFacet"}
ENDS = {"start": "START", "complete": "COMPLETE", "fail": "FAIL", "abort": "ABORT"}


def _required(body: Json, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        malformed(f"{key} must be a string")
    return value


def _optional(body: Json, key: str) -> str | None:
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        malformed(f"{key} must be a string")
    return value


@router.put("/namespaces/{namespace}", tags=["namespaces"])
async def put_namespace(request: Request, namespace: Name) -> Response:
    """Create a namespace or change its owner and description."""
    if NAMESPACE.search(namespace) or not namespace or len(namespace) > 1024:
        raise no_such_page()
    body = await json_object(request)
    async with pool_of(request).acquire() as connection:
        owner, description = _required(body, "ownerName"), _optional(body, "description")
        return answer(await catalog.put_namespace(connection, namespace, owner, description))


@router.put("/sources/{source}", tags=["sources"])
async def put_source(request: Request, source: Name) -> Response:
    body = await json_object(request)
    kind, url, description = (
        _required(body, "type"),
        _optional(body, "connectionUrl"),
        _optional(body, "description"),
    )
    async with pool_of(request).acquire() as connection:
        return answer(await catalog.put_source(connection, source, kind, url, description))


@router.put("/tags/{tag}", tags=["tags"])
async def put_tag(request: Request, tag: Name) -> Response:
    body = await json_object(request)
    async with pool_of(request).acquire() as connection:
        return answer(await catalog.put_tag(connection, tag, _optional(body, "description")))


@router.put("/namespaces/{namespace}/datasets/{dataset}", tags=["datasets"])
async def put_dataset(request: Request, namespace: Name, dataset: Name) -> Response:
    """Describe a dataset without an event."""
    body = await json_object(request)
    source = _required(body, "sourceName")
    facets: Json = {"dataSource": {"name": source, **FACET}}
    async with pool_of(request).acquire() as connection:
        await catalog.one_namespace(connection, namespace)
        shown = await catalog.one_source(connection, source)
    facets["dataSource"]["uri"] = shown["connectionUrl"]
    fields = body.get("fields") or []
    if not isinstance(fields, list) or not all(isinstance(item, dict) for item in fields):
        malformed("fields must be an array of objects")
    if fields:
        known = [{key: item.get(key) for key in ("name", "type", "description")} for item in fields]
        facets["schema"] = {"fields": known, **FACET}
    if body.get("description"):
        facets["documentation"] = {"description": _optional(body, "description"), **FACET}
    if body.get("physicalName") and body["physicalName"] != dataset:
        facets["symlinks"] = {
            "identifiers": [
                {"namespace": namespace, "name": _optional(body, "physicalName"), "type": "TABLE"}
            ],
            **FACET,
        }
    await _take(
        ingest_of(request),
        "DatasetEvent",
        {"dataset": {"namespace": namespace, "name": dataset, "facets": facets}},
    )
    async with pool_of(request).acquire() as connection:
        for tag in body.get("tags") or ():
            await datasets.tag_dataset(connection, namespace, dataset, str(tag), add=True)
        for item in fields:
            for tag in item.get("tags") or ():
                await datasets.tag_field(
                    connection, namespace, dataset, str(item["name"]), str(tag), add=True
                )
        return answer(await datasets.one_dataset(connection, namespace, dataset))


@router.put("/namespaces/{namespace}/jobs/{job}", tags=["jobs"])
async def put_job(request: Request, namespace: Name, job: Name) -> Response:
    """Describe a job, its inputs and outputs without an event."""
    body = await json_object(request)
    async with pool_of(request).acquire() as connection:
        await catalog.one_namespace(connection, namespace)
    facets: Json = {}
    if body.get("description"):
        facets["documentation"] = {"description": _optional(body, "description"), **FACET}
    if body.get("location"):
        facets["sourceCodeLocation"] = {"type": "git", "url": _optional(body, "location"), **FACET}
    sides: Json = {}
    for side in ("inputs", "outputs"):
        named = body.get(side) or []
        if not isinstance(named, list) or not all(isinstance(item, dict) for item in named):
            malformed(f"{side} must be an array of objects")
        sides[side] = [{"namespace": item.get("namespace"), "name": item.get("name")} for item in named]
    await _take(
        ingest_of(request),
        "JobEvent",
        {"job": {"namespace": namespace, "name": job, "facets": facets}, **sides},
    )
    async with pool_of(request).acquire() as connection:
        return answer(await jobs.one_job(connection, namespace, job))


@router.post("/namespaces/{namespace}/jobs/{job}/runs", status_code=201, tags=["runs"])
async def post_run(request: Request, namespace: Name, job: Name) -> Response:
    """Open a run of a job; it is NEW until it is started."""
    body = await json_object(request)
    async with pool_of(request).acquire() as connection:
        await jobs.find_job(connection, namespace, job)
    run = uuid_param(str(body["id"])) if body.get("id") else uuid4()
    args = body.get("args") or {}
    if not isinstance(args, dict) or not all(isinstance(value, str) for value in args.values()):
        malformed("args must be an object of strings")
    stated: Json = {"args": args, **FACET}
    for key in ("nominalStartTime", "nominalEndTime"):
        moment = parse_time(_optional(body, key) or "")
        if body.get(key) and moment is None:
            malformed(f"{key} must be an ISO date-time")
        stated[key] = instant(moment) if moment else None
    async with pool_of(request).acquire() as connection:
        sides = await _sides(connection, job_id(namespace, job))
    opened = {"run": {"runId": str(run), "facets": {REQUESTED_RUN: stated}}, "inputs": sides["inputs"]}
    await _take(ingest_of(request), "RunEvent", {"job": {"namespace": namespace, "name": job}, **opened})
    return answer(await _shown(pool_of(request), run), 201)


@router.post("/jobs/runs/{run}/{what}", tags=["runs"])
async def mark_run(request: Request, run: Name, what: Name, at: str | None = None) -> Response:
    """Start, complete, fail or abort a run."""
    if what not in ENDS:
        raise no_such_page()
    run_id = uuid_param(run)
    moment = parse_time(at) if at else datetime.now(UTC)
    if moment is None:
        raise invalid("query param at must be an ISO date-time")
    async with pool_of(request).acquire() as connection:
        row = await connection.fetchrow(
            "SELECT j.id, j.namespace, j.name FROM run r JOIN job j ON j.id = r.job_id WHERE r.id = $1",
            run_id,
        )
        if row is None:
            raise not_found("Run", run_id)
        sides = await _sides(connection, row["id"])
    job = {"namespace": row["namespace"], "name": row["name"]}
    event = {"eventType": ENDS[what], "run": {"runId": str(run_id)}, "job": job, **sides}
    await _take(ingest_of(request), "RunEvent", event, moment)
    return answer(await _shown(pool_of(request), run_id))


async def _sides(connection: Connection, job: UUID) -> Json:
    """Return the datasets that a job reads and writes, as an event names them."""
    sides: Json = {"inputs": [], "outputs": []}
    for edge in await connection.fetch(
        "SELECT e.is_input, d.namespace, d.name FROM job_edge e JOIN dataset d ON d.id = e.dataset_id"
        " WHERE e.job_id = $1 ORDER BY d.namespace, d.name",
        job,
    ):
        sides["inputs" if edge["is_input"] else "outputs"].append(
            {"namespace": edge["namespace"], "name": edge["name"]}
        )
    return sides


async def _shown(pool: Pool, run: UUID) -> Any:
    async with pool.acquire() as connection:
        return await jobs.one_run(connection, run)


async def _take(ingest: Ingest, kind: str, event: Json, moment: datetime | None = None) -> None:
    at = instant(moment or datetime.now(UTC))
    told = read_event({"eventTime": at, "producer": REQUESTED, "schemaURL": SCHEMA + kind, **event})
    await ingest.take([replace(told, listed=False)])
