"""Pixels: sprites and a canvas of premultiplied RGBA in numpy, with sub-pixel placement.

Colours are stored multiplied by their alpha, so that laying one picture over another, and averaging pixels for
chroma, are plain sums and no edge gets a dark fringe.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from include.video.visuals.palettes import Colour


@dataclass(frozen=True, eq=False)
class Sprite:
    """A small picture: premultiplied RGBA of shape (height, width, 4), and where its origin lies in it."""

    pixels: NDArray[np.uint8]
    origin_x: float = 0.0
    origin_y: float = 0.0
    advance: float = 0.0

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])


def tinted(mask: NDArray[np.uint8], colour: Colour) -> NDArray[np.uint8]:
    """Return a mask of shape (height, width) as premultiplied RGBA of one colour."""
    wide = mask.astype(np.uint16)
    pixels = np.empty((*mask.shape, 4), np.uint8)
    for channel, value in enumerate(colour):
        pixels[..., channel] = (wide * value + 127) // 255
    pixels[..., 3] = mask
    return pixels


def laid_over(under: NDArray[np.uint8], over: NDArray[np.uint8]) -> None:
    """Lay premultiplied pixels over others of the same shape, in place."""
    alpha = over[..., 3]
    if not under.any():
        under[...] = over
        return
    keep = (255 - alpha.astype(np.uint16))[..., None]
    mixed = under * keep
    mixed += 127
    mixed //= 255
    mixed += over
    np.minimum(mixed, 255, out=mixed)
    under[...] = mixed.astype(np.uint8)


@cache
def _quotients() -> NDArray[np.uint8]:
    """Return the table of round(255 * value / alpha), by alpha and value."""
    alpha, value = np.arange(256)[:, None], np.arange(256)[None, :]
    quotients: NDArray[np.int64] = (value * 255 + alpha // 2) // np.maximum(alpha, 1)
    return np.minimum(quotients, 255).astype(np.uint8)


def straighten(pixels: NDArray[np.uint8]) -> None:
    """Divide colours by their alpha, in place; only the pixels that are neither clear nor opaque need it."""
    flat = pixels.reshape(-1, 4)
    partial = np.flatnonzero((flat[:, 3] - np.uint8(1)) < 254)
    found = flat[partial]
    found[:, :3] = _quotients()[found[:, 3:], found[:, :3]]
    flat[partial] = found


class Canvas:
    """A transparent picture to paint on, with a margin for what glows beyond its edges.

    Coordinates count from the inner top left corner, may be fractions of a pixel and may lie outside.
    """

    def __init__(self, width: int, height: int, margin: int = 0) -> None:
        self._margin = margin
        self.pixels: NDArray[np.uint8] = np.zeros((height + 2 * margin, width + 2 * margin, 4), np.uint8)

    def clear(self) -> None:
        """Make everything transparent again."""
        self.pixels[...] = 0

    def paste(
        self,
        sprite: Sprite,
        x: float,
        y: float,
        *,
        opacity: float = 1.0,
        window: tuple[float, float, float, float] | None = None,
    ) -> None:
        """Lay a sprite down with its origin at (x, y); `window` (left, top, right, bottom) cuts what lies outside."""
        if opacity <= 0.004:
            return
        left, top = x - sprite.origin_x + self._margin, y - sprite.origin_y + self._margin
        column, row = math.floor(left), math.floor(top)
        pixels = _shifted(sprite.pixels, round((left - column) * 16), round((top - row) * 16))
        first_x, first_y = 0, 0
        last_y, last_x = self.pixels.shape[:2]
        if window is not None:
            left_cut, top_cut, right_cut, bottom_cut = (round(edge) + self._margin for edge in window)
            first_x, first_y = max(first_x, left_cut), max(first_y, top_cut)
            last_x, last_y = min(last_x, right_cut), min(last_y, bottom_cut)
        first_x, first_y = max(first_x, column), max(first_y, row)
        last_x, last_y = min(last_x, column + pixels.shape[1]), min(last_y, row + pixels.shape[0])
        if first_x >= last_x or first_y >= last_y:
            return
        part = pixels[first_y - row : last_y - row, first_x - column : last_x - column]
        if opacity < 0.996:
            part = ((part.astype(np.uint16) * round(opacity * 256)) >> 8).astype(np.uint8)
        laid_over(self.pixels[first_y:last_y, first_x:last_x], part)

    def bar(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        radius: float,
        colour: Colour,
        towards: Colour | None = None,
        opacity: float = 1.0,
    ) -> None:
        """Paint a rounded rectangle, smooth at fractions of a pixel; `towards` is its colour at the right end."""
        if width <= 0.05 or height <= 0.05:
            return
        x, y = x + self._margin, y + self._margin
        first_x, first_y = max(0, math.floor(x)), max(0, math.floor(y))
        last_x = min(self.pixels.shape[1], math.ceil(x + width))
        last_y = min(self.pixels.shape[0], math.ceil(y + height))
        if first_x >= last_x or first_y >= last_y:
            return
        radius = min(radius, width / 2, height / 2)
        across = np.abs(np.arange(first_x, last_x, dtype=np.float32) + 0.5 - x - width / 2)
        down = np.abs(np.arange(first_y, last_y, dtype=np.float32) + 0.5 - y - height / 2)
        out_x, out_y = across - width / 2 + radius, down - height / 2 + radius
        corner = np.hypot(np.maximum(out_x, 0)[None, :], np.maximum(out_y, 0)[:, None])
        distance = corner + np.minimum(np.maximum(out_x[None, :], out_y[:, None]), 0) - radius
        alpha = np.clip(0.5 - distance, 0, 1) * (255 * opacity)
        if towards is None:
            part = tinted(np.rint(alpha).astype(np.uint8), colour)
        else:
            share = np.clip((np.arange(first_x, last_x, dtype=np.float32) - x) / max(width, 1.0), 0, 1)
            ramp = np.stack(
                [start + (end - start) * share for start, end in zip(colour, towards, strict=True)], -1
            )
            part = np.empty((*alpha.shape, 4), np.uint8)
            part[..., :3] = np.rint(ramp[None] * (alpha / 255)[..., None])
            part[..., 3] = np.rint(alpha)
        laid_over(self.pixels[first_y:last_y, first_x:last_x], part)


def _shifted(pixels: NDArray[np.uint8], right: int, down: int) -> NDArray[np.uint8]:
    """Move pixels by sixteenths of a pixel to the right and down, by linear mixing."""
    if right == 0 and down == 0:
        return pixels
    wide = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1, 4), np.uint16)
    wide[:-1, :-1] += pixels * np.uint16((16 - right) * (16 - down))
    if right:
        wide[:-1, 1:] += pixels * np.uint16(right * (16 - down))
    if down:
        wide[1:, :-1] += pixels * np.uint16((16 - right) * down)
    if right and down:
        wide[1:, 1:] += pixels * np.uint16(right * down)
    return (wide >> 8).astype(np.uint8)


@lru_cache(maxsize=64)
def card(width: int, height: int, radius: int, colour: Colour, opacity: float) -> Sprite:
    """Return a rounded rectangle as a sprite, for what is large and does not change."""
    canvas = Canvas(width, height)
    canvas.bar(0, 0, width, height, radius=radius, colour=colour, opacity=opacity)
    return Sprite(canvas.pixels)


@lru_cache(maxsize=16)
def glow(radius: int, colour: Colour, opacity: float) -> Sprite:
    """Return a soft round light with its origin in the centre."""
    line = (np.arange(2 * radius, dtype=np.float32) + 0.5 - radius) / radius
    distance = np.clip(1 - np.hypot(line[None, :], line[:, None]), 0, 1)
    mask = np.rint(distance * distance * (255 * opacity)).astype(np.uint8)
    return Sprite(tinted(mask, colour), radius, radius)


@lru_cache(maxsize=64)
def disc(radius: float, colour: Colour) -> Sprite:
    """Return a filled circle with its origin in the centre."""
    half = math.ceil(radius) + 1
    canvas = Canvas(2 * half, 2 * half)
    canvas.bar(half - radius, half - radius, 2 * radius, 2 * radius, radius=radius, colour=colour)
    return Sprite(canvas.pixels, half, half)
