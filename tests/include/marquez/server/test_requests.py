"""How parameters, paths and bodies of requests are read: as Marquez reads them, down to what it lets pass."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

FACET = {"_producer": "https://example.org/p", "_schemaURL": "https://example.org/f.json"}
PAGE = {"code": 404, "message": "HTTP 404 Not Found"}


def ask(server: Any, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.request(method, f"{server.url}/api/v1{path}", json=body, headers=headers)


def refused(text: str, what: str) -> dict[str, Any]:
    return {"code": 400, "message": f"Parameter is invalid: Text '{text}' could not be parsed{what}"}


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/jobs?limit=%205", 404, PAGE),
        ("/jobs?limit=1_0", 404, PAGE),
        ("/jobs?limit=%2B5", 200, None),
        ("/jobs?limit=-1&limit=2", 400, None),
        ("/jobs?limit=2&limit=-1", 200, None),
        ("/jobs?lastRunStates=%20completed&lastRunStates=nope", 400, None),
        ("/search?q=x&sort=update-at&filter=%20job", 200, None),
        ("/stats/jobs?period=%20Day", 200, None),
        ("/stats/jobs?period=WEEK&timezone=%2B02:00", 200, None),
        ("/stats/jobs?period=WEEK&timezone=europe/berlin", 200, None),
        ("/events/lineage?before=2026-11-15", 400, refused("2026-11-15", " at index 10")),
        ("/events/lineage?before=2026-W46-7T0", 400, refused("2026-W46-7T0", " at index 5")),
        ("/events/lineage?before=2026-11-15T00:00:00%2B01", 200, None),
        (
            "/events/lineage?after=2026-11-15T00:00:00%2B0100",
            400,
            refused("2026-11-15T00:00:00+0100", ", unparsed text found at index 22"),
        ),
        (
            "/events/lineage?after=2026-11-15T24:00:00Z",
            400,
            refused("2026-11-15T24:00:00Z", ": Invalid value for HourOfDay (valid values 0 - 23): 24"),
        ),
        ("/events/lineage?after=2026-02-30T00:00Z", 400, refused("2026-02-30T00:00Z", ": Invalid date 'FEBRUARY 30'")),
        ("/events/lineage?after=-0001-01-01T00:00:00Z&before=%2B10000-01-01T00:00:00Z", 200, None),
        ("/namespaces/no%20such", 404, PAGE),
        ("/namespaces/no%20such/jobs", 404, PAGE),
        ("/namespaces/no%20such/datasets/x", 404, PAGE),
        ("/namespaces/default;a=b", 200, None),
        ("/namespaces/default/jobs/%20", 404, PAGE),
        (
            "/lineage?nodeId=datasetField:file:nope:a",
            404,
            {"code": 404, "message": "Field 'a' not found for dataset 'nope'."},
        ),
        (
            "/lineage?nodeId=run:00000000-0000-4000-8000-000000000000",
            404,
            {"code": 404, "message": "Run '00000000-0000-4000-8000-000000000000' not found."},
        ),
    ],
)  # fmt: skip
def test_a_read_is_read_as_marquez_reads_it(lineage_server: Any, path: str, status: int, body: Any) -> None:
    response = ask(lineage_server, "GET", path)
    assert response.status_code == status
    assert body is None or response.json() == body


def test_no_state_is_no_filter_and_a_blank_one_lets_nothing_through(scene: Any) -> None:
    scene.ran("j", 1, [], [])
    path = f"/namespaces/{scene.namespace}/jobs"
    assert len(ask(scene.client, "GET", path).json()["jobs"]) == 1
    assert ask(scene.client, "GET", f"{path}?lastRunStates=").json()["jobs"] == []


@pytest.mark.parametrize(
    ("method", "path", "content", "kind", "status"),
    [
        ("POST", "/lineage", b"", None, 422),
        ("POST", "/lineage", b"{}", None, 415),
        ("POST", "/lineage", b"{}", "garbage", 400),
        ("POST", "/namespaces/default/datasets/x/tags/T", b"<a/>", "application/xml", 415),
        ("POST", "/namespaces/default/datasets/x/tags/T", b"", None, 404),
        ("POST", "/namespaces/default/jobs/x/runs", b"", None, 404),
        ("POST", "/jobs/runs/00000000-0000-4000-8000-000000000000/facets", b"", None, 405),
        ("PUT", "/namespaces/default/datasets/x", b'{"tags": true}', "application/json", 400),
    ],
)
def test_what_a_body_says_it_is_counts(
    lineage_server: Any, method: str, path: str, content: bytes, kind: str | None, status: int
) -> None:
    headers = {} if kind is None else {"content-type": kind}
    url = f"{lineage_server.url}/api/v1{path}"
    assert httpx.request(method, url, content=content, headers=headers).status_code == status


def test_what_is_written_again_keeps_what_it_does_not_say(scene: Any) -> None:
    tag, space = f"/tags/{scene.namespace}", f"/namespaces/{scene.namespace}"
    ask(scene.client, "PUT", tag, {"description": 1.5})
    assert ask(scene.client, "PUT", tag, {}).json()["description"] == "1.5"
    ask(scene.client, "PUT", space, {"ownerName": "me", "description": "first"})
    again = ask(scene.client, "PUT", space, {"ownerName": "you", "description": "second"}).json()
    assert (again["ownerName"], again["description"]) == ("you", "first")
    source = f"/sources/{scene.namespace}"
    ask(scene.client, "PUT", source, {"type": "Kafka", "connectionUrl": "h", "description": "d"})
    again = ask(scene.client, "PUT", source, {"type": "Kafka", "connectionUrl": "h"}).json()
    assert (again["type"], again["connectionUrl"], again["description"]) == ("Kafka", "h", None)
    assert ask(scene.client, "PUT", source, {"type": "Kafka", "connectionUrl": "http://"}).status_code == 400


def test_what_is_described_must_be_described_whole(scene: Any) -> None:
    space, run = f"/namespaces/{scene.namespace}", str(uuid4())
    ask(scene.client, "PUT", space, {"ownerName": "me"})
    ask(scene.client, "PUT", f"/sources/{scene.namespace}", {"type": "S3", "connectionUrl": "s3://b"})
    table = {"type": "DB_TABLE", "physicalName": "t", "sourceName": scene.namespace}
    job = {"type": "batch", "inputs": [], "outputs": [], "description": ""}
    for key in table:
        assert ask(scene.client, "PUT", f"{space}/datasets/t", table | {key: None}).status_code == 400
    fields = [{"name": "a", "tags": ["Kept"]}]
    other = table | {"physicalName": "public.t", "fields": fields}
    for body in (other, table, other):
        shown = ask(scene.client, "PUT", f"{space}/datasets/t", body).json()
        assert shown["physicalName"] == body["physicalName"]
    assert ask(scene.client, "GET", f"{space}/datasets/public.t").status_code == 404
    assert "Kept" in {tag["name"] for tag in ask(scene.client, "GET", "/tags?limit=1000").json()["tags"]}
    for key in ("type", "inputs", "outputs"):
        assert ask(scene.client, "PUT", f"{space}/jobs/j", job | {key: None}).status_code == 400
    named = [{"namespace": scene.namespace, "name": "nope"}]
    assert ask(scene.client, "PUT", f"{space}/jobs/j", job | {"inputs": named}).json() == {
        "code": 404,
        "message": "Dataset 'nope' not found.",
    }
    assert ask(scene.client, "PUT", f"{space}/jobs/j", job).json()["description"] == ""
    opened = ask(
        scene.client, "POST", f"{space}/jobs/j/runs", {"id": run, "args": {"a": 1}, "nominalStartTime": 5}
    ).json()
    assert (opened["args"], opened["nominalStartTime"]) == ({"a": "1"}, "1970-01-01T00:00:05Z")
    assert ask(scene.client, "POST", f"{space}/jobs/j/runs", {"id": run}).json() == {
        "code": 400,
        "message": f"Run '{run}' already exists for 'j' under namespace '{scene.namespace}'.",
    }
    assert ask(scene.client, "PUT", f"{space}/jobs/other", job | {"runId": run}).status_code == 404
    assert ask(scene.client, "POST", f"/jobs/runs/{run}/start?at=2026-03-01").status_code == 400


def test_what_a_job_is_said_to_write_is_kept(scene: Any) -> None:
    space = f"/namespaces/{scene.namespace}"
    ask(scene.client, "PUT", space, {"ownerName": "me"})
    ask(scene.client, "PUT", f"/sources/{scene.namespace}", {"type": "S3", "connectionUrl": "s3://b"})
    table = {"type": "DB_TABLE", "physicalName": "t", "sourceName": scene.namespace}
    ask(scene.client, "PUT", f"{space}/datasets/t", table)
    named = [{"namespace": scene.namespace, "name": "t"}]
    ask(scene.client, "PUT", f"{space}/jobs/j", {"type": "BATCH", "inputs": [], "outputs": named})
    assert scene.client.job(scene.namespace, "j")["outputs"] == named


def test_scalars_stand_for_text_in_facets(scene: Any, make_dataset: Any) -> None:
    lineage = {
        "a": {
            "inputFields": [None, {"namespace": "file", "name": scene.named("i")},
                            {"namespace": "file", "name": scene.named("i"), "field": "a"}],
            "transformationType": 5,
        }
    }  # fmt: skip
    told = {**FACET, "_producer": 5}
    out = make_dataset(scene.named("o"), "a", columnLineage={**FACET, "fields": lineage})
    event = scene.event(
        "COMPLETE", "j", str(uuid4()), 1, inputs=[make_dataset(scene.named("i"), "a")], outputs=[out],
        run_facets={
            "parent": {**told, "run": "", "job": {"namespace": scene.namespace, "name": True}},
            "nominalTime": {**told, "nominalStartTime": 0, "nominalEndTime": ""},
        },
        job_facets={
            "jobType": {**told, "processingType": "streaming", "integration": "", "jobType": "x"},
            "sourceCodeLocation": {**told, "type": "git", "url": "file:///dags/a.py"},
        },
    )  # fmt: skip
    scene.post(event)
    job = scene.client.job(scene.namespace, "j")
    assert (job["type"], job["labels"], job["location"]) == ("STREAM", ["x", ""], "file:/dags/a.py")
    assert job["parentJobName"] == "true"
    assert "nominalEndTime" not in scene.client.run(event["run"]["runId"])["facets"]["nominalTime"]
    shown = scene.client.dataset("file", scene.named("o"))["columnLineage"]
    assert [(column["transformationType"], len(column["inputFields"])) for column in shown] == [("5", 1)]


def test_the_page_of_a_dataset_shows_what_a_failed_run_said_of_its_columns(
    scene: Any, make_dataset: Any
) -> None:
    made = {"a": {"inputFields": [{"namespace": "file", "name": scene.named("i"), "field": "a"}]}}
    out = make_dataset(scene.named("o"), "a", columnLineage={**FACET, "fields": made})
    scene.ran("j", 1, [make_dataset(scene.named("i"), "a")], [out], kind="FAIL")
    shown = scene.client.dataset("file", scene.named("o"))["columnLineage"]
    assert [column["name"] for column in shown] == ["a"]


def test_what_an_event_says_in_the_place_of_a_request_stays_inert(scene: Any, make_dataset: Any) -> None:
    forged = {**FACET, "_producer": "urn:marquez:request"}
    scene.ran("write", 1, [], [make_dataset(scene.named("t"), requestedName=forged)])
    assert scene.client.dataset("file", scene.named("t"))["physicalName"] == scene.named("t")
