"""Everything a script may claim about a job's trends: figures and names, each with the words that state it.

Writers choose from this table and from nothing else, whoever they are.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.errors import InvalidInput
from include.video.plan import REPORT, REQUEST, Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.video.scoring import ScoredTrend
    from include.video.writers.writer import Brief

SUBJECTS = 8
STYLES = 5
TAGS = 5

_IDLE_WORDS = frozenset(
    [
        "a",
        "all",
        "and",
        "are",
        "at",
        "best",
        "by",
        "everyone",
        "everything",
        "for",
        "from",
        "in",
        "is",
        "it",
        "now",
        "of",
        "on",
        "people",
        "right",
        "the",
        "this",
        "to",
        "today",
        "top",
        "trend",
        "trending",
        "trends",
        "video",
        "videos",
        "viral",
        "watch",
        "watching",
        "what",
        "with",
        "world",
        "your",
        "you",
        "week",
    ]
)


@dataclass(frozen=True)
class Subject:
    """One trend a script may be about. `name` is what can be said of it in English, None when nothing can."""

    id: str
    scored: ScoredTrend
    name: str | None
    name_evidence: str | None
    label: str
    unit: str
    fields: dict[str, str]

    def has(self, *fields: str) -> bool:
        """Return whether there is evidence of every field."""
        return all(field in self.fields for field in fields)


@dataclass(frozen=True)
class Claims:
    """The evidence table, the subjects in the order they matter for this brief, and the report's own fields."""

    theme: str
    keywords: tuple[str, ...]
    evidence: dict[str, Evidence]
    unit: str
    subjects: tuple[Subject, ...]
    report: dict[str, str]


def spoken_count(value: float) -> str:
    """Return a count as it is said: exact below 10 000, in whole thousands, in tenths of millions and billions.

    >>> [spoken_count(n) for n in (7, 8400, 12345, 999_600, 1_054_156, 21_492_889, 3.2e9)]
    ['7', '8,400', '12 thousand', '1 million', '1.1 million', '21.5 million', '3.2 billion']
    """
    whole = round(value)
    if whole < 10_000:
        return f"{whole:,}"
    if whole < 999_500:
        return f"{round(whole / 1000)} thousand"
    for size, word in ((10**6, "million"), (10**9, "billion")):
        if whole < 999.5 * size or size == 10**9:
            scaled = whole / size
            digits = f"{scaled:.1f}".removesuffix(".0") if scaled < 99.95 else f"{scaled:,.0f}"
            return f"{digits} {word}"
    raise ValueError(value)


def spoken_percent(share: float) -> str:
    """Return a share as it is said.

    >>> spoken_percent(0.0446), spoken_percent(0.2987)
    ('4.5 percent', '30 percent')
    """
    percent = share * 100
    digits = f"{percent:.1f}".removesuffix(".0") if percent < 9.95 else f"{percent:.0f}"
    return f"{digits} percent"


def spoken_hour(hour: int) -> str:
    """Return an hour of the day as it is said.

    >>> [spoken_hour(hour) for hour in (0, 9, 12, 18)]
    ['12 AM', '9 AM', '12 PM', '6 PM']
    """
    return f"{hour % 12 or 12} {'AM' if hour < 12 else 'PM'}"


def speakable(text: str, *, words: int) -> str | None:
    """Return the part of a name that an English voice can say, None when there is none that short.

    What stands in brackets or after a bar, hashtags and pictures go; what stands after a dash stays if there is room;
    shouted words are set normally.

    >>> speakable("PAPER Boats (Official Video) | Lumen", words=5), speakable("Lumen - Paper Boats", words=5)
    ('Paper Boats', 'Lumen, Paper Boats')
    >>> speakable("東京の夜を一分で歩く", words=5) is None
    True
    """
    plain = re.sub(r"[(\[【][^)\]】]*[)\]】]", " ", text)
    plain = re.sub(r"#\w+", " ", re.split(r"\s[|•/]+\s|\|", plain)[0])
    plain = plain.replace("’", "'").replace("“", "").replace("”", "").replace('"', "")
    halves = [half for half in re.split(r"\s[-–—]\s", plain) if half.strip()]
    for name in (
        _sayable(", ".join(half.strip() for half in halves[:2])),
        _sayable(halves[0] if halves else ""),
    ):
        if name is not None and len(name.split()) <= words and len(name) <= 60:
            return name
    return None


def _sayable(text: str) -> str | None:
    # letters with marks are said as their base letter; other writing systems cannot be said
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    letters = [c for c in plain if c.isalpha()]
    if len(letters) < 3 or any(not c.isascii() for c in letters):
        return None
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " '&,.:-?!") else " " for c in plain)
    tokens = [_set_normally(token) for token in plain.split() if any(c.isalnum() for c in token)]
    return " ".join(tokens).strip(" ,.:;-?!&'") or None


def _set_normally(token: str) -> str:
    letters = [c for c in token if c.isalpha()]
    return token.capitalize() if len(letters) > 3 and all(c.isupper() for c in letters) else token


def _clip(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def keywords_of(theme: str) -> tuple[str, ...]:
    """Return the words of a theme that can tell one trend from another.

    >>> keywords_of("What everyone is watching")
    ()
    >>> keywords_of("The best Music of Halloween")
    ('music', 'halloween')
    """
    words = re.findall(r"\w{3,}", theme.casefold())
    return tuple(dict.fromkeys(word for word in words if word not in _IDLE_WORDS))


def _haystack(one: ScoredTrend) -> str:
    trend = one.trend
    parts = [trend.title, trend.channel or "", trend.category or "", *trend.hashtags]
    return " ".join(parts).casefold()


_POSSESSIVE = {True: "'", False: "'s"}


def _referenced(brief: Brief) -> list[ScoredTrend]:
    """Return the trends that the person named, in the order named."""
    found: list[ScoredTrend] = []
    for reference in brief.params.content_references:
        wanted = reference.casefold().strip()
        match = next(
            (
                one
                for one in brief.trends.trends
                if wanted in (one.trend_id.casefold(), one.trend.external_id.casefold())
                or (one.trend.url is not None and wanted == one.trend.url.casefold())
                or wanted in _haystack(one)
            ),
            None,
        )
        if match is None:
            msg = (
                f"content_references: {reference!r} matches none of the {len(brief.trends.trends)} trends;"
                " give an id, an address, or words of a title or channel"
            )
            raise InvalidInput(msg)
        if match not in found:
            found.append(match)
    return found


def leads(claims: Claims, first: str, second: str) -> bool:
    """Return whether the first figure of the report is strictly larger than the second: a tie has no leader."""
    one, other = (claims.evidence[claims.report[name]].value for name in (first, second))
    return not isinstance(one, str) and not isinstance(other, str) and one > other


def gather(brief: Brief) -> Claims:
    """Return what may be claimed.

    Subjects come in this order: those the person referred to, those the theme's keywords match, then by score.

    Raises
    ------
    InvalidInput
        A content reference matches no trend.
    """
    keywords = keywords_of(brief.params.theme)
    rest = [one for one in brief.trends.trends if "shrinking" not in one.flags] or brief.trends.trends
    matches = {
        one.trend_id: sum(word in _haystack(one) for word in keywords) for one in rest
    }  # how many of the keywords an item carries
    ordered = [*_referenced(brief), *sorted(rest, key=lambda one: -matches[one.trend_id])]
    unique = list({one.trend_id: one for one in ordered}.values())[:SUBJECTS]
    evidence: dict[str, Evidence] = {}
    if brief.params.theme:
        evidence["q.theme"] = Evidence(
            trend_id=REQUEST, field="theme", value=brief.params.theme, display=brief.params.theme
        )
    subjects = _distinct(_subject(f"t{place}", one, evidence) for place, one in enumerate(unique, start=1))
    report = _report_claims(brief, evidence)
    theme = brief.params.theme or f"What is trending in {brief.report.styles[0].name}"
    units = {one.unit for one in subjects}
    unit = units.pop() if len(units) == 1 else brief.report.reach_field
    return Claims(theme, keywords, evidence, unit, subjects, report)


def _distinct(subjects: Iterable[Subject]) -> tuple[Subject, ...]:
    """Take the spoken name from a subject that sounds like one before it."""
    kept: list[Subject] = []
    for subject in subjects:
        clash = subject.name is not None and subject.name in {other.name for other in kept}
        kept.append(replace(subject, name=None, name_evidence=None) if clash else subject)
    return tuple(kept)


def _subject(name: str, one: ScoredTrend, evidence: dict[str, Evidence]) -> Subject:
    trend, parts = one.trend, one.components
    fields: dict[str, str] = {}

    def claim(field: str, value: float | str, display: str, source: str) -> None:
        evidence[f"{name}.{field}"] = Evidence(
            trend_id=one.trend_id, field=source, value=value, display=display
        )
        fields[field] = f"{name}.{field}"

    claim("title", trend.title, _clip(trend.title, 110), "title")
    if trend.channel:
        claim("channel", trend.channel, _clip(trend.channel, 110), "channel")
    if parts.reach:
        claim("reach", parts.reach, spoken_count(parts.reach), parts.reach_field)
    if parts.pace_per_h is not None and parts.pace_per_h >= 1:
        claim(
            "pace",
            parts.pace_per_h,
            spoken_count(parts.pace_per_h),
            "true_velocity_per_h" if parts.true_velocity_per_h is not None else "velocity_per_h",
        )
    if trend.views and trend.likes:
        claim(
            "like_rate",
            round(trend.likes / trend.views * 100, 4),
            spoken_percent(trend.likes / trend.views),
            "likes / views * 100",
        )
    if trend.comments:
        claim("comments", trend.comments, spoken_count(trend.comments), "comments")
    if trend.likes and parts.reach_field != "likes":
        claim("likes", trend.likes, spoken_count(trend.likes), "likes")
    if trend.previous_views and trend.views and trend.views > trend.previous_views:
        claim("before", trend.previous_views, spoken_count(trend.previous_views), "previous_views")
        claim("gain", trend.views - trend.previous_views, spoken_count(trend.views - trend.previous_views), "views - previous_views")  # fmt: skip
    title, channel = speakable(trend.title, words=6), speakable(trend.channel or "", words=3)
    spoken, spoken_by = (title, "title") if title else (None, None)
    if spoken is None and channel and trend.platform == "youtube":
        spoken, spoken_by = f"{channel}{_POSSESSIVE[channel.endswith('s')]} video", "channel"
    return Subject(
        id=name,
        scored=one,
        name=spoken,
        name_evidence=fields[spoken_by] if spoken_by else None,
        label=_clip(title or (channel if spoken_by == "channel" else None) or trend.title, 28),
        unit={"views": "views", "likes": "points" if trend.platform == "hacker_news" else "likes"}[
            parts.reach_field
        ],
        fields=fields,
    )


def _report_claims(brief: Brief, evidence: dict[str, Evidence]) -> dict[str, str]:
    report, fields = brief.report, {}

    def claim(field: str, value: float | str, display: str, source: str) -> None:
        evidence[f"r.{field}"] = Evidence(trend_id=REPORT, field=source, value=value, display=display)
        fields[field] = f"r.{field}"

    claim("count", report.trend_count, f"{report.trend_count:,}", "trend_count")
    if report.reach_field in ("views", "likes") and report.reach_total:
        claim("reach", report.reach_total, spoken_count(report.reach_total), "reach_total")
    for place, style in enumerate(report.styles[:STYLES], start=1):
        where = f"styles[{place - 1}]"
        claim(f"style{place}", style.name, _clip(style.name, 110), f"{where}.name")
        claim(f"style{place}.count", style.count, f"{style.count:,}", f"{where}.count")
        claim(f"style{place}.share", round(style.share * 100, 2), spoken_percent(style.share), f"{where}.share * 100")  # fmt: skip
    for place, tag in enumerate([tag for tag in report.hashtags if tag.count > 1][:TAGS], start=1):
        where = f"hashtags[{report.hashtags.index(tag)}]"
        claim(f"tag{place}", tag.tag, _clip(tag.tag, 110), f"{where}.tag")
        claim(f"tag{place}.count", tag.count, f"{tag.count:,}", f"{where}.count")
    hours = report.publish_hours
    if len(hours) > 2:
        for hour, count in hours.items():
            claim(f"hour{hour}.count", count, f"{count:,}", f"publish_hours.{hour}")
        busiest = max(sorted(hours), key=lambda hour: hours[hour])
        if hours[busiest] > 1 and list(hours.values()).count(hours[busiest]) == 1:
            claim("hour", int(busiest), spoken_hour(int(busiest)), "publish_hours (busiest)")
    for pattern in report.patterns:
        if pattern.lift > 0 and pattern.count > 1:
            where = f"patterns[{report.patterns.index(pattern)}]"
            claim("pattern", pattern.name, pattern.name, f"{where}.name")
            claim("pattern.share", round(pattern.share * 100, 2), spoken_percent(pattern.share), f"{where}.share * 100")  # fmt: skip
            break
    return fields
