"""Kinetic type: lines as wide as the frame, each rising out of its own baseline; one stands on a block of colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.video.visuals import easing, typeset
from include.video.visuals.canvas import Canvas

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from include.video.plan import Kinetic
    from include.video.visuals.picture import Setting
    from include.video.visuals.typeset import Block


_DRIFT = 10
"""Units that the lines move to the right while the scene lasts."""


class KineticPicture:
    """The plan's lines; the last one, or the one with a figure, is the one that is marked."""

    def __init__(self, content: Kinetic, setting: Setting) -> None:
        self.box, self._set = setting.outer, setting
        self._canvas = Canvas(setting.box.width, setting.box.height, setting.margin)
        wide, high = float(setting.box.width), float(setting.box.height)
        lines = [text for text in content.lines if not setting.repeats(text)] or list(content.lines)
        gap = min(setting.px(30), high * 0.035)
        self._blocks: list[Block] = []
        share = (high - gap * (len(lines) - 1)) / len(lines)
        self._pad = min(setting.px(26), share * 0.22)
        for text in lines:
            room = wide - 2 * self._pad - setting.px(_DRIFT)
            self._blocks.append(
                typeset.fit(
                    text,
                    "display",
                    room,
                    share - self._pad,
                    largest=setting.px(168 if len(lines) > 2 else 230),
                    smallest=setting.px(18),
                    most_lines=2 if len(lines) > 2 else 3,
                )
            )
        with_figure = [place for place, text in enumerate(lines) if any(c.isdigit() for c in text)]
        self._marked = with_figure[0] if with_figure else len(lines) - 1
        tall = (
            sum(block.height + block.size * 0.05 for block in self._blocks)
            + gap * (len(lines) - 1)
            + self._pad
        )
        self._gap = gap
        self._top = max(0.0, (high - tall) * 0.46)
        self.texts = setting.box

    def frame(self, number: int) -> NDArray[np.uint8]:
        """See `Picture.frame`."""
        setting, palette, canvas = self._set, self._set.palette, self._canvas
        canvas.clear()
        y, turn = self._top, 0
        stagger = setting.entrance(1.3) / max(2, sum(len(block.lines) for block in self._blocks))
        drift = setting.px(_DRIFT) * easing.progress(number, 0, setting.frames)
        for place, block in enumerate(self._blocks):
            marked = place == self._marked
            if marked:
                swept = easing.out_expo(easing.progress(number, turn * stagger, setting.entrance(0.7)))
                below = typeset.DESCENT if any(letter in block.lines[-1] for letter in "gjpqy,;Q") else 0.02
                canvas.bar(
                    drift,
                    y - self._pad * 0.4 - block.size * 0.05,
                    (block.width + 2 * self._pad) * swept,
                    block.height
                    - (typeset.DESCENT - below) * block.size
                    + self._pad * 1.3
                    + block.size * 0.1,
                    radius=setting.px(20),
                    colour=palette.accent,
                )
            left = (self._pad if marked else 0.0) + drift
            colour = palette.deep if marked else palette.ink
            for row, text in enumerate(block.lines):
                risen = easing.out_expo(easing.progress(number, turn * stagger, setting.entrance(0.65)))
                turn += 1
                if risen <= 0:
                    continue
                sprite = typeset.line(text, block.role, block.size, colour)
                baseline = y + self._pad * 0.3 + block.baseline(row)
                sill = baseline + block.size * 0.27
                fall = (1 - risen) * block.size * 1.15
                canvas.paste(
                    sprite,
                    left,
                    baseline + fall,
                    window=(0, 0, self._set.box.width, sill),
                    opacity=min(1.0, risen * 2),
                )
            y += block.height + self._gap + (self._pad * 0.5 if marked else 0)
        return canvas.pixels
