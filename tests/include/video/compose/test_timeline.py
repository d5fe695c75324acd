"""The timeline covers every frame once and gives every text and picture a place of its own."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from include.errors import InvalidInput
from include.video.compose import timeline as subject
from include.video.plan import Overlay, Plan
from include.video.visuals.geometry import Box, geometry

SHAPES = [(1080, 1920), (1920, 1080), (1080, 1080), (720, 1280), (270, 480)]


def test_scenes_cover_every_frame_once(plan: Plan, words: list[dict[str, Any]]) -> None:
    line = subject.timeline(plan, words)
    assert line.frames == plan.frames == sum(track.frames for track in line.scenes)
    at = 0
    for track in line.scenes:
        assert track.first == at
        at += track.frames


def test_words_of_a_scene_count_from_its_first_frame(plan: Plan, words: list[dict[str, Any]]) -> None:
    line = subject.timeline(plan, words)
    assert [word.text for track in line.scenes for word in track.words] == [word["word"] for word in words]
    assert line.scene(3).words[0].start_s == pytest.approx(0.15, abs=0.001)


def overlaps(one: Box, other: Box) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


@pytest.mark.parametrize("shape", SHAPES)
def test_no_overlay_touches_another_or_the_picture(shape: tuple[int, int]) -> None:
    areas = geometry(*shape)
    kinds = list(itertools.product(("bold", "caption", "label"), ("top", "center", "bottom")))
    for count in (0, 1, 2, 3):
        for chosen in itertools.combinations_with_replacement(kinds, count):
            laid = [
                Overlay.model_validate(
                    {"text": "a", "start_s": 0, "end_s": 2, "style": style, "position": position}
                )
                for style, position in chosen
            ]
            picture, boxes = subject._zones(laid, areas)
            every = [picture, *boxes]
            assert all(areas.content.holds(box) for box in every), chosen
            assert not any(overlaps(a, b) for a, b in itertools.combinations(every, 2)), chosen
            assert picture.height >= 0.5 * areas.content.height
            assert not overlaps(picture, areas.captions)


def test_overlays_never_seen_together_share_a_place() -> None:
    laid = [Overlay.model_validate({"text": "a", "start_s": s, "end_s": s + 1.0}) for s in (0.0, 1.0)]
    _, boxes = subject._zones(laid, geometry(1080, 1920))
    assert boxes[0] == boxes[1]


def test_the_safe_area_of_a_phone_is_clear_of_text() -> None:
    areas = geometry(1080, 1920)
    assert (areas.text.x, areas.text.y, areas.text.right, areas.text.bottom) == (60, 250, 910, 1440)
    assert (areas.captions.y, areas.captions.bottom) == (1180, 1440)
    assert areas.text.holds(areas.captions)
    assert areas.text.holds(areas.content)


@pytest.mark.parametrize(
    ("spoken", "named"),
    [
        ([{"word": "a", "start_s": 0.0, "end_s": 0.4}], "sentence"),
        ([{"word": "a", "start_s": 0.5, "end_s": 0.4, "sentence": "s"}], "backwards"),
        ([{"word": "a", "start_s": "x", "end_s": 0.4, "sentence": "s"}], "word 1"),
        (
            [
                {"word": "a", "start_s": 1.0, "end_s": 1.4, "sentence": "s"},
                {"word": "b", "start_s": 0.5, "end_s": 0.9, "sentence": "s"},
            ],
            "'b'",
        ),
    ],
)
def test_word_times_that_make_no_sense_are_refused(spoken: list[dict[str, Any]], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        subject.words_of(spoken)
