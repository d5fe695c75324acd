"""The plan's rules: what is accepted, what is refused and with which reason."""

from __future__ import annotations

import copy
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from include.video.plan import (
    STEPS,
    Plan,
    Script,
    canonical_json,
    numbers_in,
    read_script,
    scene_bounds,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Document = dict[str, Any]


def test_a_valid_plan_is_accepted_and_survives_its_canonical_form(plan_document: Document) -> None:
    plan = Plan.model_validate(plan_document)
    again = Plan.model_validate_json(canonical_json(plan))
    assert again == plan
    assert canonical_json(again) == canonical_json(plan)


def test_the_canonical_form_does_not_depend_on_the_order_of_keys(plan_document: Document) -> None:
    turned = json.loads(json.dumps(dict(reversed(plan_document.items()))))
    assert canonical_json(Plan.model_validate(turned)) == canonical_json(Plan.model_validate(plan_document))


def _drop_scene(d: Document) -> None:
    d["scenes"] = d["scenes"][:2]


def _two_overlays_too_late(d: Document) -> None:
    d["scenes"][0]["overlays"] = [{"text": "late", "start_s": 3.0, "end_s": 4.2}]


def _backward_overlay(d: Document) -> None:
    d["scenes"][0]["overlays"] = [{"text": "back", "start_s": 3.0, "end_s": 2.0}]


def _gap(d: Document) -> None:
    d["scenes"][2]["start_s"] = 8.5


def _overlap(d: Document) -> None:
    d["scenes"][2]["start_s"] = 7.5


def _too_long_scene(d: Document) -> None:
    d["scenes"][0]["duration_s"] = 5.0
    for place, start in enumerate((5.0, 9.0, 13.0), start=1):
        d["scenes"][place]["start_s"] = start


def _sum_misses_target(d: Document) -> None:
    d["scenes"][3]["duration_s"] = 3.0


def _misnumbered(d: Document) -> None:
    d["scenes"][1]["number"] = 5


def _spoken_twice(d: Document) -> None:
    d["scenes"][1]["narration_ids"] = ["s01", "s02"]


def _never_spoken(d: Document) -> None:
    d["scenes"][1]["narration_ids"] = []


def _out_of_order(d: Document) -> None:
    d["scenes"][0]["narration_ids"], d["scenes"][1]["narration_ids"] = ["s02"], ["s01"]


def _unknown_sentence(d: Document) -> None:
    d["scenes"][1]["narration_ids"] = ["s02", "s99"]


def _wrong_figure(d: Document) -> None:
    d["narration"][0]["text"] = "Look at what 1.2 million people watched."


def _figure_without_evidence(d: Document) -> None:
    d["narration"][0]["evidence"] = []


def _unknown_evidence(d: Document) -> None:
    d["narration"][1]["evidence"] = ["nothing"]


def _loose_magnitude(d: Document) -> None:
    d["narration"][1]["text"] = "Halloween has millions of fans."


def _overlay_figure(d: Document) -> None:
    d["scenes"][1]["overlays"] = [{"text": "Up 300%", "start_s": 0.0, "end_s": 1.0}]


def _title_figure(d: Document) -> None:
    d["title"] = "Top 10 sweets"


def _bar_of_another_height(d: Document) -> None:
    d["scenes"][2]["visual"]["data"]["items"][1]["value"] = 900000


def _bar_shown_otherwise(d: Document) -> None:
    d["scenes"][2]["visual"]["data"]["items"][1]["display"] = "900,000"


def _six_tags_one_twice(d: Document) -> None:
    d["hashtags"].append("#Candy")


def _four_tags(d: Document) -> None:
    d["hashtags"] = d["hashtags"][:4]


def _data_of_another_kind(d: Document) -> None:
    d["scenes"][1]["visual"]["data"] = {"headline": "no"}


def _unknown_key(d: Document) -> None:
    d["scenes"][1]["camera"] = "pan"


def _odd_width(d: Document) -> None:
    d["width"] = 1079


def _line_break(d: Document) -> None:
    d["narration"][1]["text"] = "Halloween\nleads"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_drop_scene, "a video of 16 s has 4 to 7 scenes, this one 2"),
        (_two_overlays_too_late, "overlay 1 of scene 1 ends at 4.2 s, its scene lasts 4 s"),
        (_backward_overlay, "overlay 1 of scene 1 ends before it starts"),
        (_gap, "scene 3 starts at 8.5 s where 8 s is due: leaves a gap"),
        (_overlap, "scene 3 starts at 7.5 s where 8 s is due: overlaps the scene before"),
        (_too_long_scene, "scene 1 lasts 5 s, allowed are 2 to 4 s"),
        (_sum_misses_target, "the scenes last 15 s together, the target is 16 s"),
        (_misnumbered, "scene 2 is numbered 5"),
        (_spoken_twice, "the sentence 's01' is spoken in 2 scenes instead of one"),
        (_never_spoken, "the sentence 's02' is spoken in 0 scenes instead of one"),
        (_out_of_order, "another order than the narration"),
        (_unknown_sentence, "'s99', which the narration does not have"),
        (_wrong_figure, "sentence 's01' states 1200000, which none of its evidence does"),
        (_figure_without_evidence, "sentence 's01' states 1100000"),
        (_unknown_evidence, "names the evidence 'nothing', which the plan does not have"),
        (_loose_magnitude, "sentence 's02' says 'million' without a figure"),
        (_overlay_figure, "overlay 1 of scene 2 states 300%"),
        (_title_figure, "the title states 10"),
        (_bar_of_another_height, "draws 900000 where the evidence 'views_b' is 640000"),
        (_bar_shown_otherwise, "shows '900,000' where the evidence 'views_b' is shown as '640,000'"),
        (_six_tags_one_twice, "a hashtag occurs twice"),
        (_four_tags, "at least 5 items"),
        (_data_of_another_kind, "data"),
        (_unknown_key, "camera"),
        (_odd_width, "multiple of 2"),
        (_line_break, "control characters and line breaks are not allowed"),
    ],
)
def test_an_invalid_plan_is_refused_with_its_reason(
    plan_document: Document, damage: Callable[[Document], None], reason: str
) -> None:
    damage(plan_document)
    with pytest.raises(ValidationError) as caught:
        Plan.model_validate(plan_document)
    assert reason in str(caught.value)


def test_the_theme_may_be_spoken_without_evidence(plan_document: Document) -> None:
    plan_document["theme"] = "Sweets of 2018"
    plan_document["narration"][1]["text"] = "Sweets of 2018 lead the chart."
    assert Plan.model_validate(plan_document).theme == "Sweets of 2018"


@given(st.floats(min_value=15, max_value=60))
def test_every_target_can_be_filled_by_the_scenes_that_the_rule_allows(target_s: float) -> None:
    bounds = scene_bounds(target_s)
    assert 3 <= bounds.fewest <= bounds.most
    assert bounds.fewest * bounds.shortest_s <= target_s <= bounds.fewest * bounds.longest_s + 1e-6
    assert bounds.most * bounds.shortest_s <= target_s + 1e-6
    if target_s <= 20:
        assert bounds.most <= 7
        assert (bounds.shortest_s, bounds.longest_s) == (2.0, 4.0)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), fps=st.sampled_from([24, 25, 30, 50]))
def test_frames_of_all_scenes_cover_the_video_once_each(data: st.DataObject, fps: int) -> None:
    from_conftest = _random_plan(data, fps)
    plan = Plan.model_validate(from_conftest)
    ranges = [plan.frames_of(scene.number) for scene in plan.scenes]
    assert ranges[0][0] == 0
    for (first, count), (following, _) in itertools.pairwise(ranges):
        assert first + count == following
    assert sum(count for _, count in ranges) == plan.frames == round(plan.target_s * fps)


def _random_plan(data: st.DataObject, fps: int) -> Document:
    target_s = data.draw(st.integers(150, 600)) / 10
    bounds = scene_bounds(target_s)
    count = data.draw(st.integers(bounds.fewest, bounds.most))
    lengths = [target_s / count] * count
    for place in range(count - 1):
        room = min(lengths[place] - bounds.shortest_s, bounds.longest_s - lengths[place + 1])
        moved = data.draw(st.floats(0, max(0.0, room)))
        lengths[place] -= moved
        lengths[place + 1] += moved
    scenes, start_s = [], 0.0
    for place, length in enumerate(lengths, start=1):
        scenes.append(
            {
                "number": place,
                "start_s": start_s,
                "duration_s": length,
                "visual": {"kind": "kinetic", "data": {"lines": ["word"]}},
                "narration_ids": [f"s{place}"],
            }
        )
        start_s += length
    return {
        "title": "t",
        "theme": "t",
        "width": 1080,
        "height": 1920,
        "fps": fps,
        "target_s": target_s,
        "seed": 0,
        "mood": "calm",
        "narration": [{"id": f"s{place}", "text": "One word."} for place in range(1, count + 1)],
        "scenes": scenes,
        "hashtags": ["#a", "#b", "#c", "#d", "#e"],
        "music": {"bpm": 90, "mode": "minor", "seed": 0},
        "evidence": {},
        "writer": {"provider": "test", "version": "1"},
    }


@given(st.integers(0, 10**12))
def test_a_figure_means_the_same_with_and_without_separators(number: int) -> None:
    assert numbers_in(f"it has {number:,} views.") == numbers_in(f"{number}") == {str(number)}


def test_figures_in_other_writing_systems_count_as_figures() -> None:
    assert numbers_in("٣ videos") == {"٣"} or numbers_in("٣ videos") == {"3"}


def _steps() -> list[Document]:
    return [
        {
            "step": name,
            "prompt_digest": "0" * 64,
            "provider": "grammar",
            "model": None,
            "tokens_in": 0,
            "tokens_out": 0,
            "cost_usd": "0",
        }
        for name in STEPS
    ]


def test_a_script_has_each_of_the_five_steps_in_order(plan_document: Document, tmp_path: Any) -> None:
    script = Script.model_validate({"plan": plan_document, "steps": _steps()})
    (tmp_path / "script.json").write_bytes(canonical_json(script))
    assert read_script(tmp_path / "script.json") == script
    asked_again = copy.deepcopy(_steps())
    asked_again.insert(3, asked_again[2] | {"attempt": 2})
    assert len(Script.model_validate({"plan": plan_document, "steps": asked_again}).steps) == 6
    for wrong in (_steps()[:4], [*_steps(), _steps()[4]], list(reversed(_steps()))):
        with pytest.raises(ValidationError, match="each once and in order"):
            Script.model_validate({"plan": plan_document, "steps": wrong})
