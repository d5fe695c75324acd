"""Clients written for the real server read and write this one: marquez-python, and every HTTP transport of openlineage-python."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import marquez_client
import pytest
from marquez_client.errors import APIError
from marquez_client.models import DatasetId, DatasetType, JobType
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import schema_dataset

called: set[str] = set()


class Noting(marquez_client.MarquezClient):  # type: ignore[misc]  # has no types
    """The client, noting which of its calls were made."""

    def __getattribute__(self, name: str) -> Any:
        called.add(name)
        return super().__getattribute__(name)


@pytest.fixture
def foreign(lineage_server: Any) -> Any:
    return Noting(url=lineage_server.url)


def test_it_reads_what_events_told(foreign: Any, scene: Any, make_dataset: Any) -> None:
    source, made = scene.named("in"), scene.named("out")
    run = scene.ran(
        "j", 1, [make_dataset(source, "a")], [make_dataset(made, "b", made_from={"b": [(source, "a")]})]
    )
    assert scene.namespace in {item["name"] for item in foreign.list_namespaces(limit=1000)["namespaces"]}
    assert foreign.get_namespace(scene.namespace)["name"] == scene.namespace
    assert "file" in {item["name"] for item in foreign.list_sources()["sources"]}
    assert foreign.get_source("file")["type"] == "POSTGRESQL"
    assert made in {item["name"] for item in foreign.list_datasets("file", limit=10_000)["datasets"]}
    dataset = foreign.get_dataset("file", made)
    versions = foreign.list_dataset_versions("file", made)["versions"]
    assert versions[0]["version"] == dataset["currentVersion"]
    assert foreign.get_dataset_version("file", made, dataset["currentVersion"])["createdByRun"]["id"] == run
    assert foreign.list_jobs(scene.namespace)["jobs"][0]["name"] == "j"
    assert foreign.get_job(scene.namespace, "j")["latestRun"]["id"] == run
    assert foreign.list_job_runs(scene.namespace, "j")["runs"][0]["state"] == "COMPLETED"
    assert foreign.get_job_run(run)["id"] == run
    columns = foreign.get_column_lineage_by_dataset("file", made)["graph"]
    assert len(columns) == len(foreign.get_column_lineage_by_dataset_field("file", made, "b")["graph"]) == 2
    assert len(foreign.get_column_lineage_by_job(scene.namespace, "j")["graph"]) == 2


def test_it_tags(foreign: Any, scene: Any, make_dataset: Any) -> None:
    table = scene.named("t")
    scene.ran("j", 1, [], [make_dataset(table, "a")])
    assert foreign.create_tag("foreign", "from a foreign client") in (
        None,
        {"name": "foreign", "description": "from a foreign client"},
    )
    assert "foreign" in {tag["name"] for tag in foreign.list_tags()["tags"]}
    assert foreign.tag_dataset("file", table, "foreign")["tags"] == ["foreign"]
    assert foreign.tag_dataset_field("file", table, "a", "foreign")["fields"][0]["tags"] == ["FOREIGN"]


@pytest.mark.filterwarnings("ignore::deprecation.DeprecatedWarning")
def test_its_older_calls_write(foreign: Any, scene: Any) -> None:
    space, run = scene.namespace, str(uuid4())
    foreign.create_namespace(space, "owner", "description")
    foreign.create_source(f"source-{space}", "POSTGRESQL", "jdbc:postgresql://localhost:5432/x", "text")
    dataset = foreign.create_dataset(
        space,
        "t",
        DatasetType.DB_TABLE,
        "public.t",
        f"source-{space}",
        fields=[{"name": "a", "type": "INTEGER"}],
    )
    assert (dataset["physicalName"], dataset["fields"][0]["name"]) == ("public.t", "a")
    job = foreign.create_job(space, "j", JobType.BATCH, inputs=[DatasetId(space, "t")], outputs=[])
    assert job["inputs"] == [{"namespace": space, "name": "t"}]
    assert foreign.create_job_run(space, "j", run_id=run)["state"] == "NEW"
    assert foreign.mark_job_run_as_started(run, at="2026-03-01T00:00:00Z")["state"] == "RUNNING"
    ended = foreign.mark_job_run_as_completed(run, at="2026-03-01T00:00:05Z")
    assert (ended["state"], ended["durationMs"]) == ("COMPLETED", 5000)
    assert scene.client.events(namespace=space)["totalCount"] == 0
    assert foreign.get_job_run(run)["args"] is not None
    for mark, state in (
        (foreign.mark_job_run_as_failed, "FAILED"),
        (foreign.mark_job_run_as_aborted, "ABORTED"),
    ):
        other = str(uuid4())
        opened = foreign.create_job_run(
            space, "j", run_id=other, nominal_start_time="2026-03-02T00:00:00Z", run_args={"a": "b"}
        )
        assert (opened["nominalStartTime"], opened["args"]) == ("2026-03-02T00:00:00Z", {"a": "b"})
        ended = mark(other, at="2026-03-02T00:00:05Z")
        assert (ended["state"], ended["facets"]) == (state, {})


def test_a_call_that_the_real_server_does_not_answer_is_not_answered(foreign: Any) -> None:
    with pytest.raises(APIError):
        foreign.list_events()


def test_every_call_of_the_client_was_made() -> None:
    """Runs after the others of this module; alone it has nothing to say."""
    calls = {
        name
        for name, _ in inspect.getmembers(marquez_client.MarquezClient, inspect.isfunction)
        if not name.startswith("_")
    }
    if not called:
        pytest.skip("the tests that make the calls were not selected")
    assert calls - called == set()


HTTP = {"type": "http", "compression": "gzip", "timeout": 30}
ASYNC = {"type": "async_http", "compression": "gzip", "timeout": 30}


@pytest.mark.parametrize(
    "transport",
    [HTTP, ASYNC, {"type": "composite", "transports": {"one": HTTP, "two": ASYNC}}],
    ids=["http", "async_http", "composite"],
)
def test_every_http_transport_delivers(lineage_server: Any, scene: Any, transport: dict[str, Any]) -> None:
    def addressed(config: dict[str, Any]) -> dict[str, Any]:
        inner = config.get("transports")
        if inner is None:
            return config | {"url": lineage_server.url}
        return config | {"transports": {name: addressed(item) for name, item in inner.items()}}

    client = OpenLineageClient(config={"transport": addressed(transport)})
    run, table = Run(str(uuid4())), scene.named("t")
    fields = [schema_dataset.SchemaDatasetFacetFields(name="a", type="TEXT")]
    output = OutputDataset("file", table, facets={"schema": schema_dataset.SchemaDatasetFacet(fields=fields)})
    for state in (RunState.START, RunState.COMPLETE):
        client.emit(
            RunEvent(
                eventType=state,
                eventTime=datetime.now(UTC).isoformat(),
                run=run,
                job=Job(scene.namespace, "j"),
                producer="https://example.org/p",
                outputs=[output],
            )
        )
    assert client.close(timeout=60)
    assert scene.client.run(run.runId)["state"] == "COMPLETED"
    assert scene.client.dataset("file", table)["fields"][0]["name"] == "a"
    # Each event counts once, though a composite delivers it twice.
    assert scene.client.events(run=run.runId)["totalCount"] == 2
