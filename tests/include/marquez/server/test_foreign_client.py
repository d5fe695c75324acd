"""marquez-python, a client written for the real server, reads and writes this one."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import marquez_client
import pytest
from marquez_client.models import DatasetId, DatasetType, JobType


@pytest.fixture
def foreign(lineage_server: Any) -> Any:
    return marquez_client.MarquezClient(url=lineage_server.url)


def test_it_reads_what_events_told(foreign: Any, scene: Any, make_dataset: Any) -> None:
    source, made = scene.named("in"), scene.named("out")
    run = scene.ran(
        "j", 1, [make_dataset(source, "a")], [make_dataset(made, "b", made_from={"b": [(source, "a")]})]
    )
    assert scene.namespace in {item["name"] for item in foreign.list_namespaces(limit=1000)["namespaces"]}
    assert foreign.get_namespace(scene.namespace)["name"] == scene.namespace
    assert "file" in {item["name"] for item in foreign.list_sources()["sources"]}
    assert foreign.get_source("file")["type"] == "POSTGRESQL"
    assert made in {item["name"] for item in foreign.list_datasets("file", limit=1000)["datasets"]}
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
