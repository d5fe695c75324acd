"""A leaderboard: rows with a name, a counting value and a rounded bar that grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.video.visuals import easing, typeset
from include.video.visuals.canvas import Canvas
from include.video.visuals.figures import figure
from include.video.visuals.heading import Heading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from include.video.plan import Bars, Datum
    from include.video.visuals.picture import Setting

_FILL = 1.15
"""Seconds that one bar takes to grow."""


class BarsPicture:
    """Bars in the plan's order, one under another; lengths are proportional to the values, from zero."""

    def __init__(self, content: Bars, setting: Setting) -> None:
        self.box, self._set = setting.outer, setting
        self._canvas = Canvas(setting.box.width, setting.box.height, setting.margin)
        self._heading = Heading(content.title, content.unit, setting)
        self._items = content.items
        top, count = self._heading.height, len(content.items)
        wide, room = float(setting.box.width), setting.box.height - top
        self._pitch = min(room / count, setting.px(172))
        self._top = top + max(0.0, min((room - self._pitch * count) / 2, setting.px(60)))
        largest = max(abs(item.value) for item in content.items)
        self._shares = [abs(item.value) / largest if largest else 0.0 for item in content.items]
        self._best = self._shares.index(max(self._shares))
        self._beside = self._pitch < setting.px(78)  # too low for a name above its bar: it stands beside it
        if self._beside:
            self._size = min(self._pitch * 0.56, setting.px(34))
            self._bar = self._pitch * 0.5
        else:
            self._size = min(self._pitch * 0.27, setting.px(40))
            self._bar = min(self._pitch * 0.30, setting.px(44))
        self._gap = min(self._pitch * 0.11, setting.px(16))
        values = [typeset.width_of(item.display, "strong", self._size * 1.1) for item in content.items]
        value = max(values) + setting.px(28)
        self._left = wide * 0.36 if self._beside else 0.0
        self._long = wide - self._left - value if self._beside else wide
        rooms = [
            self._left - setting.px(24) if self._beside else wide - one - setting.px(32) for one in values
        ]
        self._labels = [
            typeset.cut(item.label, "text", self._size, max(1.0, here))
            for item, here in zip(content.items, rooms, strict=True)
        ]
        self.texts = setting.box

    def _arrival(self, place: int) -> float:
        every = min(0.16, 0.9 / len(self._items))
        return self._set.entrance(0.15 + place * every)

    def _row(self, place: int, item: Datum, frame: int) -> None:
        setting, palette = self._set, self._set.palette
        first = self._arrival(place)
        seen = easing.out_cubic(easing.progress(frame, first, setting.entrance(0.4)))
        grown = easing.out_expo(easing.progress(frame, first, min(_FILL * setting.fps, 0.6 * setting.frames)))
        if seen <= 0:
            return
        best, width = place == self._best, float(self._set.box.width)
        top = self._top + place * self._pitch + (1 - seen) * setting.px(24)
        if self._beside:
            bar_top = top + (self._pitch - self._bar) / 2
            baseline = top + self._pitch / 2 + self._size * 0.36
        else:
            block = self._size * 0.95 + self._gap + self._bar
            baseline = top + (self._pitch - block) / 2 + self._size * 0.80
            bar_top = baseline + self._size * 0.15 + self._gap
        label = typeset.line(self._labels[place], "text", self._size, palette.ink)
        self._canvas.paste(label, 0, baseline, opacity=seen)
        text = figure(item.display).at(grown if grown < 0.999 else 1.0)
        value = typeset.line(text, "strong", self._size * 1.1, palette.accent if best else palette.ink)
        self._canvas.paste(value, width - value.advance, baseline, opacity=seen)
        radius, left, full = self._bar / 2, self._left, self._long
        self._canvas.bar(
            left, bar_top, full, self._bar, radius=radius, colour=palette.ink, opacity=0.13 * seen
        )
        long = max(self._shares[place] * grown * full, self._bar * 0.6 * seen)
        self._canvas.bar(
            left,
            bar_top,
            long,
            self._bar,
            radius=radius,
            colour=palette.second,
            towards=palette.accent if best else palette.second,
            opacity=seen * (1.0 if best else 0.82),
        )
        if best and grown > 0.9:  # a light runs along the longest bar, so that the picture never stands still
            turn = ((frame - first) / setting.fps * 0.55) % 1.0
            at = left + long * turn
            shine = min(setting.px(90), left + long - at)
            self._canvas.bar(
                at,
                bar_top + self._bar * 0.2,
                shine,
                self._bar * 0.6,
                radius=radius,
                colour=(255, 255, 255),
                opacity=0.20 * (1 - abs(2 * turn - 1)),
            )

    def frame(self, number: int) -> NDArray[np.uint8]:
        """See `Picture.frame`."""
        self._canvas.clear()
        self._heading.paint(self._canvas, number)
        for place, item in enumerate(self._items):
            self._row(place, item, number)
        return self._canvas.pixels
