"""Rows of the video family: trends and their counters, scripts, scenes, voices, videos, decisions."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from include.ledger.models.declarative import Base, Made, OfJob, now_column, row_id


class Trend(OfJob, Base):
    """One trending item; job_id is the first job that saw it."""

    __tablename__ = "trend"
    __table_args__ = (UniqueConstraint("platform", "external_id"),)

    trend_id: Mapped[UUID] = row_id()
    platform: Mapped[str]
    external_id: Mapped[str]
    title: Mapped[str]
    url: Mapped[str | None]
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = now_column()


class TrendSnapshot(Made, Base):
    """The counters of a trend as one job saw them, with the score and its components."""

    __tablename__ = "trend_snapshot"
    __table_args__ = (UniqueConstraint("artifact_id", "trend_id"),)

    trend_snapshot_id: Mapped[UUID] = row_id()
    trend_id: Mapped[UUID] = mapped_column(ForeignKey("trend.trend_id"), index=True)
    observed_at: Mapped[datetime | None]
    views: Mapped[int | None]
    likes: Mapped[int | None]
    comments: Mapped[int | None]
    shares: Mapped[int | None]
    score: Mapped[float | None]
    components: Mapped[dict[str, Any]]


class TrendReport(Made, Base):
    """What one job's analysis found in its own window."""

    __tablename__ = "trend_report"

    trend_report_id: Mapped[UUID] = row_id()
    trend_count: Mapped[int]
    window_start: Mapped[datetime | None]
    window_end: Mapped[datetime | None]
    summary: Mapped[dict[str, Any]]


class Script(Made, Base):
    """The production plan that a writer made."""

    __tablename__ = "script"

    script_id: Mapped[UUID] = row_id()
    title: Mapped[str]
    theme: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str]
    seed: Mapped[int]
    target_s: Mapped[float]
    narration: Mapped[str]
    hashtags: Mapped[list[str]]


class Scene(Made, Base):
    """One rendered scene."""

    __tablename__ = "scene"
    __table_args__ = (UniqueConstraint("artifact_id", "number"),)

    scene_id: Mapped[UUID] = row_id()
    number: Mapped[int]
    duration_s: Mapped[float]
    frames: Mapped[int]
    visual: Mapped[str]


class Voiceover(Made, Base):
    """The spoken narration."""

    __tablename__ = "voiceover"

    voiceover_id: Mapped[UUID] = row_id()
    provider: Mapped[str]
    voice: Mapped[str]
    duration_s: Mapped[float]
    words: Mapped[int]


class Video(Made, Base):
    """The finished MP4."""

    __tablename__ = "video"

    video_id: Mapped[UUID] = row_id()
    width: Mapped[int]
    height: Mapped[int]
    fps: Mapped[float]
    duration_s: Mapped[float]
    frames: Mapped[int]
    size_bytes: Mapped[int]


class ReviewDecision(Made, Base):
    """Who decided what about which bytes; artifact_id is the record of the decision."""

    __tablename__ = "review_decision"
    __table_args__ = (CheckConstraint("decision IN ('approved', 'rejected')", name="decision"),)

    review_decision_id: Mapped[UUID] = row_id()
    decision: Mapped[str]
    reviewer: Mapped[str]
    unattended: Mapped[bool]
    reason: Mapped[str | None]
    video_sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"))
    decided_at: Mapped[datetime] = now_column()


class GenerationLog(Made, Base):
    """One step of making a script or a medium: what went in, what came out, who made it."""

    __tablename__ = "generation_log"

    generation_log_id: Mapped[UUID] = row_id()
    step: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str]
    seed: Mapped[int | None]
    prompt_sha256: Mapped[str]
    output_sha256: Mapped[str]
    tokens_in: Mapped[int]
    tokens_out: Mapped[int]
    amount_usd: Mapped[Decimal]
    duration_s: Mapped[float]
