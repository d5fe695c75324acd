"""The last picture: what to remember, a button with what to do, and the hashtags."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from include.video.visuals import easing, typeset
from include.video.visuals.canvas import Canvas, glow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from include.video.plan import Closing
    from include.video.visuals.picture import Setting


class ClosingPicture:
    """Headline, call on a pill that breathes, hashtags as far as three rows hold them."""

    def __init__(self, content: Closing, setting: Setting) -> None:
        self.box, self._set = setting.outer, setting
        self._canvas = Canvas(setting.box.width, setting.box.height, setting.margin)
        px, wide, high = setting.px, float(setting.box.width), float(setting.box.height)
        self._headline = typeset.fit(
            content.headline, "display", wide, high * 0.46, largest=px(132), smallest=px(44), most_lines=4
        )
        self._call = typeset.fit(
            content.call, "strong", wide - px(112), high * 0.16, largest=px(54), smallest=px(30), most_lines=2
        )
        self._pill = self._call.height + px(58)
        self._tag_size = px(34)
        self._rows = self._tag_rows(wide)
        self._gap = min(px(64), high * 0.07)
        tall = self._headline.height + self._gap + self._pill
        while self._rows and tall + self._gap + len(self._rows) * self._tag_size * 2.1 > high:
            self._rows.pop()
        tall += self._gap + len(self._rows) * self._tag_size * 2.1 if self._rows else 0
        self._top = max(0.0, (high - tall) * 0.46)
        self.texts = setting.box

    def _tag_rows(self, wide: float) -> list[list[tuple[str, float, float]]]:
        """Return rows of (tag, left, width)."""
        rows: list[list[tuple[str, float, float]]] = []
        left = wide
        for tag in self._set.tags:
            across = typeset.width_of(tag, "text", self._tag_size) + self._tag_size * 1.3
            if across > wide:
                continue
            if left + across > wide:
                if len(rows) == 3:
                    break
                rows.append([])
                left = 0.0
            rows[-1].append((tag, left, across))
            left += across + self._tag_size * 0.45
        return rows

    def frame(self, number: int) -> NDArray[np.uint8]:
        """See `Picture.frame`."""
        setting, palette, canvas, px = self._set, self._set.palette, self._canvas, self._set.px
        canvas.clear()
        y = self._top
        for row, text in enumerate(self._headline.lines):
            risen = easing.out_expo(easing.progress(number, row * 0.1 * setting.fps, setting.entrance(0.7)))
            sprite = typeset.line(text, self._headline.role, self._headline.size, palette.ink)
            baseline = y + self._headline.baseline(row)
            fall = (1 - risen) * self._headline.size * 1.15
            sill = baseline + self._headline.size * 0.27
            canvas.paste(
                sprite,
                0,
                baseline + fall,
                window=(0, 0, self._set.box.width, sill),
                opacity=min(1.0, 2 * risen),
            )
        y += self._headline.height + self._gap
        start = setting.entrance(0.55)
        seen = easing.progress(number, start, setting.entrance(0.55))
        if seen > 0:
            size = easing.spring(seen)
            beat = 0.5 - 0.5 * math.cos(2 * math.pi * 0.9 * max(0.0, number - start) / setting.fps)
            wide = (self._call.width + px(112)) * (0.6 + 0.4 * size)
            light = glow(math.ceil(min(px(240), wide / 2 + self._set.margin)), palette.accent, 0.42)
            canvas.paste(light, wide / 2, y + self._pill / 2, opacity=(0.3 + 0.7 * beat) * min(1.0, 2 * seen))
            canvas.bar(
                0,
                y,
                wide,
                self._pill,
                radius=min(self._pill / 2, px(56)),
                colour=palette.accent,
                opacity=min(1.0, 2 * seen),
            )
            for row, text in enumerate(self._call.lines):
                sprite = typeset.line(text, self._call.role, self._call.size, palette.deep)
                canvas.paste(
                    sprite,
                    px(56),
                    y + px(29) + self._call.size * 0.06 + self._call.baseline(row),
                    opacity=easing.in_out(seen),
                )
        y += self._pill + self._gap
        turn = 0
        for row_of_tags in self._rows:
            for tag, left, across in row_of_tags:
                seen = easing.out_cubic(
                    easing.progress(number, setting.entrance(0.8) + turn * 2, setting.entrance(0.4))
                )
                turn += 1
                tall = self._tag_size * 1.7
                lift = (1 - seen) * px(20)
                canvas.bar(
                    left, y + lift, across, tall, radius=tall / 2, colour=palette.ink, opacity=0.14 * seen
                )
                sprite = typeset.line(tag, "text", self._tag_size, palette.ink)
                canvas.paste(sprite, left + self._tag_size * 0.65, y + lift + tall * 0.68, opacity=seen)
            y += self._tag_size * 2.1
        return canvas.pixels
