"""Overlay texts as PNG pictures: measured to fit their box, outlined, with a soft shadow.

bold: heavy type, dark outline, blurred shadow. caption: type on a dark translucent plate. label: small capitals on a
pill of the accent colour. Straight alpha; transparent pixels carry the shadow's colour, so that no edge is fringed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from include.video.visuals import typeset
from include.video.visuals.canvas import Canvas, Sprite, laid_over, tinted
from include.video.visuals.geometry import Box

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from include.video.compose.timeline import OverlayTrack
    from include.video.visuals.palettes import Colour, Palette
    from include.video.visuals.typeset import Block


@dataclass(frozen=True, eq=False)
class Placed:
    """An overlay's picture: premultiplied RGBA, where it lies in the frame, and the box that its text takes there."""

    pixels: NDArray[np.uint8]
    box: Box
    text: Box

    def save(self, path: Path, ground: Colour) -> None:
        """Write a PNG with straight alpha; `ground` is the colour of its transparent pixels."""
        alpha = self.pixels[..., 3:].astype(np.float32)
        colours = self.pixels[..., :3].astype(np.float32)
        straight = np.where(alpha > 0, colours * 255 / np.maximum(alpha, 1), np.array(ground))
        joined = np.concatenate([np.clip(np.rint(straight), 0, 255), alpha], axis=2).astype(np.uint8)
        Image.fromarray(joined).save(path, "PNG", compress_level=1)


def draw(track: OverlayTrack, palette: Palette, unit: float, frame: tuple[int, int]) -> Placed:
    """Draw an overlay for a frame of (width, height) pixels; its edges are even."""
    match track.style:
        case "bold":
            return _bold(track, palette, unit, frame)
        case "caption":
            return _plated(track, palette, unit, frame)
        case "label":
            return _pill(track, palette, unit, frame)


def _bold(track: OverlayTrack, palette: Palette, unit: float, frame: tuple[int, int]) -> Placed:
    stroke, blur = max(1, round(5 * unit)), 9 * unit
    block = typeset.fit(
        track.text,
        "display",
        track.box.width - 2 * stroke,
        track.box.height - 2 * stroke,
        largest=92 * unit,
        smallest=36 * unit,
        most_lines=2,
    )
    edge = math.ceil(3 * blur) + stroke
    text = _lines(block, palette.ink, edge)
    mask = Image.fromarray(typeset.mask_of(Sprite(text)))
    grown = mask.filter(ImageFilter.MaxFilter(2 * stroke + 1)).filter(
        ImageFilter.GaussianBlur(max(0.6, stroke * 0.22))
    )
    soft = grown.filter(ImageFilter.GaussianBlur(blur))
    pixels = tinted((np.asarray(soft).astype(np.uint16) * 150 // 255).astype(np.uint8), palette.deep)
    pixels = np.roll(pixels, max(1, round(5 * unit)), axis=0)
    laid_over(pixels, tinted(np.asarray(grown), palette.deep))
    laid_over(pixels, text)
    top = track.box.y + (track.box.height - block.height) / 2
    left = track.box.x + stroke
    return _placed(pixels, left - edge, top - edge, edge, block, frame)


def _plated(track: OverlayTrack, palette: Palette, unit: float, frame: tuple[int, int]) -> Placed:
    across, down = 30 * unit, 24 * unit
    block = typeset.fit(
        track.text,
        "text",
        track.box.width - 2 * across,
        track.box.height - 2 * down,
        largest=48 * unit,
        smallest=26 * unit,
        most_lines=2,
    )
    shape = Canvas(math.ceil(block.width + 2 * across), math.ceil(block.height + 2 * down))
    shape.bar(
        0,
        0,
        block.width + 2 * across,
        block.height + 2 * down,
        radius=22 * unit,
        colour=palette.deep,
        opacity=0.74,
    )
    shape.bar(0, 0, 8 * unit, block.height + 2 * down, radius=4 * unit, colour=palette.accent)
    _write(shape, block, palette.ink, across, down + block.size * 0.06)
    return _shadowed(shape.pixels, track, palette, unit, block, across, down, frame)


def _pill(track: OverlayTrack, palette: Palette, unit: float, frame: tuple[int, int]) -> Placed:
    across, down, tracking = 26 * unit, 18 * unit, 0.06
    words = track.text.upper()
    size = 34 * unit
    room = track.box.width - 2 * across
    while typeset.width_of(words, "strong", size, tracking) > room and size > 22 * unit:
        size *= 0.95
    while typeset.width_of(words, "strong", size, tracking) > room and len(words) > 2:
        words = words.rstrip(typeset.ELLIPSIS)[:-1].rstrip() + typeset.ELLIPSIS
    wide = typeset.width_of(words, "strong", size, tracking)
    block = typeset.Block((words,), "strong", size, (wide,))
    tall = size * typeset.CAP_HEIGHT + 2 * down
    shape = Canvas(math.ceil(wide + 2 * across), math.ceil(tall))
    shape.bar(0, 0, wide + 2 * across, tall, radius=tall / 2, colour=palette.accent)
    shape.paste(
        typeset.line(words, "strong", size, palette.deep, tracking), across, down + size * typeset.CAP_HEIGHT
    )
    return _shadowed(shape.pixels, track, palette, unit, block, across, down, frame)


def _shadowed(
    shape: NDArray[np.uint8],
    track: OverlayTrack,
    palette: Palette,
    unit: float,
    block: Block,
    across: float,
    down: float,
    frame: tuple[int, int],
) -> Placed:
    blur = 10 * unit
    edge = math.ceil(3 * blur)
    padded = np.pad(shape, ((edge, edge), (edge, edge), (0, 0)))
    soft = Image.fromarray(np.ascontiguousarray(padded[..., 3])).filter(ImageFilter.GaussianBlur(blur))
    pixels = tinted((np.asarray(soft).astype(np.uint16) * 110 // 255).astype(np.uint8), palette.deep)
    pixels = np.roll(pixels, max(1, round(6 * unit)), axis=0)
    laid_over(pixels, padded)
    top = track.box.y + (track.box.height - shape.shape[0]) / 2
    placed = _placed(pixels, track.box.x - edge, top - edge, edge, block, frame)
    text = Box(
        round(track.box.x + across),
        round(top + down),
        math.ceil(block.width),
        math.ceil(shape.shape[0] - 2 * down),
    )
    return Placed(placed.pixels, placed.box, text)


def _lines(block: Block, colour: Colour, edge: int) -> NDArray[np.uint8]:
    canvas = Canvas(math.ceil(block.width) + 2 * edge, math.ceil(block.height) + 2 * edge)
    _write(canvas, block, colour, edge, edge)
    return canvas.pixels


def _write(canvas: Canvas, block: Block, colour: Colour, left: float, top: float) -> None:
    for place, text in enumerate(block.lines):
        canvas.paste(typeset.line(text, block.role, block.size, colour), left, top + block.baseline(place))


def _placed(
    pixels: NDArray[np.uint8], left: float, top: float, edge: int, block: Block, frame: tuple[int, int]
) -> Placed:
    """Cut the picture to the frame and to even edges; chroma is stored for pairs of pixels."""
    x, y = round(left), round(top)
    text = Box(x + edge, y + edge, math.ceil(block.width), math.ceil(block.height))
    before_x, before_y = x % 2, y % 2
    pixels = np.pad(pixels, ((before_y, 0), (before_x, 0), (0, 0)))
    x, y = x - before_x, y - before_y
    cut_x, cut_y = max(0, -x), max(0, -y)
    pixels = pixels[cut_y : frame[1] - y, cut_x : frame[0] - x]
    x, y = x + cut_x, y + cut_y
    odd_y, odd_x = pixels.shape[0] % 2, pixels.shape[1] % 2
    pixels = np.pad(pixels, ((0, odd_y), (0, odd_x), (0, 0)))
    return Placed(np.ascontiguousarray(pixels), Box(x, y, pixels.shape[1], pixels.shape[0]), text)
