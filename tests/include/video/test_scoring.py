"""Scores: golden values worked out by hand, components that add up, flags."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.video.scoring import (
    PRIOR_VIEWS,
    WEIGHTS,
    combine,
    measure,
    score,
    score_all,
)
from include.video.trends.trend import Trend

SEEN = datetime(2026, 6, 1, tzinfo=UTC)


def trend(name: str = "a", age_h: float | None = 10, **changed: Any) -> Trend:
    given = {
        "platform": "youtube",
        "external_id": name,
        "title": name,
        "published_at": None if age_h is None else SEEN - timedelta(hours=age_h),
        "observed_at": SEEN,
        "views": 1000,
        "likes": 50,
        "comments": 10,
    }
    return Trend.model_validate(given | changed)


FIVE = [
    trend("a", 10, views=1000, likes=50, comments=10),
    trend("b", 20, views=4000, likes=100, comments=0),
    trend("c", 5, views=9000, likes=900, comments=90),
    trend("d", 40, views=2000, likes=20, comments=5),
    trend("e", 1, views=300, likes=30, comments=1),
]


def test_golden_values_of_one_trend() -> None:
    scored = {one.trend.external_id: one for one in score_all(FIVE, ["t"]).trends}
    c = scored["c"].components
    assert (c.reach, c.reach_field, c.age_h) == (9000, "views", 5)
    assert c.velocity_per_h == 1800
    # pooled engagement: (50+20 + 100 + 900+180 + 20+10 + 30+2) / 16300
    mean = round(1312 / 16300, 6)
    assert c.engagement_raw == pytest.approx(1080 / 9000)
    assert c.engagement_rate == pytest.approx((1080 + PRIOR_VIEWS * mean) / (9000 + PRIOR_VIEWS), abs=1e-6)
    # log1p of the velocities 100, 200, 1800, 50, 300: median log(201), deviations .690, 0, 2.192, 1.371, .404
    median = math.log1p(200)
    mad = median - math.log1p(100)
    assert c.velocity_z == pytest.approx((math.log1p(1800) - median) / (1.4826 * mad), abs=1e-4)
    assert c.recency == pytest.approx(2 * 2 ** (-5 / 36) - 1, abs=1e-6)
    expected = (
        0.4 * (c.velocity_z or 0) + 0.25 * c.volume_z + 0.25 * (c.engagement_z or 0) + 0.1 * (c.recency or 0)
    )
    assert scored["c"].score == pytest.approx(expected, abs=2e-6)


def test_the_best_comes_first_and_ties_go_by_id() -> None:
    assert next(one.trend.external_id for one in score_all(FIVE, ["t"]).trends) == "c"
    same = [trend("z"), trend("y"), trend("x")]
    assert [one.trend.external_id for one in score_all(same, ["t"]).trends] == ["x", "y", "z"]


def test_a_score_can_be_recomputed_from_its_row_alone() -> None:
    found = score_all(FIVE, ["t"])
    for one in found.trends:
        assert score(one.trend, found.scales[one.trend.platform]) == one
        assert combine(one.components) == one.score
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_the_order_of_the_input_does_not_matter() -> None:
    assert score_all(FIVE[::-1], ["t"]) == score_all(FIVE, ["t"])


def test_a_minute_old_item_counts_as_a_tenth_of_an_hour_old() -> None:
    found = score_all([trend("a", 1 / 60, views=600), *FIVE[1:]], ["t"]).trends
    new = next(one for one in found if one.trend.external_id == "a")
    assert new.components.velocity_per_h == 6000
    assert new.components.age_h == pytest.approx(1 / 60, abs=1e-6)


def test_few_views_cannot_make_an_extreme_engagement() -> None:
    found = score_all([trend("tiny", views=2, likes=2, comments=2), *FIVE[1:]], ["t"]).trends
    tiny = next(one for one in found if one.trend.external_id == "tiny")
    assert tiny.components.engagement_raw == 3
    assert tiny.components.engagement_rate is not None
    assert tiny.components.engagement_rate < 0.1


def test_two_sights_give_true_velocity_and_acceleration() -> None:
    seen_before = trend(
        "a", 30, views=7400, previous_views=1000, previous_observed_at=SEEN - timedelta(hours=20)
    )
    (one,) = score_all([seen_before], ["t"]).trends
    assert one.components.true_velocity_per_h == 320
    # 1000 views in its first 10 h: 100 an hour; then 320 an hour, 20 h later
    assert one.components.acceleration_per_h2 == pytest.approx((320 - 100) / 20)
    assert one.components.pace_per_h == 320


def test_what_is_doubtful_is_flagged() -> None:
    found = {
        one.trend.external_id: one.flags
        for one in score_all(
            [
                trend("fine"),
                trend("undated", None),
                trend("future", -2),
                trend(
                    "shrank", views=900, previous_views=1000, previous_observed_at=SEEN - timedelta(hours=5)
                ),
                trend("closed", likes=None, comments=None),
                trend("unseen", views=None),
            ],
            ["t"],
        ).trends
    }
    assert found == {
        "fine": [],
        "undated": ["undated"],
        "future": ["published_after_observed"],
        "shrank": ["shrinking"],
        "closed": ["no_engagement"],
        "unseen": ["no_views", "no_engagement"],
    }


def test_platforms_are_measured_apart() -> None:
    stories = [
        trend(f"h{n}", platform="hacker_news", views=None, likes=10 * n, comments=n) for n in range(1, 6)
    ]
    found = score_all([*FIVE, *stories], ["t"])
    alone = score_all(stories, ["t"])
    assert {one.trend_id: one.score for one in found.trends if one.trend.platform == "hacker_news"} == {
        one.trend_id: one.score for one in alone.trends
    }
    assert found.trends[0].components.reach_field in {"views", "likes"}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 10**10)),
            st.one_of(st.none(), st.integers(0, 10**9)),
            st.one_of(st.none(), st.integers(0, 10**8)),
            st.one_of(st.none(), st.floats(-100, 10_000)),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_every_trend_gets_a_bounded_score(rows: list[tuple[Any, Any, Any, Any]]) -> None:
    trends = [
        trend(f"n{place}", age, views=views, likes=likes, comments=comments)
        for place, (views, likes, comments, age) in enumerate(rows)
    ]
    found = score_all(trends, ["t"])
    assert len(found.trends) == len(trends)
    assert set(measure(trends)) == {"youtube"}
    for one in found.trends:
        assert abs(one.score) <= 4 * 0.9 + 0.1 + 1e-6
        assert combine(one.components) == one.score
