"""The trend report: every count equals a plain recount of the trends it names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from include.video.analysis import PATTERNS, TrendReport, analyse
from include.video.plan import canonical_json
from include.video.scoring import TrendSet, score_all
from include.video.stages import SAMPLE
from include.video.trends.file import FileSource

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["sample", "GB", "DE"])
def trends(request: pytest.FixtureRequest) -> TrendSet:
    if request.param == "sample":
        return score_all(FileSource(SAMPLE).fetch(), ["trends"])
    data: Path = request.getfixturevalue("shared_data")
    return score_all(
        FileSource(data / "youtube" / f"2018-11-01_{request.param}_videos.csv").fetch(), ["trends"]
    )


def test_counts_are_those_of_a_recount(trends: TrendSet) -> None:
    report = analyse(trends)
    items = [one.trend for one in trends.trends]
    assert report.trend_ids == [item.trend_id for item in items]
    assert report.trend_count == len(items)
    assert report.reach_total == sum(item.views or 0 for item in items)
    categories = Counter(item.category for item in items)
    assert {style.name: style.count for style in report.styles} == categories
    assert sum(style.count for style in report.styles) == len(items)
    tags = Counter(tag for item in items for tag in set(item.hashtags))
    for tag in report.hashtags:
        assert tag.count == tags[tag.tag] == len(tag.trend_ids)
    assert [tag.count for tag in report.hashtags] == sorted(tags.values(), reverse=True)[:20]
    hours = Counter(f"{item.published_at.hour:02d}" for item in items if item.published_at)
    assert report.publish_hours == dict(sorted(hours.items()))
    for pattern in report.patterns:
        titles = [item.trend_id for item in items if PATTERNS[pattern.name](item.title)]
        assert (pattern.count, pattern.trend_ids) == (len(titles), titles)
    for style in report.styles:
        assert style.share == round(style.count / len(items), 4)


def test_the_window_is_that_of_the_trends(trends: TrendSet) -> None:
    window = analyse(trends).window
    published = [one.trend.published_at for one in trends.trends if one.trend.published_at]
    assert (window.published_from, window.published_to) == (min(published), max(published))
    assert window.observed_to == trends.observed_at


def test_the_report_survives_its_canonical_form_and_is_made_the_same_again(trends: TrendSet) -> None:
    report = analyse(trends)
    assert TrendReport.model_validate_json(canonical_json(report)) == report
    again = TrendSet.model_validate_json(canonical_json(trends))
    assert canonical_json(analyse(again)) == canonical_json(report)


def test_advice_rests_on_what_was_counted(trends: TrendSet) -> None:
    report = analyse(trends)
    assert f"{report.styles[0].count} of the trends" in report.recommendations[0].text
    assert all(one.because for one in report.recommendations)


def test_a_single_undated_trend_is_enough() -> None:
    only = FileSource(SAMPLE).fetch()[-2]
    report = analyse(score_all([only], ["trends"]))
    assert only.published_at is None
    assert (report.trend_count, report.window.published_from, report.publish_hours) == (1, None, {})
    assert len(report.recommendations) == 1
