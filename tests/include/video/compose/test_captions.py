"""Captions: a few words at a time, never across a sentence, hostile text stays text."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from include.artifacts import media
from include.video.compose import captions
from include.video.compose.timeline import Word, timeline
from include.video.quality import spoken_in

if TYPE_CHECKING:
    from pathlib import Path

    from include.video.plan import Plan


def said(*texts: str, sentence: str = "s01", start: float = 0.0) -> list[Word]:
    return [Word(text, start + n * 0.3, start + n * 0.3 + 0.28, sentence) for n, text in enumerate(texts)]


def test_lines_have_two_to_four_words_and_keep_to_their_sentence() -> None:
    words = [
        *said(*["one", "two", "three", "four", "five", "six", "seven", "eight", "nine."]),
        *said(*["ten", "eleven", "twelve", "thirteen", "fourteen."], sentence="s02", start=4.0),
    ]
    lines = captions.lines(words, 740, 74)
    assert [word for line in lines for word in line.words] == words
    assert all(2 <= len(line.words) <= 4 for line in lines)
    assert all(len({word.sentence for word in line.words}) == 1 for line in lines)


def test_a_word_is_lit_exactly_while_it_is_spoken(plan: Plan, words: list[dict[str, Any]]) -> None:
    text = captions.whole(timeline(plan, words))
    first = next(line for line in text.splitlines() if line.startswith("Dialogue"))
    start = round(words[0]["end_s"] * 1000) - round(words[0]["start_s"] * 1000)
    assert "\\t(0,1,\\1c" in first
    assert f"\\t({start},{start + 60}," in first


def test_lines_do_not_overlap_in_time_and_last_until_their_last_word(
    plan: Plan, words: list[dict[str, Any]]
) -> None:
    shown = spoken_in(captions.whole(timeline(plan, words)))
    assert all(before[1] <= after[0] + 0.011 for before, after in itertools.pairwise(shown))
    assert " ".join(text for _, _, text in shown) == " ".join(word["word"] for word in words)


def test_captions_of_the_scenes_say_what_those_of_the_video_say(
    plan: Plan, words: list[dict[str, Any]]
) -> None:
    line = timeline(plan, words)
    whole = [text for _, _, text in spoken_in(captions.whole(line))]
    parts = [
        text for track in line.scenes for _, _, text in spoken_in(captions.of_scene(line, track.number) or "")
    ]
    assert parts == whole


HOSTILE = [
    "{\\b1\\fs400}huge",
    "{\\p1}m 0 0 l 999 0 999 999 0 999{\\p0}",
    "\\N\\Nlow",
    "a,b,,c:d;'e'[f]%{g}",
    "{{nested}}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_opens_no_tag(text: str) -> None:
    escaped = captions.escaped(text)
    assert escaped.replace("\\{", "").replace("\\}", "").count("{") == 0
    assert "\\" not in escaped.replace("\\{", "").replace("\\}", "")
    shown = spoken_in(f"Dialogue: 0,0:00:00.00,0:00:01.00,S,,0,0,0,,{escaped}")[0][2]
    assert shown == text.replace("\\", "∖")


def burned(words: list[Word], folder: Path) -> np.ndarray[Any, Any]:
    """Burn one caption of 540x960 over grey and return its frame at 0.5 s."""
    from include.video.visuals.geometry import geometry
    from include.video.visuals.palettes import PALETTES

    folder.mkdir()
    areas = geometry(540, 960)
    line = captions.CaptionLine(tuple(words), 0.0, 1.0)
    (folder / "c.ass").write_text(captions.document([(line, PALETTES["night"], 0.0)], areas, until_s=1.0))
    captions.gather_fonts(captions.faces(word.text for word in words), folder / "fonts")
    raw = media.run(
        [
            *("-v", "error", "-f", "lavfi", "-i", "color=c=gray:size=540x960:rate=10:duration=1"),
            *("-vf", "ass=filename=c.ass:fontsdir=fonts,select='eq(n,5)',format=gray", "-f", "rawvideo", "-"),
        ],
        folder=folder,
    ).stdout
    return np.frombuffer(raw, np.uint8).reshape(960, 540)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_drawn_inside_the_caption_band(text: str, tmp_path: Path) -> None:
    frame = burned(said(*text.split()[:4]), tmp_path / "a").astype(int)
    rows, columns = np.nonzero(np.abs(frame - int(frame[0, 0])) > 12)
    assert rows.size > 200  # something is drawn
    assert rows.min() >= 590
    assert rows.max() < 720
    assert columns.min() >= 80
    assert columns.max() < 460


@pytest.mark.parametrize("word", ["日本語", "नमस्ते", "Привет", "Straße"])
def test_a_word_in_another_script_is_drawn_by_a_named_font(word: str, tmp_path: Path) -> None:
    """Three blanks of the base font would leave the frame grey."""
    frame = burned(said(word), tmp_path / "a").astype(int)
    assert (frame > 220).sum() > 300


def test_a_word_that_is_too_wide_is_made_smaller(tmp_path: Path) -> None:
    frame = burned(said("Donaudampfschifffahrtsgesellschaftskapitänsmütze"), tmp_path / "a").astype(int)
    columns = np.nonzero((frame > 220).any(axis=0))[0]
    assert columns.min() >= 80
    assert columns.max() < 460
