"""Whether a job may call itself completed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from include.artifacts.store import Store
from include.errors import ArtifactCorrupt
from include.ledger.models import Artifact, Blob, ReviewDecision
from include.settings import settings

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session


def missing_of(session: Session, job_id: UUID, kinds: tuple[str, ...]) -> list[str]:
    """Return one sentence per required artifact that is not there or whose bytes do not verify."""
    store = Store(settings().store)
    problems = []
    for kind in kinds:
        rows = session.execute(
            select(Blob.path, Blob.sha256)
            .join(Artifact, Artifact.sha256 == Blob.sha256)
            .where(Artifact.job_id == job_id, Artifact.kind == kind, Artifact.superseded_at.is_(None))
        ).all()
        if not rows:
            problems.append(f"no {kind} was made")
        for path, sha256 in rows:
            try:
                store.open(path, sha256)
            except ArtifactCorrupt as error:
                problems.append(str(error))
    return problems


def rejected(session: Session, job_id: UUID) -> bool:
    """Return whether the newest review decision of the job is a rejection."""
    newest = session.execute(
        select(ReviewDecision.decision)
        .where(ReviewDecision.job_id == job_id)
        .order_by(ReviewDecision.decided_at.desc())
        .limit(1)
    ).scalar_one_or_none()
    return newest == "rejected"
