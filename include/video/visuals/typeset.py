"""Type: a line of text as a sprite, and text fitted to a box by measuring.

Every line goes through `include.video.fonts`, run by run, so that each character is drawn by a face that has it.
Sizes are pixels per em. A sprite's origin is the left end of its baseline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from include.video import fonts
from include.video.visuals.canvas import Canvas, Sprite, tinted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from include.video.fonts import Role, Run
    from include.video.visuals.palettes import Colour

CAP_HEIGHT = 0.727
"""Height of a capital of the base face, in em."""
DESCENT = 0.22
"""How far a `g` hangs below the baseline, in em."""
LEADING = 1.14
"""Distance of baselines, in em."""
ELLIPSIS = "…"
_FIGURES = ["tnum"]
"""OpenType feature: figures of equal width, so that a counting number does not tremble."""


class _Placed(NamedTuple):
    run: Run
    x: float
    length: float


def _order(text: str, role: Role) -> list[Run]:
    runs = list(fonts.split(text, role).runs)
    return runs[::-1] if fonts.right_to_left(text) else runs


def _features(run: Run) -> list[str] | None:
    return _FIGURES if any(character.isdecimal() for character in run.text) else None


def _length(run: Run, size: float) -> float:
    length = float(run.face.at(size).getlength(run.text, features=_features(run)))
    return length * size / fonts.EMOJI_SIZE if run.face.is_emoji else length


@lru_cache(maxsize=8192)
def width_of(text: str, role: Role, size: float, tracking: float = 0.0) -> float:
    """Return how wide a line is, in pixels; `tracking` is extra room after each character, in em."""
    if tracking:
        return (
            sum(width_of(piece, role, size) + tracking * size for piece in fonts.clusters(text))
            - tracking * size
        )
    return sum(_length(run, size) for run in _order(text, role))


@lru_cache(maxsize=2048)
def line(text: str, role: Role, size: float, colour: Colour, tracking: float = 0.0) -> Sprite:
    """Return one line of text as a sprite; its origin is the left end of the baseline."""
    placed, x = list[_Placed](), 0.0
    pieces = fonts.clusters(text) if tracking else [text]
    for piece in pieces:
        for run in _order(piece, role):
            length = _length(run, size)
            placed.append(_Placed(run, x, length))
            x += length
        x += tracking * size
    x -= tracking * size if pieces else 0.0
    edge = math.ceil(size * 0.25) + 2
    width, above, below = math.ceil(x) + 2 * edge, math.ceil(size * 1.25) + 2, math.ceil(size * 0.5) + 2
    mask = Image.new("L", (width, above + below), 0)
    pen = ImageDraw.Draw(mask)
    for run, left, _ in placed:
        if not run.face.is_emoji:
            pen.text(
                (edge + left, above),
                run.text,
                fill=255,
                font=run.face.at(size),
                anchor="ls",
                features=_features(run),
            )
    canvas = Canvas(width, above + below)
    canvas.pixels[...] = tinted(np.asarray(mask), colour)
    for run, left, length in placed:
        if run.face.is_emoji:
            canvas.paste(_emoji(run, size, length), edge + left, above)
    return _trimmed(Sprite(canvas.pixels, edge, above, x))


def _emoji(run: Run, size: float, length: float) -> Sprite:
    """Draw emoji at the size their font has, then bring them to the size of the text."""
    face, full = run.face.at(size), fonts.EMOJI_SIZE
    across = math.ceil(face.getlength(run.text)) + 8
    image = Image.new("RGBA", (across, 2 * full), (0, 0, 0, 0))
    ImageDraw.Draw(image).text((0, round(1.5 * full)), run.text, font=face, anchor="ls", embedded_color=True)
    ratio = size / full
    small = image.resize(
        (max(1, round(across * ratio)), max(1, round(2 * full * ratio))), Image.Resampling.LANCZOS
    )
    straight = np.asarray(small).astype(np.uint16)
    pixels = straight.astype(np.uint8)
    pixels[..., :3] = (straight[..., :3] * straight[..., 3:] + 127) // 255
    return Sprite(pixels, 0.0, 1.5 * full * ratio, length)


def _trimmed(sprite: Sprite) -> Sprite:
    """Cut fully transparent rows and columns away, the origin stays where it is."""
    alpha = sprite.pixels[..., 3]
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if rows.size == 0:
        return Sprite(np.zeros((1, 1, 4), np.uint8), 0.0, 0.0, sprite.advance)
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    pixels = np.ascontiguousarray(sprite.pixels[top:bottom, left:right])
    return Sprite(pixels, sprite.origin_x - float(left), sprite.origin_y - float(top), sprite.advance)


@dataclass(frozen=True)
class Block:
    """Lines of text at one size that fit a box."""

    lines: tuple[str, ...]
    role: Role
    size: float
    widths: tuple[float, ...] = field(default=())

    @property
    def leading(self) -> float:
        """Pixels from baseline to baseline."""
        return self.size * LEADING

    @property
    def height(self) -> float:
        """From the top of the first capitals to the foot of the last line's descenders."""
        return (len(self.lines) - 1) * self.leading + self.size * (CAP_HEIGHT + DESCENT)

    @property
    def width(self) -> float:
        """Width of the widest line."""
        return max(self.widths, default=0.0)

    def baseline(self, place: int) -> float:
        """Return the baseline of a line, from the top of the first capitals."""
        return self.size * CAP_HEIGHT + place * self.leading


def cut(text: str, role: Role, size: float, width: float) -> str:
    """Return the text, shortened with an ellipsis when it is wider than allowed."""
    if width_of(text, role, size) <= width:
        return text
    pieces, low, high = fonts.clusters(text), 0, len(fonts.clusters(text))
    while low < high:
        middle = (low + high + 1) // 2
        if width_of("".join(pieces[:middle]).rstrip() + ELLIPSIS, role, size) <= width:
            low = middle
        else:
            high = middle - 1
    return "".join(pieces[:low]).rstrip(" ,.;:-–—") + ELLIPSIS


def _breakable(text: str) -> list[str]:
    """Split a text where a line may end: after blanks, and between characters of scripts written without blanks."""
    pieces: list[str] = []
    for cluster in fonts.clusters(text):
        free = (
            0x2E80 <= ord(cluster[0]) < 0xD7A4
            or 0xF900 <= ord(cluster[0]) < 0xFB00
            or ord(cluster[0]) >= 0x20000
        )
        starts = not pieces or pieces[-1].endswith(" ") or free
        if starts:
            pieces.append(cluster)
        else:
            pieces[-1] += cluster
    return pieces


def _wrapped(pieces: list[str], role: Role, size: float, width: float) -> list[str] | None:
    """Fill lines greedily; None when one piece alone is too wide."""
    lines: list[str] = []
    for piece in pieces:
        if width_of(piece.rstrip(), role, size) > width:
            return None
        if lines and width_of((lines[-1] + piece).rstrip(), role, size) <= width:
            lines[-1] += piece
        else:
            lines.append(piece)
    return [text.strip() for text in lines]


def _balanced(pieces: list[str], role: Role, size: float, width: float) -> list[str] | None:
    """Fill as few lines as possible, then narrow them until they are about equally long."""
    lines = _wrapped(pieces, role, size, width)
    if lines is None or len(lines) == 1:
        return lines
    low, high = width / len(lines) / 2, width
    for _ in range(7):
        middle = (low + high) / 2
        tried = _wrapped(pieces, role, size, middle)
        if tried is not None and len(tried) == len(lines):
            lines, high = tried, middle
        else:
            low = middle
    return lines


@lru_cache(maxsize=512)
def fit(
    text: str,
    role: Role,
    width: float,
    height: float,
    *,
    largest: float,
    smallest: float,
    most_lines: int = 3,
) -> Block:
    """Return the text at the largest size at which it fits width, height and number of lines.

    When it does not fit at the smallest size, the last line is shortened with an ellipsis.
    """
    pieces, size = _breakable(text.strip()), largest
    while True:
        lines = _balanced(pieces, role, size, width)
        if lines is not None and len(lines) <= most_lines:
            block = Block(tuple(lines), role, size)
            if block.height <= height:
                return _measured(block)
        if size <= smallest:
            return _measured(_forced(pieces, role, size, width, height, most_lines))
        size = max(smallest, size * 0.95)


def _forced(
    pieces: list[str], role: Role, size: float, width: float, height: float, most_lines: int
) -> Block:
    lines: list[str] = []
    for piece in pieces:
        if lines and width_of((lines[-1] + piece).rstrip(), role, size) <= width:
            lines[-1] += piece
        else:
            lines.append(piece)
    room = max(1, min(most_lines, math.floor((height / size - CAP_HEIGHT - DESCENT) / LEADING) + 1))
    kept = [text.strip() for text in lines[:room]]
    if len(lines) > room:
        kept[-1] = cut(" ".join(text.strip() for text in lines[room - 1 :]), role, size, width)
    return Block(tuple(cut(text, role, size, width) for text in kept), role, size)


def _measured(block: Block) -> Block:
    widths = tuple(width_of(text, block.role, block.size) for text in block.lines)
    return Block(block.lines, block.role, block.size, widths)


def mask_of(sprite: Sprite) -> NDArray[np.uint8]:
    """Return the alpha of a sprite."""
    return sprite.pixels[..., 3]
