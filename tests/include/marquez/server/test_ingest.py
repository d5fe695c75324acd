"""Taking events: arrival order, repeats, refusals and concurrency change nothing about what is known."""

from __future__ import annotations

import itertools
import json
import random
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

FACET = {"_producer": "https://example.org/p", "_schemaURL": "https://example.org/f.json"}
TABLES = (
    "event",
    "namespace",
    "job",
    "job_version",
    "run",
    "run_io",
    "dataset",
    "dataset_version",
    "job_edge",
    "column_edge",
)


def rows(dsn: str) -> dict[str, int]:
    with psycopg.connect(dsn) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # type: ignore[index]
            for table in TABLES
        }


def story(scene: Any, run: str, make: Any) -> list[dict[str, Any]]:
    """Four events of one run, each of which says something the others do not."""
    old, new = scene.named("in"), scene.named("out")
    source = make(old, "a", "b")
    nominal = {**FACET, "nominalStartTime": "2026-03-01T00:00:00Z", "nominalEndTime": "2026-03-02T00:00:00Z"}
    return [
        scene.event(
            "START",
            "tell",
            run,
            1,
            inputs=[source],
            run_facets={"who": {**FACET, "name": "start"}, "nominalTime": nominal},
        ),
        scene.event(
            "RUNNING",
            "tell",
            run,
            3,
            inputs=[source],
            run_facets={"who": {**FACET, "name": "running"}},
            job_facets={"documentation": {**FACET, "description": "old"}},
        ),
        scene.event(
            "COMPLETE",
            "tell",
            run,
            4,
            outputs=[make(new, "c", made_from={"c": [(old, "a")]})],
            job_facets={"documentation": {**FACET, "description": "new"}},
        ),
        scene.event("OTHER", "tell", run, 5, run_facets={"late": {**FACET, "heard": True}}),
    ]


def known(scene: Any, run: str) -> str:
    """Everything the API says about the scene, server clock and scene name left out."""
    client = scene.client
    told = [
        client.run(run),
        client.run_facets(run, "run"),
        client.run_facets(run, "job"),
        client.job(scene.namespace, "tell"),
        client.job_runs(scene.namespace, "tell"),
        client.dataset("file", scene.named("in")),
        client.dataset("file", scene.named("out")),
        client.dataset_versions("file", scene.named("in")),
        client.dataset_versions("file", scene.named("out")),
        client.graph(scene.node("tell"), 5),
        client.column_lineage(f"dataset:file:{scene.named('out')}"),
    ]
    text = json.dumps(told, sort_keys=True).replace(scene.namespace, "NS").replace(run, "RUN")
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)
    # "updatedAt" of a dataset is the server's clock when a completed run wrote it.
    return re.sub(r'"updatedAt": "(?!2026-03-01)[^"]*"', '"updatedAt": "CLOCK"', text)


def test_every_order_of_arrival_gives_the_same_answers(client: Any, make_dataset: Any, scene: Any) -> None:
    answers = {}
    for order in itertools.permutations(range(4)):
        own = type(scene)(client)
        run = str(uuid4())
        events = story(own, run, make_dataset)
        own.post(*(events[i] for i in order))
        answers[order] = known(own, run)
    assert set(answers.values()) == {answers[0, 1, 2, 3]}
    told = json.loads(answers[0, 1, 2, 3])
    assert (told[0]["state"], told[0]["startedAt"], told[0]["endedAt"]) == (
        "COMPLETED",
        "2026-03-01T00:01:00Z",
        "2026-03-01T00:04:00Z",
    )
    assert told[0]["durationMs"] == 180_000
    assert (told[0]["nominalStartTime"], told[0]["args"]["nominal_start_time"]) == (None, "2026-03-01T00:00Z")
    assert told[1]["who"]["name"] == "running"
    assert told[1]["late"]["heard"] is True
    assert told[3]["description"] == "new"
    assert [item["name"] for item in told[6]["columnLineage"]] == ["c"]


def woven(scene: Any, make: Any, runs: list[str]) -> list[dict[str, Any]]:
    """Eighteen events of six runs that write, read, rewrite and fail on three tables, overlapping in time."""
    raw, clean, out = (scene.named(name) for name in ("raw", "clean", "out"))

    def whole(
        i: int, job: str, at: float, end: str, reads: list[Any], writes: list[Any]
    ) -> list[dict[str, Any]]:
        says = {"says": {**FACET, "run": i}}
        reads = [item | {"inputFacets": {"seen": {**FACET, "by": i}}} for item in reads]
        return [
            scene.event("START", job, runs[i], at, inputs=reads, outputs=writes, run_facets=says),
            scene.event("RUNNING", job, runs[i], at + 3, inputs=reads),
            scene.event(end, job, runs[i], at + 6, inputs=reads, outputs=writes),
        ]

    made = {"c": [(raw, "a")]}
    return [
        *whole(0, "load", 0, "COMPLETE", [], [make(raw, "a")]),
        *whole(1, "tidy", 10, "COMPLETE", [make(raw, "a")], [make(clean, "c", made_from=made)]),
        *whole(2, "load", 12, "COMPLETE", [], [make(raw, "a", "b")]),
        *whole(3, "tidy", 20, "COMPLETE", [make(raw, "a", "b")], [make(clean, "c", "d", made_from=made)]),
        *whole(4, "load", 22, "FAIL", [], [make(raw, "z")]),
        *whole(
            5,
            "sum",
            25,
            "COMPLETE",
            [make(clean, "c"), make(raw, "a")],
            [make(out, "s"), make(clean, "c", "e")],
        ),
    ]


def woven_answers(scene: Any, runs: list[str]) -> str:
    client = scene.client
    told: list[Any] = [client.run(run) for run in runs]
    told += [client.job(scene.namespace, job) for job in ("load", "tidy", "sum")]
    for name in ("raw", "clean", "out"):
        told += [
            client.dataset("file", scene.named(name)),
            client.dataset_versions("file", scene.named(name)),
        ]
        told.append(client.column_lineage(f"dataset:file:{scene.named(name)}"))
    told.append(client.graph(scene.node("sum"), 9))
    for run in runs:
        told.append(httpx.get(f"{client.url}/api/v1/runlineage/upstream", params={"runId": run}).json())
    text = json.dumps(told, sort_keys=True).replace(scene.namespace, "NS")
    for i, run in enumerate(runs):
        text = text.replace(run, f"RUN{i}")
    numbers: dict[str, str] = {}
    text = re.sub(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        lambda m: numbers.setdefault(m[0], f"UUID{len(numbers)}"),
        text,
    )
    return re.sub(r'"updatedAt": "(?!2026-03-01)[^"]*"', '"updatedAt": "CLOCK"', text)


@pytest.mark.slow
@pytest.mark.parametrize("batches", [False, True])
def test_interleaved_runs_give_the_same_answers_in_any_order(
    client: Any, make_dataset: Any, scene: Any, batches: bool
) -> None:
    shuffle = random.Random(20260301)
    answers = []
    for attempt in range(14):
        own = type(scene)(client)
        # Ids sort alike in every attempt: they decide between events of one instant.
        runs = [f"{i:08d}-{uuid4().hex[:4]}-4000-8000-{uuid4().hex[:12]}" for i in range(6)]
        events = woven(own, make_dataset, runs)
        if attempt:
            shuffle.shuffle(events)
        if batches and attempt:
            cut = shuffle.randrange(1, len(events))
            assert {
                d.status for d in own.client.post_batch(events[:cut]) + own.client.post_batch(events[cut:])
            } == {201}
        else:
            own.post(*events)
        answers.append(woven_answers(own, runs))
    assert [answer == answers[0] for answer in answers] == [True] * len(answers)
    upstream = json.loads(answers[0])[-1]["runs"]
    # When the sum began, the second tidying had not ended.
    assert [run["run"]["id"] for run in upstream] == ["RUN5", "RUN2", "RUN1", "RUN0"]


def test_runs_told_out_of_order_leave_the_newest_state_current(scene: Any, make_dataset: Any) -> None:
    def told(minute: float, run: str, column: str) -> list[dict[str, Any]]:
        out = make_dataset(scene.named("t"), column)
        reads = [make_dataset(scene.named(f"from_{column}"))]
        return [
            scene.event("START", "tell", run, minute, inputs=reads, outputs=[out]),
            scene.event("COMPLETE", "tell", run, minute + 1, inputs=reads, outputs=[out]),
        ]

    old, new = str(uuid4()), str(uuid4())
    scene.post(*told(30, new, "new"), *told(10, old, "old"))
    job, table = scene.client.job(scene.namespace, "tell"), scene.client.dataset("file", scene.named("t"))
    assert job["latestRun"]["id"] == new
    assert [item["name"] for item in job["inputs"]] == [scene.named("from_new")]
    assert [item["name"] for item in table["fields"]] == ["new"]
    assert [run["id"] for run in job["latestRuns"]] == [new, old]


def test_the_latest_run_is_another_when_its_start_turns_out_to_be_earlier(scene: Any) -> None:
    late, other = str(uuid4()), str(uuid4())
    scene.post(scene.event("FAIL", "tell", late, 10))
    scene.post(scene.event("START", "tell", other, 5), scene.event("COMPLETE", "tell", other, 6))

    def latest() -> tuple[str, int]:
        node = scene.client.graph(scene.node("tell"), 0)["graph"][0]["data"]
        asked = f"/api/v1/namespaces/{scene.namespace}/jobs?lastRunStates=COMPLETED"
        found = httpx.get(scene.client.url + asked).json()["jobs"]
        return node["latestRun"]["id"], len(found)

    assert latest() == (late, 0)
    scene.post(scene.event("START", "tell", late, 1))
    assert latest() == (other, 1)
    assert scene.client.job(scene.namespace, "tell")["latestRun"]["id"] == other


@pytest.mark.parametrize("kind", ["RUNNING", "COMPLETE"])
def test_what_a_run_says_of_its_datasets_may_change_until_it_ends(
    scene: Any, make_dataset: Any, kind: str
) -> None:
    run, table, read = str(uuid4()), scene.named("t"), scene.named("r")

    def told(column: str, rows: int) -> dict[str, Any]:
        statistics = {"inputStatistics": {**FACET, "rowCount": rows}}
        return {
            "inputs": [make_dataset(read, column) | {"inputFacets": statistics}],
            "outputs": [make_dataset(table, column, made_from={column: [(read, column)]})],
            "run_facets": {"says": {**FACET, "rows": rows}},
        }

    scene.post(scene.event("START", "tell", run, 1, **told("a", 1)))
    scene.post(scene.event(kind, "tell", run, 2, **told("b", 2)))
    if kind == "RUNNING":
        scene.post(scene.event("COMPLETE", "tell", run, 3))
    shown = scene.client.run(run)
    assert shown["facets"]["says"]["rows"] == 2
    assert shown["inputDatasetVersions"][0]["facets"]["inputStatistics"]["rowCount"] == 2
    now = scene.client.dataset("file", table)
    assert [item["name"] for item in now["fields"]] == ["b"]
    assert scene.client.dataset_versions("file", table)["totalCount"] == 1
    assert [(item["name"], item["inputFields"][0]["field"]) for item in now["columnLineage"]] == [("b", "b")]
    assert scene.client.dataset("file", read)["facets"]["schema"]["fields"][0]["name"] == "b"


def test_a_reader_told_before_its_writer_still_reads_what_the_writer_wrote(
    scene: Any, make_dataset: Any
) -> None:
    table = make_dataset(scene.named("t"), "a")
    reader = scene.ran("read", 20, [table], [make_dataset(scene.named("u"))])
    assert scene.client.dataset_versions("file", scene.named("t"))["versions"][0]["createdByRun"] is None
    writer = scene.ran("write", 10, [], [table])
    versions = scene.client.dataset_versions("file", scene.named("t"))["versions"]
    assert [version["createdByRun"]["id"] for version in versions] == [writer]
    upstream = httpx.get(f"{scene.client.url}/api/v1/runlineage/upstream", params={"runId": reader}).json()[
        "runs"
    ]
    assert [run["run"]["id"] for run in upstream] == [reader, writer]


def test_a_repeated_event_changes_nothing(lineage_server: Any, scene: Any, make_dataset: Any) -> None:
    run = str(uuid4())
    events = story(scene, run, make_dataset)
    scene.post(*events)
    before, counted = known(scene, run), rows(lineage_server.dsn)
    scene.post(*events, *reversed(events))
    reordered = [json.loads(json.dumps(event, sort_keys=True)) for event in events]
    scene.post(*reordered)
    assert known(scene, run) == before
    assert rows(lineage_server.dsn) == counted
    assert scene.client.events(run=run)["totalCount"] == 4


def test_the_last_good_version_stays_current_after_a_failure(scene: Any, make_dataset: Any) -> None:
    table = make_dataset(scene.named("t"), "a")
    scene.ran("write", 1, [], [table])
    good = scene.client.dataset("file", scene.named("t"))
    scene.ran("write", 5, [], [make_dataset(scene.named("t"), "a", "b")], kind="FAIL")
    now = scene.client.dataset("file", scene.named("t"))
    assert now["currentVersion"] == good["currentVersion"]
    assert [item["name"] for item in now["fields"]] == ["a"]
    assert scene.client.dataset_versions("file", scene.named("t"))["totalCount"] == 2


def test_a_run_that_failed_before_naming_datasets_leaves_the_edges(scene: Any, make_dataset: Any) -> None:
    scene.ran("write", 1, [make_dataset(scene.named("i"))], [make_dataset(scene.named("o"))])
    failed = scene.ran("write", 5, [], [], kind="FAIL")
    job = scene.client.job(scene.namespace, "write")
    assert job["latestRun"]["id"] == failed
    assert [item["name"] for item in job["inputs"] + job["outputs"]] == [scene.named("i"), scene.named("o")]


def test_a_job_event_seeds_the_edges_and_a_dataset_event_a_version(scene: Any, make_dataset: Any) -> None:
    event = scene.event(
        None,
        "planned",
        "",
        1,
        inputs=[make_dataset(scene.named("i"))],
        outputs=[make_dataset(scene.named("o"))],
    )
    del event["run"], event["eventType"]
    event["schemaURL"] = event["schemaURL"].replace("RunEvent", "JobEvent")
    scene.post(event)
    assert scene.nodes(scene.node("planned")) == {"planned", "i", "o"}
    assert scene.client.job(scene.namespace, "planned")["latestRun"] is None
    for name in "io":
        assert scene.client.dataset_versions("file", scene.named(name))["totalCount"] == 1
    told = {
        "eventTime": "2026-03-01T00:00:00Z",
        "producer": "https://example.org/p",
        "schemaURL": event["schemaURL"].replace("JobEvent", "DatasetEvent"),
        "dataset": make_dataset(scene.named("alone"), "x"),
    }
    scene.post(told)
    assert [item["name"] for item in scene.client.dataset("file", scene.named("alone"))["fields"]] == ["x"]


@pytest.mark.parametrize("first", [0, 1])
def test_what_a_job_event_reads_is_a_version_only_if_there_was_none(
    scene: Any, make_dataset: Any, first: int
) -> None:
    table = make_dataset(scene.named("t"), "a")
    written = scene.event("COMPLETE", "write", str(uuid4()), 1, outputs=[table])
    read, made = (scene.event(None, "planned", "", minute) for minute in (5, 7))
    read["inputs"] = made["outputs"] = [table]
    for event in (read, made):
        del event["run"], event["eventType"]
        event["schemaURL"] = event["schemaURL"].replace("RunEvent", "JobEvent")
    events = [written, read]
    scene.post(events[first], events[1 - first])
    assert scene.client.dataset_versions("file", table["name"])["totalCount"] == 1
    scene.post(made)
    assert len(scene.client.dataset_versions("file", table["name"])["versions"]) == 2


def test_a_child_makes_its_parent_and_keeps_its_own_name(scene: Any) -> None:
    parent_run, run = str(uuid4()), str(uuid4())
    parent = {**FACET, "run": {"runId": parent_run}, "job": {"namespace": scene.namespace, "name": "dag"}}
    scene.post(scene.event("START", "dag.task", run, 2, run_facets={"parent": parent}))
    scene.post(scene.event("COMPLETE", "other", str(uuid4()), 3, run_facets={"parent": parent}))
    task, other = scene.client.job(scene.namespace, "dag.task"), scene.client.job(scene.namespace, "other")
    assert (task["simpleName"], task["parentJobName"]) == ("task", "dag")
    assert (other["name"], other["simpleName"], other["parentJobName"]) == ("other", "other", "dag")
    stub = scene.client.run(parent_run)
    assert (stub["state"], stub["startedAt"]) == ("RUNNING", "2026-03-01T00:02:00Z")
    scene.post(scene.event("START", "dag", parent_run, 1), scene.event("FAIL", "dag", parent_run, 9))
    own = scene.client.run(parent_run)
    assert (own["state"], own["startedAt"], own["createdAt"]) == (
        "FAILED",
        "2026-03-01T00:01:00Z",
        "2026-03-01T00:01:00Z",
    )


def test_two_names_joined_by_a_symlink_are_one_dataset(scene: Any, make_dataset: Any) -> None:
    alias = scene.named("alias")
    links = {**FACET, "identifiers": [{"namespace": "file", "name": alias, "type": "TABLE"}]}
    scene.ran("write", 1, [], [make_dataset(scene.named("path"), "a", symlinks=links)])
    scene.ran("read", 5, [make_dataset(alias)], [make_dataset(scene.named("o"))])
    assert scene.nodes(scene.node("read")) == {"write", "path", "read", "o"}
    one, two = scene.client.dataset("file", scene.named("path")), scene.client.dataset("file", alias)
    assert one["currentVersion"] == two["currentVersion"]


def test_a_dataset_is_physically_what_events_last_called_it(scene: Any, make_dataset: Any) -> None:
    path, alias = scene.named("path"), scene.named("alias")
    links = {**FACET, "identifiers": [{"namespace": "file", "name": alias, "type": "TABLE"}]}
    scene.ran("write", 1, [], [make_dataset(path, "a", symlinks=links)])
    assert scene.client.dataset("file", path)["physicalName"] == path
    scene.ran("read", 9, [make_dataset(alias)], [])
    scene.ran("late", 5, [make_dataset(path)], [])
    assert scene.client.dataset("file", path)["physicalName"] == alias


def test_a_nominal_time_is_written_as_short_as_its_fraction_allows(scene: Any) -> None:
    run = str(uuid4())
    told = {"nominalStartTime": "2026-03-01T01:00:00.250+01:00", "nominalEndTime": "2026-03-02T00:00:00.000Z"}
    scene.post(
        scene.event("COMPLETE", "timed", run, 1, run_facets={"nominalTime": {**FACET, **told}})
        | {"eventTime": "2026-03-01T02:00:00.120Z"}
    )
    facet = scene.client.run_facets(run)["nominalTime"]
    assert (facet["nominalStartTime"], facet["nominalEndTime"]) == (
        "2026-03-01T00:00:00.25Z",
        "2026-03-02T00:00:00Z",
    )
    event = scene.client.events(namespace=scene.namespace)["events"][0]
    assert event["eventTime"] == "2026-03-01T02:00:00.12Z"


def test_what_a_later_event_leaves_out_stays(scene: Any, make_dataset: Any) -> None:
    run, table = (
        str(uuid4()),
        make_dataset(scene.named("t"), documentation={**FACET, "description": "a table"}),
    )
    known = {
        "documentation": {**FACET, "description": "a job"},
        "sourceCodeLocation": {**FACET, "type": "git", "url": "https://git.example/job.py"},
    }
    times = {"nominalTime": {**FACET, "nominalStartTime": "2026-03-01T00:00:00Z"}}
    scene.post(
        scene.event("START", "j", run, 1, outputs=[table], job_facets=known),
        scene.event("COMPLETE", "j", run, 2, outputs=[make_dataset(table["name"])], run_facets=times),
    )
    job = scene.client.job(scene.namespace, "j")
    assert (job["description"], job["location"]) == ("a job", "https://git.example/job.py")
    assert job["latestRun"]["args"] == {"nominal_start_time": "2026-03-01T00:00Z"}
    assert scene.client.dataset("file", table["name"])["description"] == "a table"


REFUSED = {
    "no run": (lambda e: e.pop("run"), 422, "run must not be null"),
    "no runId": (lambda e: e["run"].pop("runId"), 422, "run.runId must not be null"),
    "no job name": (lambda e: e["job"].pop("name"), 422, "job.name must not be null"),
    "blank job name": (lambda e: e["job"].update(name="  "), 422, "job.name must not be blank"),
    "no eventTime": (lambda e: e.pop("eventTime"), 422, "eventTime must not be null"),
    "no producer": (lambda e: e.pop("producer"), 422, "producer must not be null"),
    "a day for a time": (lambda e: e.update(eventTime="2026-03-01"), 400, "eventTime"),
    "year 10000": (lambda e: e.update(eventTime="10000-01-01T00:00:00Z"), 400, "eventTime"),
    "null input": (lambda e: e.update(inputs=[None]), 422, "inputs[0] must not be null"),
    "inputs no list": (lambda e: e.update(inputs={}), 400, "inputs"),
    "facet without producer": (
        lambda e: e["job"].update(facets={"sql": {"_schemaURL": "https://x", "query": "q"}}),
        422,
        "job.facets.sql._producer must not be null",
    ),
    "jobType without jobType": (
        lambda e: e["job"].update(
            facets={"jobType": {**FACET, "processingType": "BATCH", "integration": "X"}}
        ),
        422,
        "job.facets.jobType.jobType must not be null",
    ),
    "NUL in a name": (lambda e: e["job"].update(name="a\x00b"), 400, "NUL"),
    "namespace too long": (lambda e: e["job"].update(namespace="n" * 1025), 422, "job.namespace"),
    "dataset event without dataset": (
        lambda e: e.update(
            schemaURL="https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/DatasetEvent"
        ),
        422,
        "dataset must not be null",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_event_is_named_and_leaves_nothing(
    lineage_server: Any, scene: Any, make_dataset: Any, case: str
) -> None:
    change, status, words = REFUSED[case]
    event = scene.event("START", "refused", str(uuid4()), 1, outputs=[make_dataset(scene.named("o"))])
    change(event)  # type: ignore[no-untyped-call]
    before = rows(lineage_server.dsn)
    delivery = scene.client.post_event(event)
    assert delivery.status == status
    assert words in delivery.error
    assert rows(lineage_server.dsn) == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"null", 422),
        (b"{", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b"1 2", 400),
        (b'{"eventTime": NaN}', 400),
        (b"\xff\xfe", 400),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, 400),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"n": 1e999}', 400),
    ],
)
def test_what_is_no_event_is_a_client_error(lineage_server: Any, body: bytes, status: int) -> None:
    response = httpx.post(
        f"{lineage_server.url}/api/v1/lineage", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code == status
    assert response.json().keys() <= {"code", "message", "errors"}


def test_hostile_values_are_kept_as_they_are(scene: Any, make_dataset: Any) -> None:
    name = "x'; DROP TABLE event; -- \ud7ff\U0001f600 <script>%s%%{}\\"
    huge = {**FACET, "n": 10**30, "deep": [[[[["x"]]]]], "s": "\u2028"}
    run = str(uuid4())
    scene.post(
        scene.event(
            "COMPLETE", name, run, 1, outputs=[make_dataset(scene.named(name), "a")], run_facets={"odd": huge}
        )
    )
    assert scene.client.job(scene.namespace, name)["name"] == name
    assert scene.client.dataset("file", scene.named(name))["name"] == scene.named(name)
    assert scene.client.run_facets(run)["odd"] == huge


def test_a_long_integer_of_a_writer_stands_beside_what_a_reader_says(scene: Any, make_dataset: Any) -> None:
    long = {**FACET, "n": 10**30}
    table = make_dataset(scene.named("long"), "a")
    written = {**table, "facets": {**table["facets"], "odd": long}}
    scene.post(scene.event("COMPLETE", "writer", str(uuid4()), 1, outputs=[written]))
    scene.post(
        scene.event("COMPLETE", "reader", str(uuid4()), 2, inputs=[{**table, "facets": {"heard": FACET}}])
    )
    facets = scene.client.dataset("file", table["name"])["facets"]
    assert (facets["odd"], facets["heard"]) == (long, FACET)


def test_a_lone_surrogate_is_replaced_and_a_long_name_found(scene: Any) -> None:
    run, long = str(uuid4()), "j" + uuid4().hex * 2000
    scene.post(scene.event("COMPLETE", long, run, 1))
    event = json.dumps(scene.event("COMPLETE", "half \\ud83d", str(uuid4()), 1)).replace(
        "\\\\ud83d", "\\ud83d"
    )
    response = httpx.post(
        f"{scene.client.url}/api/v1/lineage",
        content=event.encode(),
        headers={"content-type": "application/json"},
    )
    assert response.status_code == 201
    assert scene.client.job(scene.namespace, "half \ufffd")["latestRun"]["state"] == "COMPLETED"
    assert scene.client.run(run)["jobVersion"]["name"] == long


@pytest.mark.slow
def test_ten_thousand_datasets_in_one_event(scene: Any) -> None:
    outputs = [{"namespace": scene.namespace, "name": f"d{i:05d}"} for i in range(10_000)]
    scene.post(scene.event("COMPLETE", "wide", str(uuid4()), 1, outputs=outputs))
    assert len(scene.client.job(scene.namespace, "wide")["outputs"]) == 10_000


def test_concurrent_events_of_one_job_and_run_neither_fail_nor_lose(scene: Any, make_dataset: Any) -> None:
    hub = make_dataset(scene.named("hub"), "a")
    shared = str(uuid4())
    events = []
    for i in range(20):
        run, out = (
            str(uuid4()),
            make_dataset(scene.named(f"out{i}"), "b", made_from={"b": [(scene.named("hub"), "a")]}),
        )
        events += [
            scene.event(kind, f"job{i % 3}", run, i + n, inputs=[hub], outputs=[out])
            for n, kind in enumerate(("START", "COMPLETE"))
        ]
        events.append(
            scene.event("RUNNING", "one", shared, i, inputs=[hub], run_facets={f"f{i}": {**FACET, "i": i}})
        )
    with ThreadPoolExecutor(12) as pool:
        statuses = [delivery.status for delivery in pool.map(scene.client.post_event, events)]
    assert statuses == [201] * len(events)
    assert set(scene.client.run_facets(shared)) == {f"f{i}" for i in range(20)}
    assert scene.client.events(namespace=scene.namespace, limit=1)["totalCount"] == len(events)
    assert sum(scene.client.job_runs(scene.namespace, f"job{i}")["totalCount"] for i in range(3)) == 20


def test_in_a_batch_no_run_ends_without_its_refused_start(scene: Any) -> None:
    run, other = str(uuid4()), str(uuid4())
    start = scene.event("START", "x1", run, 1)
    del start["producer"]
    end, good = scene.event("COMPLETE", "x1", run, 2), scene.event("COMPLETE", "x2", other, 2)
    deliveries = scene.client.post_batch([start, end, good])
    assert [delivery.status for delivery in deliveries] == [422, 424, 201]
    assert run in deliveries[1].error
    assert scene.client.run(run) is None
    assert scene.client.run(other) is not None


def test_a_batch_says_what_became_of_each_event(scene: Any) -> None:
    good = [scene.event("COMPLETE", f"b{i}", str(uuid4()), i) for i in range(3)]
    bad = scene.event("COMPLETE", "bad", str(uuid4()), 1)
    del bad["producer"]
    deliveries = scene.client.post_batch([good[0], bad, good[1], good[1], good[2]])
    assert [delivery.status for delivery in deliveries] == [201, 422, 201, 201, 201]
    assert "producer must not be null" in deliveries[1].error
    assert {job["name"] for job in scene.client.jobs(scene.namespace)} == {"b0", "b1", "b2"}
