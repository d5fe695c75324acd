"""The offline writer: valid for every seed and length, true to its evidence, different between seeds."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include.errors import InvalidInput
from include.video.plan import STEPS, Plan, canonical_json, numbers_in, scene_bounds
from include.video.stages import SAMPLE
from include.video.trends.file import FileSource
from include.video.trends.trend import Trend
from include.video.writers.evidence import gather, keywords_of
from include.video.writers.grammar import GrammarWriter
from include.video.writers.pacing import WORDS_PER_S
from include.video.writers.writer import Brief

if TYPE_CHECKING:
    from include.video.scoring import ScoredTrend

Briefs = Callable[..., Brief]


def narration(plan: Plan) -> str:
    return " ".join(sentence.text for sentence in plan.narration)


def test_equal_briefs_give_equal_bytes(brief: Briefs) -> None:
    one, two = (GrammarWriter().write(brief(seed=11)).script for _ in range(2))
    assert canonical_json(one) == canonical_json(two)


def test_how_a_job_is_run_leaves_no_trace_in_its_script(brief: Briefs) -> None:
    plain = GrammarWriter().write(brief(seed=11)).script
    other = brief(
        seed=11,
        job_id="6f1d3f4e-6d0a-4b39-9f3c-0a4a6b2f5a11",
        fresh=True,
        review="unattended",
        language="en-gb",
    )
    assert canonical_json(GrammarWriter().write(other).script) == canonical_json(plain)


@pytest.mark.slow
@pytest.mark.parametrize("file", ["sample", "GB", "BR"])
def test_fifty_seeds_on_one_file_give_forty_narrations(
    brief: Briefs, file: str, request: pytest.FixtureRequest
) -> None:
    path = SAMPLE
    if file != "sample":
        path = request.getfixturevalue("shared_data") / "youtube" / f"2018-11-01_{file}_videos.csv"
    plans = [GrammarWriter().write(brief(path, seed=seed)).script.plan for seed in range(50)]
    assert len({narration(plan) for plan in plans}) >= 40


def test_every_spoken_figure_is_that_of_its_evidence_and_the_evidence_that_of_the_data(brief: Briefs) -> None:
    given = brief()
    by_id = {one.trend_id: one for one in given.trends.trends}
    report = given.report.model_dump(mode="json")
    for seed in range(50):
        plan = GrammarWriter().write(brief(seed=seed)).script.plan
        for sentence in plan.narration:
            said = numbers_in(sentence.text)
            borne = set[str]()
            for name in sentence.evidence:
                borne |= numbers_in(plan.evidence[name].display)
            assert said <= borne, sentence
        for name, evidence in plan.evidence.items():
            actual = value_of(evidence.trend_id, evidence.field, by_id, report, given)
            if isinstance(actual, str):
                assert evidence.value == actual, name
            else:
                assert evidence.value == pytest.approx(actual, rel=1e-3), name
                assert shown(evidence.display) == pytest.approx(actual, rel=0.055), name


def value_of(
    of: str, field: str, trends: dict[str, ScoredTrend], report: dict[str, Any], brief: Brief
) -> Any:
    """Look a piece of evidence up in the data, independently of the code that gathered it."""
    if of == "request":
        return brief.params.theme
    if field == "publish_hours (busiest)":
        hours = report["publish_hours"]
        return int(max(hours, key=lambda hour: (hours[hour], -int(hour))))
    if of == "report":
        path, _, factor = field.partition(" * ")
        value: Any = report
        for part in re.findall(r"\w+", path):
            value = value[int(part)] if isinstance(value, list) else value[part]
        return value * int(factor) if factor else value
    one = trends[of]
    known = one.trend.model_dump() | one.components.model_dump()
    if field == "likes / views * 100":
        return known["likes"] / known["views"] * 100
    if field == "views - previous_views":
        return known["views"] - known["previous_views"]
    return known[field]


def shown(display: str) -> float:
    """Return the figure that a display states."""
    if hour := re.fullmatch(r"(\d+) (AM|PM)", display):
        return int(hour[1]) % 12 + (12 if hour[2] == "PM" else 0)
    (number,) = numbers_in(display)
    return float(number.rstrip("%"))


@pytest.mark.parametrize("fps", [24, 25, 30, 50])
@pytest.mark.parametrize("target_s", [15, 16, 17.3, 20, 20.5, 27.7, 33, 45, 60])
def test_every_length_is_met_to_the_frame_within_the_word_budget(
    brief: Briefs, target_s: float, fps: int
) -> None:
    plan = GrammarWriter().write(brief(seed=2, target_s=target_s, fps=fps)).script.plan
    bounds = scene_bounds(target_s)
    assert bounds.fewest <= len(plan.scenes) <= bounds.most
    assert sum(count for _, count in map(plan.frames_of, range(1, len(plan.scenes) + 1))) == round(
        target_s * fps
    )
    assert len(narration(plan).split()) <= WORDS_PER_S * target_s


def test_the_theme_that_is_sent_is_the_theme_of_the_script(brief: Briefs) -> None:
    theme = "Straßenküche & café: 3 ideas"
    for seed in range(10):
        plan = GrammarWriter().write(brief(seed=seed, theme=theme)).script.plan
        assert plan.theme == theme
        assert plan.title.startswith(theme)
        assert theme in [overlay.text for overlay in plan.scenes[0].overlays]


def test_an_empty_theme_is_the_leading_style(brief: Briefs) -> None:
    given = brief(theme="")
    plan = GrammarWriter().write(given).script.plan
    assert plan.theme == ""
    assert given.report.styles[0].name in plan.title


def test_a_theme_brings_what_it_names_to_the_front(brief: Briefs) -> None:
    first = gather(brief(theme="Cats and science")).subjects[0]
    assert "Cats" in first.scored.trend.title
    assert keywords_of("Cats and science") == ("cats", "science")


@pytest.mark.parametrize(
    "reference",
    [
        "sample0035",
        "youtube:sample0035",
        "https://www.youtube.com/watch?v=sample0035",
        "mini GOLF with",
    ],
)
def test_a_reference_is_what_the_script_is_about(brief: Briefs, reference: str) -> None:
    given = brief(content_references=[reference])
    assert gather(given).subjects[0].scored.trend.external_id == "sample0035"
    assert "Mini Golf" in GrammarWriter().write(given).script.plan.title


def test_a_reference_to_nothing_is_refused_by_name(brief: Briefs) -> None:
    with pytest.raises(InvalidInput, match=r"content_references: 'nowhere' matches none of the 38 trends"):
        GrammarWriter().write(brief(content_references=["nowhere"]))


@pytest.mark.parametrize("mood", ["bright", "calm", "driving", "serious"])
def test_moods_differ_in_colour_and_music(brief: Briefs, mood: str) -> None:
    plan = GrammarWriter().write(brief(mood=mood)).script.plan
    other = GrammarWriter().write(brief(mood="calm" if mood != "calm" else "driving")).script.plan
    assert plan.mood == mood
    assert (plan.music.bpm, plan.music.mode) != (other.music.bpm, other.music.mode)


def test_the_pictures_differ_within_a_video_and_show_the_jobs_own_figures(brief: Briefs) -> None:
    kinds = set[str]()
    for seed in range(20):
        plan = GrammarWriter().write(brief(seed=seed)).script.plan
        assert len({scene.visual.kind for scene in plan.scenes}) >= 3
        assert plan.scenes[-1].visual.kind == "closing"
        kinds |= {scene.visual.kind for scene in plan.scenes}
    assert kinds == {"bars", "big_number", "kinetic", "quote", "line", "closing"}


def test_the_five_steps_are_recorded_without_tokens_or_cost(brief: Briefs) -> None:
    written = GrammarWriter().write(brief())
    assert (
        tuple(step.step for step in written.script.steps)
        == STEPS
        == tuple(call.step for call in written.calls)
    )
    assert all(
        (s.provider, s.model, s.tokens_in, s.cost_usd) == ("grammar", None, 0, Decimal(0))
        for s in written.script.steps
    )
    assert [step.prompt_digest for step in written.script.steps] == [
        call.prompt_sha256 for call in written.calls
    ]
    assert len({call.output_sha256 for call in written.calls}) == 5
    assert b"duration_s" not in canonical_json(
        {"steps": [s.model_dump(mode="json") for s in written.script.steps]}
    )


def test_names_that_no_english_voice_can_say_are_shown_and_not_said(brief: Briefs) -> None:
    foreign = [one for one in FileSource(SAMPLE).fetch() if not one.title.isascii()]
    assert len(foreign) >= 8
    shown = ""
    for seed in range(20):
        plan = GrammarWriter().write(brief(foreign, seed=seed)).script.plan
        assert narration(plan).isascii()
        shown += "".join(str(scene.visual.data) for scene in plan.scenes)
    for character in "京서снطछ":
        assert character in shown


def test_a_figure_that_is_spoken_is_in_its_scenes_picture(brief: Briefs) -> None:
    spoken_and_drawn = 0
    for seed in range(50):
        plan = GrammarWriter().write(brief(seed=seed)).script.plan
        for scene in plan.scenes[1:-1]:
            drawn = {one["evidence"] for one in scene.visual.data.get("items", [])}
            drawn |= {one["evidence"] for one in scene.visual.data.get("points", [])}
            told = {name for s in plan.sentences_of(scene.number) for name in s.evidence}
            subjects = {name for name in told if name.startswith("t") and name.endswith((".reach", ".pace"))}
            if drawn and subjects:
                spoken_and_drawn += 1
                assert subjects <= drawn, (seed, scene.number)
    assert spoken_and_drawn > 20


def test_where_two_are_equal_none_is_said_to_lead(brief: Briefs) -> None:
    even = [trend(n, category=("Music", "Sports")[n % 2], hashtags=["#one"]) for n in range(1, 11)]
    given = brief(even)
    assert given.report.styles[0].count == given.report.styles[1].count == 5
    for seed in range(30):
        said = narration(GrammarWriter().write(brief(even, seed=seed)).script.plan)
        assert not re.search(
            r"biggest group|leads, |than at any other hour|favourite hour|busiest hour", said
        )


def test_a_shrinking_counter_is_not_what_a_video_is_about(brief: Briefs) -> None:
    subjects = gather(brief(theme="router security")).subjects
    assert "sample0033" not in [one.scored.trend.external_id for one in subjects]


SEEN = datetime(2026, 6, 1, tzinfo=UTC)


def trend(number: int, **changed: Any) -> Trend:
    given = {
        "platform": "youtube",
        "external_id": str(number),
        "title": f"Engine {number}",
        "published_at": SEEN - timedelta(hours=number),
        "observed_at": SEEN,
        "views": 1000 * number,
        "likes": 10 * number,
        "comments": number,
    }
    return Trend.model_validate(given | changed)


def story(number: int, **changed: Any) -> Trend:
    given = {
        "platform": "hacker_news",
        "external_id": str(number),
        "title": f"A story about engine number {number} and everything that followed from it",
        "category": "Stories",
        "published_at": SEEN - timedelta(hours=number),
        "observed_at": SEEN,
        "likes": 100 * number,
        "comments": 10 * number,
    }
    return Trend.model_validate(given | changed)


@pytest.mark.parametrize("seed", range(10))
def test_stories_without_views_are_told_in_points(brief: Briefs, seed: int) -> None:
    plan = GrammarWriter().write(brief([story(n) for n in range(1, 12)], seed=seed)).script.plan
    assert "views" not in narration(plan)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("target_s", [15, 20, 60])
def test_one_bare_trend_is_enough_for_a_valid_script(brief: Briefs, seed: int, target_s: float) -> None:
    bare = story(1, likes=None, comments=None, published_at=None, category=None, title="東京")
    plan = GrammarWriter().write(brief([bare], seed=seed, target_s=target_s)).script.plan
    assert plan.narration
