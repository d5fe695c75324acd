"""The routes that write without OpenLineage, which older clients still use.

They are answered by making the events that say the same, so that there is one way into the database.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Request, Response

from include.marquez.server import catalog, datasets, jobs
from include.marquez.server.answers import (
    answer,
    as_url,
    coded,
    invalid,
    no_such_page,
    not_found,
    possible_namespace,
)
from include.marquez.server.identity import UUID_TEXT, job_id
from include.marquez.server.openlineage import (
    REQUESTED,
    REQUESTED_NAME,
    REQUESTED_RUN,
    Json,
    is_uri,
    malformed,
    read_event,
    read_time,
    scalar,
)
from include.marquez.server.requests import Name, ingest_of, json_object, only_json, pool_of, uuid_param
from include.marquez.server.times import instant, parse_time

if TYPE_CHECKING:
    from include.marquez.server.database import Connection, Pool
    from include.marquez.server.group_commit import Ingest

router = APIRouter()

SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
FACET = {"_producer": REQUESTED, "_schemaURL": SCHEMA + "BaseFacet"}
INSTANT = re.compile(r"\S+T\d\d:\d\d:\d\d(?:\.\d*)?(?:Z|[+-]\d\d(?::\d\d)*)", re.IGNORECASE)
ENDS = {"start": "START", "complete": "COMPLETE", "fail": "FAIL", "abort": "ABORT"}


def _optional(body: Json, key: str) -> str | None:
    value = body.get(key)
    return None if value is None else scalar(value, key)


def _required(body: Json, key: str) -> str:
    return _filled(body.get(key), key)


def _filled(value: Any, key: str) -> str:
    text = "" if value is None else scalar(value, key)
    if not text.strip():
        malformed(f"{key} must not be blank")
    return text


def _check_choice(text: str, key: str, *choices: str) -> None:
    if text not in choices:
        malformed(f"{key} must be one of {', '.join(choices)}")


def _objects(value: Any, key: str) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        malformed(f"{key} must be an array of objects")
    return value


def _tags(body: Json) -> list[str]:
    given = [] if body.get("tags") is None else body["tags"]
    if not isinstance(given, list):
        malformed("tags must be an array")
    return [_filled(tag, "tags") for tag in given]


def _run_id(body: Json, key: str) -> UUID | None:
    text = (_optional(body, key) or "").strip()
    if text and not UUID_TEXT.fullmatch(text):
        malformed(f"{key} must be a UUID")
    return UUID(text) if text else None


def _location(body: Json, key: str) -> str | None:
    text = (_optional(body, key) or "").strip()
    if text and as_url(text) is None:
        malformed(f"{key} must be a URL")
    return text or None


@router.put("/namespaces/{namespace}", tags=["namespaces"])
async def put_namespace(request: Request, namespace: Name) -> Response:
    """Create a namespace or change its owner and description."""
    if not possible_namespace(namespace):
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
    if url is None or not is_uri(url):
        malformed("connectionUrl must be a URI")
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
    async with pool_of(request).acquire() as connection:
        await catalog.one_namespace(connection, namespace)
        _check_choice(_required(body, "type"), "type", "DB_TABLE", "STREAM")
        source, physical = _required(body, "sourceName"), _required(body, "physicalName")
        tags, fields = _tags(body), _objects([] if body.get("fields") is None else body["fields"], "fields")
        known = [
            {
                "name": _required(item, "name"),
                "type": _optional(item, "type"),
                "description": _optional(item, "description"),
            }
            for item in fields
        ]
        tagged = [(_required(item, "name"), tag) for item in fields for tag in _tags(item)]
        description = _optional(body, "description")
        if run := _run_id(body, "runId"):
            await jobs.one_run(connection, run)
        shown = await catalog.one_source(connection, source)
    facets: Json = {"dataSource": {"name": source, "uri": shown["connectionUrl"], **FACET}}
    if known:
        facets["schema"] = {"fields": known, **FACET}
    if description is not None:
        facets["documentation"] = {"description": description, **FACET}
    if physical != dataset:
        facets[REQUESTED_NAME] = {"name": physical, **FACET}
    await _take(
        ingest_of(request),
        "DatasetEvent",
        {"dataset": {"namespace": namespace, "name": dataset, "facets": facets}},
    )
    async with pool_of(request).acquire() as connection:
        identifier = await datasets.find_dataset(connection, namespace, dataset)
        for tag in tags:
            await datasets.tag_dataset(connection, namespace, dataset, tag, add=True)
        for name, tag in tagged:
            await datasets.mark_field(connection, identifier, name, tag, add=True)
        return answer(await datasets.one_dataset(connection, namespace, dataset))


@router.put("/namespaces/{namespace}/jobs/{job}", tags=["jobs"])
async def put_job(request: Request, namespace: Name, job: Name) -> Response:
    """Describe a job, its inputs and outputs without an event."""
    body = await json_object(request)
    async with pool_of(request).acquire() as connection:
        await catalog.one_namespace(connection, namespace)
        _check_choice(_required(body, "type").upper(), "type", "BATCH", "STREAM", "SERVICE")
        await _run_of(connection, namespace, job, _run_id(body, "runId"))
        description, location = _optional(body, "description"), _location(body, "location")
        sides: Json = {}
        for side in ("inputs", "outputs"):
            named = _objects(body.get(side), side)
            sides[side] = [{key: _required(item, key) for key in ("namespace", "name")} for item in named]
            for item in sides[side]:
                if not await datasets.known_dataset(connection, item["namespace"], item["name"]):
                    raise not_found("Dataset", item["name"])
    facets: Json = {}
    if description is not None:
        facets["documentation"] = {"description": description, **FACET}
    if location:
        facets["sourceCodeLocation"] = {"type": "git", "url": location, **FACET}
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
    only_json(request)
    async with pool_of(request).acquire() as connection:
        await jobs.find_job(connection, namespace, job)
    body = await json_object(request)
    given = _run_id(body, "id")
    args = {} if body.get("args") is None else body["args"]
    if not isinstance(args, dict) or None in args.values():
        malformed("args must be an object of strings")
    stated: Json = {"args": {key: _optional(args, key) for key in args}, **FACET}
    for key in ("nominalStartTime", "nominalEndTime"):
        moment = read_time(body.get(key), key)
        stated[key] = instant(moment) if moment else None
    async with pool_of(request).acquire() as connection:
        if given and await connection.fetchval("SELECT true FROM run WHERE id = $1", given):
            raise coded(400, f"Run '{given}' already exists for '{job}' under namespace '{namespace}'.")
        sides = await _sides(connection, job_id(namespace, job))
    run = given or uuid4()
    opened = {"run": {"runId": str(run), "facets": {REQUESTED_RUN: stated}}, "inputs": sides["inputs"]}
    await _take(ingest_of(request), "RunEvent", {"job": {"namespace": namespace, "name": job}, **opened})
    return answer(await _shown(pool_of(request), run), 201)


@router.post("/jobs/runs/{run}/start", tags=["runs"])
@router.post("/jobs/runs/{run}/complete", tags=["runs"])
@router.post("/jobs/runs/{run}/fail", tags=["runs"])
@router.post("/jobs/runs/{run}/abort", tags=["runs"])
async def mark_run(request: Request, run: Name, at: str | None = None) -> Response:
    """Start, complete, fail or abort a run."""
    what = request.scope["path"].rpartition("/")[2]
    run_id = uuid_param(run)
    moment = datetime.now(UTC) if at is None else parse_time(at) if INSTANT.fullmatch(at) else None
    if moment is None:
        raise invalid("query param at must be an ISO instant")
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


async def _run_of(connection: Connection, namespace: str, job: str, run: UUID | None) -> None:
    """Miss a run that a job is told to be of and is not."""
    found = run and await connection.fetchval("SELECT job_id FROM run WHERE id = $1", run)
    if run and found != job_id(namespace, job):
        raise not_found("Run", run)


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
