"""Everything downstream of a dataset, a file, an artifact or a job, down to files: what to recall when it was wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from include.ledger.models import Artifact, Blob, Job, StageRun
from include.ledger.validity import current
from include.proof.walk import reach

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from include.proof.target import Target


@dataclass(frozen=True)
class Affected:
    """One artifact on the way down. `size_bytes` in bytes, times in UTC.

    `file` is relative to the store: the friendly path while it leads to these bytes, else their address. `is_current`
    is judged at the moment that was asked about.
    """

    artifact_id: UUID
    job_id: UUID
    family: str
    theme: str | None
    rehearsal: bool
    kind: str
    key: str
    namespace: str
    dataset: str
    file: str
    sha256: str
    size_bytes: int
    stage: str
    dag_id: str | None
    task_id: str | None
    reused_from: UUID | None
    created_at: datetime
    superseded_at: datetime | None
    is_current: bool


@dataclass(frozen=True)
class Impact:
    """What a target meant (`roots`), and everything made from that (`affected`), by job, dataset and key."""

    roots: tuple[Affected, ...]
    affected: tuple[Affected, ...]

    def by_job(self) -> list[tuple[UUID, list[tuple[str, list[Affected]]]]]:
        """Return the affected artifacts by job, the oldest first, and in a job by dataset."""
        jobs: dict[UUID, dict[str, list[Affected]]] = {}
        for item in self.affected:
            jobs.setdefault(item.job_id, {}).setdefault(item.dataset, []).append(item)
        return [(job_id, list(datasets.items())) for job_id, datasets in jobs.items()]


def impact(
    session: Session, target: Target, *, as_of: datetime | None = None, only_current: bool = False
) -> Impact:
    """Return all that was made from a target by a moment, by default by now, along exact inputs and reuse.

    `only_current` leaves out of the affected what was superseded by then; the walk still leads through it. One
    statement.
    """
    roots = target.artifacts(as_of)
    reached = reach(roots, backwards=False, as_of=as_of)
    rows = session.execute(
        select(
            Artifact.artifact_id,
            Artifact.job_id,
            Job.family,
            Job.theme,
            Job.rehearsal,
            Artifact.kind,
            Artifact.key,
            Artifact.namespace,
            Artifact.dataset,
            Artifact.name,
            Blob.path,
            Artifact.sha256,
            Blob.size_bytes,
            StageRun.stage,
            StageRun.dag_id,
            StageRun.task_id,
            Artifact.reused_from,
            Artifact.created_at,
            Artifact.superseded_at,
            current(as_of).label("is_current"),
            Artifact.artifact_id.in_(roots).label("is_root"),
        )
        .join(reached, reached.c.artifact_id == Artifact.artifact_id)
        .join(Blob, Blob.sha256 == Artifact.sha256)
        .join(StageRun, StageRun.stage_run_id == Artifact.stage_run_id)
        .join(Job, Job.job_id == Artifact.job_id)
        .order_by(
            Job.created_at,
            Job.job_id,
            Artifact.dataset,
            Artifact.key,
            Artifact.created_at,
            Artifact.artifact_id,
        )
    )
    roots_found: list[Affected] = []
    affected: list[Affected] = []
    for row in rows:
        if only_current and not (row.is_root or row.is_current):
            continue
        found = Affected(
            row.artifact_id,
            row.job_id,
            row.family,
            row.theme,
            row.rehearsal,
            row.kind,
            row.key,
            row.namespace,
            row.dataset,
            file_of(row.job_id, row.name, row.path, row.rehearsal, row.superseded_at),
            row.sha256,
            row.size_bytes,
            row.stage,
            row.dag_id,
            row.task_id,
            row.reused_from,
            row.created_at,
            row.superseded_at,
            row.is_current,
        )
        (roots_found if row.is_root else affected).append(found)
    return Impact(tuple(roots_found), tuple(affected))


def file_of(job_id: UUID, name: str, path: str, rehearsal: bool, superseded_at: datetime | None) -> str:
    """Return where a person finds an artifact below the store: links lead to what is current now, addresses stay.

    >>> from uuid import UUID
    >>> file_of(UUID(int=1), "video.mp4", "blobs/ab/ab12.mp4", False, None)
    'out/00000000-0000-0000-0000-000000000001/video.mp4'
    """
    return path if rehearsal or superseded_at is not None else f"out/{job_id}/{name}"


def jobs_of(items: Iterable[Affected]) -> int:
    """Return how many jobs the artifacts belong to."""
    return len({item.job_id for item in items})
