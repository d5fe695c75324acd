"""Companies that a report could be sold to, one row per company, as a registry lists them."""

from __future__ import annotations

import polars as pl

from include.medallion.contract import (
    Column,
    Layer,
    Rule,
    Source,
    SourceColumn,
    SourceMapping,
    Table,
    provenance_names,
)
from include.medallion.parse import flag, one_line, percent, text, whole

SOURCE = Source(
    columns=(
        SourceColumn("lead_id", "the registry's id of the company"),
        SourceColumn("company", "its name", required=False),
        SourceColumn("city", "where it sits", required=False),
        SourceColumn("country", "where it sits"),
        SourceColumn("rating", "its published rating, as a percentage"),
        SourceColumn("size", "vehicles in its fleet"),
        SourceColumn("approved", "t or f: approved by the industry's association"),
        SourceColumn("verified", "t or f: the registry has checked the entry", required=False),
        SourceColumn("website", "URL", required=False),
        SourceColumn("contact_name", "a person", required=False),
        SourceColumn("contact_email", "that person's address", required=False),
    ),
    mappings=(
        SourceMapping(
            "fleet registry",
            {
                "lead_id": "id",
                "rating": "company_rating",
                "country": "company_location",
                "size": "total_fleet_count",
                "approved": "iata_approved",
            },
        ),
    ),
)

NAME = Column("company", pl.String(), "name of the company", source="company")
PERSON = Column(
    "contact_name", pl.String(), "a person at the company", classification="personal", source="contact_name"
)
ADDRESS = Column(
    "contact_email", pl.String(), "that person's address", classification="personal", source="contact_email"
)

BRONZE = (
    Column("lead_id", pl.String(), "the registry's id, kept as text", source="lead_id"),
    NAME,
    Column("city", pl.String(), "where it sits", source="city"),
    Column("country", pl.String(), "where it sits", source="country"),
    Column("rating", pl.Float64(), "published rating, 0 to 1", source="rating"),
    Column("size", pl.Int64(), "vehicles in its fleet", source="size"),
    Column("approved", pl.Boolean(), "approved by the industry's association", source="approved"),
    Column("verified", pl.Boolean(), "the registry has checked the entry", source="verified"),
    Column("website", pl.String(), "address of its site", source="website"),
    PERSON,
    ADDRESS,
)

SILVER = (
    Column("lead_id", pl.String(), "the registry's id, kept as text", nullable=False),
    *(column for column in BRONZE if column.name != "lead_id"),
)

GOLD = (
    *SILVER[:-2],
    PERSON,
    ADDRESS,
    Column("reachable", pl.Boolean(), "whether an address of a person is known", nullable=False),
)


def bronze(source: pl.LazyFrame) -> pl.LazyFrame:
    """Give names and types.

    In    the source columns under the declaration's names, text
    Out   BRONZE; what does not parse is null
    Rows  as they are
    """
    return source.select(
        "lead_id",
        "company",
        "city",
        "country",
        percent("rating").alias("rating"),
        whole("size").alias("size"),
        flag("approved").alias("approved"),
        flag("verified").alias("verified"),
        "website",
        "contact_name",
        "contact_email",
        *provenance_names(),
    )


def silver(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Tidy texts.

    In    BRONZE
    Out   SILVER
    Rows  as they are
    """
    return frame.with_columns(
        text("lead_id").alias("lead_id"),
        *(one_line(name).alias(name) for name in ("company", "city", "country", "contact_name")),
        text("website").alias("website"),
        text("contact_email").str.to_lowercase().alias("contact_email"),
    )


def gold(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Say what a seller needs to know.

    In    SILVER
    Out   GOLD
    Rows  as they are
    """
    return frame.with_columns(pl.col("contact_email").is_not_null().alias("reachable"))


TABLE = Table(
    name="leads",
    description="Companies that a report could be sold to, one row per company.",
    owner="sales",
    steward="sales",
    source=SOURCE,
    bronze=Layer(BRONZE, bronze),
    silver=Layer(SILVER, silver),
    gold=Layer(GOLD, gold),
    key=("lead_id",),
    gold_key=("lead_id",),
    rules=(
        Rule("rating_in_range", "a rating is 0% to 100%", lambda: pl.col("rating").is_between(0, 1)),
        Rule("size_not_negative", "a fleet has 0 vehicles or more", lambda: pl.col("size") >= 0),
        Rule(
            "email_has_an_at",
            "an address has one @ and something on both sides",
            lambda: pl.col("contact_email").str.contains(r"^[^@\s]+@[^@\s]+$"),
        ),
    ),
    classification="personal",
    retention_days=365,
)
