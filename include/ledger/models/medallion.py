"""Rows of the medallion family: which file is a table's current version, and every hop between layers."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from include.ledger.models.declarative import Base, OfJob, now_column, row_id


class TableVersion(Base):
    """One version of one partition of a lake table; shared by all jobs, made by the job of its stage run."""

    __tablename__ = "table_version"
    __table_args__ = (
        UniqueConstraint("layer", "table_name", "partition", "version"),
        Index(
            "uq_table_version_current",
            "layer",
            "table_name",
            "partition",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    table_version_id: Mapped[UUID] = row_id()
    layer: Mapped[str]
    table_name: Mapped[str]
    partition: Mapped[str]
    version: Mapped[int]
    artifact_id: Mapped[UUID] = mapped_column(ForeignKey("artifact.artifact_id"), index=True)
    stage_run_id: Mapped[UUID] = mapped_column(ForeignKey("stage_run.stage_run_id"), index=True)
    transition_id: Mapped[UUID]
    created_at: Mapped[datetime] = now_column()
    superseded_at: Mapped[datetime | None]


class LayerTransition(OfJob, Base):
    """One hop of one table between two layers, with its balance; a row also when it failed."""

    __tablename__ = "layer_transition"
    __table_args__ = (
        CheckConstraint("status IN ('success', 'partial', 'failed')", name="status"),
        CheckConstraint(
            "status = 'failed' OR row_count_in = row_count_out + rejected + deduplicated + filtered",
            name="balance",
        ),
        UniqueConstraint("stage_run_id"),
    )

    layer_transition_id: Mapped[UUID] = row_id()
    transition_id: Mapped[UUID] = mapped_column(index=True)
    batch_id: Mapped[UUID | None]
    stage_run_id: Mapped[UUID] = mapped_column(ForeignKey("stage_run.stage_run_id"))
    table_name: Mapped[str]
    partition: Mapped[str]
    source_layer: Mapped[str]
    target_layer: Mapped[str]
    source_files: Mapped[list[Any]]
    target_file: Mapped[str | None]
    row_count_in: Mapped[int]
    row_count_out: Mapped[int]
    rejected: Mapped[int]
    deduplicated: Mapped[int]
    filtered: Mapped[int]
    transforms_applied: Mapped[list[Any]]
    status: Mapped[str]
    errors: Mapped[list[Any]]
    column_lineage: Mapped[dict[str, Any] | None]
    engine: Mapped[str]
    started_at: Mapped[datetime]
    completed_at: Mapped[datetime] = now_column()
