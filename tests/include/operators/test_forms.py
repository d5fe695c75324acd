"""Forms: every field of a model becomes a Param, and conf is held to the same model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.errors import InvalidInput, UnknownParameter
from include.lineage.facets.airflow import CONF_KEYS
from include.operators.campaign import CampaignParams, UpkeepParams
from include.operators.forms import form, read_conf

if TYPE_CHECKING:
    from pydantic import BaseModel


def models() -> list[type[BaseModel]]:
    from include.medallion.params import MedallionParams
    from include.reports.params import ReportsParams
    from include.video.params import VideoParams

    return [CampaignParams, UpkeepParams, VideoParams, MedallionParams, ReportsParams]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_an_untouched_form_is_valid(model: type[BaseModel]) -> None:
    params = form(model)
    assert set(params) == set(model.model_fields)
    values = {name: param.resolve() for name, param in params.items()}
    assert read_conf(model, values, {})["job_id"] is None
    assert all(param.description for param in params.values())


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_field_of_a_form_may_be_seen_in_lineage(model: type[BaseModel]) -> None:
    assert set(model.model_fields) <= CONF_KEYS


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(UnknownParameter, match="'colour'"):
        read_conf(CampaignParams, {}, {"colour": "red"})


def test_airflows_own_key_passes() -> None:
    assert read_conf(CampaignParams, {}, {"openlineage": {"parentRunId": "x"}})["seed"] == 0


@pytest.mark.parametrize(("key", "value"), [("seed", "many"), ("target_s", 3), ("job_id", "not-a-uuid")])
def test_a_wrong_value_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=key):
        read_conf(CampaignParams, {}, {key: value})


@pytest.mark.parametrize(
    "conf",
    [{"theme": "see https://u:c4nary@h.example"}, {"theme": "AKIAC4NARYC4NARY0001"}],
    ids=["login", "key"],
)
def test_a_value_that_holds_a_secret_is_refused_without_showing_it(conf: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="conf: theme: holds a login, key or token") as refused:
        read_conf(CampaignParams, {}, conf)
    assert "c4nary" not in str(refused.value).lower()
