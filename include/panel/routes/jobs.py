"""The list of jobs, a job's page, and the way from a DAG run to its job."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from include.errors import UnknownJob
from include.ledger.history import job_history
from include.ledger.models import Artifact, Event, Job, JobRun
from include.ledger.models.core import JOB_STATES
from include.marquez.client import identity
from include.panel.access import Reader, ReaderDep
from include.panel.job_graph import job_graph
from include.panel.pages import Place, render
from include.panel.reading import LedgerDep
from include.proof.drawing.layout import draw
from include.settings import settings

router = APIRouter()

PAGE = 25


@dataclass(frozen=True)
class JobRow:
    """One line of the list of jobs."""

    job_id: UUID
    family: str
    status: str
    stage: str | None
    theme: str | None
    rehearsal: bool
    created_at: datetime
    finished_at: datetime | None
    artifacts: int


@router.get("/")
def list_jobs(
    request: Request,
    ledger: LedgerDep,
    reader: ReaderDep,
    status: str = "",
    family: str = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    """Show the newest jobs, which lineage server answers, and how many events wait for it."""
    server = identity()  # before the first question to the ledger: nobody waits with a connection in hand
    families = reader.readable(ledger.scalars(select(Job.family).distinct().order_by(Job.family)))
    rows = _jobs(ledger, families, status=status, family=family, page=page)
    waiting, dead = ledger.execute(
        select(
            func.count().filter(Event.dead_at.is_(None)), func.count().filter(Event.dead_at.is_not(None))
        ).where(Event.delivered_at.is_(None))
    ).one()
    return render(
        request,
        "jobs",
        rows=rows[:PAGE],
        more=len(rows) > PAGE,
        page=page,
        status=status,
        family=family,
        states=JOB_STATES,
        families=families,
        server=server,
        waiting=waiting,
        dead=dead,
    )


def _jobs(ledger: Session, families: list[str], *, status: str, family: str, page: int) -> list[JobRow]:
    count = (
        select(func.count())
        .where(Artifact.job_id == Job.job_id, Artifact.superseded_at.is_(None))
        .correlate(Job)
        .scalar_subquery()
    )
    query = select(Job, count).where(Job.family.in_(families))
    if status:
        query = query.where(Job.status == status)
    if family:
        query = query.where(Job.family == family)
    query = query.order_by(Job.created_at.desc(), Job.job_id).limit(PAGE + 1).offset((page - 1) * PAGE)
    return [
        JobRow(
            job.job_id,
            job.family,
            job.status,
            job.stage,
            job.theme,
            job.rehearsal,
            job.created_at,
            job.finished_at,
            artifacts,
        )
        for job, artifacts in ledger.execute(query)
    ]


@router.get("/jobs/{job_id}")
def show_job(request: Request, ledger: LedgerDep, reader: ReaderDep, job_id: UUID) -> Response:
    """Show one job: its runs, stages, artifacts, decisions, costs and the exact edges between its artifacts."""
    history = readable_history(ledger, reader, job_id)
    job, artifacts = history["job"], history["artifacts"]
    place = Place(str(request.scope.get("root_path", "")))
    picture = job_graph(artifacts, place)
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for artifact in artifacts:
        by_kind.setdefault(artifact["kind"], []).append(artifact)
    current = {artifact["stage_run_id"] for artifact in artifacts}
    return render(
        request,
        "job",
        job=job,
        runs=history["runs"],
        stages=history["stages"],
        artifacts=artifacts,
        decisions=history["decisions"],
        costs=history["costs"],
        spent=sum((Decimal(cost["amount_usd"]) for cost in history["costs"]), Decimal(0)),
        unreadable=history["unreadable"],
        current=current,
        videos=[found for found in by_kind.get("video", []) if found["media_type"] == "video/mp4"],
        pictures=[
            found
            for kind in ("thumbnail", "review")
            for found in by_kind.get(kind, [])
            if found["media_type"] == "image/png"
        ],
        poster=next(iter(by_kind.get("thumbnail", [])), None),
        reports=[found for found in artifacts if found["media_type"] == "application/pdf"],
        namespace=settings().namespace,
        graph=picture,
        drawing=draw(picture),
    )


def readable_history(ledger: Session, reader: Reader, job_id: UUID) -> dict[str, Any]:
    """Return a job's history without what DAGs made that the reader may not read; 404 where he may not know it."""
    try:
        history = job_history(ledger, job_id)
    except UnknownJob as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such job.") from error
    family = history["job"]["family"]
    if not reader.may_read(family):
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such job.")
    left_out = 0
    for part in ("runs", "stages", "artifacts"):
        kept = [row for row in history[part] if reader.may_read(row["dag_id"] or family)]
        left_out += len(history[part]) - len(kept)
        history[part] = kept
    stages = {stage["stage_run_id"] for stage in history["stages"]}
    history["costs"] = [cost for cost in history["costs"] if cost["stage_run_id"] in stages]
    history["unreadable"] = left_out
    return history


@router.get("/run")
def find_job_of_run(
    ledger: LedgerDep, reader: ReaderDep, request: Request, dag_id: str, run_id: str
) -> Response:
    """Lead from a DAG run to the page of the job it worked for."""
    run = ledger.get(JobRun, (dag_id, run_id))
    if run is None or not reader.may_read(run.dag_id):
        raise HTTPException(
            HTTPStatus.NOT_FOUND,
            "This DAG run has no job: it has not opened one yet, or its DAG is none of Throughline's.",
        )
    place = Place(str(request.scope.get("root_path", "")))
    return RedirectResponse(place.job(run.job_id), HTTPStatus.SEE_OTHER)
