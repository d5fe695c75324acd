"""Which class draws which content, and a picture as a moviepy clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from include.video.plan import Bars, BigNumber, Closing, Kinetic, Line, Quote
from include.video.visuals.bars import BarsPicture
from include.video.visuals.big_number import BigNumberPicture
from include.video.visuals.canvas import straighten
from include.video.visuals.closing import ClosingPicture
from include.video.visuals.kinetic import KineticPicture
from include.video.visuals.line import LinePicture
from include.video.visuals.quote import QuotePicture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moviepy import VideoClip
    from numpy.typing import NDArray

    from include.video.visuals.backdrop import Backdrop
    from include.video.visuals.picture import Picture, Setting

Drawable = Bars | BigNumber | Closing | Kinetic | Line | Quote


def picture(content: Drawable, setting: Setting) -> Picture:
    """Return the picture that draws a content of the plan."""
    match content:
        case Bars():
            return BarsPicture(content, setting)
        case Line():
            return LinePicture(content, setting)
        case BigNumber():
            return BigNumberPicture(content, setting)
        case Kinetic():
            return KineticPicture(content, setting)
        case Quote():
            return QuotePicture(content, setting)
        case Closing():
            return ClosingPicture(content, setting)


def frames(drawn: Picture, count: int) -> Iterator[memoryview]:
    """Yield the first frames of a picture as bytes of `rgba` with straight alpha."""
    for number in range(count):
        pixels = np.ascontiguousarray(drawn.frame(number))
        straighten(pixels)
        yield pixels.data


def clip(drawn: Picture, fps: int, count: int) -> VideoClip:
    """Return a picture as a moviepy clip with a mask, at its place in the frame; straight alpha, as moviepy wants it."""
    from moviepy import VideoClip

    def number(t: float) -> int:
        return min(count - 1, max(0, round(t * fps)))

    def colours(t: float) -> NDArray[np.uint8]:
        pixels = np.array(drawn.frame(number(t)))
        straighten(pixels)
        return pixels[..., :3]

    def mask(t: float) -> NDArray[np.float64]:
        return drawn.frame(number(t))[..., 3].astype(np.float64) / 255

    shown = VideoClip(colours, duration=count / fps).with_fps(fps)
    covered = VideoClip(mask, is_mask=True, duration=count / fps).with_fps(fps)
    return shown.with_mask(covered).with_position((drawn.box.x, drawn.box.y))


def ground_clip(ground: Backdrop, size: tuple[int, int], fps: int, count: int) -> VideoClip:
    """Return a moving ground as a moviepy clip of a frame size."""
    from moviepy import VideoClip
    from PIL import Image

    def colours(t: float) -> NDArray[np.uint8]:
        small = ground.frame(min(count - 1, max(0, round(t * fps))))
        image = Image.fromarray((small >> 8).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        return np.asarray(image)

    return VideoClip(colours, duration=count / fps).with_fps(fps)
