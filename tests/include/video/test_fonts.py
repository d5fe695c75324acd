"""Every character is drawn by a face that has it, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw

from include.errors import ConfigurationError
from include.video import fonts
from include.video.visuals import typeset

if TYPE_CHECKING:
    from pathlib import Path

SCRIPTS = {
    "Latin": "Żółć, façade — “quoted” 1,054,156",
    "Greek": "Καλημέρα",
    "Cyrillic": "Привет",
    "Arabic": "مرحبا بالعالم",
    "Hebrew": "שלום עולם",
    "Devanagari": "नमस्ते दुनिया",
    "Bengali": "ওহে বিশ্ব",
    "Tamil": "வணக்கம்",
    "Thai": "สวัสดีชาวโลก",
    "Georgian": "გამარჯობა",
    "Armenian": "Բարեւ",
    "Ethiopic": "ሰላም",
    "Khmer": "សួស្តី",
    "Japanese": "日本のハロウィン、渋谷",
    "Korean": "안녕하세요",
    "Chinese": "你好，世界",
    "Symbols": "★ → ∑ ♥ ✓ ½ €",
    "Emoji": "🎃👍🏽👩‍👩‍👧🇯🇵❤️1️⃣",
    "Cherokee": "ᎣᏏᏲ",
}


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_every_script_is_covered_by_installed_fonts(text: str) -> None:
    split = fonts.split(text, "text")
    assert split.dropped == ()
    for run in split.runs:
        assert all(run.face.has(character) or character in "\u200d\ufe0f" for character in run.text)


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_no_glyph_that_is_drawn_is_the_box_of_a_missing_one(text: str) -> None:
    """Each cluster is drawn alone and compared with what its face draws for a character it lacks."""
    for cluster in {c for c in fonts.clusters(text) if c.strip()}:
        for run in fonts.split(cluster, "text").runs:
            if run.face.is_emoji:
                continue
            font = run.face.at(48)
            box = drawn(font, "\U0010fffd")
            assert not np.array_equal(drawn(font, run.text), box), cluster


def drawn(font: object, text: str) -> np.ndarray:
    image = Image.new("L", (160, 120), 0)
    ImageDraw.Draw(image).text((20, 80), text, fill=255, font=font, anchor="ls")
    return np.asarray(image)


def test_what_no_font_has_is_left_out_and_reported() -> None:
    split = fonts.split("ab\ue123c", "display")
    assert (split.text, split.dropped) == ("abc", ("\ue123",))
    assert typeset.width_of("ab\ue123c", "display", 40) == typeset.width_of("abc", "display", 40)


def test_invisible_characters_that_reorder_text_are_left_out() -> None:
    assert fonts.split("ab\u202ecd\u2066\u200b", "text").text == "abcd"


def test_an_emoji_of_several_characters_stays_one_run() -> None:
    (run,) = fonts.split("👩‍👩‍👧", "text").runs
    assert run.face.is_emoji
    assert run.text == "👩‍👩‍👧"


def test_emoji_keep_their_colours() -> None:
    pixels = typeset.line("🎃", "text", 60, (255, 255, 255)).pixels.astype(int)
    solid = pixels[pixels[..., 3] > 250]
    assert (solid[:, 0] - solid[:, 2] > 60).mean() > 0.3  # orange, not white


def test_digits_and_plain_symbols_are_text_not_emoji() -> None:
    assert [run.face for run in fonts.split("#1 *2", "text").runs] == [fonts.base("text")]


def test_a_subtitle_renderer_is_given_no_colour_bitmaps() -> None:
    split = fonts.split("hi 🎃", "display", colour_emoji=False)
    assert split.text == "hi "
    assert split.dropped == ("🎃",)


def test_without_any_font_the_error_names_the_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "FOLDERS", (tmp_path,))
    fonts.base.cache_clear()
    fonts._find.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match="apt-get install fonts-inter"):
            fonts.base("display")
    finally:
        monkeypatch.undo()
        fonts.base.cache_clear()
        fonts._find.cache_clear()


def test_digests_name_the_files_a_text_needs() -> None:
    plain, japanese = fonts.digests(["hello"]), fonts.digests(["hello 日本"])
    assert set(japanese) - set(plain) == {"NotoSansCJK-Bold.ttc"}
    assert all(len(digest) == 64 for digest in japanese.values())
