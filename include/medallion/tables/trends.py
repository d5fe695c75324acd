"""Trending videos, one row per video and trending day, as the public YouTube-trending data sets have them."""

from __future__ import annotations

import polars as pl

from include.medallion.contract import (
    Column,
    Layer,
    Rule,
    Source,
    SourceColumn,
    Table,
    provenance_names,
)
from include.medallion.parse import flag, moment, one_line, text, trending_day, whole

UTC = pl.Datetime("us", "UTC")
NO_TAGS = "[none]"

SOURCE = Source(
    columns=(
        SourceColumn("video_id", "the platform's id of the video"),
        SourceColumn("title", "as published; may hold line breaks"),
        SourceColumn("publishedAt", "ISO 8601"),
        SourceColumn("channelId", "the platform's id of the channel"),
        SourceColumn("channelTitle", "name of the channel"),
        SourceColumn("categoryId", "YouTube's video category"),
        SourceColumn("trending_date", "YY.DD.MM"),
        SourceColumn("tags", "separated by |, each perhaps in double quotes; [none] when there are none"),
        SourceColumn("view_count", "views so far"),
        SourceColumn("likes", "0 where ratings are disabled"),
        SourceColumn("dislikes", "0 where ratings are disabled"),
        SourceColumn("comment_count", "0 where comments are disabled"),
        SourceColumn("thumbnail_link", "URL", required=False),
        SourceColumn("comments_disabled", "True or False"),
        SourceColumn("ratings_disabled", "True or False"),
        SourceColumn("description", "as published", required=False),
    )
)

BRONZE = (
    Column("external_id", pl.String(), "the platform's id of the video", source="video_id"),
    Column("title", pl.String(), "as published", source="title"),
    Column("published_at", UTC, "when it was published", source="publishedAt"),
    Column("channel_id", pl.String(), "the platform's id of the channel", source="channelId"),
    Column("channel", pl.String(), "name of the channel", source="channelTitle"),
    Column("category_id", pl.Int64(), "YouTube's video category", source="categoryId"),
    Column("trending_on", pl.Date(), "the day it was seen trending", source="trending_date"),
    Column("tags", pl.String(), "as the source has them", source="tags"),
    Column("views", pl.Int64(), "views so far", source="view_count"),
    Column("likes", pl.Int64(), "likes so far", source="likes"),
    Column("dislikes", pl.Int64(), "dislikes so far", source="dislikes"),
    Column("comments", pl.Int64(), "comments so far", source="comment_count"),
    Column("thumbnail_url", pl.String(), "address of the thumbnail", source="thumbnail_link"),
    Column("comments_disabled", pl.Boolean(), "whether comments are closed", source="comments_disabled"),
    Column("ratings_disabled", pl.Boolean(), "whether ratings are closed", source="ratings_disabled"),
    Column("description", pl.String(), "as published", source="description"),
)

SILVER = (
    Column("external_id", pl.String(), "the platform's id of the video", nullable=False),
    Column("title", pl.String(), "on one line", nullable=False),
    Column("published_at", UTC, "when it was published"),
    Column("channel_id", pl.String(), "the platform's id of the channel"),
    Column("channel", pl.String(), "name of the channel, on one line"),
    Column("category_id", pl.Int64(), "YouTube's video category"),
    Column("trending_on", pl.Date(), "the day it was seen trending", nullable=False),
    Column("tags", pl.String(), "separated by |, without quotes; null when there are none"),
    Column("views", pl.Int64(), "views so far"),
    Column("likes", pl.Int64(), "likes so far; null where ratings are closed"),
    Column("dislikes", pl.Int64(), "dislikes so far; null where ratings are closed"),
    Column("comments", pl.Int64(), "comments so far; null where comments are closed"),
    Column("thumbnail_url", pl.String(), "address of the thumbnail"),
    Column("comments_disabled", pl.Boolean(), "whether comments are closed"),
    Column("ratings_disabled", pl.Boolean(), "whether ratings are closed"),
    Column("description", pl.String(), "as published, blank as null"),
)

GOLD = (
    Column("platform", pl.String(), "youtube", nullable=False),
    Column("external_id", pl.String(), "the platform's id of the video", nullable=False),
    Column("title", pl.String(), "on one line", nullable=False),
    Column("channel", pl.String(), "name of the channel"),
    Column("category_id", pl.Int64(), "YouTube's video category"),
    Column("published_at", UTC, "when it was published"),
    Column(
        "observed_at",
        UTC,
        "when it was seen: midnight of the trending day, or that day's newest publication when that is later",
        nullable=False,
    ),
    Column("views", pl.Int64(), "views so far"),
    Column("likes", pl.Int64(), "likes so far; null where not shown"),
    Column("dislikes", pl.Int64(), "dislikes so far; null where not shown"),
    Column("comments", pl.Int64(), "comments so far; null where not shown"),
    Column("tags", pl.String(), "separated by |; null when there are none"),
    Column("url", pl.String(), "address of the video", nullable=False),
    Column(
        "engagement_rate", pl.Float64(), "(likes + comments) / views; null where one of them is not known"
    ),
)


def bronze(source: pl.LazyFrame) -> pl.LazyFrame:
    """Give names and types.

    In    the sixteen source columns, text
    Out   BRONZE; what does not parse is null
    Rows  as they are
    """
    return source.select(
        pl.col("video_id").alias("external_id"),
        "title",
        moment("publishedAt").alias("published_at"),
        pl.col("channelId").alias("channel_id"),
        pl.col("channelTitle").alias("channel"),
        whole("categoryId").alias("category_id"),
        trending_day("trending_date").alias("trending_on"),
        "tags",
        whole("view_count").alias("views"),
        whole("likes").alias("likes"),
        whole("dislikes").alias("dislikes"),
        whole("comment_count").alias("comments"),
        pl.col("thumbnail_link").alias("thumbnail_url"),
        flag("comments_disabled").alias("comments_disabled"),
        flag("ratings_disabled").alias("ratings_disabled"),
        "description",
        *provenance_names(),
    )


def silver(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Tidy texts, and turn counters that the platform does not show into null.

    In    BRONZE
    Out   SILVER
    Rows  as they are
    """
    closed = pl.col("ratings_disabled").fill_null(value=False)
    silent = pl.col("comments_disabled").fill_null(value=False)
    tags = pl.col("tags").str.replace_all('"', "", literal=True).str.strip_chars()
    return frame.with_columns(
        text("external_id").alias("external_id"),
        one_line("title").alias("title"),
        text("channel_id").alias("channel_id"),
        one_line("channel").alias("channel"),
        pl.when((tags != NO_TAGS) & (tags.str.len_chars() > 0)).then(tags).alias("tags"),
        pl.when(~closed).then("likes").alias("likes"),
        pl.when(~closed).then("dislikes").alias("dislikes"),
        pl.when(~silent).then("comments").alias("comments"),
        text("thumbnail_url").alias("thumbnail_url"),
        text("description").alias("description"),
    )


def gold(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Derive what readers of trends use.

    In    SILVER
    Out   GOLD; times UTC
    Rows  as they are, in the order of the source: its order is the chart's
    """
    midnight = pl.col("trending_on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    same_day = pl.col("published_at").dt.date() == pl.col("trending_on")
    newest = pl.when(same_day).then("published_at").max().over("trending_on")
    known = (pl.col("views") > 0) & pl.col("likes").is_not_null() & pl.col("comments").is_not_null()
    return frame.select(
        pl.lit("youtube").alias("platform"),
        "external_id",
        "title",
        "channel",
        "category_id",
        "published_at",
        pl.max_horizontal(midnight, newest).alias("observed_at"),
        "views",
        "likes",
        "dislikes",
        "comments",
        "tags",
        pl.concat_str(pl.lit("https://www.youtube.com/watch?v="), "external_id").alias("url"),
        pl.when(known)
        .then((pl.col("likes") + pl.col("comments")) / pl.col("views"))
        .alias("engagement_rate"),
        *provenance_names(),
    )


def _not_negative(column: str) -> Rule:
    return Rule(f"{column}_not_negative", f"{column} is 0 or more", lambda: pl.col(column) >= 0)


TABLE = Table(
    name="trends",
    description="Trending videos with their counters, one row per video and trending day.",
    owner="content",
    steward="content",
    source=SOURCE,
    bronze=Layer(BRONZE, bronze),
    silver=Layer(SILVER, silver),
    gold=Layer(GOLD, gold),
    key=("external_id", "trending_on"),
    gold_key=("platform", "external_id", "observed_at"),
    rules=(
        *(_not_negative(column) for column in ("views", "likes", "dislikes", "comments")),
        Rule(
            "published_before_seen",
            "published on the trending day or before it (a day's difference of time zones allowed)",
            lambda: pl.col("published_at").dt.date() <= pl.col("trending_on").dt.offset_by("1d"),
        ),
    ),
)
