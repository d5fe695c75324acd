"""One trending item and its counters, and what a source of them is."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Protocol

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from include.lineage.secrets import hide_sure

HASHTAGS_KEPT = 30

CATEGORIES = {
    1: "Film & Animation",
    2: "Autos & Vehicles",
    10: "Music",
    15: "Pets & Animals",
    17: "Sports",
    18: "Short Movies",
    19: "Travel & Events",
    20: "Gaming",
    21: "Videoblogging",
    22: "People & Blogs",
    23: "Comedy",
    24: "Entertainment",
    25: "News & Politics",
    26: "Howto & Style",
    27: "Education",
    28: "Science & Technology",
    29: "Nonprofits & Activism",
    30: "Movies",
    43: "Shows",
    44: "Trailers",
}
"""Names of YouTube's category ids (`videoCategories.list` of its Data API)."""


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
Told = Annotated[str, AfterValidator(hide_sure)]
"""A text that others will read: keys, tokens and logins in it are hidden."""
Count = Annotated[int, Field(ge=0)]


class Trend(BaseModel):
    """One item as its source saw it. Counters that a platform does not show are null, never zero."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    external_id: str = Field(min_length=1, max_length=128)
    title: Told = Field(min_length=1)
    url: str | None = None
    channel: Told | None = None
    category: str | None = None
    hashtags: list[str] = Field(
        default_factory=list, description="`#` and lower-case letters, figures, underscores"
    )
    published_at: Moment | None = None
    observed_at: Moment
    views: Count | None = None
    likes: Count | None = None
    comments: Count | None = None
    shares: Count | None = None
    previous_observed_at: Moment | None = Field(default=None, description="an earlier sight of the same item")
    previous_views: Count | None = None

    @property
    def trend_id(self) -> str:
        """`<platform>:<external id>`."""
        return f"{self.platform}:{self.external_id}"


class TrendSource(Protocol):
    """Something that trends are read from."""

    @property
    def name(self) -> str:
        """The declared source, as in the dataset name `sources/<name>`."""
        ...

    def fetch(self) -> list[Trend]:
        """Return the trends, at least one, no id twice.

        Raises
        ------
        InvalidInput
            The captured bytes are not what this source reads, or hold no trend.
        """
        ...


_MARKED = re.compile(r"(?<![\w#&/])#(\w{2,60})")


def tidy(text: str) -> str:
    """Return a text in NFC on one line, without control and unassigned characters.

    >>> tidy("  a   b ")
    'a b'
    """
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(
        " " if unicodedata.category(character) in {"Cc", "Zl", "Zp"} else character
        for character in composed
        if unicodedata.category(character) not in {"Cs", "Co", "Cn"} and character not in "\u200b\u2060\ufeff"
    )
    return " ".join(kept.split())


def hashtag(words: str) -> str | None:
    """Return words as one hashtag, or None when nothing but figures and signs would be left.

    >>> hashtag("Good Mythical Morning!")
    '#goodmythicalmorning'
    >>> hashtag("2018") is None
    True
    """
    squeezed = re.sub(r"\W", "", unicodedata.normalize("NFC", words).lower())[:60]
    return f"#{squeezed}" if len(squeezed) > 1 and not squeezed.isdecimal() else None


def hashtags_of(title: str, description: str, tags: list[str]) -> list[str]:
    """Return the hashtags of an item: those written in its texts first, then its tags; each once.

    >>> hashtags_of("Try #Candy", "", ["taste test", "candy"])
    ['#candy', '#tastetest']
    """
    written = [match[1] for text in (title, description) for match in _MARKED.finditer(hide_sure(text))]
    found = (hashtag(words) for words in [*written, *map(hide_sure, tags)])
    return list(dict.fromkeys(tag for tag in found if tag is not None))[:HASHTAGS_KEPT]
