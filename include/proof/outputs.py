"""The outputs of a job as of a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from include.errors import InvalidInput, UnknownJob
from include.ledger.history import artifacts_of
from include.ledger.models import Artifact, Job
from include.proof.impact import file_of

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session


def outputs_at(session: Session, job_id: UUID, as_of: datetime) -> dict[str, Any]:
    """Return the artifacts of a job that were current at a moment, each with where its bytes are found today.

    Keys: as_of, job (what never changes of it), artifacts (as `include.ledger.history.artifacts_of`, and `file`). The
    state of a job is not among them: the ledger keeps only its newest.

    Raises UnknownJob, and InvalidInput for a moment before the job was opened.
    """
    job = session.get(Job, job_id)
    if job is None:
        raise UnknownJob(f"job {job_id}: the ledger has no such job")
    if job.created_at > as_of:
        raise InvalidInput(
            f"job {job_id} was opened at {job.created_at.isoformat()}, after {as_of.isoformat()}"
        )
    artifacts = artifacts_of(session, job_id, as_of=as_of)
    ends = dict(
        session.execute(
            select(Artifact.artifact_id, Artifact.superseded_at).where(Artifact.job_id == job_id)
        ).all()
    )
    for item in artifacts:
        end = ends[UUID(item["artifact_id"])]
        item["file"] = file_of(job_id, item["name"], item["path"], job.rehearsal, end)
        item["superseded_at"] = end.isoformat() if end else None
    return {
        "as_of": as_of.isoformat(),
        "job": {
            "job_id": str(job.job_id),
            "family": job.family,
            "theme": job.theme,
            "created_at": job.created_at.isoformat(),
        },
        "artifacts": artifacts,
    }
