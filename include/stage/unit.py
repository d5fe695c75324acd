"""The unit of work: claim, run the body, commit everything it made in one transaction, or nothing.

A claim is a token per (scope, stage, key); only the holder of the newest one commits, so that a late twin of an
attempt leaves no trace. The commit is the only place where an artifact becomes visible.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import OperationalError

from include.artifacts import faults
from include.artifacts.digests import canonical_json, code_digest
from include.artifacts.store import Store, StoredBlob
from include.errors import StaleClaim
from include.ledger.models import (
    Artifact,
    ArtifactInput,
    Base,
    Blob,
    Job,
    LayerTransition,
    Made,
    StageClaim,
    StageRun,
    TableVersion,
)
from include.ledger.session import transaction
from include.lineage.secrets import clean_text, given_to
from include.settings import settings
from include.stage import facts as fact
from include.stage.work import Coordinates, Pending, Reused, SkipStage, Work, insert_blob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Table
    from sqlalchemy.orm import Session

    from include.stage.declared import Stage


@dataclass(frozen=True)
class Outcome:
    """How a stage ended: `status` is succeeded or reused."""

    result: dict[str, Any]
    facts: dict[str, Any]
    status: str


@dataclass(frozen=True)
class Claim:
    """The right to commit one stage, until somebody claims it anew."""

    scope: str
    token: int
    attempt: int


def run_stage(
    stage: Stage,
    *,
    job_id: UUID,
    key: str = "",
    params: Mapping[str, Any] | None = None,
    at: Coordinates | None = None,
    rehearsal: bool = False,
    observe: Callable[[dict[str, Any]], None] = lambda facts: None,
    hide: Callable[[str], str] = lambda text: clean_text(text, given_to(os.environ)),
) -> Outcome:
    """Run one attempt of a stage for a job.

    `observe` receives the facts however the attempt ends, so that a FAIL event can carry them. `hide` takes the secrets
    out of what a failure says: an orchestrator may know more of them than the environment.

    Raises what the body raises, after recording the failure; SkipStage after recording the skip; StaleClaim when a
    newer attempt took over.
    """
    at = at or Coordinates()
    code = code_digest(*stage.places)
    stage_run_id = uuid4()
    claim = _claim(stage, job_id, key, at, stage_run_id, code, rehearsal)
    work = Work(
        stage,
        job_id=job_id,
        key=key,
        params=dict(params or {}),
        at=at,
        store=Store(settings().store),
        stage_run_id=stage_run_id,
        code_digest=code,
        rehearsal=rehearsal,
    )
    work.log.info("stage started", attempt=claim.attempt)
    try:
        outcome = _attempt(stage, work, claim)
    except SkipStage as skip:
        observe(_give_up(work, claim, "skipped", hide(_told(skip))))
        work.log.info("stage skipped", reason=str(skip))
        raise
    except StaleClaim as error:
        observe(_give_up(work, claim, "stale", hide(_told(error))))
        raise
    except BaseException as error:
        kept = _kept(work) if isinstance(error, OperationalError) else None
        if kept is None:
            observe(_give_up(work, claim, "failed", hide(_told(error))))
            work.log.warning("stage failed", error=hide(str(error)))
            raise
        outcome = kept
    observe(outcome.facts)
    faults.reach(stage.name, "committed")
    _project(work, outcome)
    work.log.info(f"stage {outcome.status}", artifacts=len(outcome.facts["outputs"]))
    return outcome


def _attempt(stage: Stage, work: Work, claim: Claim) -> Outcome:
    body = stage.load()
    try:
        result = body(work) or {}
    except Reused as found:
        return _commit_reuse(work, claim, found.stage_run_id)
    return _commit(work, claim, result)


def _claim(
    stage: Stage, job_id: UUID, key: str, at: Coordinates, stage_run_id: UUID, code: str, rehearsal: bool
) -> Claim:
    scope = "lake" if stage.scope == "lake" else str(job_id)
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
                scope="rehearsal" if rehearsal else scope,
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
    return Claim("rehearsal" if rehearsal else scope, token, attempt)


def _hold(session: Session, work: Work, claim: Claim) -> None:
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


def _commit(work: Work, claim: Claim, result: dict[str, Any]) -> Outcome:
    document = fact.document(work, attempt=claim.attempt, status="succeeded", result=result)
    with transaction() as session:
        _hold(session, work, claim)
        _say_lifecycle(session, work, document, work.pending)
        _finish(session, work, "succeeded", document)
        for pending in work.pending:
            _insert_artifact(session, work, pending)
        for pending in work.pending:
            _insert_edges(session, work, pending)
            _insert_rows(session, work, pending)
            _promote(session, work, pending)
        _withdraw(session, work, result)
        session.add_all(work.costs)
        if work.transition_row is not None:
            session.add(_transition_row(work, work.transition_row, "success", []))
    return Outcome(result, document, "succeeded")


def _commit_reuse(work: Work, claim: Claim, stage_run_id: UUID) -> Outcome:
    """Record a finished output as this job's: its own attempt's artifacts again, or a making with `reused_from`."""
    sources = [pending for pending in work.pending if pending.kind == "source"]
    with transaction() as session:
        _hold(session, work, claim)
        old = session.execute(select(StageRun).where(StageRun.stage_run_id == stage_run_id)).scalar_one()
        found = session.execute(
            select(Artifact, Blob)
            .join(Blob)
            .where(Artifact.stage_run_id == stage_run_id, Artifact.kind != "source")
            .order_by(Artifact.created_at, Artifact.kind, Artifact.key)
        ).all()
        own = _own(session, work, [artifact for artifact, _ in found])
        fresh = [] if own is not None else [_making_of(artifact, blob) for artifact, blob in found]
        for artifact, (_, blob) in zip(own or (), found, strict=own is not None):
            work.pending.append(_making_of(artifact, blob, artifact_id=artifact.artifact_id))
        work.pending.extend(fresh)
        result = (old.facts or {}).get("result", {})
        document = fact.document(work, attempt=claim.attempt, status="reused", result=result)
        for item in document["outputs"]:
            item["reused_from"] = str(old.stage_run_id)
        _say_lifecycle(session, work, document, fresh)
        _finish(session, work, "reused", document)
        for pending in [*sources, *fresh]:
            _insert_artifact(session, work, pending)
        by_digest = {item.sha256: item.artifact_id for item in work.read.values()}
        by_digest |= {pending.blob.sha256: pending.artifact_id for pending in fresh}
        for pending in fresh:
            _copy_edges(session, work, pending, by_digest)
            _copy_rows(session, work, pending)
            _promote(session, work, pending)
        _withdraw(session, work, result)
        _copy_transition(session, work, stage_run_id)
    return Outcome(result, document, "reused")


def _kept(work: Work) -> Outcome | None:
    """Return how the ledger says that this attempt ended well: by a commit of which only the answer was lost."""
    with transaction() as session:
        row = session.execute(
            select(StageRun.status, StageRun.facts).where(
                StageRun.stage_run_id == work.stage_run_id, StageRun.status.in_(("succeeded", "reused"))
            )
        ).one_or_none()
    return None if row is None else Outcome(row.facts["result"], row.facts, row.status)


def _own(session: Session, work: Work, found: list[Artifact]) -> list[Artifact] | None:
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


def _say_lifecycle(session: Session, work: Work, document: dict[str, Any], made: list[Pending]) -> None:
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


def _making_of(artifact: Artifact, blob: Blob, artifact_id: UUID | None = None) -> Pending:
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


def _finish(session: Session, work: Work, status: str, document: dict[str, Any]) -> None:
    session.execute(
        update(StageRun)
        .where(StageRun.stage_run_id == work.stage_run_id)
        .values(status=status, facts=document, recipe=work.recipe, finished_at=func.now())
    )


def _insert_artifact(session: Session, work: Work, pending: Pending) -> None:
    session.execute(insert_blob(pending.blob))
    session.execute(
        update(Artifact)
        .where(
            Artifact.job_id == work.job_id,
            Artifact.kind == pending.kind,
            Artifact.key == pending.key,
            Artifact.superseded_at.is_(None),
        )
        .values(superseded_at=func.now())
    )
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


def _withdraw(session: Session, work: Work, result: Mapping[str, Any]) -> None:
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
    session.execute(
        update(Artifact)
        .where(
            Artifact.job_id == work.job_id,
            Artifact.stage_run_id.in_(earlier),
            Artifact.superseded_at.is_(None),
            Artifact.artifact_id.not_in(
                [*work.confirmed, *(pending.artifact_id for pending in work.pending)]
            ),
        )
        .values(superseded_at=func.now())
    )
    if work.declared.fans_out is None:
        return
    field, stage = work.declared.fans_out
    unwanted = select(StageRun.stage_run_id).where(
        StageRun.job_id == work.job_id, StageRun.stage == stage, StageRun.key.not_in(result[field])
    )
    session.execute(
        update(Artifact)
        .where(
            Artifact.job_id == work.job_id,
            Artifact.stage_run_id.in_(unwanted),
            Artifact.superseded_at.is_(None),
        )
        .values(superseded_at=func.now())
    )


def _insert_edges(session: Session, work: Work, pending: Pending) -> None:
    for input_id in dict.fromkeys(pending.inputs):
        session.add(ArtifactInput(artifact_id=pending.artifact_id, input_id=input_id, job_id=work.job_id))
    session.flush()


def _copy_edges(session: Session, work: Work, pending: Pending, by_digest: Mapping[str, UUID]) -> None:
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


def _insert_rows(session: Session, work: Work, pending: Pending) -> None:
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


def _copy_rows(session: Session, work: Work, pending: Pending) -> None:
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


def _promote(session: Session, work: Work, pending: Pending) -> None:
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


def _transition_row(work: Work, transition: Any, status: str, errors: list[str]) -> LayerTransition:
    """Return the ledger's row of a transition; the family's dataclass has the same field names."""
    columns = {column.key for column in LayerTransition.__table__.columns} - {"layer_transition_id"}
    values = {name: value for name, value in transition.row().items() if name in columns}
    values |= {"job_id": work.job_id, "stage_run_id": work.stage_run_id, "status": status}
    values["errors"] = errors or values.get("errors", [])
    return LayerTransition(**values)


def _copy_transition(session: Session, work: Work, old_run: UUID) -> None:
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


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _give_up(work: Work, claim: Claim, status: str, error: str) -> dict[str, Any]:
    """Record that the attempt made nothing; return the facts of what it read and was about to make."""
    document = fact.document(work, attempt=claim.attempt, status=status, result={}, made=False)
    document["error"] = error
    with transaction() as session:
        ended = session.execute(
            update(StageRun)
            .where(StageRun.stage_run_id == work.stage_run_id, StageRun.status == "running")
            .values(status=status, facts=document, finished_at=func.now(), error=document["error"])
            .returning(StageRun.stage_run_id)
        ).scalar_one_or_none()
        # It may have ended otherwise: a newer attempt ends those that are under way.
        if ended is not None and status == "failed" and work.transition_row is not None:
            session.add(_transition_row(work, work.transition_row, "failed", [document["error"]]))
    return document


def _project(work: Work, outcome: Outcome) -> None:
    """Make the friendly paths and the catalogue's copy of a transition; the ledger can rebuild both."""
    if work.rehearsal:
        return
    for pending in work.pending:
        if pending.table is not None:
            layer, table, partition = pending.table
            name = pending.transition_id or pending.blob.sha256
            work.store.link(pending.blob.path, f"lake/{layer}/{table}/{partition}/{name}.parquet")
        work.store.link(pending.blob.path, f"out/{work.job_id}/{pending.name}")
    transition = work.transition_row
    if transition is not None and outcome.status == "succeeded":
        content = {
            **transition.row(),
            "job_id": work.job_id,
            "stage_run_id": work.stage_run_id,
            "status": "success",
        }
        work.store.project(f"catalog/lineage/{transition.transition_id}.json", canonical_json(content))
