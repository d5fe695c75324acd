"""Colours: five palettes, each with a soft ground, an ink that reads on all of it, and two accents."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]
"""sRGB, 0 to 255."""


@dataclass(frozen=True)
class Palette:
    """Colours of a scene.

    `ground` is what the moving background is mixed from: base, two lights, a shade. `ink` is for text on the ground,
    `soft` for lesser text, `accent` and `second` for what is meant, `deep` for text on the accent and for shadows.
    """

    ground: tuple[Colour, Colour, Colour, Colour]
    ink: Colour
    soft: Colour
    accent: Colour
    second: Colour
    deep: Colour


PALETTES: dict[str, Palette] = {
    "night": Palette(
        ground=((20, 20, 52), (66, 48, 150), (22, 74, 132), (12, 10, 34)),
        ink=(250, 250, 255),
        soft=(190, 196, 232),
        accent=(255, 207, 92),
        second=(132, 142, 255),
        deep=(14, 12, 36),
    ),
    "sunrise": Palette(
        ground=((92, 26, 78), (178, 58, 72), (140, 40, 112), (46, 16, 62)),
        ink=(255, 250, 244),
        soft=(255, 214, 200),
        accent=(255, 212, 96),
        second=(255, 150, 122),
        deep=(42, 12, 46),
    ),
    "ocean": Palette(
        ground=((8, 52, 88), (10, 96, 124), (22, 64, 140), (4, 26, 54)),
        ink=(246, 253, 255),
        soft=(176, 220, 236),
        accent=(126, 240, 206),
        second=(92, 190, 255),
        deep=(2, 22, 44),
    ),
    "forest": Palette(
        ground=((14, 58, 48), (32, 98, 64), (12, 78, 84), (6, 30, 28)),
        ink=(250, 255, 248),
        soft=(190, 224, 204),
        accent=(212, 244, 108),
        second=(104, 210, 156),
        deep=(4, 26, 22),
    ),
    "candy": Palette(
        ground=((84, 26, 122), (168, 36, 122), (66, 52, 176), (40, 12, 72)),
        ink=(255, 250, 255),
        soft=(236, 204, 250),
        accent=(122, 240, 236),
        second=(255, 142, 206),
        deep=(32, 8, 58),
    ),
}


def luminance(colour: Colour) -> float:
    """Return the relative luminance of a colour, 0 to 1. Source: WCAG 2.2.

    >>> round(luminance((255, 255, 255)), 3)
    1.0
    """
    linear = [
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in (value / 255 for value in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of two colours, 1 to 21. Source: WCAG 2.2.

    >>> contrast((0, 0, 0), (255, 255, 255))
    21.0
    """
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return round((high + 0.05) / (low + 0.05), 2)
