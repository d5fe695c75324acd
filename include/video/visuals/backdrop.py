"""The ground of a scene: soft lights that drift, drawn small in 16 bits and enlarged by the encoder's scaler."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from include.video.visuals.palettes import Palette

SHRINK = 8
"""One pixel of the small picture for this many of the frame: the lights are far softer than that."""


class Backdrop:
    """A ground that moves; the same palette, seed and size give the same frames.

    A frame is (height, width, 3), uint16 over the whole range, sRGB. `waves` is where rings of light start, in shares of
    the frame; None for none.
    """

    def __init__(
        self,
        palette: Palette,
        seed: int,
        width: int,
        height: int,
        fps: int,
        *,
        waves: tuple[float, float] | None = None,
    ) -> None:
        self.width, self.height = max(16, math.ceil(width / SHRINK)), max(16, math.ceil(height / SHRINK))
        self._fps = fps
        dice = random.Random(f"backdrop:{seed}")
        base, *lights = (np.array(colour, np.float32) * 257 for colour in palette.ground)
        self._base = base
        self._lights = [
            (
                lights[place % len(lights)],
                dice.uniform(0.1, 0.9),
                dice.uniform(0.05, 0.95),
                dice.uniform(0.10, 0.22) * dice.choice((-1, 1)),
                dice.uniform(0.08, 0.18) * dice.choice((-1, 1)),
                dice.uniform(0.30, 0.52),
                dice.uniform(0, math.tau),
            )
            for place in range(5)
        ]
        x = np.linspace(0, 1, self.width, dtype=np.float32)
        y = np.linspace(0, 1, self.height, dtype=np.float32)
        self._x, self._y = x, y
        self._distance: NDArray[np.float32] | None = None
        if waves is not None:
            across, down = (
                x[None, :] - np.float32(waves[0]),
                (y[:, None] - np.float32(waves[1])) * (height / width),
            )
            self._distance = np.hypot(across, down)
        self._wave = np.array(palette.second, np.float32) * 257
        edge = 1 - 0.30 * np.clip((x[None, :] - 0.5) ** 2 + (y[:, None] - 0.5) ** 2, 0, 1)
        self._vignette = edge[..., None].astype(np.float32)

    def frame(self, number: int) -> NDArray[np.uint16]:
        """Return the picture of one frame of the scene."""
        t = number / self._fps
        shape = (self.height, self.width, 3)
        mixed = np.broadcast_to(self._base, shape).astype(np.float32)
        aspect = self.height / self.width
        for colour, x, y, across, down, size, phase in self._lights:
            centre_x = x + across * math.sin(0.9 * t + phase)
            centre_y = y + down * math.cos(0.7 * t + phase)
            column = np.exp(-(((self._x - centre_x) / size) ** 2))
            row = np.exp(-(((self._y - centre_y) * min(aspect, 1.6) / size) ** 2))
            light = (row[:, None] * column[None, :])[..., None]
            mixed += (colour - mixed) * light * 0.85
        if self._distance is not None:
            for delay in (0.0, 0.55, 1.1, 1.65):
                age = (t - 0.1 - delay) % 2.2
                if t < 0.1 + delay:
                    continue
                ring = np.exp(-(((self._distance - 0.62 * age) / 0.035) ** 2)) * (
                    0.26 * max(0.0, 1 - age / 2.2)
                )
                mixed += (self._wave - mixed) * ring[..., None]
        mixed *= self._vignette
        return np.clip(np.rint(mixed), 0, 65535).astype("<u2")

    def frames(self, count: int) -> Iterator[bytes]:
        """Yield the first frames as bytes of `rgb48le`."""
        for number in range(count):
            yield self.frame(number).tobytes()
