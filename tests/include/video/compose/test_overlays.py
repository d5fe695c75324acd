"""Overlays fit their box in three styles, with outline and soft shadow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from PIL import Image

from include.video.compose.overlays import draw
from include.video.compose.timeline import OverlayTrack
from include.video.visuals.geometry import Box
from include.video.visuals.palettes import PALETTES

if TYPE_CHECKING:
    from pathlib import Path

Style = Literal["bold", "caption", "label"]
FRAME = (1080, 1920)
TEXTS = [
    "Hi",
    "Trending today",
    "The one video that everybody in the whole country is watching right now 🎃",
    "W" * 110,
]


def track(text: str, style: Style, height: int = 190) -> OverlayTrack:
    return OverlayTrack(text, style, "fade", Box(60, 250, 850, height), 0, 60, 10, 8)


@pytest.mark.parametrize("style", ["bold", "caption", "label"])
@pytest.mark.parametrize("text", TEXTS)
def test_text_fits_the_box(style: Style, text: str) -> None:
    box = track(text, style).box
    drawn = draw(track(text, style), PALETTES["ocean"], 1.0, FRAME)
    assert drawn.text.x >= box.x
    assert drawn.text.right <= box.right + 1
    assert drawn.text.y >= box.y
    assert drawn.text.bottom <= box.bottom + 1
    alpha = drawn.pixels[..., 3]
    solid = np.nonzero(alpha > 230)
    assert solid[1].max() + drawn.box.x <= box.right
    assert solid[0].max() + drawn.box.y <= box.bottom


@pytest.mark.parametrize("style", ["bold", "caption", "label"])
def test_edges_are_even_for_halved_chroma(style: Style) -> None:
    box = draw(track("Odd edges", style), PALETTES["night"], 0.37, (400, 710)).box
    assert [value % 2 for value in (box.x, box.y, box.width, box.height)] == [0, 0, 0, 0]


@pytest.mark.parametrize("style", ["bold", "caption", "label"])
def test_the_shadow_is_soft(style: Style) -> None:
    """A hard shadow has a few levels of alpha, a blurred one has many."""
    alpha = draw(track("Shadow", style), PALETTES["night"], 1.0, FRAME).pixels[..., 3]
    assert len(np.unique(alpha[(alpha > 0) & (alpha < 120)])) > 60


def test_bold_letters_have_a_dark_outline() -> None:
    pixels = draw(track("I", "bold"), PALETTES["candy"], 1.0, FRAME).pixels.astype(int)
    row = pixels[pixels.shape[0] // 2]
    solid = row[row[:, 3] > 240][:, :3].sum(axis=1)
    assert solid[0] < 200  # outline, then letter, then outline
    assert solid.max() > 650
    assert solid[-1] < 200


def test_the_styles_look_different() -> None:
    shapes = {
        draw(track("Same text", style), PALETTES["night"], 1.0, FRAME).box
        for style in ("bold", "caption", "label")
    }
    assert len(shapes) == 3


def test_the_file_holds_straight_alpha_on_the_shadows_colour(tmp_path: Path) -> None:
    drawn = draw(track("File", "bold"), PALETTES["night"], 0.5, (540, 960))
    drawn.save(tmp_path / "o.png", PALETTES["night"].deep)
    read = np.asarray(Image.open(tmp_path / "o.png"))
    assert read.shape == drawn.pixels.shape
    assert (read[read[..., 3] == 0][:, :3] == PALETTES["night"].deep).all()
    solid = drawn.pixels[..., 3] == 255
    assert np.array_equal(read[solid], drawn.pixels[solid])
