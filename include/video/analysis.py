"""What a job's own trends have in common: styles, title patterns, hashtags, hours, and what follows from them.

Every count can be recomputed from the trends whose ids the report names; every recommendation names the figures it rests on.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.video.scoring import ScoredTrend, TrendSet

TOP = 10
HASHTAGS = 20


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Style(_Frozen):
    """One category of the trends: how many belong to it, their share, their middle score and pace."""

    name: str
    count: int
    share: float
    median_score: float
    median_pace_per_h: float | None
    trend_ids: list[str]


class Pattern(_Frozen):
    """One way titles are made; `lift` is the middle score with it less the middle score without it."""

    name: str
    count: int
    share: float
    lift: float
    trend_ids: list[str]


class Tag(_Frozen):
    """One hashtag and the trends that carry it."""

    tag: str
    count: int
    trend_ids: list[str]


class Leader(_Frozen):
    """One of the trends with the highest scores, as far as a report shows it."""

    trend_id: str
    title: str
    channel: str | None
    score: float
    reach: int
    reach_field: str
    pace_per_h: float | None
    engagement_rate: float | None


class Recommendation(_Frozen):
    """One piece of advice and the fields of the report it follows from."""

    text: str
    because: list[str]


class Window(_Frozen):
    """When the trends were published and observed; null where none is dated."""

    published_from: datetime | None
    published_to: datetime | None
    observed_from: datetime
    observed_to: datetime


class TrendReport(_Frozen):
    """The artifact of kind `report`."""

    sources: list[str]
    window: Window
    trend_count: int
    trend_ids: list[str] = Field(description="exactly the trends that fed the report, best first")
    reach_total: int
    reach_median: int
    reach_field: str = Field(description="views, or likes where a platform shows no views, or both")
    flagged: dict[str, int]
    styles: list[Style]
    patterns: list[Pattern]
    hashtags: list[Tag]
    publish_hours: dict[str, int] = Field(description="how many were published in each hour of the day, UTC")
    leaders: list[Leader]
    recommendations: list[Recommendation]


_EMOJI = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")

PATTERNS: dict[str, Callable[[str], bool]] = {
    "question": lambda title: "?" in title or "？" in title or "¿" in title,
    "number": lambda title: any(character.isdecimal() for character in title),
    "first person": lambda title: re.search(r"\b(I|We|My|Our)\b", title) is not None,
    "brackets": lambda title: re.search(r"[(\[【].+?[)\]】]", title) is not None,
    "shouting": lambda title: re.search(r"\b[A-Z]{4,}\b", title) is not None,
    "official release": lambda title: (
        re.search(r"\bofficial\b|\btrailer\b", title, re.IGNORECASE) is not None
    ),
    "contest": lambda title: (
        re.search(r"\bvs\b|\bchallenge\b|\bversus\b|\btest\b|\btested\b", title, re.IGNORECASE) is not None
    ),
    "superlative": lambda title: (
        re.search(r"\b(best|worst|most|every|never|first|last|\w{3,}est)\b", title, re.IGNORECASE) is not None
    ),
    "emoji": lambda title: _EMOJI.search(title) is not None,
}
"""Name of a way to make a title, and whether a title is made so."""


def analyse(trends: TrendSet) -> TrendReport:
    """Return the report on a job's trends; a pure function of them."""
    scored = trends.trends
    published = [one.trend.published_at for one in scored if one.trend.published_at is not None]
    observed = [one.trend.observed_at for one in scored]
    reaches = [one.components.reach for one in scored]
    styles, patterns, hashtags = _styles(scored), _patterns(scored), _hashtags(scored)
    hours = Counter(f"{moment.hour:02d}" for moment in published)
    return TrendReport(
        sources=trends.sources,
        window=Window(
            published_from=min(published, default=None),
            published_to=max(published, default=None),
            observed_from=min(observed),
            observed_to=max(observed),
        ),
        trend_count=len(scored),
        trend_ids=[one.trend_id for one in scored],
        reach_total=sum(reaches),
        reach_median=int(statistics.median(reaches)),
        reach_field=" and ".join(sorted({one.components.reach_field for one in scored}, reverse=True)),
        flagged=dict(sorted(Counter(flag for one in scored for flag in one.flags).items())),
        styles=styles,
        patterns=patterns,
        hashtags=hashtags,
        publish_hours=dict(sorted(hours.items())),
        leaders=[_leader(one) for one in scored[:TOP]],
        recommendations=_recommendations(styles, patterns, hashtags, hours),
    )


def _leader(one: ScoredTrend) -> Leader:
    parts = one.components
    return Leader(
        trend_id=one.trend_id,
        title=one.trend.title,
        channel=one.trend.channel,
        score=one.score,
        reach=parts.reach,
        reach_field=parts.reach_field,
        pace_per_h=parts.pace_per_h,
        engagement_rate=parts.engagement_rate,
    )


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4)


def _styles(scored: list[ScoredTrend]) -> list[Style]:
    members: dict[str, list[ScoredTrend]] = {}
    for one in scored:
        members.setdefault(one.trend.category or "uncategorised", []).append(one)
    styles = []
    for name, group in members.items():
        paces = [one.components.pace_per_h for one in group if one.components.pace_per_h is not None]
        styles.append(
            Style(
                name=name,
                count=len(group),
                share=_share(len(group), len(scored)),
                median_score=round(statistics.median(one.score for one in group), 6),
                median_pace_per_h=round(statistics.median(paces), 3) if paces else None,
                trend_ids=[one.trend_id for one in group],
            )
        )
    return sorted(styles, key=lambda style: (-style.count, -style.median_score, style.name))


def _patterns(scored: list[ScoredTrend]) -> list[Pattern]:
    patterns = []
    for name, made_so in PATTERNS.items():
        inside = [one for one in scored if made_so(one.trend.title)]
        outside = [one for one in scored if not made_so(one.trend.title)]
        if not inside:
            continue
        lift = (
            statistics.median(one.score for one in inside) - statistics.median(one.score for one in outside)
            if outside
            else 0.0
        )
        patterns.append(
            Pattern(
                name=name,
                count=len(inside),
                share=_share(len(inside), len(scored)),
                lift=round(lift, 6) + 0.0,
                trend_ids=[one.trend_id for one in inside],
            )
        )
    return sorted(patterns, key=lambda pattern: (-pattern.lift, -pattern.count, pattern.name))


def _hashtags(scored: list[ScoredTrend]) -> list[Tag]:
    carriers: dict[str, list[str]] = {}
    for one in scored:
        for tag in dict.fromkeys(one.trend.hashtags):
            carriers.setdefault(tag, []).append(one.trend_id)
    ordered = sorted(
        carriers.items(), key=lambda item: -len(item[1])
    )  # stable: of equals the better trend's tag
    return [Tag(tag=tag, count=len(ids), trend_ids=ids) for tag, ids in ordered[:HASHTAGS]]


def _recommendations(
    styles: list[Style], patterns: list[Pattern], hashtags: list[Tag], hours: Counter[str]
) -> list[Recommendation]:
    advice = [
        Recommendation(
            text=f"Lead with {styles[0].name}: {styles[0].count} of the trends are of this kind.",
            because=["styles[0].count"],
        )
    ]
    rising = max(styles, key=lambda style: style.median_score)
    if rising.name != styles[0].name and rising.count > 1:
        advice.append(
            Recommendation(
                text=f"Watch {rising.name}: few, but its items pull the strongest.",
                because=["styles.median_score"],
            )
        )
    helpful = [pattern for pattern in patterns if pattern.lift > 0 and pattern.count > 1]
    if helpful:
        advice.append(
            Recommendation(
                text=f"Try a title of the pattern “{helpful[0].name}”: such titles score higher here.",
                because=["patterns.lift", "patterns.count"],
            )
        )
    shared = [tag for tag in hashtags if tag.count > 1]
    if shared:
        advice.append(
            Recommendation(
                text=f"Tag with {', '.join(tag.tag for tag in shared[:3])}.", because=["hashtags.count"]
            )
        )
    if hours:
        hour, count = max(sorted(hours.items()), key=lambda item: item[1])
        if count > 1:
            advice.append(
                Recommendation(
                    text=f"Publish around {hour}:00 UTC, when most of them were.", because=["publish_hours"]
                )
            )
    return advice
