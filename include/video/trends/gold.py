"""Trends from the lake: a partition of the gold table `trends`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from include.errors import InvalidInput
from include.video.trends.trend import CATEGORIES, Trend, hashtags_of, tidy

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    "platform",
    "external_id",
    "title",
    "channel",
    "category_id",
    "published_at",
    "observed_at",
    "views",
    "likes",
    "comments",
    "tags",
    "url",
)
"""The columns that are read; the table has more."""


@dataclass(frozen=True)
class GoldSource:
    """A Parquet file of `lake/gold/trends`: counters int64, times UTC, tags separated by `|`."""

    path: Path
    label: str = "lake/gold/trends"
    name: str = "gold"

    def fetch(self) -> list[Trend]:
        """Return one trend per (platform, external id): the row observed last, the one before as `previous_*`.

        Raises
        ------
        InvalidInput
            Not Parquet, a missing column, no rows, or a value out of range.
        """
        import polars as pl  # heavy: only this source needs it

        try:
            frame = pl.read_parquet(self.path)
        except (pl.exceptions.PolarsError, OSError) as error:
            msg = f"{self.label} is not readable as Parquet: {error}"
            raise InvalidInput(msg) from error
        missing = [name for name in COLUMNS if name not in frame.columns]
        if missing:
            msg = f"{self.label} lacks the column {', '.join(missing)}; promote the table again"
            raise InvalidInput(msg)
        if frame.is_empty():
            msg = f"{self.label} holds no rows: promote a partition that has some"
            raise InvalidInput(msg)
        ordered = frame.select(COLUMNS).sort("observed_at", maintain_order=True)
        by_id: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in ordered.iter_rows(named=True):
            by_id.setdefault((row["platform"], row["external_id"]), []).append(row)
        return [self._trend(sightings) for _, sightings in sorted(by_id.items())]

    def _trend(self, sightings: list[dict[str, Any]]) -> Trend:
        row = sightings[-1]
        earlier = [
            other
            for other in sightings
            if other["observed_at"] < row["observed_at"] and other["views"] is not None
        ]
        category = row["category_id"]
        named = str(category).strip() if category is not None else ""
        title = tidy(row["title"] or "")
        tags = [tag.strip('" ') for tag in (row["tags"] or "").split("|") if tag != "[none]"]
        try:
            return Trend(
                platform=row["platform"],
                external_id=row["external_id"],
                title=title,
                url=row["url"],
                channel=tidy(row["channel"] or "") or None,
                category=CATEGORIES.get(int(named), named) if named.isdecimal() else named or None,
                hashtags=hashtags_of(title, "", tags),
                published_at=row["published_at"],
                observed_at=row["observed_at"],
                views=row["views"],
                likes=row["likes"],
                comments=row["comments"],
                previous_observed_at=earlier[-1]["observed_at"] if earlier else None,
                previous_views=earlier[-1]["views"] if earlier else None,
            )
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            msg = f"{self.label}, {row['platform']}:{row['external_id']}: {where} {problem['msg'].lower()}"
            raise InvalidInput(msg) from error
