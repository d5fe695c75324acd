"""The YouTube-trending CSV: what is read, when it was seen, and how each kind of bad file is refused."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.errors import InvalidInput
from include.video.trends.file import COLUMNS, FileSource

SAMPLE = Path(__file__).resolve().parents[4] / "include/video/samples/youtube_trending_sample.csv"


def row(**changed: str) -> dict[str, str]:
    return {
        "video_id": "a1",
        "title": "A title",
        "publishedAt": "2026-05-31T20:00:00.000Z",
        "channelTitle": "A channel",
        "categoryId": "10",
        "trending_date": "26.01.06",
        "tags": "one tag|two",
        "view_count": "1000",
        "likes": "40",
        "comment_count": "7",
        "comments_disabled": "False",
        "ratings_disabled": "False",
        "description": "text",
    } | changed


def write(path: Path, rows: list[dict[str, str]], columns: tuple[str, ...] = COLUMNS) -> FileSource:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(out.getvalue(), encoding="utf-8", newline="")
    return FileSource(path)


def test_the_bundled_sample_has_every_difficulty_and_is_read_whole() -> None:
    trends = {trend.external_id: trend for trend in FileSource(SAMPLE).fetch()}
    assert len(trends) == 38
    assert {trend.observed_at for trend in trends.values()} == {datetime(2026, 6, 1, tzinfo=UTC)}
    assert trends["sample0037"].published_at is None
    assert (trends["sample0038"].likes, trends["sample0038"].comments) == (None, None)
    assert trends["sample0008"].title == 'Why Do Cats Knock Things Over? "Science" Answers'
    assert trends["sample0024"].title == "東京の夜を一分で歩く"
    assert (trends["sample0003"].previous_views, trends["sample0003"].views) == (2_790_100, 3_880_400)
    assert trends["sample0003"].previous_observed_at == datetime(2026, 5, 31, tzinfo=UTC)


@pytest.mark.parametrize(("country", "rows"), [("GB", 77), ("US", 200), ("DE", 200), ("BR", 200)])
def test_real_snapshots_are_read_row_for_row(shared_data: Path, country: str, rows: int) -> None:
    file = shared_data / "youtube" / f"2018-11-01_{country}_videos.csv"
    with file.open(encoding="utf-8", newline="") as opened:
        expected = {one["video_id"]: one for one in csv.DictReader(opened)}
    trends = FileSource(file).fetch()
    assert len(trends) == rows == len(expected)
    for trend in trends:
        raw = expected[trend.external_id]
        assert trend.views == int(raw["view_count"])
        assert trend.likes == (None if raw["ratings_disabled"] == "True" else int(raw["likes"]))
        assert trend.comments == (None if raw["comments_disabled"] == "True" else int(raw["comment_count"]))
        assert trend.observed_at == datetime(2018, 11, 1, tzinfo=UTC)


def test_an_item_seen_on_two_days_is_one_trend_with_its_counter_before(tmp_path: Path) -> None:
    days = [row(trending_date="26.01.06", view_count="900"), row(trending_date="26.31.05", view_count="500")]
    (trend,) = write(tmp_path / "t.csv", days).fetch()
    assert (trend.views, trend.previous_views) == (900, 500)
    assert trend.previous_observed_at == datetime(2026, 5, 31, 20, tzinfo=UTC), "not before its publication"


def test_a_row_twice_on_one_day_is_one_trend_without_a_counter_before(tmp_path: Path) -> None:
    (trend,) = write(tmp_path / "t.csv", [row(), row(view_count="1001")]).fetch()
    assert (trend.views, trend.previous_views) == (1001, None)


def test_the_day_in_the_files_name_counts_when_it_is_later(tmp_path: Path) -> None:
    (trend,) = write(tmp_path / "2026-06-03_XX.csv", [row()]).fetch()
    assert trend.observed_at == datetime(2026, 6, 3, tzinfo=UTC)
    (earlier,) = write(tmp_path / "2020-01-01_XX.csv", [row()]).fetch()
    assert earlier.observed_at == datetime(2026, 6, 1, tzinfo=UTC)


def test_a_chart_is_not_older_than_what_it_lists(tmp_path: Path) -> None:
    late = row(video_id="b", publishedAt="2026-06-01T15:00:00Z")
    trends = write(tmp_path / "t.csv", [row(), late]).fetch()
    assert {trend.observed_at for trend in trends} == {datetime(2026, 6, 1, 15, tzinfo=UTC)}


def test_line_breaks_quotes_and_other_line_ends_stay_inside_their_field(tmp_path: Path) -> None:
    odd = row(title='He said "no",\nthen left', description="a\r\nb\u2028c,d")
    (trend,) = write(tmp_path / "t.csv", [odd]).fetch()
    assert trend.title == 'He said "no", then left'


def test_hashtags_are_those_of_the_texts_then_the_tags(tmp_path: Path) -> None:
    (trend,) = write(
        tmp_path / "t.csv",
        [row(title="Try #Candy", description="see http://x.y/#frag", tags="Two Words|candy|2018")],
    ).fetch()
    assert trend.hashtags == ["#candy", "#twowords"]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    source = write(tmp_path / "t.csv", [row()])
    source.path.write_bytes(b"\xef\xbb\xbf" + source.path.read_bytes())
    assert len(source.fetch()) == 1


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    rest = tuple(name for name in COLUMNS if name != column)
    with pytest.raises(InvalidInput, match=rf"t\.csv lacks the column {column}"):
        write(tmp_path / "t.csv", [row()], rest).fetch()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"t\.csv is empty"),
        (b" \n\n", r"t\.csv is empty"),
        (",".join(COLUMNS).encode() + b"\n", r"t\.csv holds no rows"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", r"t\.csv is not a CSV file"),
        (b"PK\x03\x04\x00\x00", r"t\.csv is not a CSV file: it holds binary data"),
        (b'{"trends": []}', r"t\.csv lacks the column video_id"),
        ("video_id,title\n\u00e9".encode("latin-1"), r"t\.csv is not a CSV file in UTF-8"),
    ],
)
def test_what_is_no_csv_of_trends_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=reason):
        FileSource(file).fetch()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"view_count": "many"}, "line 3: view_count is 'many'"),
        ({"view_count": "-4"}, "line 3: view_count is '-4'"),
        ({"likes": "1.5"}, "line 3: likes is '1.5'"),
        ({"publishedAt": "yesterday"}, "line 3: publishedAt is 'yesterday'"),
        ({"trending_date": "26.31.31"}, "line 3: trending_date is '26.31.31'"),
        ({"video_id": " "}, "line 3: video_id is blank"),
        ({"title": "\u200b"}, "line 3: title is blank"),
    ],
)
def test_a_value_that_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, changed: dict[str, str], reason: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        write(tmp_path / "t.csv", [row(video_id="ok"), row(**changed)]).fetch()
    assert reason in str(caught.value)


def test_a_torn_row_is_named_with_its_line(tmp_path: Path) -> None:
    source = write(tmp_path / "t.csv", [row()])
    source.path.write_text(source.path.read_text() + '"b2","torn"\n')
    with pytest.raises(InvalidInput, match=r"t\.csv line 3: 2 fields where the header has 13"):
        source.fetch()
