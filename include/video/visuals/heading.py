"""The heading of a chart: its title, its unit, and a short accent line that draws itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.video.visuals import easing, typeset

if TYPE_CHECKING:
    from include.video.visuals.canvas import Canvas
    from include.video.visuals.picture import Setting


class Heading:
    """Title and unit at the top of a picture; nothing where the plan names neither or an overlay shows the title."""

    def __init__(self, title: str, unit: str, setting: Setting) -> None:
        self._set = setting
        title = "" if setting.repeats(title) else title.strip()
        self._unit = "" if setting.repeats(unit) else unit.strip()
        wide, high = float(setting.box.width), setting.box.height * 0.26
        self._title = (
            typeset.fit(
                title, "display", wide, high, largest=setting.px(66), smallest=setting.px(36), most_lines=2
            )
            if title
            else None
        )
        y = setting.px(26) if title else 0.0
        self._title_top = y
        y += self._title.height + setting.px(6) if self._title else 0.0
        self._unit_size = setting.px(34)
        self._unit_baseline = y + self._unit_size
        y += self._unit_size * 1.25 if self._unit else 0.0
        self.height = y + (setting.px(22) if y else 0.0)

    def paint(self, canvas: Canvas, frame: int) -> None:
        """Paint the heading as it is at a frame."""
        setting, palette = self._set, self._set.palette
        if not self.height:
            return
        seen = easing.out_cubic(easing.progress(frame, 0, setting.entrance(0.45)))
        drawn = easing.out_expo(easing.progress(frame, 2, setting.entrance(0.7)))
        if self._title:
            canvas.bar(
                0, 0, setting.px(96) * drawn, setting.px(8), radius=setting.px(4), colour=palette.accent
            )
        lift = (1 - seen) * setting.px(28)
        if self._title:
            for place, text in enumerate(self._title.lines):
                sprite = typeset.line(text, self._title.role, self._title.size, palette.ink)
                canvas.paste(sprite, 0, self._title_top + self._title.baseline(place) + lift, opacity=seen)
        if self._unit:
            sprite = typeset.line(self._unit, "text", self._unit_size, palette.soft)
            canvas.paste(sprite, 0, self._unit_baseline + lift, opacity=seen)
