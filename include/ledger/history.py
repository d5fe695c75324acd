"""What the ledger knows of a job or an artifact, as plain JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from include.errors import UnknownJob
from include.ledger.models import Artifact, ArtifactInput, Blob, Cost, Job, JobRun, ReviewDecision, StageRun
from include.ledger.validity import current as current_at
from include.ledger.validity import existed

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session


def job_history(session: Session, job_id: UUID) -> dict[str, Any]:
    """Return one job with its DAG runs, stage runs, current artifacts (with exact inputs), decisions and costs.

    Keys: job, runs, stages, artifacts, decisions, costs. Times are ISO 8601 in UTC, amounts decimal strings.

    Raises UnknownJob.
    """
    job = session.get(Job, job_id)
    if job is None:
        raise UnknownJob(f"job {job_id}: the ledger has no such job")
    return {
        "job": _plain(job, "job_id family status stage theme params rehearsal created_at finished_at error"),
        "runs": [
            _plain(run, "dag_id run_id status started_at finished_at error")
            for run in session.scalars(
                select(JobRun).where(JobRun.job_id == job_id).order_by(JobRun.started_at)
            )
        ],
        "stages": [
            _plain(
                run,
                "stage_run_id family stage key attempt status dag_id run_id task_id map_index try_number "
                "ol_run_id started_at finished_at error",
            )
            for run in session.scalars(
                select(StageRun)
                .where(StageRun.job_id == job_id)
                .order_by(StageRun.started_at, StageRun.stage_run_id)
            )
        ],
        "artifacts": artifacts_of(session, job_id),
        "decisions": [
            _plain(decision, "decision reviewer unattended reason video_sha256 decided_at")
            for decision in session.scalars(
                select(ReviewDecision)
                .where(ReviewDecision.job_id == job_id)
                .order_by(ReviewDecision.decided_at)
            )
        ],
        "costs": [
            _plain(cost, "provider model unit quantity amount_usd stage_run_id")
            for cost in session.scalars(select(Cost).where(Cost.job_id == job_id).order_by(Cost.created_at))
        ],
    }


def artifacts_of(
    session: Session, job_id: UUID, *, current: bool = True, as_of: datetime | None = None
) -> list[dict[str, Any]]:
    """Return a job's artifacts with blob, stage and exact inputs, in the order they were made.

    `as_of` asks for those of an earlier moment; without `current`, also for what was superseded by then.
    """
    query = (
        select(Artifact, Blob, StageRun)
        .join(Blob, Blob.sha256 == Artifact.sha256)
        .join(StageRun, StageRun.stage_run_id == Artifact.stage_run_id)
        .where(Artifact.job_id == job_id, current_at(as_of) if current else existed(as_of))
        .order_by(Artifact.created_at, Artifact.kind, Artifact.key)
    )
    edges: dict[UUID, list[dict[str, str]]] = {}
    for artifact_id, input_id, sha256, kind, key in session.execute(
        select(
            ArtifactInput.artifact_id, ArtifactInput.input_id, Artifact.sha256, Artifact.kind, Artifact.key
        )
        .join(Artifact, Artifact.artifact_id == ArtifactInput.input_id)
        .where(ArtifactInput.job_id == job_id)
        .order_by(Artifact.kind, Artifact.key)
    ):
        edges.setdefault(artifact_id, []).append(
            {"artifact_id": str(input_id), "sha256": sha256, "kind": kind, "key": key}
        )
    return [
        {
            **_plain(
                artifact, "artifact_id job_id kind key namespace dataset name sha256 reused_from created_at"
            ),
            **_plain(blob, "size_bytes media_type path"),
            "stage": run.stage,
            "stage_run_id": str(run.stage_run_id),
            "ol_run_id": str(run.ol_run_id) if run.ol_run_id else None,
            "dag_id": run.dag_id,
            "task_id": run.task_id,
            "run_id": run.run_id,
            "inputs": edges.get(artifact.artifact_id, []),
        }
        for artifact, blob, run in session.execute(query)
    ]


def _plain(row: Any, names: str) -> dict[str, Any]:
    return {name: _json(getattr(row, name)) for name in names.split()}


def _json(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool | dict | list):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
