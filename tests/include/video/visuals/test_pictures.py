"""Pictures move, arrive at the plan's own figures, and keep their text in their box."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from include.video.plan import Visual
from include.video.visuals import gallery
from include.video.visuals.backdrop import Backdrop
from include.video.visuals.figures import figure
from include.video.visuals.geometry import Box
from include.video.visuals.palettes import PALETTES, contrast
from include.video.visuals.picture import Setting

FRAMES, FPS = 90, 30
LONG = "An extraordinarily long label that cannot possibly fit into one single row of a chart"


def datum(label: str, value: float, display: str | None = None) -> dict[str, Any]:
    return {"label": label, "value": value, "display": display or f"{value:,.0f}", "evidence": "e"}


CONTENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "bars": (
        "bars",
        {"title": "Most watched", "unit": "views", "items": [datum("a", 90), datum("b", 40), datum("c", 10)]},
    ),
    "bars_long": ("bars", {"title": LONG[:80], "items": [datum(LONG, 10**9 + n) for n in range(8)]}),
    "bars_nothing": ("bars", {"items": [datum("a", 0), datum("b", 0)]}),
    "bars_negative": ("bars", {"items": [datum("a", -5), datum("b", 3)]}),
    "line": (
        "line",
        {"title": "Views", "unit": "per day", "points": [datum(str(n), n * n) for n in range(6)]},
    ),
    "line_flat": ("line", {"points": [datum("a", 3), datum("b", 3)]}),
    "line_long": ("line", {"title": LONG[:80], "points": [datum(LONG, (n * 7919) % 101) for n in range(60)]}),
    "big_number": ("big_number", datum("views for one clip", 1054156)),
    "big_number_words": ("big_number", datum("views", 1.1e6, "1.1 million")),
    "big_number_long": ("big_number", datum(LONG, 123456789012, "123,456,789,012 views and counting")),
    "kinetic": ("kinetic", {"lines": ["real kids", "real faces", "real sugar"]}),
    "kinetic_long": ("kinetic", {"lines": [LONG] * 6}),
    "quote": ("quote", {"text": "The title says it all", "source": "a viewer", "evidence": ["e"]}),
    "quote_long": ("quote", {"text": (LONG + " ") * 3, "source": LONG, "evidence": ["e"]}),
    "quote_unbroken": ("quote", {"text": "W" * 200, "evidence": ["e"]}),
    "closing": ("closing", {"headline": "Would you try?", "call": "Tell us below"}),
    "closing_long": ("closing", {"headline": LONG, "call": LONG}),
}


def setting(**changes: Any) -> Setting:
    given: dict[str, Any] = {
        "box": Box(30, 126, 424, 450),
        "unit": 0.5,
        "fps": FPS,
        "frames": FRAMES,
        "palette": PALETTES["night"],
        "tags": ("#candy", "#halloween", "#a" + "b" * 59),
    }
    return Setting(**{**given, **changes})


def drawn(name: str, **changes: Any) -> Any:
    kind, data = CONTENTS[name]
    return gallery.picture(Visual.model_validate({"kind": kind, "data": data}).content, setting(**changes))


@pytest.mark.parametrize("name", CONTENTS)
def test_a_picture_moves_from_nothing_to_something(name: str) -> None:
    picture = drawn(name)
    first, early, late = (np.array(picture.frame(number)) for number in (0, 12, FRAMES - 1))
    assert late[..., 3].max() > 200
    assert (first != early).any()
    assert (early != late).any()


@pytest.mark.parametrize("name", CONTENTS)
def test_a_frame_does_not_depend_on_the_frames_before(name: str) -> None:
    one, other = drawn(name), drawn(name)
    for number in (80, 3, 40):
        one.frame(number)
    assert np.array_equal(one.frame(50), other.frame(50))


@pytest.mark.parametrize("name", CONTENTS)
def test_text_stays_in_its_box(name: str) -> None:
    """Around the box there is only light: nothing as solid as a letter."""
    picture = drawn(name)
    margin = setting().margin
    assert margin > 0
    for number in (20, 45, FRAMES - 1):
        alpha = np.array(picture.frame(number)[..., 3])
        alpha[margin:-margin, margin:-margin] = 0
        assert alpha.max() < 160


@pytest.mark.parametrize("box", [Box(60, 250, 850, 480), Box(60, 60, 300, 700), Box(116, 76, 1690, 390)])
@pytest.mark.parametrize(
    "name", ["bars_long", "line", "big_number_long", "kinetic_long", "quote_long", "closing_long"]
)
def test_pictures_fit_boxes_of_any_shape(name: str, box: Box) -> None:
    picture = drawn(name, box=box, unit=1.0)
    margin = setting(box=box, unit=1.0).margin
    alpha = np.array(picture.frame(FRAMES - 1)[..., 3])
    assert alpha.max() > 200
    alpha[margin:-margin, margin:-margin] = 0
    assert alpha.max() < 160


@pytest.mark.parametrize("palette", PALETTES)
def test_text_can_be_read_on_every_ground(palette: str) -> None:
    colours = PALETTES[palette]
    assert min(contrast(colours.ink, ground) for ground in colours.ground) >= 4.5
    assert min(contrast(colours.soft, ground) for ground in colours.ground) >= 3.0
    assert contrast(colours.accent, colours.deep) >= 4.5


def test_longer_bars_mean_larger_values() -> None:
    """The filled part of each track is measured in pixels and compared with the values."""
    content = Visual.model_validate(
        {"kind": "bars", "data": {"items": [datum("a", 80), datum("b", 40), datum("c", 20)]}}
    )
    chart = gallery.picture(content.content, setting())
    pixels = np.array(chart.frame(FRAMES - 1))
    solid = pixels[..., 3] > 190
    lengths = sorted({int(row.sum()) for row in solid if row.sum() > 40}, reverse=True)
    longest = max(lengths)
    shares = [length / longest for length in lengths]
    for wanted in (1.0, 0.5, 0.25):
        assert any(abs(share - wanted) < 0.03 for share in shares), wanted


@pytest.mark.parametrize(
    "display", ["1,054,156", "1.1 million", "4.5%", "$3.20 per view", "about 12", "no figure"]
)
def test_a_count_ends_at_the_plans_own_words(display: str) -> None:
    assert figure(display).at(1.0) == display


def test_a_count_never_overshoots_and_never_runs_back() -> None:
    counted = [int(figure("1,054,156").at(step / 50).replace(",", "")) for step in range(51)]
    assert counted == sorted(counted)
    assert counted[-1] == 1054156


def test_the_ground_drifts_and_repeats_by_seed() -> None:
    def made(seed: int) -> Backdrop:
        return Backdrop(PALETTES["ocean"], seed, 1080, 1920, 30)

    assert np.array_equal(made(1).frame(30), made(1).frame(30))
    assert not np.array_equal(made(1).frame(30), made(2).frame(30))
    steps = [made(1).frame(n).astype(np.int64) for n in (0, 1, 30)]
    assert np.abs(steps[1] - steps[0]).mean() > 0
    assert np.abs(steps[2] - steps[0]).mean() > 257  # more than one level of 255 in a second
