"""What a commit writes of a finished output that is reused: this job's own again, or a making that points at the other job's."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from include.artifacts.store import StoredBlob
from include.ledger.models import Artifact, ArtifactInput, Base, Blob, LayerTransition, Made, StageRun
from include.stage.work import Pending, Work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Table
    from sqlalchemy.orm import Session


def own_of(session: Session, work: Work, found: list[Artifact]) -> list[Artifact] | None:
    """Return what this job has of each of these, made or reused by this stage of the same recipe; None unless it has all."""
    rows = session.execute(
        select(Artifact)
        .join(StageRun, StageRun.stage_run_id == Artifact.stage_run_id)
        .where(
            Artifact.job_id == work.job_id,
            Artifact.superseded_at.is_(None),
            StageRun.stage == work.stage,
            StageRun.key == work.key,
            StageRun.recipe == work.recipe,
        )
    ).scalars()
    held = {(artifact.kind, artifact.key, artifact.sha256): artifact for artifact in rows}
    own = [held[place] for one in found if (place := (one.kind, one.key, one.sha256)) in held]
    return own if len(own) == len(found) else None


def making_of(artifact: Artifact, blob: Blob, artifact_id: UUID | None = None) -> Pending:
    """Return a finished artifact as something to be recorded: itself, or without an id a new making of the same bytes."""
    pending = Pending(
        artifact_id or uuid4(),
        StoredBlob(blob.sha256, blob.size_bytes, blob.media_type, blob.path),
        artifact.kind,
        artifact.key,
        artifact.namespace,
        artifact.dataset,
        artifact.name,
        dict(artifact.facts),
        (),
        (),
        reused_from=None if artifact_id else artifact.artifact_id,
    )
    if artifact.kind == "table":
        layer, table, partition = artifact.key.split("/", 2)
        pending.table = (layer, table, partition)
        pending.transition_id = (
            UUID(artifact.facts["transition_id"]) if "transition_id" in artifact.facts else None
        )
    return pending


def copy_edges(session: Session, work: Work, pending: Pending, by_digest: Mapping[str, UUID]) -> None:
    """Point the new making at this job's own inputs; with the digests of the old making's, or all it read."""
    edges = session.execute(
        select(Artifact.artifact_id, Artifact.sha256)
        .join(ArtifactInput, ArtifactInput.input_id == Artifact.artifact_id)
        .where(ArtifactInput.artifact_id == pending.reused_from)
    ).all()
    known = [by_digest[sha256] for _, sha256 in edges if sha256 in by_digest]
    if len(known) < len(edges):  # an input that did not decide the bytes has others in this job
        known = [item.artifact_id for item in work.read.values()]
    for input_id in dict.fromkeys(known):
        session.add(ArtifactInput(artifact_id=pending.artifact_id, input_id=input_id, job_id=work.job_id))
    session.flush()


def copy_rows(session: Session, work: Work, pending: Pending) -> None:
    """Give the new making the family rows of the old one."""
    for mapper in Base.registry.mappers:
        if not issubclass(mapper.class_, Made):
            continue
        table = cast("Table", mapper.local_table)
        key = {column.key for column in table.primary_key}
        for old in session.execute(
            select(table).where(table.c.artifact_id == pending.reused_from)
        ).mappings():
            kept = {name: value for name, value in old.items() if name not in key}
            kept |= {
                "job_id": work.job_id,
                "stage_run_id": work.stage_run_id,
                "artifact_id": pending.artifact_id,
            }
            session.execute(upsert(mapper.class_).values(**kept))


def copy_transition(session: Session, work: Work, old_run: UUID) -> None:
    """Give this attempt the transition of the run that made what it reuses, if that has one."""
    old = (
        session.execute(select(LayerTransition.__table__).where(LayerTransition.stage_run_id == old_run))
        .mappings()
        .one_or_none()
    )
    if old is None:
        return
    values = {
        name: value for name, value in old.items() if name not in ("layer_transition_id", "completed_at")
    }
    values |= {"job_id": work.job_id, "stage_run_id": work.stage_run_id}
    session.execute(upsert(LayerTransition).values(**values))
