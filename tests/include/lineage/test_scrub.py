"""The scrub: secrets out, conf by allow-list, the job named on task and DAG events."""

from __future__ import annotations

import json
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.lineage.naming import derived_job_id
from include.lineage.scrub import Scrub, clean, scrub

JOB = "5f8cbd7e-1f6a-4d0e-9a51-0a8a1c8c2d11"


def event(kind: str, conf: dict[str, object], **facets: object) -> dict[str, object]:
    name = "video" if kind == "DAG" else "video.trend_collection"
    return {
        "eventType": "START",
        "eventTime": "2026-11-01T00:00:00+00:00",
        "producer": "https://airflow.example",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "job": {"namespace": "throughline", "name": name, "facets": {"jobType": {"jobType": kind}}},
        "run": {
            "runId": "019e3a7c-4a3d-7034-9f1d-139361bb4ed8",
            "facets": {
                "airflow": {"dagRun": {"dag_id": "video", "run_id": "manual__1", "conf": conf}},
                **facets,
            },
        },
        "inputs": [],
        "outputs": [],
    }


def test_conf_passes_by_allow_list_only() -> None:
    found = scrub(event("TASK", {"job_id": JOB, "theme": "t", "password": "hunter2", "note": "canary"}))
    conf = found["run"]["facets"]["airflow"]["dagRun"]["conf"]
    assert conf == {"job_id": JOB, "theme": "t"}
    assert "hunter2" not in json.dumps(found)


@pytest.mark.parametrize("kind", ["TASK", "DAG"])
def test_every_run_event_names_its_job(kind: str) -> None:
    facet = scrub(event(kind, {"job_id": JOB}))["run"]["facets"]["throughline_job"]
    assert (facet["job_id"], facet["dag_id"], facet["run_id"]) == (JOB, "video", "manual__1")
    assert facet.get("stage") == (None if kind == "DAG" else "trend_collection")
    assert facet["_schemaURL"].endswith("ThroughlineJobRunFacet")


@pytest.mark.parametrize("conf", [{}, {"job_id": None}, {"job_id": "not-a-uuid"}])
def test_a_run_without_a_usable_job_id_has_its_own(conf: dict[str, object]) -> None:
    facet = scrub(event("TASK", conf))["run"]["facets"]["throughline_job"]
    assert UUID(facet["job_id"]) == derived_job_id("video", "manual__1")


def test_a_triggered_dag_gives_up_its_parent_and_says_who_triggered() -> None:
    parent = {"job": {"namespace": "throughline", "name": "campaign.trigger_video"}, "run": {"runId": JOB}}
    facets = scrub(event("DAG", {}, parent=parent))["run"]["facets"]
    assert "parent" not in facets
    assert facets["throughline_job"]["triggered_by"] == {"job": "campaign.trigger_video", "run": JOB}


def test_a_task_keeps_its_parent() -> None:
    parent = {"job": {"namespace": "throughline", "name": "video"}, "run": {"runId": JOB}}
    assert scrub(event("TASK", {}, parent=parent))["run"]["facets"]["parent"] == parent


def test_text_is_made_harmless() -> None:
    dirty = {
        "title": "a\x00b\ud800c",
        "url": "https://user:pa55@host.example/x",
        "mail": "ann.lee@mail.example",
        "api_key": "sk-1",
        "nested": [{"db_password": "p"}],
    }
    assert clean(dirty) == {
        "title": "abc",
        "url": "https://***@host.example/x",
        "mail": "***",
        "api_key": "***",
        "nested": [{"db_password": "***"}],
    }


def test_the_transformer_takes_what_the_client_gives() -> None:
    assert (
        Scrub({}).transform(event("TASK", {"job_id": JOB}))["run"]["facets"]["throughline_job"]["job_id"]
        == JOB
    )


def test_everything_below_a_secret_name_is_hidden() -> None:
    assert clean({"db_password": {"old": ["a", 1234], "set": True}, "tokens": 7}) == {
        "db_password": {"old": ["***", "***"], "set": True},
        "tokens": 7,
    }


def test_errors_stack_traces_and_documentation_are_cleaned() -> None:
    body = event(
        "TASK", {}, errorMessage={"message": "no route", "stackTrace": "x\npsql postgresql://u:c4nary@h/d"}
    )
    body["job"]["facets"]["documentation"] = {"description": "ask c4nary@mail.example"}  # type: ignore[index]  # made above
    body["job"]["facets"]["sql"] = {"query": "CREATE ROLE r PASSWORD='c4nary'"}  # type: ignore[index]  # made above
    assert "c4nary" not in json.dumps(scrub(body))


def test_secrets_of_the_process_are_hidden_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_TOKEN", "correcthorse")
    found = Scrub({}).transform(event("TASK", {"theme": "why correcthorse?"}))
    assert found["run"]["facets"]["airflow"]["dagRun"]["conf"] == {"theme": "why ***?"}


def test_what_airflows_masker_learned_since_is_hidden() -> None:
    from airflow.sdk._shared.secrets_masker import mask_secret, reset_secrets_masker

    from include.operators.masking import MaskedScrub

    mask_secret("battery-staple")
    try:
        body = event("TASK", {"theme": "why battery-staple?"})
        assert "battery-staple" in json.dumps(Scrub({}).transform(body))
        assert "battery-staple" not in json.dumps(MaskedScrub({}).transform(body))
    finally:
        reset_secrets_masker()


@pytest.mark.parametrize(
    "text",
    [
        "a" * 5_000_000,
        "eyJ" * 1_700_000,
        "a@" * 2_500_000,
        "password=" * 500_000,
        "x://" + "a" * 5_000_000 + "@",
    ],
    ids=lambda text: text[:9],
)
def test_a_long_text_is_cut_and_says_so(text: str) -> None:
    found = scrub(event("TASK", {}, errorMessage={"message": text}))
    message = found["run"]["facets"]["errorMessage"]["message"]
    assert len(message) < 33_000
    assert message.endswith(f"(cut: {len(text)} characters)")


def test_no_secret_is_halved_by_the_cut() -> None:
    text = "x" * 32_700 + " https://ann:" + "c4nary" * 60 + "@host.example"
    assert "c4nary" not in json.dumps(scrub(event("TASK", {}, errorMessage={"message": text})))


def test_a_facet_of_five_megabytes_is_left_out_and_named() -> None:
    big = {"rows": [["y" * 50] * 10] * 10_000}
    body = event("TASK", {}, big=big, small={"text": "kept"})
    body["outputs"] = [
        {"namespace": "n", "name": "media/videos", "facets": {"big": big, "dataSource": {"name": "d"}}}
    ]
    found = scrub(body)
    assert found["run"]["facets"]["small"] == {"text": "kept"}
    assert found["outputs"][0]["facets"] == {"dataSource": {"name": "d"}}
    assert found["run"]["facets"]["throughline_job"]["omitted"] == ["run.big", "media/videos.big"]
    assert len(json.dumps(found)) < 10_000


@pytest.mark.parametrize("depth", [200, 20_000])
def test_deep_nesting_neither_crashes_nor_hides_a_secret(depth: int) -> None:
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState

    from include.lineage.facets import ThroughlineJobRunFacet

    deep: dict[str, object] = {}
    inner = deep
    for _ in range(depth):
        inner["a"] = inner = {}
    inner["password"] = "c4nary"
    facet = ThroughlineJobRunFacet(
        producer="https://x.example", job_id=JOB, dag_id="video", run_id="manual__1", inputs=[deep]
    )
    whole = attrs.evolve(facet, inputs=[])
    made = Scrub({}).transform(
        RunEvent(
            eventTime="2026-11-01T00:00:00Z",
            run=Run(JOB, {"throughline_job": whole, "deep": facet}),
            job=Job("throughline", "video.review"),
            producer="https://x.example",
            eventType=RunState.START,
        )
    )
    assert (made["eventType"], made["run"]["runId"], made["job"]["name"]) == ("START", JOB, "video.review")
    text = json.dumps(made)
    assert "c4nary" not in text
    if "deep" in made["run"]["facets"]:
        assert "nested deeper than" in text
    else:
        assert made["run"]["facets"]["throughline_job"]["omitted"] == ["run.deep"]


def test_a_run_without_a_data_interval_has_the_moment_it_was_due() -> None:
    body = event("TASK", {})
    dag_run = body["run"]["facets"]["airflow"]["dagRun"]  # type: ignore[index]  # made above
    dag_run["run_after"] = "2026-11-01T00:00:00+00:00"
    assert scrub(body)["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2026-11-01T00:00:00+00:00"
    body["run"]["facets"]["nominalTime"] = {"nominalStartTime": "2026-10-31T00:00:00Z"}  # type: ignore[index]  # as above
    assert scrub(body)["run"]["facets"]["nominalTime"] == {"nominalStartTime": "2026-10-31T00:00:00Z"}


def test_a_tasks_tags_say_its_stage_once() -> None:
    body = event("TASK", {})
    body["job"]["facets"]["tags"] = {"tags": [{"key": "video", "value": "video", "source": "AIRFLOW"}]}  # type: ignore[index]  # made above
    found = scrub(scrub(body))
    assert [(tag["key"], tag["value"]) for tag in found["job"]["facets"]["tags"]["tags"]] == [
        ("video", "video"),
        ("stage", "trend_collection"),
    ]
    assert "tags" not in scrub(event("DAG", {}))["job"]["facets"]


class Info(dict[str, object]):
    """A dict with attributes, as the provider's own: its redaction looks at those and misses the items."""

    note = "x"


SHOWN = st.sampled_from(
    ["https://u:c4nary@h.example/x", "password=c4nary", "AKIAC4NARYC4NARY0001", "c4nary@h.example"]
)
LEAVES = SHOWN | st.integers() | st.none() | st.text(max_size=3)
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(max_size=3), inner)
        | st.dictionaries(st.text(max_size=3), inner).map(Info)
        | st.dictionaries(st.sampled_from(["db_password", "api_key"]), st.just("c4nary"))
    ),
)


@given(NESTED)
def test_no_nesting_saves_a_secret(value: object) -> None:
    found = scrub(event("TASK", {"theme": value}, odd={"value": value}))
    assert "c4nary" not in json.dumps(found).lower()
    json.dumps(found, ensure_ascii=False).encode()
