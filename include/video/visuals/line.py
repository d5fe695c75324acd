"""A curve that draws itself from left to right, with a light at its tip."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from include.video.visuals import easing, typeset
from include.video.visuals.canvas import Canvas, Sprite, disc, glow, tinted
from include.video.visuals.figures import figure
from include.video.visuals.heading import Heading

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from include.video.plan import Line
    from include.video.visuals.picture import Setting

_SMOOTH = 3
"""The curve is drawn this many times larger and averaged down."""


class LinePicture:
    """A curve through the plan's points at equal distances, scaled from just under the least to just over the most."""

    def __init__(self, content: Line, setting: Setting) -> None:
        self.box, self._set = setting.outer, setting
        self._canvas = Canvas(setting.box.width, setting.box.height, setting.margin)
        self._heading = Heading(content.title, content.unit, setting)
        self._points = content.points
        self._size = setting.px(34)
        self._tip = setting.px(15)
        tag = self._size * 1.9
        top = self._heading.height + tag + setting.px(8)
        bottom = setting.box.height - self._size * 1.7
        left, right = self._tip * 2, setting.box.width - self._tip * 2
        values = [point.value for point in content.points]
        low, high = min(values), max(values)
        reach = (high - low) or max(abs(high), 1.0)
        low -= 0.12 * reach
        high = max(high, low + 1.12 * reach)
        step = (right - left) / (len(values) - 1)
        self._at = [
            (left + place * step, bottom - (value - low) / (high - low) * (bottom - top))
            for place, value in enumerate(values)
        ]
        self._floor, self._ceiling = bottom, top
        self._path = _smooth(self._at)
        self._curve, self._area = self._drawn()
        self._labelled = self._chosen()
        self.texts = setting.box

    def _drawn(self) -> tuple[Sprite, Sprite]:
        """Draw the whole curve and the area under it once; frames show more and more of them."""
        width, height, palette = self._set.box.width, self._set.box.height, self._set.palette
        big = (width * _SMOOTH, height * _SMOOTH)
        thick = max(2, round(self._set.px(9) * _SMOOTH))
        path = [(x * _SMOOTH, y * _SMOOTH) for x, y in self._path]
        mask = Image.new("L", big, 0)
        pen = ImageDraw.Draw(mask)
        pen.line(path, fill=255, width=thick, joint="curve")
        for x, y in (path[0], path[-1]):
            pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=255)
        line = np.asarray(mask.resize((width, height), Image.Resampling.BOX))
        filled = Image.new("L", big, 0)
        floor = self._floor * _SMOOTH
        ImageDraw.Draw(filled).polygon([(path[0][0], floor), *path, (path[-1][0], floor)], fill=255)
        under = np.asarray(filled.resize((width, height), Image.Resampling.BOX)).astype(np.float32)
        fall = np.clip((self._floor - np.arange(height)) / max(1.0, self._floor - self._ceiling), 0, 1)
        area = np.rint(under * (0.04 + 0.36 * fall[:, None])).astype(np.uint8)
        return Sprite(tinted(line, palette.accent)), Sprite(tinted(area, palette.second))

    def _chosen(self) -> list[int]:
        """Return the points that carry their value: first, largest and last, and all of up to five."""
        count = len(self._points)
        if count <= 5 and all(
            typeset.width_of(point.display, "strong", self._size) < self._set.box.width / count * 0.94
            for point in self._points
        ):
            return list(range(count))
        values = [point.value for point in self._points]
        chosen = [count - 1]
        for place in (
            values.index(max(values)),
            0,
        ):  # a value that would touch one already chosen is left out
            room = self._set.box.width * 0.26
            if all(abs(self._at[place][0] - self._at[other][0]) > room for other in chosen):
                chosen.append(place)
        return sorted(chosen)

    def _tag(self, place: int, frame: float, first: float) -> None:
        setting, palette = self._set, self._set.palette
        seen = easing.out_cubic(easing.progress(frame, first, setting.entrance(0.3)))
        if seen <= 0:
            return
        x, y = self._at[place]
        last = place == len(self._points) - 1
        size = self._size * (1.25 if last else 1.0)
        counted = easing.out_cubic(easing.progress(frame, first, setting.entrance(0.5)))
        text = figure(self._points[place].display).at(counted)
        sprite = typeset.line(text, "strong", size, palette.accent if last else palette.ink)
        left = min(max(x - sprite.advance / 2, 0.0), self._set.box.width - sprite.advance)
        lift = self._tip + self._size * 0.55 + (1 - seen) * setting.px(14)
        self._canvas.paste(sprite, left, y - lift, opacity=seen)
        if not last:
            self._canvas.paste(disc(self._tip * 0.55, palette.ink), x, y, opacity=seen)

    def _names(self, frame: int) -> None:
        setting = self._set
        seen = easing.out_cubic(easing.progress(frame, 0, setting.entrance(0.6)))
        size, count = self._size * 0.86, len(self._points)
        step = self._at[1][0] - self._at[0][0]
        widest = max(typeset.width_of(point.label, "text", size) for point in self._points)
        every = range(count) if widest < step * 0.86 else (0, count - 1)
        baseline = self._set.box.height - size * 0.35
        for place in every:
            text = typeset.cut(
                self._points[place].label, "text", size, self._set.box.width / len(every) * 0.94
            )
            sprite = typeset.line(text, "text", size, setting.palette.soft)
            left = min(
                max(self._at[place][0] - sprite.advance / 2, 0.0), self._set.box.width - sprite.advance
            )
            self._canvas.paste(sprite, left, baseline, opacity=seen)

    def frame(self, number: int) -> NDArray[np.uint8]:
        """See `Picture.frame`."""
        setting, palette, canvas = self._set, self._set.palette, self._canvas
        canvas.clear()
        self._heading.paint(canvas, number)
        width = float(self._set.box.width)
        thin = max(1.0, setting.px(2))
        for place in range(4):
            drawn = easing.out_expo(easing.progress(number, place * 2, setting.entrance(0.8)))
            y = self._floor + (self._ceiling - self._floor) * place / 3
            canvas.bar(
                0, y, width * drawn, thin, radius=0, colour=palette.ink, opacity=0.30 if place == 0 else 0.12
            )
        self._names(number)
        start, drawing = setting.entrance(0.25), min(1.4 * setting.fps, 0.5 * setting.frames)
        share = easing.in_out(easing.progress(number, start, drawing))
        first_x, last_x = self._at[0][0], self._at[-1][0]
        x = first_x + (last_x - first_x) * share
        if number >= start:
            window = (0.0, 0.0, x if share < 1 else width, float(self._set.box.height))
            canvas.paste(self._area, 0, 0, window=window)
            canvas.paste(self._curve, 0, 0, window=window)
            y = _height_at(self._path, x)
            beat = 0.5 - 0.5 * math.cos(2 * math.pi * 1.1 * (number - start) / setting.fps)
            canvas.paste(
                glow(math.ceil(setting.px(64)), palette.accent, 0.55), x, y, opacity=0.55 + 0.45 * beat
            )
            canvas.paste(disc(self._tip, palette.accent), x, y)
            canvas.paste(disc(self._tip * 0.45, palette.deep), x, y)
        for place in self._labelled:
            along = max(
                0.2, (self._at[place][0] - first_x) / (last_x - first_x)
            )  # first: once the tip is past it
            self._tag(place, number, start + drawing * _when(along))
        return canvas.pixels


def _when(share: float) -> float:
    """Return when `easing.in_out` reaches a share, by halving."""
    low, high = 0.0, 1.0
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if easing.in_out(middle) < share else (low, middle)
    return high


def _smooth(points: list[tuple[float, float]], steps: int = 14) -> list[tuple[float, float]]:
    """Round the corners between points without ever passing above or below them.

    Source: monotone cubic interpolation, Fritsch and Carlson 1980, with the harmonic mean of neighbouring slopes.
    """
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(points)]
    tangents = [slopes[0]]
    for before, after in itertools.pairwise(slopes):
        tangents.append(0.0 if before * after <= 0 else 2 * before * after / (before + after))
    tangents.append(slopes[-1])
    path: list[tuple[float, float]] = []
    for place, ((x0, y0), (x1, y1)) in enumerate(itertools.pairwise(points)):
        wide = x1 - x0
        for step in range(steps):
            s = step / steps
            y = (
                (2 * s**3 - 3 * s**2 + 1) * y0
                + (s**3 - 2 * s**2 + s) * wide * tangents[place]
                + (3 * s**2 - 2 * s**3) * y1
                + (s**3 - s**2) * wide * tangents[place + 1]
            )
            path.append((x0 + s * wide, y))
    path.append(points[-1])
    return path


def _height_at(path: list[tuple[float, float]], x: float) -> float:
    return float(np.interp(x, [point[0] for point in path], [point[1] for point in path]))
