"""The timeline: what is on screen and in the ear at every frame, as plain data derived from a plan and word times.

It knows no pixels and no ffmpeg; the production renderer and the reference renderer both follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from include.errors import InvalidInput
from include.video.visuals.geometry import Box, Geometry, geometry, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from include.video.plan import Overlay, Plan, Scene

ENTER_S = 0.35
LEAVE_S = 0.25
_ROW = {"bold": 190, "caption": 136, "label": 76}
"""Height in units of the row that an overlay style gets."""
_GAP = 26
_OVERLAY_SHARE = 0.46
"""Overlays together never take more of the content area than this; the picture has the rest."""


@dataclass(frozen=True)
class Word:
    """One spoken word; seconds from the start of the video (or of the scene, in a scene's track)."""

    text: str
    start_s: float
    end_s: float
    sentence: str


@dataclass(frozen=True)
class OverlayTrack:
    """One text over a scene; frames count from the start of the scene, `end` is the first frame without it."""

    text: str
    style: Literal["bold", "caption", "label"]
    animation: Literal["fade", "slide"]
    box: Box
    first: int
    end: int
    enter: int
    leave: int


@dataclass(frozen=True)
class SceneTrack:
    """One scene: its frames in the video, the box of its picture, its overlays, the words spoken meanwhile."""

    number: int
    first: int
    frames: int
    palette: str
    picture: Box
    overlays: tuple[OverlayTrack, ...]
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Timeline:
    """The whole video. `frames` = the sum over the scenes; audio lasts `duration_s`."""

    width: int
    height: int
    fps: int
    frames: int
    areas: Geometry
    scenes: tuple[SceneTrack, ...]
    words: tuple[Word, ...]

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.frames / self.fps

    def scene(self, number: int) -> SceneTrack:
        """Return a scene's track; `KeyError` when there is none."""
        for track in self.scenes:
            if track.number == number:
                return track
        raise KeyError(number)


def words_of(spoken: Sequence[Mapping[str, Any]]) -> tuple[Word, ...]:
    """Read word times, [{word, start_s, end_s, sentence}]; `InvalidInput` when they run backwards or lack a field."""
    words: list[Word] = []
    for place, item in enumerate(spoken):
        try:
            word = Word(
                str(item["word"]), float(item["start_s"]), float(item["end_s"]), str(item["sentence"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"word {place + 1} of the word times needs word, start_s, end_s and sentence: {error!r}"
            ) from error
        if not 0 <= word.start_s <= word.end_s or (words and word.start_s < words[-1].start_s):
            raise InvalidInput(f"word {place + 1} of the word times ({word.text!r}) runs backwards in time")
        words.append(word)
    return tuple(words)


def timeline(plan: Plan, spoken: Sequence[Mapping[str, Any]], *, scale: float = 1.0) -> Timeline:
    """Return the timeline of a plan; `scale` shrinks the frame, for previews."""
    width, height = scaled(plan.width, plan.height, scale)
    areas, words = geometry(width, height), words_of(spoken)
    scenes = tuple(_scene_track(plan, scene, areas, words) for scene in plan.scenes)
    return Timeline(width, height, plan.fps, sum(scene.frames for scene in scenes), areas, scenes, words)


def _scene_track(plan: Plan, scene: Scene, areas: Geometry, words: tuple[Word, ...]) -> SceneTrack:
    first, frames = plan.frames_of(scene.number)
    picture, boxes = _zones(scene.overlays, areas)
    start_s, end_s = first / plan.fps, (first + frames) / plan.fps
    return SceneTrack(
        number=scene.number,
        first=first,
        frames=frames,
        palette=scene.visual.palette,
        picture=picture,
        overlays=tuple(
            _overlay_track(overlay, box, plan.fps, frames)
            for overlay, box in zip(scene.overlays, boxes, strict=True)
        ),
        words=tuple(
            Word(word.text, round(word.start_s - start_s, 6), round(word.end_s - start_s, 6), word.sentence)
            for word in words
            if word.start_s < end_s and word.end_s > start_s
        ),
    )


def _overlay_track(overlay: Overlay, box: Box, fps: int, frames: int) -> OverlayTrack:
    first = min(round(overlay.start_s * fps), frames - 1)
    end = max(first + 1, min(frames, round(overlay.end_s * fps)))
    length = end - first
    enter = max(1, min(round(ENTER_S * fps), length // 3))
    leave = max(1, min(round(LEAVE_S * fps), length // 3))
    return OverlayTrack(overlay.text, overlay.style, overlay.animation, box, first, end, enter, leave)


def _rows(overlays: Sequence[Overlay], position: str) -> list[tuple[float, list[int]]]:
    """Put the overlays of a position into rows (height in units, places); those never seen together share one."""
    rows: list[tuple[float, list[int]]] = []
    for place, overlay in enumerate(overlays):
        if overlay.position != position:
            continue
        for number, (height, members) in enumerate(rows):
            if all(
                overlay.start_s >= overlays[other].end_s or overlay.end_s <= overlays[other].start_s
                for other in members
            ):
                rows[number] = (max(height, _ROW[overlay.style]), [*members, place])
                break
        else:
            rows.append((_ROW[overlay.style], [place]))
    return rows


def _zones(overlays: Sequence[Overlay], areas: Geometry) -> tuple[Box, list[Box]]:
    """Share the content area, from top to bottom: top overlays, picture, centre overlays, bottom overlays.

    Nothing overlaps: the picture gives way. Centre overlays stand directly under the picture.
    """
    area, unit = areas.content, areas.unit
    rows = {position: _rows(overlays, position) for position in ("top", "center", "bottom")}
    wanted = sum((height + _GAP) * unit for group in rows.values() for height, _ in group)
    shrink = min(1.0, _OVERLAY_SHARE * area.height / wanted) if wanted else 1.0
    boxes: dict[int, Box] = {}

    def place_rows(group: list[tuple[float, list[int]]], y: float) -> float:
        for height, members in group:
            tall = height * unit * shrink
            for member in members:
                boxes[member] = Box(area.x, round(y), area.width, max(2, round(tall)))
            y += tall + _GAP * unit * shrink
        return y

    def tall(group: list[tuple[float, list[int]]]) -> float:
        return sum((height + _GAP) * unit * shrink for height, _ in group)

    top = place_rows(rows["top"], float(area.y))
    foot = area.bottom - tall(rows["center"]) - tall(rows["bottom"])
    gap = _GAP * unit * shrink
    place_rows(rows["bottom"], place_rows(rows["center"], foot + gap))
    picture = Box(area.x, round(top), area.width, round(foot) - round(top)).even()
    return picture, [boxes[place] for place in range(len(overlays))]
