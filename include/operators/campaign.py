"""The form of the campaign: what one job through all three families may be told."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

_JOB_ID: dict[str, Any] = {"type": ["null", "string"], "format": "uuid"}


class CampaignParams(BaseModel):
    """The parameters of one campaign."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Campaign")

    job_id: Annotated[UUID | None, WithJsonSchema(_JOB_ID)] = Field(
        default=None, title="Job", description="The job to work for. Empty: a new job is opened."
    )
    theme: str = Field(
        default="What everyone is watching",
        max_length=120,
        title="Theme",
        description="What the video is about, in your words.",
    )
    target_s: float = Field(
        default=16, ge=15, le=60, title="Length in seconds", description="How long the video is."
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**31,
        title="Seed",
        description="Another seed gives other words, pictures and music for the same trends.",
    )
    review: Literal["human", "unattended"] = Field(
        default="human",
        title="Review",
        description="`human` waits for a person; `unattended` approves by itself and says so in the record.",
    )
    n_leads: int = Field(
        default=2, ge=1, le=50, title="Leads", description="How many of the best leads get an audit."
    )
    fresh: bool = Field(
        default=False, title="Fresh", description="Make everything anew instead of reusing finished outputs."
    )


class UpkeepParams(BaseModel):
    """The parameters of one upkeep run."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Upkeep")

    job_id: Annotated[UUID | None, WithJsonSchema(_JOB_ID)] = Field(
        default=None, title="Job", description="Leave empty: upkeep is a job of its own."
    )
    dry_run: bool = Field(
        default=True,
        title="Dry run",
        description="Only say which orphan files a sweep would delete; nothing is deleted.",
    )
