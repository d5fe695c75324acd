"""What a commit writes of what a stage made: artifacts, exact inputs, family rows, table versions, transitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from include.ledger.models import Artifact, ArtifactInput, LayerTransition, Made, StageRun, TableVersion
from include.stage.work import Pending, Work, insert_blob

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session


def say_lifecycle(session: Session, work: Work, document: dict[str, Any], made: list[Pending]) -> None:
    """Note on each output what it is to what was there: CREATE, OVERWRITE, or nothing where the same bytes stay."""
    said: dict[str, str] = {}
    for pending in made:
        before = _current_digest(session, work, pending)
        if before is None or before != pending.blob.sha256:
            said[str(pending.artifact_id)] = "CREATE" if before is None else "OVERWRITE"
    for item in document["outputs"]:
        if item["artifact_id"] in said:
            item["lifecycle"] = said[item["artifact_id"]]


def _current_digest(session: Session, work: Work, pending: Pending) -> str | None:
    """Return the digest of what an output takes the place of: a partition's version, or the job's own artifact."""
    query = select(Artifact.sha256)
    if pending.table is not None:
        layer, table, partition = pending.table
        query = query.join(TableVersion, TableVersion.artifact_id == Artifact.artifact_id).where(
            TableVersion.layer == layer,
            TableVersion.table_name == table,
            TableVersion.partition == partition,
            TableVersion.superseded_at.is_(None),
        )
    else:
        query = query.where(
            Artifact.job_id == work.job_id,
            Artifact.kind == pending.kind,
            Artifact.key == pending.key,
            Artifact.superseded_at.is_(None),
        )
    return session.execute(query).scalar_one_or_none()


def finish(session: Session, work: Work, status: str, document: dict[str, Any]) -> None:
    """End the attempt in the ledger with its facts."""
    session.execute(
        update(StageRun)
        .where(StageRun.stage_run_id == work.stage_run_id)
        .values(status=status, facts=document, recipe=work.recipe, finished_at=func.now())
    )


def insert_artifact(session: Session, work: Work, pending: Pending) -> None:
    """Insert an artifact; the job's current one of equal kind and key is superseded."""
    session.execute(insert_blob(pending.blob))
    _supersede(session, work, Artifact.kind == pending.kind, Artifact.key == pending.key)
    if pending.transition_id is not None:
        pending.facts["transition_id"] = str(pending.transition_id)
    session.add(
        Artifact(
            artifact_id=pending.artifact_id,
            job_id=work.job_id,
            sha256=pending.blob.sha256,
            stage_run_id=work.stage_run_id,
            kind=pending.kind,
            key=pending.key,
            namespace=pending.namespace,
            dataset=pending.dataset,
            name=pending.name,
            facts=pending.facts,
            reused_from=pending.reused_from,
        )
    )
    session.flush()


def withdraw(session: Session, work: Work, result: Mapping[str, Any]) -> None:
    """Supersede what earlier attempts of this stage made for this job and this one neither made nor confirmed.

    A table whose refused rows are mended has no quarantine any more, a shorter script no fifth scene: the old one must
    not pass for current.
    """
    if work.rehearsal:
        return
    earlier = select(StageRun.stage_run_id).where(
        StageRun.job_id == work.job_id,
        StageRun.stage == work.stage,
        StageRun.key == work.key,
        StageRun.stage_run_id != work.stage_run_id,
    )
    kept = [*work.confirmed, *(pending.artifact_id for pending in work.pending)]
    _supersede(session, work, Artifact.stage_run_id.in_(earlier), Artifact.artifact_id.not_in(kept))
    if work.declared.fans_out is None:
        return
    field, stage = work.declared.fans_out
    unwanted = select(StageRun.stage_run_id).where(
        StageRun.job_id == work.job_id, StageRun.stage == stage, StageRun.key.not_in(result[field])
    )
    _supersede(session, work, Artifact.stage_run_id.in_(unwanted))


def _supersede(session: Session, work: Work, *which: ColumnElement[bool]) -> None:
    """End that these artifacts of the job are current."""
    session.execute(
        update(Artifact)
        .where(Artifact.job_id == work.job_id, Artifact.superseded_at.is_(None), *which)
        .values(superseded_at=func.now())
    )


def insert_edges(session: Session, work: Work, pending: Pending) -> None:
    """Insert the exact inputs of an artifact."""
    for input_id in dict.fromkeys(pending.inputs):
        session.add(ArtifactInput(artifact_id=pending.artifact_id, input_id=input_id, job_id=work.job_id))
    session.flush()


def insert_rows(session: Session, work: Work, pending: Pending) -> None:
    """Insert family rows: made rows belong to this artifact, shared rows (a trend, a lead) exist once."""
    for row in pending.rows:
        row.job_id = work.job_id  # type: ignore[attr-defined]  # every family table has the column (OfJob)
        if isinstance(row, Made):
            row.stage_run_id = work.stage_run_id
            row.artifact_id = pending.artifact_id
        else:
            values = {
                column.key: getattr(row, column.key)
                for column in type(row).__table__.columns
                if getattr(row, column.key) is not None
            }
            session.execute(upsert(type(row)).values(**values).on_conflict_do_nothing())
    session.add_all([row for row in pending.rows if isinstance(row, Made)])
    session.flush()


def promote(session: Session, work: Work, pending: Pending) -> None:
    """Make a table file the current version of its partition, unless its bytes already are."""
    if pending.table is None or pending.transition_id is None or work.rehearsal:
        return
    layer, table, partition = pending.table
    here = (
        TableVersion.layer == layer,
        TableVersion.table_name == table,
        TableVersion.partition == partition,
    )
    current = session.execute(
        select(Artifact.sha256)
        .join(TableVersion, TableVersion.artifact_id == Artifact.artifact_id)
        .where(*here, TableVersion.superseded_at.is_(None))
    ).scalar_one_or_none()
    if current == pending.blob.sha256:
        return
    newest = session.execute(
        select(func.coalesce(func.max(TableVersion.version), 0)).where(*here)
    ).scalar_one()
    session.execute(
        update(TableVersion)
        .where(*here, TableVersion.superseded_at.is_(None))
        .values(superseded_at=func.now())
    )
    session.add(
        TableVersion(
            layer=layer,
            table_name=table,
            partition=partition,
            version=newest + 1,
            artifact_id=pending.artifact_id,
            stage_run_id=work.stage_run_id,
            transition_id=pending.transition_id,
        )
    )
    session.flush()


def transition_row(work: Work, transition: Any, status: str, errors: list[str]) -> LayerTransition:
    """Return the ledger's row of a transition; the family's dataclass has the same field names."""
    columns = {column.key for column in LayerTransition.__table__.columns} - {"layer_transition_id"}
    values = {name: value for name, value in transition.row().items() if name in columns}
    values |= {"job_id": work.job_id, "stage_run_id": work.stage_run_id, "status": status}
    values["errors"] = errors or values.get("errors", [])
    return LayerTransition(**values)
