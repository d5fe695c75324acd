"""The calls that Marquez web 0.51.1 makes, as it writes them, and the fields that its screens read."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

RUN_FIELDS = {
    "id",
    "createdAt",
    "updatedAt",
    "nominalStartTime",
    "nominalEndTime",
    "state",
    "startedAt",
    "endedAt",
    "durationMs",
    "facets",
    "jobVersion",
}
JOB_FIELDS = {
    "id",
    "type",
    "name",
    "simpleName",
    "createdAt",
    "updatedAt",
    "namespace",
    "inputs",
    "outputs",
    "location",
    "description",
    "latestRun",
    "latestRuns",
    "tags",
    "parentJobName",
    "parentJobUuid",
}
DATASET_FIELDS = {
    "id",
    "type",
    "name",
    "physicalName",
    "createdAt",
    "updatedAt",
    "namespace",
    "sourceName",
    "fields",
    "tags",
    "lastModifiedAt",
    "description",
    "facets",
    "deleted",
    "columnLineage",
}
VERSION_FIELDS = {
    "id",
    "type",
    "createdByRun",
    "name",
    "physicalName",
    "createdAt",
    "version",
    "namespace",
    "sourceName",
    "fields",
    "tags",
    "description",
    "lifecycleState",
    "facets",
}
NODE_FIELDS = {"id", "type", "data", "inEdges", "outEdges"}
COLUMN_FIELDS = {
    "namespace",
    "dataset",
    "datasetVersion",
    "field",
    "fieldType",
    "inputFields",
    "transformationDescription",
    "transformationType",
}
EVENT_FIELDS = {"eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"}  # fmt: skip


def part(text: str) -> str:
    """Encode as a browser's encodeURIComponent does."""
    return quote(text, safe="!'()*")


@pytest.fixture
def screen(scene: Any, make_dataset: Any) -> Any:
    """A job with a parent and a run, a table made from another, and what the web application would fetch of them."""
    parent = {
        "_producer": "https://example.org/p",
        "_schemaURL": "https://example.org/f.json",
        "run": {"runId": str(uuid4())},
        "job": {"namespace": scene.namespace, "name": "dag"},
    }
    scene.old, scene.new, scene.told = scene.named("in a/b"), scene.named("out#1"), str(uuid4())
    outputs = [make_dataset(scene.new, "b", made_from={"b": [(scene.old, "a")]})]
    for kind, minute in (("START", 1), ("COMPLETE", 2)):
        scene.post(
            scene.event(
                kind,
                "dag.task",
                scene.told,
                minute,
                inputs=[make_dataset(scene.old, "a")],
                outputs=outputs,
                run_facets={"parent": parent},
            )
        )
    with httpx.Client(base_url=scene.client.url) as http:

        def fetch(path: str, method: str = "GET") -> Any:
            url = http.base_url.copy_with(raw_path=f"/api/v1{path}".encode())
            return http.request(method, url).raise_for_status().json()

        scene.fetch = fetch
        yield scene


def test_the_dashboard(screen: Any) -> None:
    fetch = screen.fetch
    for what in ("lineage-events", "jobs", "datasets", "sources"):
        for period, bars in (("DAY", 24), ("WEEK", 7)):
            found = fetch(f"/stats/{what}?period={period}&timezone=Europe/Berlin")
            assert len(found) == bars
            fields = {"fail", "start", "complete", "abort"} if what == "lineage-events" else {"count"}
            assert found[0].keys() == {"startInterval", "endInterval", *fields}
    found = fetch("/jobs?runState=COMPLETED&limit=20&offset=0")
    assert found.keys() == {"jobs", "totalCount"}
    assert len(found["jobs"]) == min(20, found["totalCount"])


def test_the_lists(screen: Any) -> None:
    fetch, space = screen.fetch, part(screen.namespace)
    listed = next(
        item for item in fetch("/namespaces?limit=10000")["namespaces"] if item["name"] == screen.namespace
    )
    assert listed.keys() == {"name", "createdAt", "updatedAt", "ownerName", "description", "isHidden"}
    jobs = fetch(f"/namespaces/{space}/jobs?limit=20&offset=0")
    assert {job["name"] for job in jobs["jobs"]} == {"dag", "dag.task"}
    assert all(job.keys() >= JOB_FIELDS for job in jobs["jobs"])
    assert all(run.keys() >= RUN_FIELDS for job in jobs["jobs"] for run in job["latestRuns"])
    tables = fetch("/namespaces/file/datasets?limit=10000&offset=0")
    mine = [item for item in tables["datasets"] if item["name"] in (screen.old, screen.new)]
    assert len(mine) == 2
    assert all(item.keys() >= DATASET_FIELDS for item in mine)
    events = fetch(
        "/events/lineage?limit=50&before=2026-03-02T00:00:00.000Z&after=2026-03-01T00:00:00.000Z&offset=0&sortDirection=desc"
    )
    assert events["totalCount"] >= 2
    assert all(item.keys() >= EVENT_FIELDS for item in events["events"])


def test_the_drawer_of_a_job(screen: Any) -> None:
    fetch, path = screen.fetch, f"/namespaces/{part(screen.namespace)}/jobs/dag.task"
    job = fetch(path)
    assert job.keys() >= JOB_FIELDS
    assert (job["simpleName"], job["parentJobName"], job["latestRun"]["state"]) == (
        "task",
        "dag",
        "COMPLETED",
    )
    runs = fetch(f"{path}/runs?limit=14&offset=0")
    assert (runs["totalCount"], runs["runs"][0]["id"]) == (1, screen.told)
    assert runs["runs"][0].keys() >= RUN_FIELDS
    for kind in ("run", "job"):
        found = httpx.get(f"{screen.client.url}/api/v1/jobs/runs/{screen.told}/facets?type={kind}")
        assert found.status_code == 200
        assert not found.content or found.json().keys() == {"runId", "facets"}
    assert fetch(f"{path}/tags/{part('a tag')}", "POST")["tags"] == ["a tag"]
    assert fetch(f"{path}/tags/{part('a tag')}", "DELETE")["tags"] == []
    assert fetch(path, "DELETE")["name"] == "dag.task"


def test_the_drawer_of_a_dataset(screen: Any) -> None:
    fetch, path = screen.fetch, f"/namespaces/file/datasets/{part(screen.new)}"
    assert fetch(path).keys() >= DATASET_FIELDS
    versions = fetch(f"{path}/versions?limit=10&offset=0")
    assert versions["totalCount"] == 1
    assert versions["versions"][0].keys() >= VERSION_FIELDS
    assert versions["versions"][0]["createdByRun"]["id"] == screen.told
    assert {"name", "type", "tags", "description"} == versions["versions"][0]["fields"][0].keys()
    assert fetch(f"{path}/tags/PII", "POST")["tags"] == ["PII"]
    assert fetch(f"{path}/tags/PII", "DELETE")["tags"] == []
    assert fetch(f"{path}/fields/b/tags/PII", "POST")["fields"][0]["tags"] == ["PII"]
    assert fetch(f"{path}/fields/b/tags/PII", "DELETE")["fields"][0]["tags"] == []
    assert {"name", "description"} == fetch("/tags")["tags"][0].keys()
    assert fetch(path, "DELETE")["name"] == screen.new


def test_the_graphs_and_the_search(screen: Any) -> None:
    fetch = screen.fetch
    for node in (f"job:{part(screen.namespace)}:dag.task", f"dataset:file:{part(screen.new)}"):
        graph = fetch(f"/lineage?nodeId={node}&depth=2")["graph"]
        assert [item["type"] for item in graph] == ["DATASET", "DATASET", "JOB"]
        assert all(item.keys() == NODE_FIELDS for item in graph)
        job = graph[2]["data"]
        assert (job["simpleName"], job["latestRun"]["state"]) == ("task", "RUNNING")
        assert {"origin", "destination"} == graph[2]["inEdges"][0].keys()
    columns = fetch(f"/column-lineage?nodeId=dataset:file:{part(screen.new)}&depth=2&withDownstream=true")[
        "graph"
    ]
    assert {item["type"] for item in columns} == {"DATASET_FIELD"}
    assert all(item.keys() == NODE_FIELDS and item["data"].keys() == COLUMN_FIELDS for item in columns)
    found = fetch(f"/search?q={part(screen.new)}&sort=NAME&limit=100&filter=DATASET&namespace=file")
    assert [item["nodeId"] for item in found["results"]] == [f"dataset:file:{screen.new}"]
    assert found["results"][0].keys() == {"type", "name", "updatedAt", "namespace", "nodeId"}
