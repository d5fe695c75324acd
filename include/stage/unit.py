"""The unit of work: claim, run the body, commit everything it made in one transaction, or nothing.

A claim is a token per (scope, stage, key); only the holder of the newest one commits, so that a late twin of an
attempt leaves no trace. The commit is the only place where an artifact becomes visible.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from include.artifacts import faults
from include.artifacts.digests import canonical_json, code_digest
from include.artifacts.store import Store
from include.errors import StaleClaim
from include.ledger.models import Artifact, Blob, StageRun
from include.ledger.session import transaction
from include.lineage.secrets import clean_text, given_to
from include.settings import settings
from include.stage import facts as fact
from include.stage.claims import Claim, hold, take_claim
from include.stage.recording import (
    finish,
    insert_artifact,
    insert_edges,
    insert_rows,
    promote,
    say_lifecycle,
    transition_row,
    withdraw,
)
from include.stage.reuse import copy_edges, copy_rows, copy_transition, making_of, own_of
from include.stage.work import Coordinates, Reused, SkipStage, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from include.stage.declared import Stage


@dataclass(frozen=True)
class Outcome:
    """How a stage ended: `status` is succeeded or reused."""

    result: dict[str, Any]
    facts: dict[str, Any]
    status: str


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
    claim = take_claim(stage, job_id, key, at, stage_run_id, code, rehearsal)
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


def _commit(work: Work, claim: Claim, result: dict[str, Any]) -> Outcome:
    document = fact.document(work, attempt=claim.attempt, status="succeeded", result=result)
    with transaction() as session:
        hold(session, work, claim)
        say_lifecycle(session, work, document, work.pending)
        finish(session, work, "succeeded", document)
        for pending in work.pending:
            insert_artifact(session, work, pending)
        for pending in work.pending:
            insert_edges(session, work, pending)
            insert_rows(session, work, pending)
            promote(session, work, pending)
        withdraw(session, work, result)
        session.add_all(work.costs)
        if work.transition_row is not None:
            session.add(transition_row(work, work.transition_row, "success", []))
    return Outcome(result, document, "succeeded")


def _commit_reuse(work: Work, claim: Claim, stage_run_id: UUID) -> Outcome:
    """Record a finished output as this job's: its own attempt's artifacts again, or a making with `reused_from`."""
    sources = [pending for pending in work.pending if pending.kind == "source"]
    with transaction() as session:
        hold(session, work, claim)
        old = session.execute(select(StageRun).where(StageRun.stage_run_id == stage_run_id)).scalar_one()
        found = session.execute(
            select(Artifact, Blob)
            .join(Blob)
            .where(Artifact.stage_run_id == stage_run_id, Artifact.kind != "source")
            .order_by(Artifact.created_at, Artifact.kind, Artifact.key)
        ).all()
        mine = own_of(session, work, [artifact for artifact, _ in found])
        fresh = [] if mine is not None else [making_of(artifact, blob) for artifact, blob in found]
        for artifact, (_, blob) in zip(mine or (), found, strict=mine is not None):
            work.pending.append(making_of(artifact, blob, artifact_id=artifact.artifact_id))
        work.pending.extend(fresh)
        result = (old.facts or {}).get("result", {})
        document = fact.document(work, attempt=claim.attempt, status="reused", result=result)
        for item in document["outputs"]:
            item["reused_from"] = str(old.stage_run_id)
        say_lifecycle(session, work, document, fresh)
        finish(session, work, "reused", document)
        for pending in [*sources, *fresh]:
            insert_artifact(session, work, pending)
        by_digest = {item.sha256: item.artifact_id for item in work.read.values()}
        by_digest |= {pending.blob.sha256: pending.artifact_id for pending in fresh}
        for pending in fresh:
            copy_edges(session, work, pending, by_digest)
            copy_rows(session, work, pending)
            promote(session, work, pending)
        withdraw(session, work, result)
        copy_transition(session, work, stage_run_id)
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
            session.add(transition_row(work, work.transition_row, "failed", [document["error"]]))
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
