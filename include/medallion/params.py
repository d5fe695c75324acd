"""The form of the medallion DAG."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

_JOB_ID: dict[str, Any] = {"type": ["null", "string"], "format": "uuid"}
_PARTITION: dict[str, Any] = {"type": ["null", "string"], "pattern": r"^(latest|\d{4}-\d{2}-\d{2})$"}
TableName = Literal["trends", "leads", "assessments"]


class MedallionParams(BaseModel):
    """The parameters of one lake run."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Medallion")

    job_id: Annotated[UUID | None, WithJsonSchema(_JOB_ID)] = Field(
        default=None, title="Job", description="The job to work for. Empty: a new job is opened."
    )
    tables: tuple[TableName, ...] = Field(
        default=("trends", "leads", "assessments"),
        min_length=1,
        title="Tables",
        description="Which tables are promoted; the others are skipped.",
    )
    partition: Annotated[str | None, WithJsonSchema(_PARTITION)] = Field(
        default=None,
        title="Partition",
        description=(
            "A date (YYYY-MM-DD) reads <sources folder>/<table>/<date>.csv; `latest` reads the configured file or the "
            "sample. Empty: the date of a scheduled or backfilled run, else `latest`."
        ),
    )
    fresh: bool = Field(
        default=False,
        title="Fresh",
        description="Make everything anew instead of reusing finished outputs.",
    )

    @field_validator("partition", mode="after")
    @classmethod
    def _a_day(cls, value: str | None) -> str | None:
        if value is None or value == "latest":
            return value
        try:
            day = date.fromisoformat(value)
        except ValueError as error:
            msg = "a date as YYYY-MM-DD, or `latest`"
            raise ValueError(msg) from error
        return day.isoformat()

    @field_validator("tables", mode="after")
    @classmethod
    def _each_once(cls, value: tuple[TableName, ...]) -> tuple[TableName, ...]:
        return tuple(dict.fromkeys(value))
