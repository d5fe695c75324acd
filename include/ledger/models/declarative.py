"""What every table of the ledger shares: types, naming of constraints, the columns of a made row."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Date, DateTime, ForeignKey, MetaData, Numeric, Text, Uuid, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Root of all ledger tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        date: Date(),
        str: Text(),
        int: BigInteger(),
        UUID: Uuid(),
        Decimal: Numeric(),
        dict[str, Any]: JSONB(),
        list[Any]: JSONB(),
        list[str]: ARRAY(Text()),
    }


class OfJob:
    """A row that belongs to a job: the column is never NULL and always resolves."""

    @declared_attr
    def job_id(cls) -> Mapped[UUID]:
        """Return the job column."""
        return mapped_column(ForeignKey("job.job_id"), index=True)


class Made(OfJob):
    """A family row that a stage run made beside an artifact; copied when a later job reuses that artifact."""

    @declared_attr
    def stage_run_id(cls) -> Mapped[UUID]:
        """Return the stage run column."""
        return mapped_column(ForeignKey("stage_run.stage_run_id"))

    @declared_attr
    def artifact_id(cls) -> Mapped[UUID]:
        """Return the artifact column."""
        return mapped_column(ForeignKey("artifact.artifact_id"), index=True)


def row_id() -> Mapped[UUID]:
    """Return a primary key column that names itself."""
    return mapped_column(primary_key=True, default=uuid4)


def now_column() -> Mapped[datetime]:
    """Return a column that holds the database's own clock at insertion."""
    return mapped_column(server_default=func.now())


__all__ = ["Base", "Made", "OfJob", "now_column", "row_id"]
