"""Text is fitted by measuring: it never leaves its box, whatever it says."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from include.video.visuals import typeset

TEXTS = st.text(
    st.sampled_from("abcdefgWMQ ,.!?0123456789日本語ハロウィンمرحباनमस्ते🎃👍é—'\"{}\\%"),
    min_size=1,
    max_size=120,
).filter(lambda text: bool(text.strip()))


@given(text=TEXTS, width=st.integers(120, 800), height=st.integers(60, 400))
@settings(max_examples=40, deadline=None)
def test_a_fitted_block_keeps_inside_its_box(text: str, width: int, height: int) -> None:
    block = typeset.fit(text, "display", width, height, largest=90, smallest=20, most_lines=3)
    assert block.height <= height + 1 or len(block.lines) == 1
    assert len(block.lines) <= 3
    for line in block.lines:
        assert typeset.width_of(line, block.role, block.size) <= width + 1


def test_lines_are_about_equally_long() -> None:
    block = typeset.fit(
        "one two three four five six seven", "text", 420, 400, largest=60, smallest=20, most_lines=3
    )
    assert len(block.lines) > 1
    assert min(block.widths) > 0.55 * max(block.widths)


def test_what_does_not_fit_at_the_smallest_size_ends_with_an_ellipsis() -> None:
    block = typeset.fit("word " * 60, "text", 300, 80, largest=40, smallest=30, most_lines=2)
    assert block.size == 30
    assert block.lines[-1].endswith(typeset.ELLIPSIS)


def test_figures_have_one_width() -> None:
    """A counting number does not tremble; kerning of equal digits may shift by a fraction of a pixel."""
    widths = [typeset.width_of(f"1{digit}8", "strong", 50) for digit in "0123456789"]
    assert max(widths) - min(widths) < 1
    assert abs(typeset.width_of("1", "strong", 50) - typeset.width_of("8", "strong", 50)) < 0.1


def test_mixed_scripts_are_as_wide_as_drawn() -> None:
    sprite = typeset.line("Ab 日本 مرحبا 🎃 x", "text", 48, (255, 255, 255))
    drawn = np.flatnonzero(sprite.pixels[..., 3].any(axis=0))
    assert abs((drawn[-1] - drawn[0]) - sprite.advance) < 14


def test_right_to_left_text_with_a_latin_word_runs_from_the_right() -> None:
    """The Arabic word comes first in the text, so it stands at the right."""
    both = typeset.line("مرحبا abc", "text", 60, (255, 255, 255))
    latin = typeset.line("abc", "text", 60, (255, 255, 255))
    left = both.pixels[..., 3][:, : latin.width - 2]
    alone = latin.pixels[..., 3]
    assert abs(int((left > 128).sum()) - int((alone > 128).sum())) < 0.15 * (alone > 128).sum()
