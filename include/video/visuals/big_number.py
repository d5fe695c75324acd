"""One figure, as large as the frame allows, that counts up to its value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.video.visuals import easing, typeset
from include.video.visuals.canvas import Canvas
from include.video.visuals.figures import figure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from include.video.plan import BigNumber
    from include.video.visuals.picture import Setting


class BigNumberPicture:
    """A label, the figure, its words of magnitude below, and a bar that fills as it counts."""

    def __init__(self, content: BigNumber, setting: Setting) -> None:
        self.box, self._set = setting.outer, setting
        self._canvas = Canvas(setting.box.width, setting.box.height, setting.margin)
        wide, high = float(setting.box.width), float(setting.box.height)
        whole = figure(content.display)
        words = whole.after.strip() if len(whole.after.strip()) > 2 else ""
        self._figure = figure(content.display[: len(content.display) - len(whole.after)]) if words else whole
        self._size = self._largest(self._figure.display, wide, high * 0.42)
        final = typeset.line(self._figure.display, "display", self._size, setting.palette.ink)
        self._inset = min(max(0.0, -final.origin_x), setting.px(24))  # a 1 stands far from its left edge
        label = "" if setting.repeats(content.label) else content.label
        self._label = (
            typeset.fit(
                label,
                "text",
                wide,
                high * 0.22,
                largest=setting.px(56),
                smallest=setting.px(30),
                most_lines=2,
            )
            if label
            else None
        )
        self._words = (
            typeset.fit(
                words,
                "display",
                wide,
                high * 0.2,
                largest=setting.px(120),
                smallest=setting.px(40),
                most_lines=1,
            )
            if words
            else None
        )
        self._gap = min(setting.px(46), high * 0.06)
        self._bar = setting.px(14)
        tall = self._size * typeset.CAP_HEIGHT + 2 * self._gap + self._bar
        tall += self._label.height + self._gap if self._label else 0
        tall += self._words.height + self._gap * 0.75 if self._words else 0
        self._top = max(0.0, (high - tall) * 0.46)
        self.texts = setting.box

    def _largest(self, text: str, wide: float, high: float) -> float:
        size = min(self._set.px(420), high / typeset.CAP_HEIGHT)
        return min(size, size * wide / max(1.0, typeset.width_of(text, "display", size) * 1.01))

    def frame(self, number: int) -> NDArray[np.uint8]:
        """See `Picture.frame`."""
        setting, palette, canvas = self._set, self._set.palette, self._canvas
        canvas.clear()
        seen = easing.out_cubic(easing.progress(number, 0, setting.entrance(0.4)))
        counted = easing.out_cubic(easing.progress(number, 3, min(1.6 * setting.fps, 0.6 * setting.frames)))
        y = self._top
        if self._label:
            for place, text in enumerate(self._label.lines):
                sprite = typeset.line(text, self._label.role, self._label.size, palette.soft)
                baseline = y + self._label.baseline(place) + (1 - seen) * setting.px(24)
                canvas.paste(sprite, 0, baseline, opacity=seen)
            y += self._label.height + self._gap
        cap = self._size * typeset.CAP_HEIGHT
        drop = (1 - easing.out_expo(easing.progress(number, 2, setting.entrance(0.6)))) * setting.px(70)
        sprite = typeset.line(self._figure.at(counted), "display", self._size, palette.ink)
        inset = min(self._inset, max(0.0, -sprite.origin_x))
        canvas.paste(sprite, -inset, y + cap + drop, opacity=seen)
        y += cap + (self._gap * 0.75 if self._words else 0)
        if self._words:
            arrived = easing.out_cubic(easing.progress(number, setting.entrance(0.35), setting.entrance(0.5)))
            sprite = typeset.line(self._words.lines[0], self._words.role, self._words.size, palette.accent)
            baseline = y + self._words.baseline(0) + (1 - arrived) * setting.px(24)
            canvas.paste(sprite, 0, baseline, opacity=arrived)
            y += self._words.height
        y += self._gap
        wide, radius = float(self._set.box.width), self._bar / 2
        canvas.bar(0, y, wide * seen, self._bar, radius=radius, colour=palette.ink, opacity=0.14)
        canvas.bar(
            0, y, wide * counted, self._bar, radius=radius, colour=palette.second, towards=palette.accent
        )
        return canvas.pixels
