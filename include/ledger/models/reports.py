"""Rows of the reports family: leads, template versions, generated reports and the lineage of each."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from include.ledger.models.declarative import Base, Made, OfJob, now_column, row_id


class Lead(OfJob, Base):
    """A lead that reports are made for; job_id is the first job that named it."""

    __tablename__ = "lead"

    lead_id: Mapped[str] = mapped_column(primary_key=True)
    company: Mapped[str | None]
    created_at: Mapped[datetime] = now_column()


class TemplateVersion(OfJob, Base):
    """One version of a report template: a name, a number and the digest of its files."""

    __tablename__ = "template_version"
    __table_args__ = (UniqueConstraint("template", "sha256"),)

    template_version_id: Mapped[UUID] = row_id()
    template: Mapped[str]
    version: Mapped[str]
    sha256: Mapped[str]
    created_at: Mapped[datetime] = now_column()


class ReportGeneration(Made, Base):
    """One generated PDF."""

    __tablename__ = "report_generation"

    report_id: Mapped[UUID] = row_id()
    template: Mapped[str]
    lead_id: Mapped[str | None] = mapped_column(ForeignKey("lead.lead_id"), index=True)
    pages: Mapped[int]
    size_bytes: Mapped[int]
    findings: Mapped[int]
    created_at: Mapped[datetime] = now_column()


class ReportLineage(Made, Base):
    """The line of one report: subject, pipeline run and template version are real and never NULL."""

    __tablename__ = "report_lineage"
    __table_args__ = (
        CheckConstraint("capture_status IN ('full', 'truncated', 'degraded', 'disabled')", name="capture"),
        CheckConstraint("capture_status = 'full' OR capture_reason IS NOT NULL", name="capture_reason"),
        UniqueConstraint("artifact_id"),
        Index("ix_report_lineage_lead", "lead_id", "created_at"),
    )

    report_lineage_id: Mapped[UUID] = row_id()
    lead_id: Mapped[str]
    pipeline_run_id: Mapped[UUID] = mapped_column(index=True)
    template_version_id: Mapped[UUID] = mapped_column(ForeignKey("template_version.template_version_id"))
    inputs_artifact_id: Mapped[UUID] = mapped_column(ForeignKey("artifact.artifact_id"))
    inputs_sha256: Mapped[str]
    inputs_size_bytes: Mapped[int]
    compressed_size_bytes: Mapped[int]
    capture_status: Mapped[str]
    capture_reason: Mapped[str | None]
    logs: Mapped[list[Any]]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime] = now_column()
    created_at: Mapped[datetime] = now_column()
