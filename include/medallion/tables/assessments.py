"""What customers scored each offer of a company at, one row per offer."""

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
from include.medallion.parse import number, text, whole

AREAS = ("comfort", "amenities", "trip", "crew", "location", "price")
"""What is scored, 0 to 10."""

SOURCE = Source(
    columns=(
        SourceColumn("assessment_id", "the offer that was assessed"),
        SourceColumn("lead_id", "the company that makes the offer"),
        SourceColumn("overall", "0 to 100"),
        *(SourceColumn(area, f"score of {area}, 0 to 10") for area in AREAS),
        SourceColumn("reviews", "how many reviews the scores are the mean of"),
        SourceColumn("reviews_per_month", "how often it is reviewed", required=False),
    ),
    mappings=(
        SourceMapping(
            "fleet reviews",
            {
                "assessment_id": "shuttle_id",
                "lead_id": "company_id",
                "overall": "review_scores_rating",
                **{area: f"review_scores_{area}" for area in AREAS},
                "reviews": "number_of_reviews",
            },
        ),
    ),
)

SCORES = tuple(Column(area, pl.Float64(), f"score of {area}, 0 to 10", source=area) for area in AREAS)

BRONZE = (
    Column("assessment_id", pl.String(), "the offer that was assessed", source="assessment_id"),
    Column("lead_id", pl.String(), "the company that makes the offer", source="lead_id"),
    Column("overall", pl.Float64(), "0 to 100", source="overall"),
    *SCORES,
    Column("n", pl.Int64(), "reviews the scores are the mean of", source="reviews"),
    Column("reviews_per_month", pl.Float64(), "how often it is reviewed", source="reviews_per_month"),
)

SILVER = (
    Column("assessment_id", pl.String(), "the offer that was assessed", nullable=False),
    Column("lead_id", pl.String(), "the company that makes the offer", nullable=False),
    Column("overall", pl.Float64(), "0 to 100"),
    *SCORES,
    Column("n", pl.Int64(), "reviews the scores are the mean of", nullable=False),
    Column("reviews_per_month", pl.Float64(), "how often it is reviewed"),
)

GOLD = (
    Column("assessment_id", pl.String(), "the offer that was assessed", nullable=False),
    Column("lead_id", pl.String(), "the company that makes the offer", nullable=False),
    *SCORES,
    Column("overall", pl.Float64(), "overall score, 0 to 10"),
    Column("n", pl.Int64(), "reviews the scores are the mean of", nullable=False),
    Column("scored_areas", pl.Int64(), "how many areas have a score", nullable=False),
    Column("reviews_per_month", pl.Float64(), "how often it is reviewed"),
)


def bronze(source: pl.LazyFrame) -> pl.LazyFrame:
    """Give names and types.

    In    the source columns under the declaration's names, text
    Out   BRONZE; what does not parse is null
    Rows  as they are
    """
    return source.select(
        "assessment_id",
        "lead_id",
        number("overall").alias("overall"),
        *(number(area).alias(area) for area in AREAS),
        whole("reviews").alias("n"),
        number("reviews_per_month").alias("reviews_per_month"),
        *provenance_names(),
    )


def silver(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Tidy ids.

    In    BRONZE
    Out   SILVER
    Rows  as they are
    """
    return frame.with_columns(text("assessment_id").alias("assessment_id"), text("lead_id").alias("lead_id"))


def gold(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Put all scores on one scale and count them.

    In    SILVER
    Out   GOLD
    Rows  as they are
    """
    scored = pl.sum_horizontal(pl.col(area).is_not_null().cast(pl.Int64) for area in AREAS)
    return frame.with_columns((pl.col("overall") / 10).alias("overall"), scored.alias("scored_areas"))


def _in_range(column: str, most: int) -> Rule:
    return Rule(f"{column}_in_range", f"{column} is 0 to {most}", lambda: pl.col(column).is_between(0, most))


TABLE = Table(
    name="assessments",
    description="What customers scored each offer of a company at, one row per offer.",
    owner="sales",
    steward="sales",
    source=SOURCE,
    bronze=Layer(BRONZE, bronze),
    silver=Layer(SILVER, silver),
    gold=Layer(GOLD, gold),
    key=("assessment_id",),
    gold_key=("assessment_id",),
    rules=(
        _in_range("overall", 100),
        *(_in_range(area, 10) for area in AREAS),
        Rule("n_not_negative", "0 reviews or more", lambda: pl.col("n") >= 0),
    ),
)
