"""What a lead's assessments say, as findings with a priority; pure: the same data give the same findings.

Priority of a finding, 0 to 10: 0.4 x impact + 0.4 x conversion + 0.2 x (10 - effort).

* impact: how many points the area loses, stretched so that a mean of 6 of 10 (or less) is full impact: 2.5 x (10 - mean);
* conversion: how much of the demand sees it: 10 x the share of reviews given to offers that score below the market;
* effort: what it takes to change, declared per area below.

Means are weighted by the number of reviews and come from exact integer sums of hundredths, so that neither the order of
rows nor the number of processors shows in a figure.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HUNDREDTHS = 100
FEW_REVIEWS = 10
"""Below this a mean says little, and the report warns."""
MOST_FINDINGS = 50


@dataclass(frozen=True)
class Area:
    """One thing that assessments score from 0 to 10, what changing it takes (0 to 10), and what to do."""

    name: str
    title: str
    effort: float
    advice: str


AREAS: tuple[Area, ...] = (
    Area(
        "comfort",
        "Comfort",
        7.0,
        "Renew what guests sit, sleep and wait on, starting with the offer that most people review.",
    ),
    Area(
        "amenities",
        "Amenities",
        5.0,
        "Bring every offer up to the list of amenities that the best-scored one has, and say so in the listing.",
    ),
    Area(
        "trip",
        "The trip itself",
        6.0,
        "Walk through one trip from booking to goodbye with the people who run it, and remove the worst step first.",
    ),
    Area(
        "crew",
        "Crew and service",
        4.0,
        "Give the crew of the weakest offer a week with the crew of the best one, and a checklist to come home with.",
    ),
    Area(
        "location",
        "Location",
        9.0,
        "The place is hard to change: set expectations in the listing and offer a transfer.",
    ),
    Area(
        "price",
        "Value for money",
        3.0,
        "Compare the price with offers of the same score; change the price or show what it includes.",
    ),
)
BY_NAME = {area.name: area for area in AREAS}
Urgency = Literal["act now", "plan", "watch"]


@dataclass(frozen=True)
class Market:
    """Exact sums over every lead's assessments: area -> (sum of hundredths x reviews, reviews)."""

    areas: Mapping[str, tuple[int, int]]
    leads: int
    assessments: int

    def mean(self, area: str) -> float | None:
        """Return the market's mean of an area, 0 to 10, or None when nobody was scored in it."""
        total, reviews = self.areas.get(area, (0, 0))
        return total / reviews / HUNDREDTHS if reviews else None


@dataclass(frozen=True)
class AreaScore:
    """One area of one lead: mean 0 to 10, the reviews behind it, the market's mean, offers below the market."""

    area: str
    title: str
    mean: float
    reviews: int
    market: float
    below_share: float
    worst_offer: str
    worst_score: float


@dataclass(frozen=True)
class Finding:
    """One thing to change; impact, conversion, effort and priority run from 0 to 10."""

    area: str
    title: str
    evidence: str
    advice: str
    impact: float
    conversion: float
    effort: float
    priority: float
    urgency: Urgency
    quick_win: bool


@dataclass(frozen=True)
class Audit:
    """All that an audit says of a lead. `overall` is the mean of all area means, `reviews` counts reviews."""

    areas: tuple[AreaScore, ...]
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    overall: float | None
    market_overall: float | None
    reviews: int
    offers: int

    def plain(self) -> dict[str, Any]:
        """Return the audit as plain JSON types."""
        return asdict(self)


def priority_of(impact: float, conversion: float, effort: float) -> float:
    """Return the priority of a finding, 0 to 10.

    >>> priority_of(impact=10, conversion=10, effort=0)
    10.0
    >>> priority_of(impact=5, conversion=2.5, effort=9)
    3.2
    """
    return round(0.4 * impact + 0.4 * conversion + 0.2 * (10 - effort), 2)


def urgency_of(priority: float) -> Urgency:
    """Return what a priority means.

    >>> [urgency_of(value) for value in (7.0, 6.99, 4.0, 3.99)]
    ['act now', 'plan', 'plan', 'watch']
    """
    if priority >= 7:
        return "act now"
    return "plan" if priority >= 4 else "watch"


def hundredths(score: float) -> int:
    """Return a score as a whole number of hundredths.

    >>> hundredths(9.1)
    910
    """
    return round(score * HUNDREDTHS)


def audit(lead: Mapping[str, Any], assessments: Sequence[Mapping[str, Any]], market: Market) -> Audit:
    """Return what a lead's own rows say.

    In    lead: rating (0 to 1 or None), country, size, approved (bool or None); assessments: assessment_id,
          one column per area (0 to 10 or None), n (reviews)
    Out   areas in the declared order, findings by priority (then impact, then area), warnings in plain sentences
    """
    scored = [score for area in AREAS if (score := _area_score(area, assessments, market)) is not None]
    found = [finding for score in scored if (finding := _area_finding(score)) is not None]
    found += _lead_findings(lead)
    found.sort(key=lambda item: (-item.priority, -item.impact, item.area))
    overall = round(sum(score.mean for score in scored) / len(scored), 2) if scored else None
    markets = [score.market for score in scored]
    return Audit(
        areas=tuple(scored),
        findings=tuple(found[:MOST_FINDINGS]),
        warnings=tuple(_warnings(lead, assessments, scored)),
        overall=overall,
        market_overall=round(sum(markets) / len(markets), 2) if markets else None,
        reviews=sum(int(row["n"] or 0) for row in assessments),
        offers=len(assessments),
    )


def opportunity(found: Audit) -> float:
    """Return how much a report on this lead is worth, 0 to 10: its first priority, less where few people reviewed.

    Twenty reviews or more are full evidence.
    """
    if not found.findings:
        return 0.0
    return round(found.findings[0].priority * min(1.0, found.reviews / 20), 4)


def _area_score(area: Area, assessments: Sequence[Mapping[str, Any]], market: Market) -> AreaScore | None:
    rows = [
        (hundredths(row[area.name]), int(row["n"]), str(row["assessment_id"]))
        for row in assessments
        if row.get(area.name) is not None and row.get("n")
    ]
    average = market.mean(area.name)
    if not rows or average is None:
        return None
    reviews = sum(n for _, n, _ in rows)
    below = sum(n for score, n, _ in rows if score < average * HUNDREDTHS)
    worst_score, _, worst_offer = min(rows, key=lambda row: (row[0], row[2]))
    return AreaScore(
        area=area.name,
        title=area.title,
        mean=round(sum(score * n for score, n, _ in rows) / reviews / HUNDREDTHS, 2),
        reviews=reviews,
        market=round(average, 2),
        below_share=round(below / reviews, 4),
        worst_offer=worst_offer,
        worst_score=worst_score / HUNDREDTHS,
    )


def _area_finding(score: AreaScore) -> Finding | None:
    """Return the finding of an area, or None where nothing is lost and nobody scores below the market."""
    area = BY_NAME[score.area]
    impact = round(min(10.0, 2.5 * (10 - score.mean)), 2)
    conversion = round(10 * score.below_share, 2)
    if impact == 0:
        return None
    compared = "below" if score.mean < score.market else "above" if score.mean > score.market else "at"
    evidence = (
        f"Mean {score.mean:.2f} of 10 over {score.reviews} reviews, {compared} the market's {score.market:.2f};"
        f" {score.below_share:.0%} of the reviews are of offers below the market."
        f" Lowest: offer {score.worst_offer} with {score.worst_score:.2f}."
    )
    return _finding(area.name, area.title, evidence, area.advice, impact, conversion, area.effort)


def _lead_findings(lead: Mapping[str, Any]) -> Iterable[Finding]:
    rating = lead.get("rating")
    if rating is not None and rating < 0.9:
        lost = round(10 * (1 - rating), 2)
        yield _finding(
            "rating",
            "Company rating",
            f"The published rating is {rating:.0%}; buyers filter at 90%.",
            "Answer every open complaint within a week and ask satisfied customers for a rating.",
            impact=lost,
            conversion=lost,
            effort=6.0,
        )
    if lead.get("approved") is False:
        yield _finding(
            "approval",
            "Industry approval",
            "The company is listed without industry approval.",
            "Apply for approval; until then show the certificates that exist.",
            impact=4.0,
            conversion=5.0,
            effort=7.0,
        )


def _finding(
    area: str, title: str, evidence: str, advice: str, impact: float, conversion: float, effort: float
) -> Finding:
    priority = priority_of(impact, conversion, effort)
    quick = effort <= 5 and priority >= 3
    return Finding(
        area, title, evidence, advice, impact, conversion, effort, priority, urgency_of(priority), quick
    )


def _warnings(
    lead: Mapping[str, Any], assessments: Sequence[Mapping[str, Any]], scored: Sequence[AreaScore]
) -> Iterable[str]:
    if not assessments:
        yield "No assessment of this lead exists: the report rests on the company's own record alone."
        return
    reviews = sum(int(row["n"] or 0) for row in assessments)
    if reviews < FEW_REVIEWS:
        yield f"Only {reviews} review{'' if reviews == 1 else 's'}: means may change with the next one."
    unscored = sum(all(row.get(area.name) is None for area in AREAS) for row in assessments)
    if unscored:
        what = f"{unscored} of {len(assessments)}" if len(assessments) > 1 else "The only"
        yield f"{what} assessment{'s' if len(assessments) > 1 else ''} without any score: left out of every mean."
    have = {score.area for score in scored}
    missing = [area.title for area in AREAS if area.name not in have]
    if missing and unscored < len(assessments):
        yield f"Nobody scored: {', '.join(missing)}."
    for field, name in (("rating", "company rating"), ("country", "country"), ("size", "fleet size")):
        if lead.get(field) is None:
            yield f"The {name} is not known."
