"""The production plan of one short video: what is said, what is shown, when, and the evidence of every figure.

Whoever writes the plan (grammar, language model, a person's edit), it passes these validators or it does not exist:

* scenes are numbered 1.., contiguous from 0 s, as many and as long as `scene_bounds` allows, and sum to the target;
* every narration sentence belongs to exactly one scene, in order;
* overlays lie inside their scene;
* five to eight distinct hashtags;
* every figure in narration, overlays, title or picture equals the evidence it names.

Times are seconds, frames follow from them by `Plan.frames_of`, colours and fonts are the renderer's business.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SHORT_S = 20.0
"""Up to this target the plain rule holds: 3 to 7 scenes of 2 to 4 s."""

Mood = Literal["bright", "calm", "driving", "serious"]
Palette = Literal["night", "sunrise", "ocean", "forest", "candy"]
VisualKind = Literal["bars", "big_number", "kinetic", "quote", "line", "closing"]

REQUEST = "request"
"""`Evidence.trend_id` of what the person asked for (the theme)."""
REPORT = "report"
"""`Evidence.trend_id` of a figure of the trend report as a whole; `field` says which."""


class SceneBounds(NamedTuple):
    """How many scenes a video of some length has, and how long each may be (seconds)."""

    fewest: int
    most: int
    shortest_s: float
    longest_s: float


def scene_bounds(target_s: float) -> SceneBounds:
    """Return the scene rule for a target length of 15 to 60 s.

    Up to 20 s: 3 to 7 scenes of 2 to 4 s. Beyond, the most scenes and the longest scene grow with the length
    (never longer than 8 s), the shortest stays at 2 s; the fewest is what the longest scene still fills.

    >>> scene_bounds(16)
    SceneBounds(fewest=4, most=7, shortest_s=2.0, longest_s=4.0)
    >>> scene_bounds(60)
    SceneBounds(fewest=8, most=21, shortest_s=2.0, longest_s=8.0)
    """
    scale = max(1.0, target_s / SHORT_S)
    longest_s = round(min(4.0 * scale, 8.0), 3)
    most = min(math.floor(7 * scale + 1e-9), math.floor(target_s / 2.0 + 1e-9))
    fewest = max(3, math.ceil(target_s / longest_s - 1e-9))
    return SceneBounds(fewest, most, 2.0, longest_s)


_NUMBER = re.compile(
    r"(?P<digits>\d+(?:[.,]\d+)*)(?:\s*(?P<percent>%|percent\b)|\s+(?P<word>thousand|million|billion)\b|(?P<letter>[kKmMbB])\b)?",
    re.IGNORECASE,
)
_SCALE_WORD = re.compile(r"\b(hundred|thousand|million|billion|trillion)s?\b", re.IGNORECASE)
_SCALES = {"thousand": 1_000, "k": 1_000, "million": 10**6, "m": 10**6, "billion": 10**9, "b": 10**9}
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_PLAIN = re.compile(r"\d+(?:\.\d+)?")


def numbers_in(text: str) -> set[str]:
    """Return every figure a text states, in one form per meaning, so that texts can be compared.

    Thousands separators go, `1.1M` and `1.1 million` are one, percentages stay apart from plain figures.

    >>> sorted(numbers_in("1,054,156 views, 1.1 million plays, up 4.5%"))
    ['1054156', '1100000', '4.5%']
    >>> numbers_in("1.1M") == numbers_in("1.1 million")
    True
    """
    found: set[str] = set()
    for match in _NUMBER.finditer(text):
        digits = match["digits"]
        if _GROUPED.fullmatch(digits):
            digits = digits.replace(",", "")
        if not _PLAIN.fullmatch(digits):  # 3.1.4 or 2,5: a name, not a figure; compared as it stands
            found.add(digits)
            continue
        scale = _SCALES.get((match["word"] or match["letter"] or "").lower(), 1)
        plain = format((Decimal(digits) * scale).normalize(), "f")
        found.add(plain + ("%" if match["percent"] else ""))
    return found


def _bare_scales(text: str) -> set[str]:
    """Return the words of magnitude that stand without a figure ("millions of views")."""
    rest = _NUMBER.sub(" ", text)
    return {match[1].lower() for match in _SCALE_WORD.finditer(rest)}


def _printable(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        msg = "control characters and line breaks are not allowed"
        raise ValueError(msg)
    if not text.strip():
        msg = "is blank"
        raise ValueError(msg)
    return text


Text = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_printable)]
Label = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_printable)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Evidence(_Frozen):
    """One fact that the video may state: whose it is, which field, its value, and how it is spoken or drawn."""

    trend_id: str = Field(min_length=1, description='"<platform>:<external id>", or "report", or "request"')
    field: str = Field(min_length=1, description="which field of the trend or the report")
    value: Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True)] | str
    display: Label = Field(description="the very words or digits that texts use for it")


class Sentence(_Frozen):
    """One spoken sentence and the evidence of what it claims."""

    id: Identifier
    text: Text
    evidence: list[str] = Field(default_factory=list)


class Datum(_Frozen):
    """One drawn figure: value and display are those of its evidence."""

    label: Label
    value: float
    display: Label
    evidence: str


class Bars(_Frozen):
    """Animated bars, drawn in the given order."""

    title: str = Field(default="", max_length=80)
    unit: str = Field(default="", max_length=40)
    items: list[Datum] = Field(min_length=2, max_length=8)


class BigNumber(_Frozen):
    """One figure that counts up to its value."""

    label: Label
    value: float
    display: Label
    evidence: str


class Kinetic(_Frozen):
    """Lines of type that move in one after another."""

    lines: list[Label] = Field(min_length=1, max_length=6)
    evidence: list[str] = Field(default_factory=list)


class Quote(_Frozen):
    """A title or remark, word for word, and who said it."""

    text: Text
    source: str = Field(default="", max_length=120)
    evidence: list[str] = Field(min_length=1)


class Line(_Frozen):
    """A curve through points in the given order; a label is the point's place on the horizontal axis."""

    title: str = Field(default="", max_length=80)
    unit: str = Field(default="", max_length=40)
    points: list[Datum] = Field(min_length=2, max_length=60)


class Closing(_Frozen):
    """The last picture: what to remember and what to do."""

    headline: Label
    call: Label
    evidence: list[str] = Field(default_factory=list)


Content = Bars | BigNumber | Kinetic | Quote | Line | Closing
_CONTENT: dict[str, type[Content]] = {
    "bars": Bars,
    "big_number": BigNumber,
    "kinetic": Kinetic,
    "quote": Quote,
    "line": Line,
    "closing": Closing,
}


class Visual(_Frozen):
    """What a scene draws. `data` holds the fields of the content class of its kind; `content` gives it typed."""

    kind: VisualKind
    data: dict[str, JsonValue]
    palette: Palette = "night"

    @field_validator("data")
    @classmethod
    def _shaped_by_kind(cls, data: dict[str, JsonValue], info: ValidationInfo) -> dict[str, JsonValue]:
        kind = info.data.get("kind")
        if kind is None:  # the kind itself was refused; its own error says so
            return data
        return dict(_CONTENT[kind].model_validate(data).model_dump(mode="json"))

    @property
    def content(self) -> Content:
        """The data as an instance of `Bars`, `BigNumber`, `Kinetic`, `Quote`, `Line` or `Closing`."""
        return _CONTENT[self.kind].model_validate(self.data)


class Overlay(_Frozen):
    """A text laid over its scene; times are relative to the start of the scene."""

    text: Label
    start_s: float = Field(ge=0)
    end_s: float = Field(gt=0)
    style: Literal["bold", "caption", "label"] = "bold"
    position: Literal["top", "center", "bottom"] = "top"
    animation: Literal["fade", "slide"] = "fade"


class Scene(_Frozen):
    """One scene: its place in time, its picture, the sentences spoken in it, the texts laid over it."""

    number: int = Field(ge=1)
    start_s: float = Field(ge=0)
    duration_s: float = Field(gt=0)
    visual: Visual
    narration_ids: list[str] = Field(default_factory=list)
    overlays: list[Overlay] = Field(default_factory=list, max_length=4)

    @property
    def end_s(self) -> float:
        """When the next scene starts."""
        return self.start_s + self.duration_s

    @property
    def key(self) -> str:
        """The scene's key in the ledger: its number in two digits."""
        return f"{self.number:02d}"


class Music(_Frozen):
    """What the synthesised music bed follows."""

    bpm: int = Field(ge=60, le=180)
    mode: Literal["major", "minor", "dorian", "pentatonic"]
    seed: int = Field(ge=0, lt=2**63)


class WriterNote(_Frozen):
    """Who wrote the plan: a provider, its version, and its model when it has one."""

    provider: str = Field(min_length=1)
    version: str = Field(min_length=1)
    model: str | None = None


class Plan(_Frozen):
    """The whole plan of one video; see the module for its rules."""

    version: Literal["1"] = "1"
    title: Label
    theme: str = Field(max_length=120)
    language: Literal["en"] = "en"
    width: int = Field(ge=240, le=3840, multiple_of=2)
    height: int = Field(ge=240, le=3840, multiple_of=2)
    fps: int = Field(ge=12, le=60)
    target_s: float = Field(ge=15, le=60)
    seed: int = Field(ge=0, lt=2**63)
    mood: Mood
    narration: list[Sentence] = Field(min_length=1)
    scenes: list[Scene] = Field(min_length=1)
    hashtags: list[Annotated[str, Field(pattern=r"^#\w{1,60}$")]] = Field(min_length=5, max_length=8)
    music: Music
    evidence: dict[str, Evidence]
    writer: WriterNote

    @property
    def frames(self) -> int:
        """Frames of the whole video."""
        return round(self.target_s * self.fps)

    def scene(self, number: int) -> Scene:
        """Return the scene of this number; `KeyError` when the plan has none."""
        for scene in self.scenes:
            if scene.number == number:
                return scene
        raise KeyError(number)

    def frames_of(self, number: int) -> tuple[int, int]:
        """Return (first frame, how many) of a scene; over all scenes they cover `frames` exactly, once each."""
        scene = self.scene(number)
        first = round(scene.start_s * self.fps)
        last = self.frames if scene.number == len(self.scenes) else round(scene.end_s * self.fps)
        return first, last - first

    def sentences_of(self, number: int) -> list[Sentence]:
        """Return the sentences spoken in a scene, in order."""
        by_id = {sentence.id: sentence for sentence in self.narration}
        return [by_id[name] for name in self.scene(number).narration_ids]

    @model_validator(mode="after")
    def _follows_the_rules(self) -> Self:
        problems = [
            *_scene_problems(self),
            *_narration_problems(self),
            *_overlay_problems(self),
            *_hashtag_problems(self),
            *_evidence_problems(self),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _scene_problems(plan: Plan) -> Iterable[str]:
    bounds, frame_s = scene_bounds(plan.target_s), 1 / plan.fps
    count = len(plan.scenes)
    if not bounds.fewest <= count <= bounds.most:
        yield f"a video of {plan.target_s:g} s has {bounds.fewest} to {bounds.most} scenes, this one {count}"
    expected_start = 0.0
    for place, scene in enumerate(plan.scenes, start=1):
        if scene.number != place:
            yield f"scene {place} is numbered {scene.number}"
        if abs(scene.start_s - expected_start) > frame_s / 2:
            what = "overlaps the scene before" if scene.start_s < expected_start else "leaves a gap"
            yield f"scene {place} starts at {scene.start_s:g} s where {expected_start:g} s is due: {what}"
        if not bounds.shortest_s - frame_s <= scene.duration_s <= bounds.longest_s + frame_s + 1e-6:
            yield (
                f"scene {place} lasts {scene.duration_s:g} s,"
                f" allowed are {bounds.shortest_s:g} to {bounds.longest_s:g} s"
            )
        expected_start = scene.end_s
    total = sum(scene.duration_s for scene in plan.scenes)
    if abs(total - plan.target_s) > frame_s:
        yield f"the scenes last {total:g} s together, the target is {plan.target_s:g} s"


def _narration_problems(plan: Plan) -> Iterable[str]:
    written = [sentence.id for sentence in plan.narration]
    if len(set(written)) != len(written):
        yield "two narration sentences have the same id"
    spoken = [name for scene in plan.scenes for name in scene.narration_ids]
    for name in dict.fromkeys(spoken):
        if name not in written:
            yield f"a scene speaks the sentence {name!r}, which the narration does not have"
    for name in dict.fromkeys(written):
        times = spoken.count(name)
        if times != 1:
            yield f"the sentence {name!r} is spoken in {times} scenes instead of one"
    if sorted(spoken) == sorted(written) and spoken != written:
        yield "the scenes speak the sentences in another order than the narration"


def _overlay_problems(plan: Plan) -> Iterable[str]:
    tolerance = 1e-6
    for scene in plan.scenes:
        for place, overlay in enumerate(scene.overlays, start=1):
            if overlay.end_s <= overlay.start_s:
                yield f"overlay {place} of scene {scene.number} ends before it starts"
            if overlay.end_s > scene.duration_s + tolerance:
                yield (
                    f"overlay {place} of scene {scene.number} ends at {overlay.end_s:g} s,"
                    f" its scene lasts {scene.duration_s:g} s"
                )


def _hashtag_problems(plan: Plan) -> Iterable[str]:
    if len({tag.casefold() for tag in plan.hashtags}) != len(plan.hashtags):
        yield "a hashtag occurs twice"


def _evidence_problems(plan: Plan) -> Iterable[str]:
    for sentence in plan.narration:
        yield from _unproven(plan, f"sentence {sentence.id!r}", sentence.text, sentence.evidence)
    texts = [("the title", plan.title)] + [
        (f"overlay {place} of scene {scene.number}", overlay.text)
        for scene in plan.scenes
        for place, overlay in enumerate(scene.overlays, start=1)
    ]
    if any(character.isdecimal() for _, text in texts for character in text) or any(
        _bare_scales(text) for _, text in texts
    ):
        for where, text in texts:
            yield from _unproven(plan, where, text, plan.evidence)
    for scene in plan.scenes:
        yield from _drawn_problems(plan, scene)


def _drawn_problems(plan: Plan, scene: Scene) -> Iterable[str]:
    where, content = f"the picture of scene {scene.number}", scene.visual.content
    match content:
        case Bars():
            figures: list[Datum | BigNumber] = list(content.items)
        case Line():
            figures = list(content.points)
        case BigNumber():
            figures = [content]
        case Kinetic():
            figures = []
            for line in content.lines:
                yield from _unproven(plan, where, line, content.evidence)
        case Quote():
            figures = []
            yield from _unproven(plan, where, content.text, content.evidence)
        case Closing():
            figures = []
            for line in (content.headline, content.call):
                yield from _unproven(plan, where, line, content.evidence)
    for figure in figures:
        evidence = plan.evidence.get(figure.evidence)
        if evidence is None:
            yield f"{where} names the evidence {figure.evidence!r}, which the plan does not have"
        elif isinstance(evidence.value, str) or figure.value != evidence.value:
            yield f"{where} draws {figure.value:g} where the evidence {figure.evidence!r} is {evidence.value}"
        elif figure.display != evidence.display:
            yield f"{where} shows {figure.display!r} where the evidence {figure.evidence!r} is shown as {evidence.display!r}"


def _unproven(plan: Plan, where: str, text: str, names: Iterable[str]) -> Iterable[str]:
    """Say which figures of a text its evidence does not bear out. The theme, a person's own words, needs none."""
    known = numbers_in(plan.theme)
    scales = _bare_scales(plan.theme)
    for name in names:
        evidence = plan.evidence.get(name)
        if evidence is None:
            yield f"{where} names the evidence {name!r}, which the plan does not have"
            continue
        known |= numbers_in(evidence.display)
        scales |= _bare_scales(evidence.display)
        if not isinstance(evidence.value, float):
            known |= numbers_in(str(evidence.value))
    for number in sorted(numbers_in(text) - known):
        yield f"{where} states {number}, which none of its evidence does"
    for word in sorted(_bare_scales(text) - scales):
        yield f"{where} says {word!r} without a figure"


StepName = Literal[
    "theme_interpretation", "trend_alignment", "scene_construction", "narration", "overlay_design"
]
STEPS: tuple[StepName, ...] = get_args(StepName)
"""The five steps of writing, in order."""


class Step(_Frozen):
    """One call of one step that made a script. Costs are exact decimals; durations live in the generation log."""

    step: StepName
    attempt: int = Field(default=1, ge=1, description="2 when the step was asked again with what was wrong")
    prompt_digest: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="sha256 of what the step was given, canonical"
    )
    provider: str
    model: str | None
    tokens_in: int = Field(ge=0)
    tokens_out: int = Field(ge=0)
    cost_usd: Decimal = Field(ge=0)


class Script(_Frozen):
    """The artifact of kind `script`: the plan and the steps that made it."""

    plan: Plan
    steps: list[Step]

    @model_validator(mode="after")
    def _all_steps_in_order(self) -> Self:
        calls = [(STEPS.index(step.step), step.attempt) for step in self.steps]
        if [place for place, attempt in calls if attempt == 1] != list(range(len(STEPS))) or calls != sorted(
            set(calls)
        ):
            msg = f"a script has the steps {', '.join(STEPS)}, each once and in order"
            raise ValueError(msg)
        return self


def canonical_json(value: BaseModel | JsonValue | dict[str, Any] | list[Any]) -> bytes:
    """Return the one byte form of a value: UTF-8, sorted keys, no blanks, a newline at the end, no NaN.

    >>> canonical_json({"b": 1, "a": [2.5, None]}).decode().strip()
    '{"a":[2.5,null],"b":1}'
    """
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text.encode() + b"\n"


def read_script(path: Path) -> Script:
    """Return the script that a file of kind `script` holds; pydantic's `ValidationError` when it is none."""
    return Script.model_validate_json(path.read_bytes())
