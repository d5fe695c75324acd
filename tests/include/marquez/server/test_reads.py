"""Lists, names, search, tags and error bodies."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest


def get(server: Any, path: str) -> httpx.Response:
    return httpx.get(f"{server.url}/api/v1{path}")


AWKWARD = [
    "a/b/c",
    "a b",
    "ünï/任务",
    "50%25",
    "q?x=1&y=2",
    "hash#tag",
    "semi;colon",
    "quote'\"",
    "back\\slash",
    " leading",
    "..",
    "plus+",
    "versions",
    "runs",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_work_in_every_path(scene: Any, make_dataset: Any, name: str) -> None:
    table = f"{scene.namespace} {name}"
    run = scene.ran(name, 1, [], [make_dataset(table, "a")])
    client = scene.client
    assert client.job(scene.namespace, name)["name"] == name
    assert [item["id"] for item in client.job_runs(scene.namespace, name)["runs"]] == [run]
    assert client.dataset("file", table)["name"] == table
    assert client.dataset_versions("file", table)["totalCount"] == 1
    assert {node["data"]["name"] for node in client.graph(scene.node(name))["graph"]} == {name, table}
    assert {item["name"] for item in client.search(name.strip(), namespace=scene.namespace)["results"]} == {
        name
    }


def test_lists_are_paged_and_counted(scene: Any, make_dataset: Any) -> None:
    for i in range(7):
        scene.ran(f"job{i}", i, [], [{"namespace": scene.namespace, "name": f"table{i}"}])
    assert [job["name"] for job in scene.client.jobs(scene.namespace, page=3)] == [
        f"job{i}" for i in reversed(range(7))
    ]
    assert [item["name"] for item in scene.client.datasets(scene.namespace, page=2)] == [
        f"table{i}" for i in range(7)
    ]
    response = httpx.get(
        f"{scene.client.url}/api/v1/namespaces/{scene.namespace}/jobs?limit=2&offset=6"
    ).json()
    assert (response["totalCount"], len(response["jobs"])) == (7, 1)


def test_jobs_are_filtered_by_the_state_of_their_latest_run(scene: Any) -> None:
    scene.ran("good", 1, [], [])
    scene.ran("bad", 2, [], [], kind="FAIL")
    scene.ran("mended", 3, [], [], kind="FAIL")
    scene.ran("mended", 9, [], [])
    found = httpx.get(
        f"{scene.client.url}/api/v1/namespaces/{scene.namespace}/jobs?lastRunStates=FAILED"
    ).json()
    assert [job["name"] for job in found["jobs"]] == ["bad"]


def test_search_takes_wildcards_for_letters(scene: Any) -> None:
    scene.ran("per%cent", 1, [], [])
    scene.ran("per_cent", 2, [], [])
    scene.ran("percent", 3, [], [])

    def found(words: str) -> list[str]:
        return [item["name"] for item in scene.client.search(words, namespace=scene.namespace)["results"]]

    assert found("PER%") == ["per%cent"]
    assert found("r_c") == ["per_cent"]
    assert found("CENT") == ["per%cent", "per_cent", "percent"]
    # A text is required: one of wildcards alone asks for everything.
    assert found("%") == found("_") == found("%_") == found("CENT")
    assert scene.client.search("cent", namespace=scene.namespace, kind="DATASET")["results"] == []


def test_events_are_filtered_by_job_and_run(scene: Any) -> None:
    run = scene.ran("one", 1, [], [])
    scene.ran("two", 3, [], [])
    assert scene.client.events(namespace=scene.namespace)["totalCount"] == 4
    assert scene.client.events(namespace=scene.namespace, job="two")["totalCount"] == 2
    told = scene.client.events(run=run)["events"]
    assert [event["eventType"] for event in told] == ["COMPLETE", "START"]
    assert scene.client.events(run=run, eventType="start")["totalCount"] == 1


def test_tags_and_soft_deletion(scene: Any, make_dataset: Any) -> None:
    table = scene.named("t/1")
    scene.ran("j", 1, [], [make_dataset(table, "a")])
    path = f"{scene.client.url}/api/v1/namespaces/file/datasets/{quote(table, safe='')}"
    assert httpx.post(f"{path}/tags/PII").json()["tags"] == ["PII"]
    assert httpx.post(f"{path}/fields/a/tags/secret").json()["fields"][0]["tags"] == ["SECRET"]
    assert httpx.post(f"{path}/fields/b/tags/secret").status_code == 404
    assert httpx.delete(f"{path}/tags/PII").json()["tags"] == []
    assert httpx.delete(path).status_code == 200
    assert httpx.get(path).status_code == 404
    assert scene.client.search(table)["results"] == []
    scene.ran("j", 5, [], [make_dataset(table, "a")])
    assert httpx.get(path).json()["fields"][0]["tags"] == ["SECRET"]


def test_a_repeated_event_brings_back_what_was_deleted(scene: Any, make_dataset: Any) -> None:
    event = scene.event("COMPLETE", "j", str(uuid4()), 1, outputs=[make_dataset(scene.named("t"))])
    scene.post(event)
    httpx.delete(f"{scene.client.url}/api/v1/namespaces/{scene.namespace}").raise_for_status()
    assert scene.client.job(scene.namespace, "j") is None
    scene.post(event)
    assert scene.client.job(scene.namespace, "j")["latestRun"]["state"] == "COMPLETED"


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/namespaces/nope", 404, {"code": 404, "message": "Namespace 'nope' not found."}),
        ("/namespaces/nope/jobs/x", 404, {"code": 404, "message": "Namespace 'nope' not found."}),
        ("/namespaces/default/jobs/x%2Fy", 404, {"code": 404, "message": "Job 'x/y' not found."}),
        ("/namespaces/default/datasets/x", 404, {"code": 404, "message": "Dataset 'x' not found."}),
        ("/namespaces/nope/jobs", 200, {"totalCount": 0, "jobs": []}),
        ("/namespaces/nope/datasets", 404, {"code": 404, "message": "Namespace 'nope' not found."}),
        ("/jobs/runs/no-uuid", 404, {"code": 404, "message": "HTTP 404 Not Found"}),
        ("/jobs?limit=-1", 400, {"errors": ["query param limit must be greater than or equal to 0"]}),
        ("/jobs?limit=x", 404, {"code": 404, "message": "HTTP 404 Not Found"}),
        ("/jobs?limit=99999999999", 404, {"code": 404, "message": "HTTP 404 Not Found"}),
        ("/search", 400, {"errors": ["query param q must not be blank"]}),
        (
            "/search?q=x&filter=y",
            400,
            {"code": 400, "message": "query param filter must be one of [DATASET, JOB]"},
        ),
        ("/nope", 404, {"code": 404, "message": "HTTP 404 Not Found"}),
        ("//namespaces", 404, {"code": 404, "message": "HTTP 404 Not Found"}),
        (
            "/stats/jobs?period=WEEK&timezone=Mars/X",
            400,
            {"code": 400, "message": "query param timezone: 'Mars/X' is not a time zone"},
        ),
        ("/stats/jobs?period=WEEK&timezone=../../etc/passwd", 400, None),
    ],
)
def test_errors_read_like_those_of_marquez(lineage_server: Any, path: str, status: int, body: Any) -> None:
    response = get(lineage_server, path)
    assert response.status_code == status
    assert body is None or response.json() == body


def test_a_method_or_type_that_is_not_offered_is_told(lineage_server: Any) -> None:
    wrong = httpx.put(f"{lineage_server.url}/api/v1/lineage", json={})
    assert (wrong.status_code, wrong.json()["code"]) == (405, 405)
    plain = httpx.post(
        f"{lineage_server.url}/api/v1/lineage", content=b"{}", headers={"content-type": "text/plain"}
    )
    assert (plain.status_code, plain.json()) == (
        415,
        {"code": 415, "message": "HTTP 415 Unsupported Media Type"},
    )


def test_the_trailing_slash_does_not_matter(lineage_server: Any) -> None:
    assert get(lineage_server, "/namespaces/").status_code == 200


def test_sources_answer_whatever_the_events_left_out(scene: Any) -> None:
    scene.ran("j", 1, [], [{"namespace": scene.namespace, "name": "no source"}])
    sources = get(scene.client, "/sources").json()["sources"]
    assert "default" in {source["name"] for source in sources}


@pytest.mark.parametrize("what", ["lineage-events", "jobs", "datasets", "sources"])
def test_counts_cover_a_day_by_the_hour_and_a_week_by_the_day(lineage_server: Any, what: str) -> None:
    assert len(get(lineage_server, f"/stats/{what}?period=DAY").json()) == 24
    assert len(get(lineage_server, f"/stats/{what}?period=WEEK&timezone=Europe/Berlin").json()) == 7
