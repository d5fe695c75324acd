"""What a picture is: a box of the frame, and its pixels for every frame of its scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from include.video.visuals.geometry import Box

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from include.video.visuals.palettes import Palette


@dataclass(frozen=True)
class Setting:
    """Where and how a picture is drawn.

    `box` is where it lies in the frame, in pixels; `unit` pixels make one design unit (1/1080 of the frame's shorter
    side); `shown` are texts that the scene's overlays show already, so that a picture need not repeat them.
    """

    box: Box
    unit: float
    fps: int
    frames: int
    palette: Palette
    shown: frozenset[str] = frozenset()
    tags: tuple[str, ...] = ()

    @property
    def margin(self) -> int:
        """Pixels around `box` for glows and shadows; even, and inside the frame where `box` keeps the text margins."""
        return min(round(48 * self.unit / 2) * 2, self.box.x // 2 * 2, self.box.y // 2 * 2)

    @property
    def outer(self) -> Box:
        """`box` with its margin."""
        box, margin = self.box, self.margin
        return Box(box.x - margin, box.y - margin, box.width + 2 * margin, box.height + 2 * margin)

    def px(self, units: float) -> float:
        """Return a length in pixels."""
        return units * self.unit

    def entrance(self, seconds: float) -> float:
        """Return the frames that an entrance of so many seconds takes; never more than 45 % of a short scene."""
        return min(seconds * self.fps, 0.45 * self.frames)

    def repeats(self, text: str) -> bool:
        """Say whether an overlay shows this text already."""
        return text.strip().casefold() in self.shown


class Picture(Protocol):
    """A drawing that moves. Drawing a frame does not depend on the frames drawn before."""

    box: Box
    """Where the pixels lie in the frame, the margin for glows included."""
    texts: Box
    """The box that all its text keeps inside, in the frame's pixels."""

    def frame(self, number: int) -> NDArray[np.uint8]:
        """Return frame `number` of the scene: premultiplied RGBA of shape (box.height, box.width, 4).

        The array may be painted over by the next call.
        """
        ...
