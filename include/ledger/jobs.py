"""Opening and closing jobs: the one identity that every run, row and file names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from include.errors import UnknownJob
from include.ledger.models import Job, JobRun

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

ENDED = ("completed", "rejected", "failed")


def open_job(
    session: Session,
    *,
    derived: UUID,
    given: UUID | None,
    dag_id: str,
    run_id: str,
    params: dict[str, Any],
    theme: str | None = None,
    rehearsal: bool = False,
) -> UUID:
    """Insert or find the job of a DAG run and note the run; return its id.

    `derived` is the run's own id, used when none is given: a retry finds the job its first try opened. An ended job
    that is opened again (a cleared run) is running again.

    Raises UnknownJob when the given id has no job.
    """
    job_id = given or derived
    if given is not None:
        exists = session.execute(select(Job.job_id).where(Job.job_id == given)).scalar_one_or_none()
        if exists is None:
            raise UnknownJob(
                f"job_id {given}: the ledger has no such job; leave job_id empty to open a new one, "
                "or take one from `throughline jobs`"
            )
    session.execute(
        upsert(Job)
        .values(
            job_id=job_id, family=dag_id, status="running", params=params, theme=theme, rehearsal=rehearsal
        )
        .on_conflict_do_nothing()
    )
    own = Job.family == dag_id
    session.execute(update(Job).where(Job.job_id == job_id, own).values(params=params, theme=theme))
    session.execute(
        update(Job)
        .where(Job.job_id == job_id)
        .values(status="running", finished_at=None, error=None, updated_at=func.now())
    )
    noted = upsert(JobRun).values(job_id=job_id, dag_id=dag_id, run_id=run_id, status="running")
    session.execute(
        noted.on_conflict_do_update(
            index_elements=["dag_id", "run_id"],
            set_={"job_id": job_id, "status": "running", "finished_at": None, "error": None},
        )
    )
    return job_id


def close_job(
    session: Session, job_id: UUID, *, dag_id: str, run_id: str, status: str, error: str | None = None
) -> None:
    """Note how a run ended; the job ends with the run of the DAG that opened it, and with any failure."""
    session.execute(
        update(JobRun)
        .where(JobRun.dag_id == dag_id, JobRun.run_id == run_id)
        .values(status=status, finished_at=func.now(), error=error)
    )
    family = session.execute(select(Job.family).where(Job.job_id == job_id)).scalar_one()
    if family == dag_id or status == "failed":
        session.execute(
            update(Job)
            .where(Job.job_id == job_id)
            .values(status=status, finished_at=func.now(), error=error, updated_at=func.now())
        )


def refuse_run(session: Session, derived: UUID, *, dag_id: str, run_id: str, error: str) -> None:
    """Record a run that was refused before it had a job: the run's own job, failed, with the reason."""
    session.execute(
        upsert(Job).values(job_id=derived, family=dag_id, status="failed").on_conflict_do_nothing()
    )
    session.execute(
        update(Job)
        .where(Job.job_id == derived)
        .values(status="failed", error=error, finished_at=func.now(), updated_at=func.now())
    )
    noted = upsert(JobRun).values(
        job_id=derived, dag_id=dag_id, run_id=run_id, status="failed", error=error, finished_at=func.now()
    )
    session.execute(
        noted.on_conflict_do_update(
            index_elements=["dag_id", "run_id"], set_={"job_id": derived, "status": "failed", "error": error}
        )
    )
