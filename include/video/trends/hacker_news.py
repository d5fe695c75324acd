"""Trends from Hacker News' front page, through the public search API of HN (Algolia), which needs no key.

`capture` asks the service once and stores its answer; `HackerNewsSource` reads a stored answer, today or in a year.
HN shows no views: points count as likes. Source: https://hn.algolia.com/api
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from include.errors import InvalidInput, ProviderRefused, ProviderUnavailable
from include.video.plan import canonical_json
from include.video.trends.trend import Trend, tidy

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

HOST = "https://hn.algolia.com"
PATH = "/api/v1/search"
STORIES = 50
KINDS = {"ask_hn": "Questions", "show_hn": "Projects", "job": "Jobs", "poll": "Polls"}
LARGEST_ANSWER_BYTES = 5_000_000


def capture(
    path: Path, *, base_url: str = HOST, timeout_s: float = 10.0, attempts: int = 3, backoff_s: float = 0.5
) -> datetime:
    """Ask for the front page and write {url, fetched_at, answer} to `path`; return when the service answered.

    The time is the answer's own `Date` header. Broken connections, 429 and 5xx are tried again, `attempts` times in
    all, with growing pauses.

    Raises
    ------
    ProviderUnavailable
        No usable answer after the last attempt.
    ProviderRefused
        The service answered with another 4xx.
    """
    import httpx
    import tenacity

    url = f"{base_url.rstrip('/')}{PATH}?tags=front_page&hitsPerPage={STORIES}"
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential_jitter(multiplier=backoff_s, max=20 * backoff_s, jitter=backoff_s),
        retry=tenacity.retry_if_exception_type(ProviderUnavailable),
        reraise=True,
    )
    with httpx.Client(timeout=timeout_s, headers={"User-Agent": "throughline"}) as client:
        response = retrying(_ask, client, url)
    try:
        answer = response.json()
    except ValueError as error:
        msg = f"hacker_news answered something that is not JSON: {url}"
        raise ProviderUnavailable(msg) from error
    fetched_at = _date_of(response)
    path.write_bytes(canonical_json({"url": url, "fetched_at": fetched_at.isoformat(), "answer": answer}))
    return fetched_at


def _ask(client: httpx.Client, url: str) -> httpx.Response:
    import httpx

    try:
        response = client.get(url)
    except httpx.HTTPError as error:
        msg = f"hacker_news does not answer: {type(error).__name__} at {url}"
        raise ProviderUnavailable(msg) from error
    if response.status_code == 429 or response.status_code >= 500:
        msg = f"hacker_news answered {response.status_code} at {url}"
        raise ProviderUnavailable(msg)
    if response.status_code != 200:
        msg = f"hacker_news refused with {response.status_code} at {url}"
        raise ProviderRefused(msg)
    if len(response.content) > LARGEST_ANSWER_BYTES:
        msg = f"hacker_news answered {len(response.content)} bytes, more than {LARGEST_ANSWER_BYTES}"
        raise ProviderRefused(msg)
    return response


def _date_of(response: httpx.Response) -> datetime:
    try:
        return parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):  # HTTP lets a server without a clock leave it out
        return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class HackerNewsSource:
    """A stored answer, as `capture` wrote it."""

    path: Path
    label: str = "hacker_news"
    name: str = "hacker_news"

    def fetch(self) -> list[Trend]:
        """Return one trend per story of the answer.

        Raises
        ------
        InvalidInput
            Not a stored answer, or one without stories.
        """
        try:
            stored = json.loads(self.path.read_bytes())
            observed_at = datetime.fromisoformat(stored["fetched_at"])
            hits = list(stored["answer"]["hits"])
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{self.label} is not a stored answer of hacker_news: {error!r}"
            raise InvalidInput(msg) from error
        stories: dict[str, Trend] = {}
        for hit in hits:
            trend = self._trend(hit, observed_at)
            stories.setdefault(trend.external_id, trend)
        if not stories:
            msg = f"{self.label}: the answer holds no stories"
            raise InvalidInput(msg)
        return list(stories.values())

    def _trend(self, hit: Any, observed_at: datetime) -> Trend:
        try:
            story = str(hit["objectID"])
            title = tidy(hit["title"])
            return Trend(
                platform="hacker_news",
                external_id=story,
                title=title,
                url=hit.get("url") or f"https://news.ycombinator.com/item?id={story}",
                channel=hit.get("author"),
                category=next(
                    (name for tag, name in KINDS.items() if tag in hit.get("_tags", [])), "Stories"
                ),
                hashtags=[],
                published_at=datetime.fromtimestamp(hit["created_at_i"], UTC),
                observed_at=observed_at,
                likes=hit.get("points"),
                comments=hit.get("num_comments"),
            )
        except (KeyError, TypeError, AttributeError, ValidationError, OverflowError) as error:
            msg = f"{self.label}: a story of the answer cannot be read: {error!r}"
            raise InvalidInput(msg) from error
