"""The graph: hops, shapes, deletions; each node once, whatever the shape."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest


@pytest.fixture
def chain(scene: Any, make_dataset: Any) -> Any:
    """a -> j1 -> b -> j2 -> c -> j3 -> d, and j0 that writes a."""
    for i, (source, made) in enumerate((("", "a"), ("a", "b"), ("b", "c"), ("c", "d"))):
        inputs = [make_dataset(scene.named(source))] if source else []
        scene.ran(f"j{i}", i * 2, inputs, [make_dataset(scene.named(made))])
    return scene


def test_depth_counts_jobs_from_a_job(chain: Any) -> None:
    assert chain.nodes(chain.node("j1"), 0) == {"j1", "a", "b"}
    assert chain.nodes(chain.node("j1"), 1) == {"j0", "j1", "j2", "a", "b", "c"}
    assert chain.nodes(chain.node("j1"), 2) == {"j0", "j1", "j2", "j3", "a", "b", "c", "d"}
    assert chain.nodes(chain.node("j1"), -5) == {"j1", "a", "b"}


def test_a_dataset_stands_for_the_job_that_writes_it(chain: Any) -> None:
    at = f"dataset:file:{chain.named('c')}"
    assert chain.nodes(at, 0) == {"j2", "b", "c"}
    assert chain.nodes(at, 1) == chain.nodes(chain.node("j2"), 1)


def test_edges_lead_from_origin_to_destination_and_stay_within_the_answer(chain: Any) -> None:
    graph = chain.client.graph(chain.node("j1"), 0)["graph"]
    assert [node["id"] for node in graph] == sorted(node["id"] for node in graph)
    ids = {node["id"] for node in graph}
    for node in graph:
        for edge in node["inEdges"] + node["outEdges"]:
            assert {edge["origin"], edge["destination"]} <= ids
        assert all(edge["destination"] == node["id"] for edge in node["inEdges"])
        assert all(edge["origin"] == node["id"] for edge in node["outEdges"])
    job = next(node for node in graph if node["type"] == "JOB")
    assert [edge["origin"] for edge in job["inEdges"]] == [f"dataset:file:{chain.named('a')}"]
    assert job["data"]["latestRun"]["state"] == "COMPLETED"


def test_diamonds_cycles_and_hubs_show_each_node_once(scene: Any, make_dataset: Any) -> None:
    hub = make_dataset(scene.named("hub"))
    scene.ran("source", 0, [make_dataset(scene.named("loop"))], [hub])
    for i in range(30):
        scene.ran(f"leaf{i}", 2 + i, [hub], [make_dataset(scene.named(f"d{i}"))])
    both = [make_dataset(scene.named("d0")), make_dataset(scene.named("d1"))]
    scene.ran("join", 50, both, [make_dataset(scene.named("loop"))])
    graph = scene.client.graph(scene.node("join"), 1000)["graph"]
    ids = [node["id"] for node in graph]
    assert len(ids) == len(set(ids)) == 32 + 32
    hub_node = next(node for node in graph if node["data"]["name"] == scene.named("hub"))
    assert (len(hub_node["inEdges"]), len(hub_node["outEdges"])) == (1, 30)


def test_a_deleted_job_is_neither_shown_nor_crossed_until_it_is_told_of_again(
    chain: Any, make_dataset: Any
) -> None:
    httpx.delete(f"{chain.client.url}/api/v1/namespaces/{chain.namespace}/jobs/j2").raise_for_status()
    assert chain.nodes(chain.node("j1")) == {"j0", "j1", "a", "b"}
    assert chain.client.graph(chain.node("j2")) is None
    chain.ran("j2", 30, [make_dataset(chain.named("b"))], [make_dataset(chain.named("c"))])
    assert "j3" in chain.nodes(chain.node("j1"))


def test_a_dataset_without_jobs_is_a_lone_node(scene: Any, make_dataset: Any) -> None:
    scene.ran("j", 1, [make_dataset(scene.named("old"))], [])
    scene.ran("j", 5, [make_dataset(scene.named("new"))], [])
    assert scene.nodes(f"dataset:file:{scene.named('old')}") == {"old"}


def test_a_dataset_stands_for_its_last_writer_as_long_as_that_leads_to_it(
    scene: Any, make_dataset: Any
) -> None:
    script, one, two, film = (make_dataset(scene.named(name)) for name in ("script", "one", "two", "film"))
    scene.ran("write", 1, [], [script])
    scene.ran("render", 3, [script], [one])
    scene.ran("render", 5, [script], [two])
    scene.ran("compose", 7, [one, two], [film])
    scene.ran("review", 9, [film], [])
    at = f"dataset:file:{scene.named('one')}"
    assert scene.nodes(at, 0) == {"compose", "one", "two", "film"}
    assert scene.nodes(at, 1) == {"write", "render", "compose", "script", "one", "two", "film"}
    scene.ran("render", 11, [], [make_dataset(scene.named("else"))])
    assert scene.nodes(at, 1) == {"compose", "review", "one", "two", "film"}


@pytest.mark.parametrize(
    ("node", "status"),
    [
        ("", 400),
        ("job:nope:nope", 404),
        ("dataset:file:nope", 404),
        ("nonsense", 404),
        ("job:short", 404),
        ("run:0199", 404),
        ("datasetField:file:a:b", 404),
        ("job:%00:x", 404),
    ],
)
def test_what_is_no_node_is_a_client_error(lineage_server: Any, node: str, status: int) -> None:
    response = httpx.get(f"{lineage_server.url}/api/v1/lineage?nodeId={node}")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"


def test_colons_in_namespaces_and_names_are_found(scene: Any) -> None:
    table = {"namespace": "kafka://k:9092", "name": f"{scene.namespace}:topic:in", "facets": {}}
    scene.ran("a:b:c", 1, [table], [])
    assert len(scene.client.graph(f"dataset:kafka://k:9092:{table['name']}")["graph"]) == 2
    assert len(scene.client.graph(scene.node("a:b:c"))["graph"]) == 2


def test_columns_upstream_downstream_and_by_depth(scene: Any, make_dataset: Any) -> None:
    a, b, c = (scene.named(name) for name in "abc")
    scene.ran(
        "j1", 1, [make_dataset(a, "x", "y")], [make_dataset(b, "x", made_from={"x": [(a, "x"), (a, "y")]})]
    )
    scene.ran(
        "j2", 5, [make_dataset(b, "x")], [make_dataset(c, "z", made_from={"z": [(b, "x"), (b, "gone")]})]
    )

    def fields(node: str, **asked: Any) -> set[str]:
        graph = scene.client.column_lineage(node, **asked)["graph"]
        return {f"{item['data']['dataset'][-1]}.{item['data']['field']}" for item in graph}

    assert fields(f"dataset:file:{c}") == {"c.z", "b.x", "a.x", "a.y"}
    assert fields(f"dataset:file:{c}", depth=1) == {"c.z", "b.x"}
    assert fields(f"datasetField:file:{b}:x") == {"b.x", "a.x", "a.y"}
    assert fields(f"datasetField:file:{a}:y", downstream=True) == {"a.y", "b.x", "a.x", "c.z"}
    assert fields(scene.node("j1")) == {"b.x", "a.x", "a.y"}
    edges = next(
        item
        for item in scene.client.column_lineage(f"dataset:file:{c}")["graph"]
        if item["data"]["field"] == "z"
    )
    assert edges["inEdges"] == [
        {"origin": f"datasetField:file:{c}:z", "destination": f"datasetField:file:{b}:x"}
    ]
    version = scene.client.dataset("file", b)["currentVersion"]
    past = scene.client.column_lineage(f"dataset:file:{b}#{version}")["graph"]
    assert {item["id"].partition("#")[2] != "" for item in past} == {True}
    assert scene.client.column_lineage(f"dataset:file:{scene.named('none')}") is None


def test_the_newest_column_lineage_replaces_the_older(scene: Any, make_dataset: Any) -> None:
    a, b = scene.named("a"), scene.named("b")
    for minute, column in ((1, "x"), (5, "y")):
        scene.ran(
            "j", minute, [make_dataset(a, "x", "y")], [make_dataset(b, "z", made_from={"z": [(a, column)]})]
        )
    graph = scene.client.column_lineage(f"dataset:file:{b}")["graph"]
    assert {item["data"]["field"] for item in graph} == {"z", "y"}
    scene.ran("silent", 9, [], [make_dataset(b, "z")])
    told = scene.client.dataset("file", b)["columnLineage"]
    assert [(item["name"], [made["field"] for made in item["inputFields"]]) for item in told] == [
        ("z", ["y"])
    ]


def test_fields_that_only_readers_tell_are_known(scene: Any, make_dataset: Any) -> None:
    a, b = scene.named("a"), scene.named("b")
    node = f"dataset:file:{a}"
    scene.ran("write", 1, [], [make_dataset(a)])
    assert scene.client.column_lineage(node) is None
    scene.ran("read", 3, [make_dataset(a, "x")], [make_dataset(b, "x", made_from={"x": [(a, "x")]})])
    table = scene.client.dataset("file", a)
    assert [item["name"] for item in table["fields"]] == ["x"]
    scene.ran("write", 5, [], [make_dataset(a)])
    assert scene.client.dataset("file", a)["fields"] == []
    for known in (node, f"{node}#{table['currentVersion']}", f"datasetField:file:{a}:x"):
        assert scene.client.column_lineage(known) == {"graph": []}


def test_a_task_is_shown_with_the_run_of_its_dag_or_if_asked_its_own(scene: Any) -> None:
    dag, task = str(uuid4()), str(uuid4())
    facet = {"_producer": "https://example.org/p", "_schemaURL": "https://example.org/f.json"}
    parent = {**facet, "run": {"runId": dag}, "job": {"namespace": scene.namespace, "name": "dag"}}
    table = [{"namespace": scene.namespace, "name": "t"}]
    scene.post(
        scene.event("START", "dag", dag, 1),
        scene.event("FAIL", "dag.task", task, 2, outputs=table, run_facets={"parent": parent}),
    )
    for query, run, state in (
        ("", dag, "RUNNING"),
        ("&latestRun=own", task, "FAILED"),
        ("&latestRun=root", dag, "RUNNING"),
    ):
        url = f"{scene.client.url}/api/v1/lineage?nodeId={scene.node('dag.task')}&depth=1{query}"
        job = next(item["data"] for item in httpx.get(url).json()["graph"] if item["type"] == "JOB")
        assert (job["currentRunUuid"], job["latestRun"]["state"]) == (run, state)
    assert httpx.get(f"{scene.client.url}/api/v1/lineage?nodeId=x&latestRun=mine").status_code == 400


def test_the_root_of_a_whole_line_of_parents_stands_for_each_of_them(scene: Any) -> None:
    facet = {"_producer": "https://example.org/p", "_schemaURL": "https://example.org/f.json"}
    runs = {name: str(uuid4()) for name in ("trigger", "dag", "dag.task")}
    table = [{"namespace": scene.namespace, "name": "t"}]
    above = None
    for name, run in runs.items():
        parent = (
            {**facet, "run": {"runId": runs[above]}, "job": {"namespace": scene.namespace, "name": above}}
            if above
            else None
        )
        scene.post(
            scene.event("START", name, run, 1, outputs=table, run_facets={"parent": parent} if parent else {})
        )
        scene.post(scene.event("COMPLETE", name, run, 2, outputs=table))
        above = name
    url = f"{scene.client.url}/api/v1/lineage?nodeId={scene.node('dag.task')}&depth=9"
    jobs = [item["data"] for item in httpx.get(url).json()["graph"] if item["type"] == "JOB"]
    assert {job["name"]: job["currentRunUuid"] for job in jobs} == dict.fromkeys(runs, runs["trigger"])


def test_columns_made_from_nothing_are_followed_downstream_only_if_asked(
    scene: Any, make_dataset: Any
) -> None:
    a, b = scene.named("a"), scene.named("b")
    scene.ran("j", 1, [make_dataset(a, "x")], [make_dataset(b, "y", made_from={"y": [(a, "x")]})])
    url = f"{scene.client.url}/api/v1/column-lineage?nodeId=dataset:file:{a}&withDownstream=true"
    assert httpx.get(url).json() == {"graph": []}
    assert len(httpx.get(f"{url}&sources=true").json()["graph"]) == 2


def test_column_lineage_names_the_versions_that_told_it_and_that_it_was_made_from(
    scene: Any, make_dataset: Any
) -> None:
    a, b = scene.named("a"), scene.named("b")
    made = make_dataset(b, "y", made_from={"y": [(a, "x")]})
    scene.ran("load", 1, [], [make_dataset(a, "x")])
    scene.ran("make", 3, [make_dataset(a, "x")], [made])
    read = scene.client.dataset("file", a)["currentVersion"]
    scene.ran("load", 5, [], [make_dataset(a, "x")])
    failed = scene.ran("make", 7, [make_dataset(a, "x")], [made], kind="FAIL")
    told = scene.client.dataset_versions("file", b)["versions"]
    by_field = {
        item["data"]["field"]: item["data"]
        for item in scene.client.column_lineage(f"dataset:file:{b}")["graph"]
    }
    assert by_field["y"]["datasetVersion"] == next(
        item["version"] for item in told if item["createdByRun"]["id"] == failed
    )
    assert by_field["y"]["datasetVersion"] != scene.client.dataset("file", b)["currentVersion"]
    current = scene.client.dataset("file", a)["currentVersion"]
    assert {by_field["x"]["datasetVersion"], by_field["y"]["inputFields"][0]["datasetVersion"]} == {current}
    assert current != read


def test_runs_are_followed_to_the_runs_that_read_what_they_wrote(scene: Any, make_dataset: Any) -> None:
    raw, clean = make_dataset(scene.named("raw"), "a"), make_dataset(scene.named("clean"), "a")
    first = scene.ran("load", 1, [], [raw])
    tidy = scene.ran("tidy", 3, [raw], [clean])
    again = scene.ran("load", 5, [raw], [raw])
    late = scene.ran("tidy", 7, [raw], [clean])
    total = scene.ran("sum", 9, [clean], [])

    def runs(direction: str, run: str, depth: int = 20) -> dict[str, Any]:
        url = f"{scene.client.url}/api/v1/runlineage/{direction}?runId={run}&depth={depth}"
        return {item["run"]["id"]: item for item in httpx.get(url).raise_for_status().json()["runs"]}

    assert set(runs("downstream", first)) == {first, tidy, again, late, total}
    assert set(runs("downstream", first, 0)) == {first}
    assert list(runs("downstream", first, 1)) == [first, again, tidy]
    read = runs("downstream", first)[first]["outputs"]
    assert [(item["name"], item["consumedByRunIds"]) for item in read] == [
        (scene.named("raw"), [tidy, again])
    ]
    # What one direction says, the other says too.
    assert list(runs("upstream", total)) == [total, late, again, first]
    back = runs("upstream", late)[late]["inputs"][0]
    forth = runs("downstream", again)[again]["outputs"][0]
    assert (back["producedByRunId"], back["version"]) == (again, forth["version"])
    assert httpx.get(f"{scene.client.url}/api/v1/runlineage/downstream?runId={uuid4()}").status_code == 404
