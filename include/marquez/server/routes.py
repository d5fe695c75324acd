"""The routes of the API: what a request may say, and which part answers it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse

from include.marquez.server import catalog, columns, datasets, events, graph, jobs, runs
from include.marquez.server.answers import ApiError, answer, coded, invalid, no_such_page
from include.marquez.server.identity import run_uuid
from include.marquez.server.legacy import router as legacy_router
from include.marquez.server.openlineage import Event, Refused, malformed, parse_json, read_event
from include.marquez.server.paging import link_next, read_cursor
from include.marquez.server.requests import (
    SLASH,
    Name,
    ingest_of,
    json_body,
    nodes_of,
    one_of,
    only_json,
    pool_of,
    text_param,
    uuid_param,
    whole_number,
)
from include.marquez.server.times import zoned_time

__all__ = ["SLASH", "router"]

router = APIRouter()
V1 = "/api/v1"

JobRunStates = ("NEW", "RUNNING", "COMPLETED", "ABORTED", "FAILED", "OTHER")
BATCH_LIMIT = 10_000
"""Most events of one batch."""


@dataclass(frozen=True)
class Page:
    """A window of a list."""

    limit: int
    offset: int


def page(
    limit: Annotated[str | None, Query(description="at most so many; default 100")] = None,
    offset: Annotated[str | None, Query(description="after so many; default 0")] = None,
) -> Page:
    return Page(whole_number(limit, "limit", 100), whole_number(offset, "offset", 0))


Paged = Annotated[Page, Depends(page)]


# --- ingest ------------------------------------------------------------------------------------------------------------


@router.post(f"{V1}/lineage", status_code=201, tags=["lineage"])
async def post_event(request: Request) -> Response:
    """Take one OpenLineage event: RunEvent, JobEvent or DatasetEvent."""
    body = await json_body(request)
    if not body.strip():
        raise Refused(422, {"errors": ["The request body must not be null"]})
    await ingest_of(request).take([read_event(parse_json(body))])
    return Response(status_code=201)


@router.post(f"{V1}/lineage/batch", tags=["lineage"])
async def post_batch(request: Request) -> Response:
    """Take an array of events in one transaction; the answer holds one status per event, in their order.

    An event that is refused has the status and the error it would have had alone. It hinders only the later events of
    its own run: they answer 424 and are not taken, so that no run ends without its start.
    """
    given = parse_json(await json_body(request) or b"null")
    if not isinstance(given, list):
        malformed("A batch is a JSON array of events")
    if len(given) > BATCH_LIMIT:
        raise coded(413, f"A batch holds at most {BATCH_LIMIT} events")
    accepted: list[Event] = []
    statuses: list[dict[str, Any]] = []
    without: set[str] = set()
    for item in given:
        run = item.get("run") if isinstance(item, dict) else None
        run_id = str(run.get("runId")) if isinstance(run, dict) else ""
        if run_id in without:
            statuses.append(
                {
                    "status": 424,
                    "error": {"code": 424, "message": f"an earlier event of run {run_id} was refused"},
                }
            )
            continue
        try:
            accepted.append(read_event(item))
            statuses.append({"status": 201})
        except Refused as refused:
            statuses.append({"status": refused.status, "error": refused.body})
            without |= {run_id} if run_id else set()
    ingest = ingest_of(request)
    new = await ingest.take(accepted) if accepted else 0
    ingest.metrics.events["refused"] += len(statuses) - len(accepted)
    return answer({"accepted": len(accepted), "new": new, "events": statuses})


# --- graphs ------------------------------------------------------------------------------------------------------------


@router.get(f"{V1}/lineage", tags=["lineage"])
async def get_lineage(
    request: Request, nodeId: str | None = None, depth: str | None = None, latestRun: str | None = None
) -> Response:
    """Return the graph around a job or dataset, in both directions.

    The latest run of a job that has a parent is its root's; `latestRun=own` (an addition to Marquez) shows its own.
    """
    hops = whole_number(depth, "depth", 20, lowest=None)
    own = one_of(latestRun, "latestRun", ("OWN", "ROOT")) == "OWN"
    async with pool_of(request).acquire() as connection:
        return answer(await graph.lineage(connection, nodes_of(request), nodeId or "", hops, own_runs=own))


@router.get(f"{V1}/column-lineage", tags=["lineage"])
async def get_column_lineage(
    request: Request,
    nodeId: str | None = None,
    depth: str | None = None,
    withDownstream: str | None = None,
    sources: str | None = None,
) -> Response:
    """Return what the fields of a node are made from and, if asked, what is made from them.

    `sources=true` (an addition to Marquez) follows downstream also from fields that are made from nothing.
    """
    hops = whole_number(depth, "depth", 20, lowest=None)
    async with pool_of(request).acquire() as connection:
        return answer(
            await columns.column_lineage(
                connection,
                nodeId or "",
                hops,
                downstream=(withDownstream or "").lower() == "true",
                sources=(sources or "").lower() == "true",
            )
        )


@router.get(f"{V1}/runlineage/upstream", tags=["lineage"])
async def get_upstream_runs(request: Request, runId: str | None = None, depth: str | None = None) -> Response:
    """Return the runs that wrote what a run read, and so on back."""
    if not runId:
        raise invalid("query param runId must not be null")
    steps = whole_number(depth, "depth", 20, lowest=None)
    async with pool_of(request).acquire() as connection:
        return answer(await runs.upstream(connection, uuid_param(runId), steps))


@router.get(f"{V1}/runlineage/downstream", tags=["lineage"])
async def get_downstream_runs(
    request: Request, runId: str | None = None, depth: str | None = None
) -> Response:
    """Return the runs that read what a run wrote, and so on (an addition to Marquez)."""
    if not runId:
        raise invalid("query param runId must not be null")
    steps = whole_number(depth, "depth", 20, lowest=None)
    async with pool_of(request).acquire() as connection:
        return answer(await runs.downstream(connection, uuid_param(runId), steps))


# --- events, search, counts ---------------------------------------------------------------------------------------------


@router.get(f"{V1}/events/lineage", tags=["events"])
async def get_events(
    request: Request,
    window: Paged,
    before: str | None = None,
    after: str | None = None,
    sortDirection: str | None = None,
    namespace: str | None = None,
    job: str | None = None,
    run: str | None = None,
    eventType: str | None = None,
    cursor: str | None = None,
) -> Response:
    """Return run events, newest first.

    Additions to Marquez: `namespace`, `job`, `run`, `eventType` narrow them; `cursor` goes on where the Link header of
    a full page points.
    """
    direction = one_of(sortDirection, "sortDirection", ("DESC", "ASC")) or "DESC"
    async with pool_of(request).acquire() as connection:
        found, following = await events.list_events(
            connection,
            before=_moment(before) or events.LATEST,
            after=_moment(after) or events.EARLIEST,
            ascending=direction == "ASC",
            limit=window.limit,
            offset=window.offset,
            namespace=text_param(namespace),
            job=text_param(job),
            run=run_uuid(run) if run else None,
            event_type=eventType.upper() if eventType else None,
            cursor=read_cursor(cursor, 32),
        )
    return link_next(request, answer(found), following)


def _moment(text: str | None) -> datetime | None:
    try:
        return zoned_time(text) if text else None
    except ValueError as error:
        raise coded(400, f"Parameter is invalid: {error}") from error


@router.get(f"{V1}/search", tags=["search"])
async def get_search(
    request: Request,
    q: str | None = None,
    filter: str | None = None,  # the parameter's name in the API
    sort: str | None = None,
    limit: str | None = None,
    namespace: str | None = None,
    before: str | None = None,
    after: str | None = None,
) -> Response:
    """Return jobs and datasets by a part of their name."""
    if not (q or "").strip():
        raise invalid("query param q must not be blank")
    kind = one_of(filter, "filter", ("DATASET", "JOB"))
    order = one_of(sort, "sort", ("NAME", "UPDATE_AT"))
    async with pool_of(request).acquire() as connection:
        return answer(
            await catalog.search(
                connection,
                text_param(q) or "",
                kind=kind,
                namespace=text_param(namespace),
                before=_day(before, "before"),
                after=_day(after, "after"),
                by_update=order == "UPDATE_AT",
                limit=whole_number(limit, "limit", 10),
            )
        )


def _day(text: str | None, name: str) -> date | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise invalid(f'query param {name} must match "^\\d{{4}}-\\d{{2}}-\\d{{2}}$"')
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise invalid(f"query param {name}: {text} is not a day") from error


@router.get(f"{V1}/stats/{{what}}", tags=["stats"])
async def get_counts(
    request: Request, what: Name, period: str | None = None, timezone: str | None = None
) -> Response:
    """Return counts per hour of a day or per day of a week."""
    if what not in ("lineage-events", "jobs", "datasets", "sources"):
        raise no_such_page()
    if not period:
        raise ApiError(400, "Invalid period")
    chosen = one_of(period, "period", ("DAY", "WEEK")) or "DAY"
    async with pool_of(request).acquire() as connection:
        return answer(await events.counts(connection, what, chosen, timezone or None))


# --- jobs and runs ------------------------------------------------------------------------------------------------------


def _states(given: list[str] | None) -> list[str]:
    # A blank one is no run's state: it lets no job through, and is not as if none were asked for.
    return [one_of(item, "lastRunStates", JobRunStates) or "" for item in given or ()]


States = Annotated[list[str] | None, Query()]


@router.get(f"{V1}/jobs", tags=["jobs"])
async def get_jobs(request: Request, window: Paged, lastRunStates: States = None) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(
            await jobs.list_jobs(connection, None, _states(lastRunStates), window.limit, window.offset)
        )


@router.get(f"{V1}/namespaces/{{namespace}}/jobs", tags=["jobs"])
async def get_namespace_jobs(
    request: Request,
    namespace: Name,
    window: Paged,
    lastRunStates: States = None,
) -> Response:
    async with pool_of(request).acquire() as connection:
        states = _states(lastRunStates)
        return answer(await jobs.list_jobs(connection, namespace, states, window.limit, window.offset))


@router.get(f"{V1}/namespaces/{{namespace}}/jobs/{{job}}", tags=["jobs"])
async def get_job(request: Request, namespace: Name, job: Name) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await jobs.one_job(connection, namespace, job))


@router.delete(f"{V1}/namespaces/{{namespace}}/jobs/{{job}}", tags=["jobs"])
async def delete_job(request: Request, namespace: Name, job: Name) -> Response:
    """Delete a job softly; an event brings it back."""
    async with pool_of(request).acquire() as connection:
        return answer(await jobs.hide_job(connection, namespace, job))


@router.get(f"{V1}/namespaces/{{namespace}}/jobs/{{job}}/versions", tags=["jobs"])
async def get_job_versions(request: Request, namespace: Name, job: Name, window: Paged) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await jobs.job_versions(connection, namespace, job, window.limit, window.offset))


@router.get(f"{V1}/namespaces/{{namespace}}/jobs/{{job}}/versions/{{version}}", tags=["jobs"])
async def get_job_version(request: Request, namespace: Name, job: Name, version: Name) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await jobs.one_job_version(connection, namespace, job, uuid_param(version)))


@router.get(f"{V1}/namespaces/{{namespace}}/jobs/{{job}}/runs", tags=["runs"])
async def get_job_runs(
    request: Request, namespace: Name, job: Name, window: Paged, cursor: str | None = None
) -> Response:
    """Return the runs of a job, newest first; `cursor` goes on where the Link header of a full page points (an addition)."""
    async with pool_of(request).acquire() as connection:
        found, following = await jobs.job_runs(
            connection, namespace, job, window.limit, window.offset, read_cursor(cursor, 16)
        )
    return link_next(request, answer(found), following)


@router.post(f"{V1}/namespaces/{{namespace}}/jobs/{{job}}/tags/{{tag}}", tags=["tags"])
async def add_job_tag(request: Request, namespace: Name, job: Name, tag: Name) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await jobs.tag_job(connection, namespace, job, tag, add=True))


@router.delete(f"{V1}/namespaces/{{namespace}}/jobs/{{job}}/tags/{{tag}}", tags=["tags"])
async def remove_job_tag(request: Request, namespace: Name, job: Name, tag: Name) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await jobs.tag_job(connection, namespace, job, tag, add=False))


@router.get(f"{V1}/jobs/runs/{{run}}", tags=["runs"])
async def get_run(request: Request, run: Name) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await jobs.one_run(connection, uuid_param(run)))


@router.get(f"{V1}/jobs/runs/{{run}}/facets", tags=["runs"])
async def get_run_facets(request: Request, run: Name, type: str | None = None) -> Response:  # the API's name
    """Return the run facets or the job facets that a run's events told."""
    if not type:
        raise invalid("query param type must not be null")
    kind = one_of(type, "type", ("RUN", "JOB", "DATASET")) or "RUN"
    async with pool_of(request).acquire() as connection:
        facets = await jobs.run_facets(connection, uuid_param(run), kind)
    return PlainTextResponse("", media_type="application/json") if facets is None else answer(facets)


# --- datasets -----------------------------------------------------------------------------------------------------------


@router.get(f"{V1}/namespaces/{{namespace}}/datasets", tags=["datasets"])
async def get_datasets(request: Request, namespace: Name, window: Paged) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await datasets.list_datasets(connection, namespace, window.limit, window.offset))


@router.get(f"{V1}/namespaces/{{namespace}}/datasets/{{dataset}}", tags=["datasets"])
async def get_dataset(request: Request, namespace: Name, dataset: Name) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await datasets.one_dataset(connection, namespace, dataset))


@router.delete(f"{V1}/namespaces/{{namespace}}/datasets/{{dataset}}", tags=["datasets"])
async def delete_dataset(request: Request, namespace: Name, dataset: Name) -> Response:
    """Delete a dataset softly; an event brings it back."""
    async with pool_of(request).acquire() as connection:
        return answer(await datasets.hide_dataset(connection, namespace, dataset))


@router.get(f"{V1}/namespaces/{{namespace}}/datasets/{{dataset}}/versions", tags=["datasets"])
async def get_dataset_versions(request: Request, namespace: Name, dataset: Name, window: Paged) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(
            await datasets.dataset_versions(connection, namespace, dataset, window.limit, window.offset)
        )


@router.get(f"{V1}/namespaces/{{namespace}}/datasets/{{dataset}}/versions/{{version}}", tags=["datasets"])
async def get_dataset_version(request: Request, namespace: Name, dataset: Name, version: Name) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await datasets.one_dataset_version(connection, namespace, dataset, uuid_param(version)))


@router.post(f"{V1}/namespaces/{{namespace}}/datasets/{{dataset}}/tags/{{tag}}", tags=["tags"])
async def add_dataset_tag(request: Request, namespace: Name, dataset: Name, tag: Name) -> Response:
    only_json(request)
    async with pool_of(request).acquire() as connection:
        return answer(await datasets.tag_dataset(connection, namespace, dataset, tag, add=True))


@router.delete(f"{V1}/namespaces/{{namespace}}/datasets/{{dataset}}/tags/{{tag}}", tags=["tags"])
async def remove_dataset_tag(request: Request, namespace: Name, dataset: Name, tag: Name) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await datasets.tag_dataset(connection, namespace, dataset, tag, add=False))


@router.post(
    f"{V1}/namespaces/{{namespace}}/datasets/{{dataset}}/fields/{{field}}/tags/{{tag}}", tags=["tags"]
)
async def add_field_tag(request: Request, namespace: Name, dataset: Name, field: Name, tag: Name) -> Response:
    only_json(request)
    async with pool_of(request).acquire() as connection:
        return answer(await datasets.tag_field(connection, namespace, dataset, field, tag, add=True))


@router.delete(
    f"{V1}/namespaces/{{namespace}}/datasets/{{dataset}}/fields/{{field}}/tags/{{tag}}", tags=["tags"]
)
async def remove_field_tag(
    request: Request, namespace: Name, dataset: Name, field: Name, tag: Name
) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await datasets.tag_field(connection, namespace, dataset, field, tag, add=False))


# --- namespaces, sources, tags --------------------------------------------------------------------------------------------


@router.get(f"{V1}/namespaces", tags=["namespaces"])
async def get_namespaces(request: Request, window: Paged) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await catalog.list_namespaces(connection, window.limit, window.offset))


@router.get(f"{V1}/namespaces/{{namespace}}", tags=["namespaces"])
async def get_namespace(request: Request, namespace: Name) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await catalog.one_namespace(connection, namespace))


@router.delete(f"{V1}/namespaces/{{namespace}}", tags=["namespaces"])
async def delete_namespace(request: Request, namespace: Name) -> Response:
    """Hide a namespace, its jobs and datasets; an event brings it back."""
    async with pool_of(request).acquire() as connection:
        return answer(await catalog.hide_namespace(connection, namespace))


@router.get(f"{V1}/sources", tags=["sources"])
async def get_sources(request: Request, window: Paged) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await catalog.list_sources(connection, window.limit, window.offset))


@router.get(f"{V1}/sources/{{source}}", tags=["sources"])
async def get_source(request: Request, source: Name) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await catalog.one_source(connection, source))


@router.get(f"{V1}/tags", tags=["tags"])
async def get_tags(request: Request, window: Paged) -> Response:
    async with pool_of(request).acquire() as connection:
        return answer(await catalog.list_tags(connection, window.limit, window.offset))


router.include_router(legacy_router, prefix=V1)
