"""Jobs, the stage runs that worked for them, the artifacts they made, and the exact inputs of each."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from include.ledger.models.declarative import Base, OfJob, now_column, row_id

JOB_STATES = ("announced", "running", "completed", "rejected", "failed")
STAGE_STATES = ("running", "succeeded", "reused", "skipped", "failed", "stale")


class Job(Base):
    """One piece of work under one identity; several DAG runs may have worked for it."""

    __tablename__ = "job"
    __table_args__ = (CheckConstraint(f"status IN {JOB_STATES}", name="status"),)

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    family: Mapped[str]
    status: Mapped[str] = mapped_column(default="announced")
    stage: Mapped[str | None]
    theme: Mapped[str | None]
    params: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    rehearsal: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    created_at: Mapped[datetime] = now_column()
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None]


class JobRun(OfJob, Base):
    """One Airflow DAG run that worked for a job."""

    __tablename__ = "job_run"

    dag_id: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = now_column()
    finished_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(default="running")
    error: Mapped[str | None]


class StageClaim(OfJob, Base):
    """Who may commit a stage: the holder of the newest token, nobody else."""

    __tablename__ = "stage_claim"

    scope: Mapped[str] = mapped_column(primary_key=True)
    stage: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[int]
    attempts: Mapped[int]
    claimed_at: Mapped[datetime] = now_column()


class StageRun(OfJob, Base):
    """One attempt of one stage: its claim, its Airflow coordinates, its OpenLineage run and its facts."""

    __tablename__ = "stage_run"
    __table_args__ = (
        CheckConstraint(f"status IN {STAGE_STATES}", name="status"),
        CheckConstraint("status NOT IN ('succeeded', 'reused') OR facts IS NOT NULL", name="facts"),
        Index("ix_stage_run_recipe", "recipe", postgresql_where=text("status = 'succeeded'")),
        Index("ix_stage_run_ol_run_id", "ol_run_id"),
    )

    stage_run_id: Mapped[UUID] = row_id()
    scope: Mapped[str]
    family: Mapped[str]
    stage: Mapped[str]
    key: Mapped[str] = mapped_column(default="")
    attempt: Mapped[int]
    claim_token: Mapped[int]
    status: Mapped[str] = mapped_column(default="running")
    recipe: Mapped[str | None]
    code_digest: Mapped[str]
    ol_run_id: Mapped[UUID | None]
    ol_job_name: Mapped[str]
    dag_id: Mapped[str | None]
    run_id: Mapped[str | None]
    task_id: Mapped[str | None]
    map_index: Mapped[int] = mapped_column(default=-1)
    try_number: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime] = now_column()
    finished_at: Mapped[datetime | None]
    facts: Mapped[dict[str, Any] | None]
    error: Mapped[str | None]


class Blob(Base):
    """Bytes, named by their sha256, stored once, belonging to no job."""

    __tablename__ = "blob"
    __table_args__ = (CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),)

    sha256: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int]
    media_type: Mapped[str]
    path: Mapped[str]
    first_seen_at: Mapped[datetime] = now_column()


class BlobCheck(Base):
    """When the bytes of a blob were last read back, and what was wrong with them."""

    __tablename__ = "blob_check"

    sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"), primary_key=True)
    checked_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
    problem: Mapped[str | None]


class Artifact(OfJob, Base):
    """One making of a blob for a job by a stage run."""

    __tablename__ = "artifact"
    __table_args__ = (
        Index("ix_artifact_job_id_kind_key", "job_id", "kind", "key"),
        Index("ix_artifact_sha256", "sha256"),
        Index("ix_artifact_dataset", "dataset"),
        Index("ix_artifact_reused_from", "reused_from", postgresql_where=text("reused_from IS NOT NULL")),
        Index(
            "uq_artifact_current",
            "job_id",
            "kind",
            "key",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    artifact_id: Mapped[UUID] = row_id()
    sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"))
    stage_run_id: Mapped[UUID] = mapped_column(ForeignKey("stage_run.stage_run_id"), index=True)
    kind: Mapped[str]
    key: Mapped[str] = mapped_column(default="")
    namespace: Mapped[str]
    dataset: Mapped[str]
    name: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    reused_from: Mapped[UUID | None] = mapped_column(ForeignKey("artifact.artifact_id"))
    superseded_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = now_column()


class ArtifactInput(OfJob, Base):
    """One exact edge: this artifact was made from that one."""

    __tablename__ = "artifact_input"

    artifact_id: Mapped[UUID] = mapped_column(ForeignKey("artifact.artifact_id"), primary_key=True)
    input_id: Mapped[UUID] = mapped_column(ForeignKey("artifact.artifact_id"), primary_key=True, index=True)
    created_at: Mapped[datetime] = now_column()


class Cost(OfJob, Base):
    """What one call of a provider cost, in exact decimals."""

    __tablename__ = "cost"
    __table_args__ = (CheckConstraint("amount_usd >= 0", name="amount"),)

    cost_id: Mapped[UUID] = row_id()
    stage_run_id: Mapped[UUID] = mapped_column(ForeignKey("stage_run.stage_run_id"), index=True)
    provider: Mapped[str]
    model: Mapped[str]
    unit: Mapped[str]
    quantity: Mapped[Decimal]
    amount_usd: Mapped[Decimal]
    created_at: Mapped[datetime] = now_column()


class Event(OfJob, Base):
    """One OpenLineage event as it left Airflow, scrubbed; its columns say how far its delivery got.

    A withdrawn event is the end of a run that has another, truer end: it is kept, and never sent again.
    """

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("event_id"),
        CheckConstraint("withdrawn_at IS NULL OR delivered_at IS NOT NULL", name="withdrawn"),
        Index(
            "ix_event_pending",
            "job_name",
            "seq",
            postgresql_where=text("delivered_at IS NULL AND dead_at IS NULL"),
        ),
        Index("ix_event_run_id", "run_id", "seq"),
        Index("ix_event_job", "job_name", "event_type", "seq"),
    )

    seq: Mapped[int] = mapped_column(Identity(), primary_key=True)
    event_id: Mapped[UUID]
    run_id: Mapped[UUID]
    job_namespace: Mapped[str]
    job_name: Mapped[str]
    event_type: Mapped[str]
    event_time: Mapped[datetime]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = now_column()
    attempts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    next_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]
    last_error: Mapped[str | None]


class DatasetDeclaration(Base):
    """What the deployment declares of a dataset, as OpenLineage facets."""

    __tablename__ = "dataset_declaration"

    namespace: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    facets: Mapped[dict[str, Any]]
    declared_at: Mapped[datetime] = now_column()


class JobDeclaration(Base):
    """What a deployed job is said to read and make, as an OpenLineage JobEvent; the newest of a name holds."""

    __tablename__ = "job_declaration"
    __table_args__ = (Index("ix_job_declaration_name", "job_namespace", "job_name", "seq"),)

    seq: Mapped[int] = mapped_column(Identity(), primary_key=True)
    job_namespace: Mapped[str]
    job_name: Mapped[str]
    sha256: Mapped[str]
    event_time: Mapped[datetime]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = now_column()
    attempts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    next_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
