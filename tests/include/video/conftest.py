"""A valid plan to start from; tests break it in one place at a time."""

from __future__ import annotations

import copy
from typing import Any

import pytest

PLAN: dict[str, Any] = {
    "title": "Candy week",
    "theme": "sweets",
    "width": 1080,
    "height": 1920,
    "fps": 30,
    "target_s": 16.0,
    "seed": 7,
    "mood": "bright",
    "narration": [
        {"id": "s01", "text": "Look at what 1.1 million people watched.", "evidence": ["views_a"]},
        {"id": "s02", "text": "Halloween leads the chart by far.", "evidence": []},
        {"id": "s03", "text": "Second comes a video with 640,000 views.", "evidence": ["views_b"]},
        {"id": "s04", "text": "Tell us which one you would try.", "evidence": []},
    ],
    "scenes": [
        {
            "number": 1,
            "start_s": 0.0,
            "duration_s": 4.0,
            "visual": {
                "kind": "big_number",
                "palette": "sunrise",
                "data": {"label": "views", "value": 1100000, "display": "1.1 million", "evidence": "views_a"},
            },
            "narration_ids": ["s01"],
            "overlays": [{"text": "Candy week", "start_s": 0.2, "end_s": 3.5}],
        },
        {
            "number": 2,
            "start_s": 4.0,
            "duration_s": 4.0,
            "visual": {"kind": "kinetic", "palette": "ocean", "data": {"lines": ["Halloween", "leads"]}},
            "narration_ids": ["s02"],
        },
        {
            "number": 3,
            "start_s": 8.0,
            "duration_s": 4.0,
            "visual": {
                "kind": "bars",
                "palette": "forest",
                "data": {
                    "title": "Most watched",
                    "items": [
                        {"label": "A", "value": 1100000, "display": "1.1 million", "evidence": "views_a"},
                        {"label": "B", "value": 640000, "display": "640,000", "evidence": "views_b"},
                    ],
                },
            },
            "narration_ids": ["s03"],
        },
        {
            "number": 4,
            "start_s": 12.0,
            "duration_s": 4.0,
            "visual": {
                "kind": "closing",
                "palette": "candy",
                "data": {"headline": "Candy week", "call": "Tell us below"},
            },
            "narration_ids": ["s04"],
        },
    ],
    "hashtags": ["#candy", "#halloween", "#taste", "#trending", "#shorts"],
    "music": {"bpm": 110, "mode": "major", "seed": 7},
    "evidence": {
        "views_a": {"trend_id": "youtube:aaa", "field": "views", "value": 1100000, "display": "1.1 million"},
        "views_b": {"trend_id": "youtube:bbb", "field": "views", "value": 640000, "display": "640,000"},
    },
    "writer": {"provider": "grammar", "version": "1"},
}


@pytest.fixture
def plan_document() -> dict[str, Any]:
    """A valid plan of 16 s as plain JSON types; each test has its own copy."""
    return copy.deepcopy(PLAN)
