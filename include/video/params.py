"""What a person may ask of one video: the trigger form of the `video` DAG, and what its stages are given.

`VideoParams.model_json_schema()` holds title, description, default and limits of every field as flat JSON schema,
so that the form can be generated from it; `VideoParams.model_validate(conf)` refuses unknown keys and wrong types.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

from include.video.plan import Mood

Source = Literal["auto", "file", "gold", "hacker_news"]
Size = Literal["1080x1920", "720x1280", "1920x1080", "1280x720", "1080x1080", "720x720"]

_JOB_ID: dict[str, Any] = {"type": ["null", "string"], "format": "uuid"}
_BUDGET: dict[str, Any] = {"type": ["string", "number"], "pattern": r"^\d{1,6}(\.\d{1,6})?$", "minimum": 0}

OF_SCRIPT = ("theme", "content_references", "mood", "target_s", "size", "fps", "seed", "writer")


class VideoParams(BaseModel):
    """The parameters of one video; every one has a default that works without network and without keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Video")

    job_id: Annotated[UUID | None, WithJsonSchema(_JOB_ID)] = Field(
        default=None, title="Job", description="The job to work for. Empty: a new job is opened."
    )
    source: Source = Field(
        default="auto",
        title="Trend source",
        description=(
            "Where trends come from: `file` (a YouTube-trending CSV, or the bundled sample), `gold` (the lake's trends table),"
            " `hacker_news` (live, no key). `auto`: the trends table that this job's own lake run made, else the file."
        ),
    )
    theme: str = Field(
        default="What everyone is watching",
        max_length=120,
        title="Theme",
        description="What the video is about, in your words; shown as you write it. Empty: the leading style of the trends.",
    )
    content_references: list[Annotated[str, Field(min_length=2, max_length=300)]] = Field(
        default=[],
        max_length=10,
        title="Content references",
        description=(
            "Trends that the video must feature, most important first: an id, an address, or words of the title or channel."
            " A reference that matches no collected trend fails the script."
        ),
    )
    mood: Mood = Field(
        default="bright", title="Mood", description="Tone of the words, colours and music of the video."
    )
    target_s: float = Field(
        default=16,
        ge=15,
        le=60,
        title="Length in seconds",
        description="How long the video is; met to within one frame.",
    )
    size: Size = Field(
        default="1080x1920", title="Size", description="Width and height of the picture in pixels."
    )
    fps: Literal[24, 25, 30, 50, 60] = Field(
        default=30, title="Frames per second", description="Pictures per second of the video."
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**31,
        title="Seed",
        description="Another seed gives other words, pictures and music for the same trends; the same seed gives the same bytes.",
    )
    writer: Literal["grammar", "anthropic"] = Field(
        default="grammar",
        title="Script writer",
        description="`grammar` works offline and costs nothing; `anthropic` asks a Claude model and needs ANTHROPIC_API_KEY.",
    )
    writer_model: str = Field(
        default="claude-sonnet-5-5",
        pattern=r"^[A-Za-z0-9._-]{1,80}$",
        title="Model of the writer",
        description="The Claude model that `anthropic` asks; it must be in the price table. `grammar` has none.",
    )
    voice: Literal["espeak-ng"] = Field(
        default="espeak-ng", title="Voice", description="The speech synthesiser; `espeak-ng` works offline."
    )
    language: Literal["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp"] = Field(
        default="en-us", title="Accent", description="The accent of English that the voice speaks."
    )
    music: bool = Field(
        default=True, title="Music", description="Lay a synthesised music bed under the voice."
    )
    review: Literal["human", "unattended"] = Field(
        default="human",
        title="Review",
        description=(
            "`human`: the run waits until a person approves or rejects. `unattended`: approved at once, and recorded as such."
        ),
    )
    budget_usd: Annotated[Decimal, WithJsonSchema(_BUDGET)] = Field(
        default=Decimal("1.00"),
        ge=0,
        max_digits=12,
        decimal_places=6,
        title="Budget in US dollars",
        description="The job stops before a call of a paid provider could take it over this sum.",
    )
    fresh: bool = Field(
        default=False,
        title="Make everything anew",
        description="Work again even where the same inputs already gave a finished result.",
    )

    @field_validator("budget_usd", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return Decimal(str(value)) if isinstance(value, float) else value

    @field_validator("theme", mode="after")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if any(ord(character) < 32 or ord(character) == 127 for character in value):
            msg = "control characters and line breaks are not allowed"
            raise ValueError(msg)
        return " ".join(value.split())

    def of_script(self) -> dict[str, Any]:
        """Return the parameters that decide a script, as plain JSON; neither the job nor how it is run is among them."""
        return self.model_dump(mode="json", include=set(OF_SCRIPT))

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.size.split("x")[0])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.size.split("x")[1])
