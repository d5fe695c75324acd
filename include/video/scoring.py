"""How strongly a trend pulls, as one score with every component beside it.

Pure arithmetic on the trends themselves: no clock, no randomness. The scales of a source (medians and spreads) are part
of the result, so each score can be recomputed from its own row and the scales of its platform.

* reach: views, or likes where a platform shows no views
* age: observed - published, at least 0.1 h
* velocity: reach per hour of age; growth between two sights of the item where there are two (true velocity)
* acceleration: true velocity less the velocity at the earlier sight, per hour between the sights
* engagement: (likes + 2 comments + 3 shares) / views, shrunk to the platform's mean by a prior of 1000 views
* z: (log velocity or log reach or engagement - median) / (1.4826 MAD) within the platform, cut at ±4
* recency: 2^(-age / 36 h), stretched to -1..1
* score: 0.40 velocity z + 0.25 volume z + 0.25 engagement z + 0.10 recency; a missing component counts as 0
"""

from __future__ import annotations

import math
import statistics
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from include.video.trends.trend import Trend

AGE_FLOOR_H = 0.1
PRIOR_VIEWS = 1000
HALF_LIFE_H = 36.0
Z_LIMIT = 4.0
MAD_TO_SIGMA = 1.4826
WEIGHTS = {"velocity_z": 0.40, "volume_z": 0.25, "engagement_z": 0.25, "recency": 0.10}

Flag = Literal["undated", "published_after_observed", "shrinking", "no_views", "no_engagement"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(_Frozen):
    """Median and median absolute deviation of a quantity within a platform."""

    median: float
    mad: float

    def z(self, value: float) -> float:
        """Return the robust z of a value, cut at the limit; 0 where the platform does not vary."""
        if self.mad == 0:
            return 0.0
        return max(-Z_LIMIT, min(Z_LIMIT, (value - self.median) / (MAD_TO_SIGMA * self.mad)))


class Scales(_Frozen):
    """What the trends of one platform are measured against."""

    log_velocity: Spread
    log_reach: Spread
    engagement: Spread
    mean_engagement: float


class Components(_Frozen):
    """What a score is made of; null where the trend does not tell. Rates are shares, velocities per hour."""

    reach: int
    reach_field: Literal["views", "likes"]
    age_h: float | None
    velocity_per_h: float | None
    true_velocity_per_h: float | None
    acceleration_per_h2: float | None
    engagement_raw: float | None
    engagement_rate: float | None
    velocity_z: float | None
    volume_z: float
    engagement_z: float | None
    recency: float | None

    @property
    def pace_per_h(self) -> float | None:
        """The velocity that counts: between two sights when there are two, else since publication."""
        return self.true_velocity_per_h if self.true_velocity_per_h is not None else self.velocity_per_h


class ScoredTrend(_Frozen):
    """A trend, its score, the components, and what is doubtful about it."""

    trend: Trend
    score: float
    components: Components
    flags: list[Flag]

    @property
    def trend_id(self) -> str:
        """`<platform>:<external id>`."""
        return self.trend.trend_id


class TrendSet(_Frozen):
    """The artifact of kind `trends`: all of a job's trends, best first, and what they were measured against."""

    sources: list[str]
    observed_at: datetime
    weights: dict[str, float]
    scales: dict[str, Scales]
    trends: list[ScoredTrend] = Field(min_length=1)


def _r(value: float) -> float:
    return round(value, 6) + 0.0  # + 0.0: no negative zero in the bytes


def _spread(values: list[float]) -> Spread:
    if not values:
        return Spread(median=0.0, mad=0.0)
    middle = statistics.median(values)
    return Spread(median=_r(middle), mad=_r(statistics.median(abs(value - middle) for value in values)))


def _reach(trend: Trend) -> tuple[int, Literal["views", "likes"]]:
    return (trend.views, "views") if trend.views is not None else (trend.likes or 0, "likes")


def age_h(trend: Trend) -> float | None:
    """Return the hours from publication to observation, None when undated or published after it was observed."""
    if trend.published_at is None or trend.published_at > trend.observed_at:
        return None
    return (trend.observed_at - trend.published_at).total_seconds() / 3600


def velocity_per_h(trend: Trend) -> float | None:
    """Return reach per hour since publication; ages under 0.1 h count as 0.1 h."""
    age = age_h(trend)
    return None if age is None else _reach(trend)[0] / max(age, AGE_FLOOR_H)


def true_velocity_per_h(trend: Trend) -> float | None:
    """Return views won per hour between the two sights; None without two, negative when the counter shrank."""
    if trend.views is None or trend.previous_views is None or trend.previous_observed_at is None:
        return None
    hours = (trend.observed_at - trend.previous_observed_at).total_seconds() / 3600
    return None if hours <= 0 else (trend.views - trend.previous_views) / max(hours, AGE_FLOOR_H)


def acceleration_per_h2(trend: Trend) -> float | None:
    """Return how much the velocity changed per hour since the earlier sight; None without dates or a second sight."""
    now = true_velocity_per_h(trend)
    if now is None or trend.published_at is None or trend.previous_observed_at is None:
        return None
    if trend.published_at > trend.previous_observed_at or trend.previous_views is None:
        return None
    age = (trend.previous_observed_at - trend.published_at).total_seconds() / 3600
    hours = (trend.observed_at - trend.previous_observed_at).total_seconds() / 3600
    return (now - trend.previous_views / max(age, AGE_FLOOR_H)) / max(hours, AGE_FLOOR_H)


def _interactions(trend: Trend) -> int | None:
    if trend.views is None or (trend.likes is None and trend.comments is None and trend.shares is None):
        return None
    return (trend.likes or 0) + 2 * (trend.comments or 0) + 3 * (trend.shares or 0)


def _engagement(trend: Trend, mean: float) -> tuple[float | None, float | None]:
    interactions = _interactions(trend)
    if interactions is None or trend.views is None:
        return None, None
    raw = interactions / trend.views if trend.views else None
    return raw, (interactions + PRIOR_VIEWS * mean) / (trend.views + PRIOR_VIEWS)


def _pace(trend: Trend) -> float | None:
    true = true_velocity_per_h(trend)
    return true if true is not None else velocity_per_h(trend)


def measure(trends: list[Trend]) -> dict[str, Scales]:
    """Return the scales of every platform among the trends."""
    by_platform: dict[str, list[Trend]] = {}
    for trend in trends:
        by_platform.setdefault(trend.platform, []).append(trend)
    return {platform: _scales(members) for platform, members in sorted(by_platform.items())}


def _scales(members: list[Trend]) -> Scales:
    known = [(i, t.views) for t in members if (i := _interactions(t)) is not None and t.views is not None]
    views = sum(v for _, v in known)
    mean = _r(sum(i for i, _ in known) / views) if views else 0.0
    paces = [pace for trend in members if (pace := _pace(trend)) is not None]
    rates = [rate for trend in members if (rate := _engagement(trend, mean)[1]) is not None]
    return Scales(
        log_velocity=_spread([math.log1p(max(pace, 0.0)) for pace in paces]),
        log_reach=_spread([math.log1p(_reach(trend)[0]) for trend in members]),
        engagement=_spread(rates),
        mean_engagement=mean,
    )


def score(trend: Trend, scales: Scales) -> ScoredTrend:
    """Return the score of one trend against its platform's scales, with components and flags."""
    reach, field = _reach(trend)
    age, pace = age_h(trend), _pace(trend)
    velocity, true, speed_up = velocity_per_h(trend), true_velocity_per_h(trend), acceleration_per_h2(trend)
    raw, rate = _engagement(trend, scales.mean_engagement)
    components = Components(
        reach=reach,
        reach_field=field,
        age_h=_maybe(age),
        velocity_per_h=_maybe(velocity),
        true_velocity_per_h=_maybe(true),
        acceleration_per_h2=_maybe(speed_up),
        engagement_raw=_maybe(raw),
        engagement_rate=_maybe(rate),
        velocity_z=None if pace is None else _r(scales.log_velocity.z(math.log1p(max(pace, 0.0)))),
        volume_z=_r(scales.log_reach.z(math.log1p(reach))),
        engagement_z=None if rate is None else _r(scales.engagement.z(rate)),
        recency=None if age is None else _r(2 * 2 ** (-age / HALF_LIFE_H) - 1),
    )
    flags: list[Flag] = []
    if trend.published_at is None:
        flags.append("undated")
    elif age is None:
        flags.append("published_after_observed")
    if true is not None and true < 0:
        flags.append("shrinking")
    if trend.views is None:
        flags.append("no_views")
    if rate is None:
        flags.append("no_engagement")
    return ScoredTrend(trend=trend, score=combine(components), components=components, flags=flags)


def combine(components: Components) -> float:
    """Return the weighted sum of the components.

    >>> combine(Components(reach=1, reach_field="views", age_h=None, velocity_per_h=None, true_velocity_per_h=None,
    ...     acceleration_per_h2=None, engagement_raw=None, engagement_rate=None, velocity_z=2.0, volume_z=1.0,
    ...     engagement_z=None, recency=-1.0))
    0.95
    """
    parts = {
        "velocity_z": components.velocity_z,
        "volume_z": components.volume_z,
        "engagement_z": components.engagement_z,
        "recency": components.recency,
    }
    return _r(math.fsum(WEIGHTS[name] * value for name, value in parts.items() if value is not None))


def _maybe(value: float | None) -> float | None:
    return None if value is None else _r(value)


def score_all(trends: list[Trend], sources: list[str]) -> TrendSet:
    """Return the trends of a job scored within their platforms, best first; ties by id.

    Raises
    ------
    ValueError
        No trends.
    """
    scales = measure(trends)
    scored = [score(trend, scales[trend.platform]) for trend in trends]
    scored.sort(key=lambda one: (-one.score, one.trend_id))
    return TrendSet(
        sources=sorted(sources),
        observed_at=max(trend.observed_at for trend in trends),
        weights=WEIGHTS,
        scales=scales,
        trends=scored,
    )
