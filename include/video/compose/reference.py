"""The reference renderer: a scene composed by moviepy, frame by frame, slow and plain.

It follows the same timeline with the same pictures and overlays, but places, fades and blends them by moviepy's own
means in RGB: what the production renderer's graph must agree with. Captions are not part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from include.video.compose import scenes
from include.video.visuals import gallery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moviepy import CompositeVideoClip, VideoClip
    from numpy.typing import NDArray

    from include.video.compose.overlays import Placed
    from include.video.compose.timeline import OverlayTrack
    from include.video.plan import Plan


def scene_clip(
    plan: Plan, number: int, words: Sequence[Mapping[str, Any]], *, scale: float = 1.0
) -> CompositeVideoClip:
    """Return a scene without captions as a moviepy clip; frame `n` is at `n / plan.fps` seconds."""
    from moviepy import CompositeVideoClip

    staged = scenes.staged(plan, number, words, scale=scale)
    fps, frames, size = staged.line.fps, staged.track.frames, (staged.line.width, staged.line.height)
    layers = [
        gallery.ground_clip(staged.ground, size, fps, frames),
        gallery.clip(staged.picture, fps, frames),
        *(_overlay_clip(track, drawn, staged.line.areas.unit, fps) for track, drawn in staged.overlays),
    ]
    return CompositeVideoClip(layers, size=size).with_duration(frames / fps).with_fps(fps)


def _overlay_clip(track: OverlayTrack, drawn: Placed, unit: float, fps: int) -> VideoClip:
    from moviepy import ImageClip, VideoClip

    alpha = drawn.pixels[..., 3:].astype(np.float32)
    straight = drawn.pixels[..., :3].astype(np.float32) * 255 / np.maximum(alpha, 1)
    cover = drawn.pixels[..., 3].astype(np.float64) / 255
    length = (track.end - track.first) / fps

    def mask(t: float) -> NDArray[np.float64]:
        frame = round(t * fps)
        risen = min(1.0, frame / track.enter)
        left = min(1.0, max(0.0, (track.end - track.first - frame) / track.leave))
        return cover * min(risen, left)

    def place(t: float) -> tuple[float, float]:
        if track.animation != "slide":
            return drawn.box.x, drawn.box.y
        share = min(1.0, max(0.0, t * fps / track.enter))
        return drawn.box.x, drawn.box.y + scenes.slide_units() * unit * (1 - share) ** 3

    shown = ImageClip(np.clip(np.rint(straight), 0, 255).astype(np.uint8), duration=length)
    covered = VideoClip(mask, is_mask=True, duration=length)
    return shown.with_mask(covered).with_position(place).with_start(track.first / fps)
