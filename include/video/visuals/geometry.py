"""Where things stand in the frame: margins that players cover with their own buttons, the caption band, the zones.

A phone player in portrait lays its buttons over the right edge and its captions over the foot: for 1080x1920 the top
250, bottom 480, right 170 and left 60 pixels stay clear of text, and spoken words are shown at y 1180 to 1440. Other
shapes have even margins. All lengths scale with the frame: a unit is 1/1080 of its shorter side.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels from the frame's top left corner."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """One past the last column."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """One past the last row."""
        return self.y + self.height

    def holds(self, other: Box) -> bool:
        """Say whether another box lies inside this one."""
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.right <= self.right
            and other.bottom <= self.bottom
        )

    def even(self) -> Box:
        """Return the largest box inside this one whose edges are even: chroma is stored for pairs of pixels."""
        x, y = self.x + self.x % 2, self.y + self.y % 2
        return Box(x, y, (self.right - x) // 2 * 2, (self.bottom - y) // 2 * 2)


@dataclass(frozen=True)
class Geometry:
    """A frame and its areas: `text` may hold text, `content` is text without the caption band, `captions` is that band."""

    width: int
    height: int
    text: Box
    content: Box
    captions: Box

    @property
    def unit(self) -> float:
        """Pixels per design unit."""
        return min(self.width, self.height) / 1080

    def px(self, units: float) -> int:
        """Return a length in whole pixels, at least one."""
        return max(1, round(units * self.unit))


def scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    """Return a frame size at a scale, in even pixels.

    >>> scaled(1080, 1920, 0.25)
    (270, 480)
    """
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def geometry(width: int, height: int) -> Geometry:
    """Return the areas of a frame.

    >>> geometry(1080, 1920).text
    Box(x=60, y=250, width=850, height=1190)
    >>> geometry(1080, 1920).captions
    Box(x=170, y=1180, width=740, height=260)
    """
    if height > width * 1.4:  # a phone held upright: the player's own buttons decide
        across, down = width / 1080, height / 1920
        text = _box(60 * across, 250 * down, 910 * across, 1440 * down)
        content = _box(60 * across, 250 * down, 910 * across, 1150 * down)
        captions = _box(170 * across, 1180 * down, 910 * across, 1440 * down)
        return Geometry(width, height, text, content, captions)
    text = _box(0.06 * width, 0.07 * height, 0.94 * width, 0.93 * height)
    content = _box(0.06 * width, 0.07 * height, 0.94 * width, 0.75 * height)
    captions = _box(0.12 * width, 0.77 * height, 0.88 * width, 0.93 * height)
    return Geometry(width, height, text, content, captions)


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    x, y = round(left), round(top)
    return Box(x, y, round(right) - x, round(bottom) - y)
