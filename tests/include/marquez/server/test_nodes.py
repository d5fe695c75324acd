"""Nodes that are kept: few are rendered again, and none is older than the question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from include.marquez.client import MarquezClient
from include.marquez.server.retention import remove_old_runs
from tests.kept_nodes import KeptNodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(lineage_server: Any) -> Iterator[Any]:
    """A server in whose database there is little to keep."""
    with lineage_server.another() as server:
        yield server


@pytest.fixture
def told(server: Any, scene: Any) -> Iterator[Any]:
    """The scene, told to that server."""
    with MarquezClient(server.url, server.admin_url) as client:
        scene.client = client
        yield scene


@pytest.fixture
def kept(server: Any) -> Iterator[KeptNodes]:
    with KeptNodes.of(server.dsn) as kept:
        yield kept


@pytest.fixture
def change(server: Any, kept: KeptNodes) -> Callable[[str, str], int]:
    """Ask the API for a change; return how many nodes are rendered because of it."""

    def ask(method: str, path: str) -> int:
        kept.rendered()
        answer = httpx.request(method, f"{server.url}/api/v1{path}", timeout=30)
        assert answer.status_code < 300, answer.text
        return kept.rendered()

    return ask


def versions_read(scene: Any, job: str) -> list[str]:
    graph = scene.client.graph(scene.node(job), 0)["graph"]
    run = next(node for node in graph if node["type"] == "JOB")["data"]["latestRun"]
    return [item["datasetVersionId"]["version"] for item in run["inputDatasetVersions"]]


def test_a_run_renders_its_own_job_and_datasets_and_no_more_of_a_hub(
    told: Any, kept: KeptNodes, make_dataset: Any
) -> None:
    hub = make_dataset(told.named("hub"), "a")
    told.ran("writer", 0, [], [hub])
    for i in range(20):
        told.ran(f"reader{i}", 2 + i, [hub], [make_dataset(told.named(f"d{i}"))])
    assert kept.rendered() >= 2 * 21 + 21
    assert kept.rendered() == 0
    told.ran("reader3", 60, [hub], [make_dataset(told.named("d3"))])
    assert kept.rendered() == 2 + 2  # its job, with the run that stands for its own and with that; hub and d3
    told.ran("writer", 70, [], [hub])
    assert kept.rendered() == 2 + 1


def test_what_a_run_read_follows_a_version_that_is_told_late(
    told: Any, kept: KeptNodes, make_dataset: Any
) -> None:
    source, made = make_dataset(told.named("source"), "a"), make_dataset(told.named("made"))
    told.ran("writer", 0, [], [source])
    told.ran("reader", 20, [source], [made])
    told.ran("writer", 30, [], [source])
    kept.rendered()
    before = versions_read(told, "reader")
    told.ran("writer", 10, [], [source])
    assert kept.stale() == []
    assert versions_read(told, "reader") != before


def test_what_a_run_read_follows_a_version_that_is_told_again_otherwise(
    told: Any, kept: KeptNodes, make_dataset: Any
) -> None:
    run = str(uuid4())
    told.post(told.event("COMPLETE", "writer", run, 1, outputs=[make_dataset(told.named("source"), "a")]))
    told.ran("reader", 5, [make_dataset(told.named("source"))], [])
    kept.rendered()
    before = versions_read(told, "reader")
    told.post(told.event("OTHER", "writer", run, 9, outputs=[make_dataset(told.named("source"), "a", "b")]))
    assert kept.stale() == []
    assert versions_read(told, "reader") != before


def test_what_a_run_read_of_its_own_follows_an_earlier_reader_that_is_told_late(
    told: Any, kept: KeptNodes, make_dataset: Any
) -> None:
    own = make_dataset(told.named("own"), "a")
    told.ran("loop", 5, [own], [own], kind="FAIL")
    kept.rendered()
    before = versions_read(told, "loop")
    told.post(told.event("START", "reader", str(uuid4()), 3, inputs=[own]))
    assert kept.stale() == []
    assert versions_read(told, "loop") != before


def test_changes_by_request_are_seen(told: Any, change: Any, make_dataset: Any) -> None:
    told.ran("writer", 0, [], [make_dataset(told.named("out"), "a")])
    dataset = f"/namespaces/file/datasets/{told.named('out').replace('/', '%2F')}"
    assert change("POST", f"{dataset}/tags/GOOD") == 1
    assert change("POST", f"{dataset}/fields/a/tags/FINE") == 1
    assert change("DELETE", f"{dataset}/fields/a/tags/FINE") == 1
    assert change("DELETE", dataset) == 2  # the job, which shows it no longer, both ways
    assert change("DELETE", f"/namespaces/{told.namespace}/jobs/writer") == 0
    told.ran("writer", 5, [], [make_dataset(told.named("out"), "a")])
    assert change("DELETE", f"/namespaces/{told.namespace}") == 0
    assert told.client.graph(told.node("writer"), 1) is None


def standing_run(server: Any, scene: Any, job: str) -> str:
    asked = httpx.get(
        f"{server.url}/api/v1/lineage", params={"nodeId": scene.node(job), "depth": 0}, timeout=30
    )
    return str(
        next(node for node in asked.json()["graph"] if node["type"] == "JOB")["data"]["currentRunUuid"]
    )


def test_a_root_that_retention_removes_stands_no_longer_for_its_children(
    told: Any, kept: KeptNodes, make_dataset: Any, server: Any
) -> None:
    root, task = str(uuid4()), str(uuid4())
    parent = {
        "_producer": "https://example.org/p",
        "_schemaURL": "https://example.org/f.json",
        "run": {"runId": root},
        "job": {"namespace": told.namespace, "name": "dag"},
    }
    made = make_dataset(told.named("made"))
    told.post(
        told.event("COMPLETE", "dag", root, 9),
        told.event("COMPLETE", "dag", str(uuid4()), 90),
        told.event("COMPLETE", "dag.task", task, 9, run_facets={"parent": parent}, outputs=[made]),
    )
    assert standing_run(server, told, "dag.task") == root
    kept.rendered()
    removed = kept.runner.run(remove_old_runs(kept.pool, 1))
    assert removed is not None
    assert removed.runs > 0
    assert kept.stale() == []
    assert standing_run(server, told, "dag.task") == task


def test_what_does_not_fit_is_rendered_again(told: Any, server: Any, make_dataset: Any) -> None:
    for i in range(30):
        told.ran(f"job{i}", i, [], [make_dataset(told.named(f"d{i}"))])
    with KeptNodes.of(server.dsn, kept_bytes=20_000) as kept:
        assert kept.rendered() > 60
        assert kept.rendered() > 60


def test_the_server_counts_what_it_keeps(told: Any, server: Any, make_dataset: Any) -> None:
    told.ran("job", 0, [], [make_dataset(told.named("out"))])
    counted = []
    for _ in range(3):
        lines = httpx.get(f"{server.admin_url}/metrics", timeout=30).text.splitlines()
        counts = dict(line.rsplit(" ", 1) for line in lines if line.startswith("lineage_graph_nodes_total"))
        counted.append(
            [int(counts[f'lineage_graph_nodes_total{{how="{how}"}}']) for how in ("rendered", "kept")]
        )
        told.client.graph(told.node("job"), 1)
    first, second, third = counted
    assert [now - then for then, now in zip(first, second, strict=True)] == [2, 0]
    assert [now - then for then, now in zip(second, third, strict=True)] == [0, 2]
