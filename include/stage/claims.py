"""Claims: a token per (scope, stage, key); only the holder of the newest one commits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from include.errors import StaleClaim
from include.ledger.models import Job, StageClaim, StageRun
from include.ledger.session import transaction

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from include.stage.declared import Stage
    from include.stage.work import Coordinates, Work


@dataclass(frozen=True)
class Claim:
    """The right to commit one stage, until somebody claims it anew."""

    scope: str
    token: int
    attempt: int


def take_claim(
    stage: Stage, job_id: UUID, key: str, at: Coordinates, stage_run_id: UUID, code: str, rehearsal: bool
) -> Claim:
    """Claim a stage for a new attempt and note that it runs; an attempt that is under way is stale from now on.

    A rehearsal claims nothing: nobody else reads what it makes.
    """
    shared = "lake" if stage.scope == "lake" else str(job_id)
    scope = "rehearsal" if rehearsal else shared
    with transaction() as session:
        token, attempt = 0, 1
        if not rehearsal:
            claimed = upsert(StageClaim).values(
                scope=scope, stage=stage.name, key=key, token=1, attempts=1, job_id=job_id
            )
            claiming = claimed.on_conflict_do_update(
                index_elements=["scope", "stage", "key"],
                set_={
                    "token": StageClaim.token + 1,
                    # attempts count within a job: another job's work on the same partition starts anew
                    "attempts": func.coalesce(
                        select(StageClaim.attempts + 1)
                        .where(
                            StageClaim.scope == scope,
                            StageClaim.stage == stage.name,
                            StageClaim.key == key,
                            StageClaim.job_id == job_id,
                        )
                        .scalar_subquery(),
                        1,
                    ),
                    "job_id": job_id,
                    "claimed_at": func.now(),
                },
            ).returning(StageClaim.token, StageClaim.attempts)
            token, attempt = session.execute(claiming).one()
            session.execute(
                update(StageRun)
                .where(
                    StageRun.scope == scope,
                    StageRun.stage == stage.name,
                    StageRun.key == key,
                    StageRun.status == "running",
                )
                .values(status="stale", finished_at=func.now(), error=f"taken over by attempt {attempt}")
            )
        session.execute(
            update(Job).where(Job.job_id == job_id).values(stage=stage.name, updated_at=func.now())
        )
        session.add(
            StageRun(
                stage_run_id=stage_run_id,
                job_id=job_id,
                scope=scope,
                family=stage.family,
                stage=stage.name,
                key=key,
                attempt=attempt,
                claim_token=token,
                code_digest=code,
                ol_run_id=at.ol_run_id,
                ol_job_name=f"{at.dag_id or stage.family}.{at.task_id or stage.name}",
                dag_id=at.dag_id,
                run_id=at.run_id,
                task_id=at.task_id,
                map_index=at.map_index,
                try_number=at.try_number,
            )
        )
    return Claim(scope, token, attempt)


def hold(session: Session, work: Work, claim: Claim) -> None:
    """Lock the claim for this transaction; StaleClaim when it is no longer ours."""
    if work.rehearsal:
        return
    held = session.execute(
        select(StageClaim.token)
        .where(StageClaim.scope == claim.scope, StageClaim.stage == work.stage, StageClaim.key == work.key)
        .with_for_update()
    ).scalar_one()
    if held != claim.token:
        raise StaleClaim(
            f"{work.stage} {work.key!r}: attempt {claim.attempt} was taken over by a newer one; nothing is kept"
        )
