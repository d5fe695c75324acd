"""What a person may ask of a reports run: the trigger form of the `reports` DAG, and what its stages are given."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

_JOB_ID: dict[str, Any] = {"type": ["null", "string"], "format": "uuid"}
_PARTITION: dict[str, Any] = {"type": ["null", "string"], "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"}


class ReportsParams(BaseModel):
    """The parameters of one reports run; every one has a default that works without network and without keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Reports")

    job_id: Annotated[UUID | None, WithJsonSchema(_JOB_ID)] = Field(
        default=None, title="Job", description="The job to work for. Empty: a new job is opened."
    )
    leads: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        default_factory=list,
        max_length=200,
        title="Leads",
        description="Ids of the leads to report on, as in gold leads. Empty: those a report is worth most for.",
    )
    n_leads: int = Field(
        default=3,
        ge=1,
        le=200,
        title="How many leads",
        description="How many leads are chosen when none are named.",
    )
    template: Literal["lead_audit"] = Field(
        default="lead_audit", title="Template", description="The template of the report on a lead."
    )
    partition: Annotated[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] | None, WithJsonSchema(_PARTITION)
    ] = Field(
        default=None,
        title="Partition",
        description="Partition of gold leads and assessments to read. Empty: this job's own, else the newest.",
    )
    dossier: bool = Field(
        default=True,
        title="Production dossier",
        description="Also make the dossier of everything the job made.",
    )
    fresh: bool = Field(
        default=False,
        title="Make everything anew",
        description="Work again even where the same inputs already gave a finished result.",
    )
