"""A small video to compose: every kind of picture, every style of overlay, words for every sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.video.plan import Plan

if TYPE_CHECKING:
    from pathlib import Path

SCALE = 0.25
"""270x480 of 1080x1920: seconds instead of minutes."""


def showcase() -> Plan:
    """Six scenes of 2 to 4 s, one of each kind."""
    evidence = {
        f"v{place}": {
            "trend_id": f"youtube:v{place}",
            "field": "views",
            "value": value,
            "display": f"{value:,}",
        }
        for place, value in enumerate((1054156, 812400, 640222, 402118, 230447), start=1)
    }

    def data(place: int, label: str) -> dict[str, Any]:
        one = evidence[f"v{place}"]
        return {"label": label, "value": one["value"], "display": one["display"], "evidence": f"v{place}"}

    names = ["Candy taste test", "thank u, next", "日本のハロウィン 🎃", "Ask me anything", "مرحبا بالعالم"]
    visuals = [
        (3.0, "big_number", "night", data(1, "views for one clip")),
        (
            3.0,
            "bars",
            "night",
            {
                "title": "Most watched",
                "unit": "views",
                "items": [data(i + 1, n) for i, n in enumerate(names)],
            },
        ),
        (
            3.0,
            "line",
            "ocean",
            {"title": "Views", "points": [data(5, "Mon"), data(4, "Tue"), data(3, "Wed"), data(1, "Thu")]},
        ),
        (2.0, "kinetic", "sunrise", {"lines": ["real kids", "real faces", "real sugar"]}),
        (2.0, "quote", "forest", {"text": "The title says it all", "source": "a viewer", "evidence": ["v1"]}),
        (2.0, "closing", "candy", {"headline": "Would you try?", "call": "Tell us below"}),
    ]
    overlays = [
        [
            {
                "text": "Trending today",
                "start_s": 0.1,
                "end_s": 2.6,
                "style": "label",
                "position": "top",
                "animation": "slide",
            }
        ],
        [],
        [
            {
                "text": "One curve, four days",
                "start_s": 0.4,
                "end_s": 2.8,
                "style": "caption",
                "position": "bottom",
            }
        ],
        [],
        [
            {
                "text": "Winning title",
                "start_s": 0.2,
                "end_s": 1.9,
                "style": "bold",
                "position": "top",
                "animation": "slide",
            }
        ],
        [],
    ]
    scenes, start = [], 0.0
    for place, ((length, kind, palette, content), laid) in enumerate(
        zip(visuals, overlays, strict=True), start=1
    ):
        scenes.append(
            {
                "number": place,
                "start_s": start,
                "duration_s": length,
                "visual": {"kind": kind, "palette": palette, "data": content},
                "narration_ids": [f"s{place:02d}"],
                "overlays": laid,
            }
        )
        start += length
    return Plan.model_validate(
        {
            "title": "Candy week",
            "theme": "sweets",
            "width": 1080,
            "height": 1920,
            "fps": 30,
            "target_s": start,
            "seed": 7,
            "mood": "bright",
            "narration": [
                {"id": f"s{place:02d}", "text": text}
                for place, text in enumerate(
                    (
                        "One clip leads them all.",
                        "Nothing else comes close today, not by far.",
                        "It took off, and never looked back.",
                        "Real kids, real faces.",
                        "The title says it.",
                        "Would you try?",
                    ),
                    start=1,
                )
            ],
            "scenes": scenes,
            "hashtags": ["#candy", "#halloween", "#taste", "#trending", "#shorts"],
            "music": {"bpm": 110, "mode": "major", "seed": 7},
            "evidence": evidence,
            "writer": {"provider": "grammar", "version": "1"},
        }
    )


def spoken(plan: Plan) -> list[dict[str, Any]]:
    """Evenly spread word times for every sentence of a plan."""
    words: list[dict[str, Any]] = []
    for scene in plan.scenes:
        for sentence in plan.sentences_of(scene.number):
            said = sentence.text.split()
            step = (scene.duration_s - 0.4) / len(said)
            for place, word in enumerate(said):
                start = round(scene.start_s + 0.15 + place * step, 3)
                words.append(
                    {
                        "word": word,
                        "start_s": start,
                        "end_s": round(start + 0.9 * step, 3),
                        "sentence": sentence.id,
                    }
                )
    return words


@pytest.fixture(scope="session")
def plan() -> Plan:
    return showcase()


@pytest.fixture(scope="session")
def words(plan: Plan) -> list[dict[str, Any]]:
    return spoken(plan)


@pytest.fixture(scope="session")
def scale() -> float:
    return SCALE


@pytest.fixture(scope="session")
def rendered(
    plan: Plan, words: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> dict[int, Path]:
    """Every scene rendered once, small, by its number."""
    from include.video.compose.scenes import render

    folder = tmp_path_factory.mktemp("scenes")
    paths = {scene.number: folder / f"{scene.key}.mp4" for scene in plan.scenes}
    for number, path in paths.items():
        render(plan, number, words, path, scale=SCALE)
    return paths
