"""What deployed tasks are said to read and make: stored once, delivered before run events, shown before the first run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from include.errors import ConfigurationError, ProviderRefused, ProviderUnavailable
from include.lineage.declarations import current_declarations, store_datasets, store_declarations
from include.lineage.events import store_event
from include.lineage.relay import drain_once
from include.marquez.client import MarquezClient
from include.operators.declarations import declared_datasets, deployed
from include.proof import replay
from tests.include.lineage.by_function import ByFunction
from tests.include.lineage.made_events import make_event

if TYPE_CHECKING:
    from tests.conftest import LineageServer

ROOT = Path(__file__).resolve().parents[3]


def declared(name: str, doc: str = "as ever", reads: str = "media/scripts") -> dict[str, Any]:
    return {
        "eventTime": "2026-11-01T00:00:00+00:00",
        "producer": "https://throughline.example",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent",
        "job": {"namespace": "throughline", "name": name, "facets": {"documentation": {"description": doc}}},
        "inputs": [{"namespace": "throughline", "name": reads}],
        "outputs": [],
    }


def told(ledger: str, *events: dict[str, Any]) -> list[str]:
    with psycopg.connect(ledger, autocommit=True) as connection:
        return store_declarations(connection, events)


def test_only_what_changed_is_stored_again(ledger: str) -> None:
    assert told(ledger, declared("video.a"), declared("video.b")) == ["video.a", "video.b"]
    assert told(ledger, declared("video.a"), declared("video.b")) == []
    assert told(ledger, declared("video.a", "another"), declared("video.b")) == ["video.a"]
    assert told(ledger, declared("video.a"), declared("video.b")) == ["video.a"], "back again is news, too"


def test_declarations_go_before_the_run_events_that_wait(ledger: str, job: UUID) -> None:
    with psycopg.connect(ledger, autocommit=True) as connection:
        store_event(connection, make_event(job, "video.a", "START", 0, uuid4()))
    told(ledger, declared("video.a"))
    got: list[dict[str, Any]] = []
    assert drain_once(ledger, ByFunction(got.append)) == 2
    assert ["run" in event for event in got] == [False, True]
    assert got[0]["eventTime"] > "2026-11-01T00:00:00"
    assert drain_once(ledger, ByFunction(got.append)) == 0


def test_an_outage_delays_a_refusal_parks(ledger: str) -> None:
    def refuse(event: dict[str, Any]) -> None:
        raise ProviderRefused("422")

    def away(event: dict[str, Any]) -> None:
        raise ProviderUnavailable("down")

    told(ledger, declared("video.a"), declared("video.b"))
    assert drain_once(ledger, ByFunction(away)) == 0
    with psycopg.connect(ledger, autocommit=True, row_factory=dict_row) as connection:
        rows = connection.execute(
            "SELECT attempts, next_at > now() AS later, dead_at FROM job_declaration ORDER BY seq"
        ).fetchall()
        assert [(row["attempts"], row["later"], row["dead_at"]) for row in rows] == [
            (1, True, None),
            (0, None, None),
        ]
        connection.execute("UPDATE job_declaration SET next_at = NULL")
        assert drain_once(ledger, ByFunction(refuse)) == 0
        dead = connection.execute(
            "SELECT last_error FROM job_declaration WHERE dead_at IS NOT NULL"
        ).fetchall()
    assert [row["last_error"] for row in dead] == ["422", "422"]
    got: list[dict[str, Any]] = []
    assert replay.reset(ledger, dead=True) == 2
    assert drain_once(ledger, ByFunction(got.append)) == 2


def test_a_replay_sends_what_holds_now(ledger: str, job: UUID) -> None:
    told(ledger, declared("video.a", "first"), declared("video.b"))
    told(ledger, declared("video.a", "second"), declared("video.b"))
    got: list[dict[str, Any]] = []
    drain_once(ledger, ByFunction(got.append))
    got.clear()
    assert replay.send(ledger, ByFunction(got.append)) == replay.Sent(taken=2)
    assert replay.reset(ledger) == 2
    drain_once(ledger, ByFunction(got.append))
    said = [(event["job"]["name"], event["job"]["facets"]["documentation"]["description"]) for event in got]
    assert sorted(said) == sorted([("video.a", "second"), ("video.b", "as ever")] * 2)
    with psycopg.connect(ledger, row_factory=dict_row) as connection:
        assert len(current_declarations(connection)) == 2


def test_a_later_declaration_keeps_what_only_runs_know(ledger: str, job: UUID) -> None:
    told(ledger, declared("video.a", "first"))
    place = {"namespace": "throughline", "name": "media/words"}
    facets = {"schema": {"fields": []}, "version": {"datasetVersion": "1"}}
    end = {**make_event(job, "video.a", "COMPLETE", 1, uuid4()), "inputs": [{**place, "facets": facets}]}
    with psycopg.connect(ledger, autocommit=True) as connection:
        store_event(connection, end)
    told(ledger, declared("video.a", "first"))
    told(ledger, declared("video.a", "second"))
    with psycopg.connect(ledger, row_factory=dict_row) as connection:
        bodies = [body["inputs"] for body in current_declarations(connection)]
        rows = connection.execute("SELECT count(*) AS n FROM job_declaration").fetchone()
    assert rows == {"n": 2}, "what a run saw is no news of the declaration"
    assert [item for item in bodies[0] if item["name"] == "media/words"] == [
        {**place, "facets": {"schema": {"fields": []}}}
    ]


def test_what_is_declared_of_a_dataset_lies_under_what_an_event_says(ledger: str, job: UUID) -> None:
    event = make_event(job, "medallion.leads.gold", "START", 0, uuid4())
    event["inputs"] = [{"namespace": "throughline", "name": "media/odd"}]
    event["outputs"] = [
        {"namespace": "throughline", "name": "lake/gold/leads", "facets": {"ownership": {"owners": []}}}
    ]
    told = {"documentation": {"description": "one row per lead"}, "ownership": {"owners": [{"name": "x"}]}}
    with psycopg.connect(ledger, autocommit=True) as connection:
        store_datasets(connection, declared_datasets())
        for text in ("old", "one row per lead"):
            told["documentation"]["description"] = text
            store_datasets(connection, {("throughline", "lake/gold/leads"): told})
        store_event(connection, event)
        row = connection.execute("SELECT body -> 'inputs', body -> 'outputs' FROM event").fetchone()
    assert row is not None
    assert row[0] == event["inputs"], "nobody declared it"
    assert row[1][0]["facets"] == {**told, "ownership": {"owners": []}}


def test_a_server_shows_the_whole_graph_before_the_first_run(
    ledger: str, lineage_server: LineageServer
) -> None:
    events = deployed(str(ROOT / "dags"))
    with lineage_server.another() as server, MarquezClient(server.url, None, None, 30) as client:
        told(ledger, *events)
        assert drain_once(ledger, client) == len(events) > 35
        for event in events:
            shown = client.job("throughline", event["job"]["name"])
            assert shown is not None, event["job"]["name"]
            for side in ("inputs", "outputs"):
                assert {item["name"] for item in shown[side]} == {item["name"] for item in event[side]}
            assert shown["description"] == event["job"]["facets"]["documentation"]["description"]
            assert shown["latestRun"] is None
        graph = client.graph("dataset:throughline:reports/lead_audit", depth=20)
        assert graph is not None
        assert {"dataset:throughline:sources/leads", "job:throughline:medallion.leads.silver"} <= {
            node["id"] for node in graph["graph"]
        }
        gold = client.dataset("throughline", "lake/gold/leads")
        assert gold is not None
        assert gold["description"].startswith("Companies that a report could be sold to")


def test_every_task_is_declared_with_facets_that_are_valid(check_openlineage: Any) -> None:
    events = deployed(str(ROOT / "dags"))
    names = [event["job"]["name"] for event in events]
    assert len(set(names)) == len(names)
    assert {"campaign.trigger_video", "video.content_generation.render_scene", "upkeep.drain"} <= set(names)
    for event in events:
        assert set(event["job"]["facets"]) == {"documentation", "ownership", "tags", "jobType"}
        for item in [*event["inputs"], *event["outputs"]]:
            assert {"dataSource", "documentation", "ownership", "tags", "datasetType", "storage"} <= set(
                item["facets"]
            ), item["name"]
    assert check_openlineage(events, "JobEvent") > 300


def test_a_broken_dag_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text("raise ValueError('nothing here')  # dag airflow")
    with pytest.raises(ConfigurationError, match=r"odd\.py: ValueError: nothing here"):
        deployed(str(tmp_path))
