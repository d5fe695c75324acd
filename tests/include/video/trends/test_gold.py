"""The lake's gold trends as a source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from include.errors import InvalidInput
from include.video.trends.gold import COLUMNS, GoldSource

if TYPE_CHECKING:
    from pathlib import Path

SEEN = datetime(2026, 6, 1, tzinfo=UTC)
SCHEMA = {
    "platform": pl.String,
    "external_id": pl.String,
    "title": pl.String,
    "channel": pl.String,
    "category_id": pl.Int64,
    "published_at": pl.Datetime("us", "UTC"),
    "observed_at": pl.Datetime("us", "UTC"),
    "views": pl.Int64,
    "likes": pl.Int64,
    "dislikes": pl.Int64,
    "comments": pl.Int64,
    "tags": pl.String,
    "url": pl.String,
    "engagement_rate": pl.Float64,
    "_source_file": pl.String,
}


def row(**changed: Any) -> dict[str, Any]:
    return {
        "platform": "youtube",
        "external_id": "a1",
        "title": "A title",
        "channel": "A channel",
        "category_id": 10,
        "published_at": SEEN - timedelta(hours=10),
        "observed_at": SEEN,
        "views": 1000,
        "likes": 40,
        "dislikes": 1,
        "comments": 7,
        "tags": "one tag|two",
        "url": "https://www.youtube.com/watch?v=a1",
        "engagement_rate": 0.054,
        "_source_file": "x.csv",
    } | changed


def gold(path: Path, rows: list[dict[str, Any]]) -> GoldSource:
    pl.DataFrame(rows, schema=SCHEMA).write_parquet(path)
    return GoldSource(path)


def test_a_row_becomes_a_trend(tmp_path: Path) -> None:
    (trend,) = gold(tmp_path / "g.parquet", [row()]).fetch()
    assert trend.model_dump(exclude={"shares", "previous_views", "previous_observed_at"}) == {
        "platform": "youtube",
        "external_id": "a1",
        "title": "A title",
        "url": "https://www.youtube.com/watch?v=a1",
        "channel": "A channel",
        "category": "Music",
        "hashtags": ["#onetag", "#two"],
        "published_at": SEEN - timedelta(hours=10),
        "observed_at": SEEN,
        "views": 1000,
        "likes": 40,
        "comments": 7,
    }


def test_two_sights_of_an_item_are_one_trend_with_its_counter_before(tmp_path: Path) -> None:
    rows = [row(), row(observed_at=SEEN - timedelta(days=1), views=400)]
    (trend,) = gold(tmp_path / "g.parquet", rows).fetch()
    assert (trend.views, trend.previous_views) == (1000, 400)
    assert trend.previous_observed_at == SEEN - timedelta(days=1)


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    rows = [row(external_id=name) for name in ("c", "a", "b")]
    one = gold(tmp_path / "1.parquet", rows).fetch()
    assert gold(tmp_path / "2.parquet", rows[::-1]).fetch() == one


def test_unknown_counters_stay_unknown(tmp_path: Path) -> None:
    (trend,) = gold(tmp_path / "g.parquet", [row(likes=None, comments=None, published_at=None)]).fetch()
    assert (trend.likes, trend.comments, trend.published_at) == (None, None, None)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    path = tmp_path / "g.parquet"
    pl.DataFrame([row()], schema=SCHEMA).drop(column).write_parquet(path)
    with pytest.raises(InvalidInput, match=f"lake/gold/trends lacks the column {column}"):
        GoldSource(path).fetch()


def test_an_empty_table_and_no_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no rows"):
        gold(tmp_path / "g.parquet", []).fetch()
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(InvalidInput, match="not readable as Parquet"):
        GoldSource(tmp_path / "x.parquet").fetch()


def test_a_value_out_of_range_is_named_with_its_item(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="youtube:a1: views"):
        gold(tmp_path / "g.parquet", [row(views=-1)]).fetch()
