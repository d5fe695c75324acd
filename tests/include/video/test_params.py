"""The trigger form: untouched it is valid, everything wrong is refused by name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from include.video.params import VideoParams


def test_an_untouched_form_needs_neither_network_nor_key() -> None:
    params = VideoParams()
    assert (params.source, params.writer, params.voice) == ("auto", "grammar", "espeak-ng")
    assert (params.width, params.height, params.fps, params.target_s) == (1080, 1920, 30, 16)


def test_every_field_tells_a_person_what_it_is() -> None:
    for name, field in VideoParams.model_json_schema()["properties"].items():
        assert field["title"], name
        assert len(field["description"]) > 20, name
        assert "default" in field, name
        assert "type" in field or "enum" in field, f"{name} is not flat"


def test_the_defaults_satisfy_the_schema_that_the_form_is_made_of() -> None:
    jsonschema.validate(VideoParams().model_dump(mode="json"), VideoParams.model_json_schema())


@pytest.mark.parametrize("budget", ["2.50", 2.5, 0, "0", 3])
def test_a_budget_is_exact_however_it_is_written(budget: Any) -> None:
    params = VideoParams.model_validate({"budget_usd": budget})
    assert params.budget_usd == Decimal(str(budget))
    jsonschema.validate({"budget_usd": budget}, VideoParams.model_json_schema())
    assert VideoParams.model_validate(params.model_dump(mode="json")) == params


@pytest.mark.parametrize(
    ("conf", "named"),
    [
        ({"thema": "x"}, "thema"),
        ({"target_s": 61}, "target_s"),
        ({"target_s": 14.9}, "target_s"),
        ({"target_s": "long"}, "target_s"),
        ({"source": "tiktok"}, "source"),
        ({"job_id": "not-a-uuid"}, "job_id"),
        ({"budget_usd": -1}, "budget_usd"),
        ({"budget_usd": "much"}, "budget_usd"),
        ({"seed": -1}, "seed"),
        ({"size": "10x10"}, "size"),
        ({"content_references": ["x"]}, "content_references"),
        ({"theme": "two\nlines"}, "theme"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(conf: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        VideoParams.model_validate(conf)
    assert caught.value.errors()[0]["loc"][0] == named
