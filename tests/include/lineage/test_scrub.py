"""The scrub: secrets out, conf by allow-list, the job named on task and DAG events."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

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
