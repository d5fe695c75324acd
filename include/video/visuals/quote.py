"""A quotation on a card: its words light up in reading order, then who said it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.video.visuals import easing, typeset
from include.video.visuals.canvas import Canvas, card

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from include.video.plan import Quote
    from include.video.visuals.picture import Setting


class QuotePicture:
    """Text word for word as the plan has it, in the largest size that fits the card, and its source."""

    def __init__(self, content: Quote, setting: Setting) -> None:
        self.box, self._set = setting.outer, setting
        self._canvas = Canvas(setting.box.width, setting.box.height, setting.margin)
        px, wide, high = setting.px, float(setting.box.width), float(setting.box.height)
        self._pad = min(px(56), high * 0.09)
        self._mark = min(px(190), high * 0.26)
        mark_room = self._mark * 0.42
        source = "" if setting.repeats(content.source) else content.source.strip()
        self._source_size = px(36)
        self._source = (
            typeset.cut(source, "text", self._source_size, wide - 2 * self._pad - px(70)) if source else ""
        )
        foot = self._source_size * 2.1 if source else 0.0
        self._block = typeset.fit(
            content.text,
            "display",
            wide - 2 * self._pad,
            high - 2 * self._pad - mark_room - foot - px(20),
            largest=px(84),
            smallest=px(34),
            most_lines=8,
        )
        tall = 2 * self._pad + mark_room + px(20) + self._block.height + foot
        self._card_height = min(high, tall)
        self._top = max(0.0, (high - self._card_height) * 0.46)
        self._text_top = self._top + self._pad + mark_room + px(20)
        self.texts = setting.box

    def frame(self, number: int) -> NDArray[np.uint8]:
        """See `Picture.frame`."""
        setting, palette, canvas = self._set, self._set.palette, self._canvas
        canvas.clear()
        risen = easing.out_expo(easing.progress(number, 0, setting.entrance(0.7)))
        lift = (1 - risen) * setting.px(90) - setting.px(6) * easing.progress(number, 0, setting.frames)
        lift = max(lift, -self._top)
        shape = card(self._set.box.width, round(self._card_height), round(setting.px(44)), palette.deep, 0.46)
        canvas.paste(shape, 0, round(self._top + lift), opacity=risen)
        drawn = easing.out_expo(easing.progress(number, 3, setting.entrance(0.8)))
        canvas.bar(
            0,
            self._top + lift + setting.px(44),
            setting.px(10),
            (self._card_height - setting.px(88)) * drawn,
            radius=setting.px(5),
            colour=palette.accent,
        )
        mark = typeset.line("“", "display", self._mark, palette.accent)
        canvas.paste(mark, self._pad, self._top + self._pad + self._mark * 0.62 + lift, opacity=risen)
        words = sum(len(text.split()) for text in self._block.lines)
        start, reading = setting.entrance(0.3), min(1.6 * setting.fps, 0.5 * setting.frames)
        turn = 0
        for row, text in enumerate(self._block.lines):
            seen = easing.progress(number, start + reading * turn / max(1, words), setting.entrance(0.35))
            turn += len(text.split())
            sprite = typeset.line(text, self._block.role, self._block.size, palette.ink)
            rise = (1 - easing.out_cubic(seen)) * setting.px(22)
            baseline = self._text_top + self._block.baseline(row) + lift + rise
            canvas.paste(sprite, self._pad, baseline, opacity=easing.in_out(seen))
        if self._source:
            seen = easing.out_cubic(easing.progress(number, start + reading, setting.entrance(0.4)))
            baseline = self._top + self._card_height - self._pad + lift
            canvas.bar(
                self._pad,
                baseline - self._source_size * 0.36,
                setting.px(48) * seen,
                setting.px(6),
                radius=setting.px(3),
                colour=palette.accent,
            )
            sprite = typeset.line(self._source, "text", self._source_size, palette.soft)
            canvas.paste(sprite, self._pad + setting.px(70), baseline, opacity=seen)
        return canvas.pixels
