"""One campaign on the real stack: every artifact traced, every event valid, the server showing what the ledger says."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from include.ledger.models import Base, Made
from include.ledger.session import transaction
from include.marquez.client import connect
from include.proof.differences import compare
from include.proof.verify import traced, verify
from tests.carried import TASKS, missing

pytestmark = pytest.mark.stack

STAGES_OF_VIDEO = {
    "trend_collection",
    "trend_analysis",
    "content_generation.write_script",
    "content_generation.speak",
    "content_generation.render_scene",
    "composition",
    "review",
}
KINDS = {
    "source",
    "table",
    "trends",
    "report",
    "script",
    "voiceover",
    "words",
    "music",
    "scene",
    "captions",
    "video",
    "thumbnail",
    "review",
    "quality",
    "decision",
    "report_inputs",
    "lead_audit",
    "dossier_inputs",
    "dossier",
}


def test_the_campaign_succeeds_and_its_job_completes(stack: Any, campaign: Any) -> None:
    assert campaign.state == "success"
    job = stack.query("SELECT status, family FROM job WHERE job_id = %s", campaign.job_id)
    assert job == [{"status": "completed", "family": "campaign"}]
    runs = stack.query("SELECT dag_id, status FROM job_run WHERE job_id = %s", campaign.job_id)
    assert {(run["dag_id"], run["status"]) for run in runs} == {
        (dag, "completed") for dag in ("campaign", "medallion", "video", "reports")
    }


def test_every_kind_of_artifact_was_made_and_leads_to_a_source(stack: Any, campaign: Any) -> None:
    kinds = {
        row["kind"] for row in stack.query("SELECT kind FROM artifact WHERE job_id = %s", campaign.job_id)
    }
    assert kinds >= KINDS
    with transaction() as session:
        found = traced(session, job_id=campaign.job_id)
        assert found.untraced == ()
        assert found.files == found.traced > len(KINDS)
        assert verify(session) == []


def test_every_stage_of_the_video_left_a_run(stack: Any, campaign: Any) -> None:
    rows = stack.query(
        "SELECT DISTINCT task_id FROM stage_run WHERE job_id = %s AND dag_id = 'video'", campaign.job_id
    )
    assert {row["task_id"] for row in rows} == STAGES_OF_VIDEO


def test_every_made_row_names_the_job_and_its_artifact(stack: Any, campaign: Any) -> None:
    empty = []
    for mapper in Base.registry.mappers:
        if issubclass(mapper.class_, Made):
            table = mapper.local_table.name
            rows = stack.query(
                f"SELECT count(*) AS n FROM {table} t JOIN artifact a USING (artifact_id)"
                " WHERE t.job_id = %s AND a.job_id = t.job_id",
                campaign.job_id,
            )
            if rows[0]["n"] == 0:
                empty.append(table)
    assert empty == []


def test_exactly_four_transitions_per_table_and_their_rows_balance(stack: Any, campaign: Any) -> None:
    rows = stack.query(
        "SELECT table_name, source_layer, target_layer, status FROM layer_transition WHERE job_id = %s",
        campaign.job_id,
    )
    hops = [("source", "staged"), ("staged", "bronze"), ("bronze", "silver"), ("silver", "gold")]
    assert {(r["table_name"], r["source_layer"], r["target_layer"]) for r in rows} == {
        (table, *hop) for table in ("trends", "leads", "assessments") for hop in hops
    }
    assert len(rows) == 12
    assert {row["status"] for row in rows} == {"success"}


def test_the_server_shows_what_the_ledger_says(stack: Any, campaign: Any) -> None:
    with connect() as client, transaction() as session:
        found = compare(session, client, job_id=campaign.job_id)
    assert [str(difference) for difference in found.differences] == []
    assert found.runs > 30
    assert found.jobs > 25
    assert found.datasets > 20


def test_the_graph_upstream_of_the_dossier_reaches_the_source_files(
    stack: Any, campaign: Any, marquez: Any
) -> None:
    node = quote("dataset:throughline:reports/dossier", safe="")
    graph = {item["id"]: item for item in marquez(f"/lineage?nodeId={node}&depth=20")["graph"]}
    seen: set[str] = set()
    queue = ["dataset:throughline:reports/dossier"]
    while queue:
        here = queue.pop()
        if here in seen:
            continue
        seen.add(here)
        queue += [edge["origin"] for edge in graph[here]["inEdges"]]
    for table in ("trends", "leads", "assessments"):
        assert f"dataset:throughline:sources/{table}" in seen
    assert "dataset:throughline:media/videos" in seen


def events_of(stack: Any, job_id: object) -> list[dict[str, Any]]:
    return [
        row["body"] for row in stack.query("SELECT body FROM event WHERE job_id = %s ORDER BY seq", job_id)
    ]


def test_every_run_starts_first_and_ends_once_and_every_task_ends_well(stack: Any, campaign: Any) -> None:
    runs: dict[str, list[dict[str, Any]]] = {}
    for event in events_of(stack, campaign.job_id):
        runs.setdefault(event["run"]["runId"], []).append(event)
    last: dict[str, str] = {}
    for events in runs.values():
        kinds = [event["eventType"] for event in events]
        assert kinds[0] == "START"
        assert kinds[-1] in {"COMPLETE", "FAIL"}, "an attempt that failed was retried, and says so"
        assert sum(kind in {"COMPLETE", "FAIL", "ABORT"} for kind in kinds) == 1
        last[events[-1]["job"]["name"]] = kinds[-1]
    assert {name: kind for name, kind in last.items() if kind != "COMPLETE"} == {}


def test_every_task_event_carries_its_facets(stack: Any, campaign: Any) -> None:
    for event in events_of(stack, campaign.job_id):
        run, job = event["run"]["facets"], event["job"]["facets"]
        where = f"{event['job']['name']} {event['eventType']}"
        assert run["throughline_job"]["job_id"] == str(campaign.job_id), where
        assert all(job["jobType"][name] for name in ("processingType", "integration", "jobType")), where
        task = job["jobType"]["jobType"] != "DAG"
        if task:
            assert "parent" in run, where
            assert job["ownership"]["owners"], where
            assert job["documentation"]["description"], where
        else:
            assert "parent" not in run, where
        triggered = event["job"]["name"].split(".")[0] != "campaign"
        if triggered and task:
            assert run["parent"]["root"]["job"]["name"] == "campaign", where
        if triggered and not task and event["eventType"] == "START":
            assert run["throughline_job"]["triggered_by"]["job"].startswith("campaign.trigger_"), where


def test_start_declares_the_datasets_that_the_end_names(stack: Any, campaign: Any) -> None:
    ends: dict[str, tuple[set[str], set[str]]] = {}
    starts: dict[str, tuple[set[str], set[str]]] = {}
    for event in events_of(stack, campaign.job_id):
        both = tuple({item["name"] for item in event.get(side) or []} for side in ("inputs", "outputs"))
        (starts if event["eventType"] == "START" else ends)[event["run"]["runId"]] = both  # type: ignore[assignment]  # a pair
    seen = 0
    for run, (inputs, outputs) in ends.items():
        assert starts[run][0] <= inputs
        assert starts[run][1] <= outputs
        seen += bool(inputs and outputs)
    assert seen > 20


def test_outputs_carry_schema_statistics_version_and_column_lineage(stack: Any, campaign: Any) -> None:
    gold = [
        item
        for event in events_of(stack, campaign.job_id)
        if event["eventType"] == "COMPLETE" and event["job"]["name"] == "medallion.trends.gold"
        for item in event["outputs"]
        if item["name"] == "lake/gold/trends"
    ]
    assert len(gold) == 1
    facets = gold[0]["facets"]
    for name in (
        "schema",
        "columnLineage",
        "version",
        "storage",
        "datasetType",
        "dataSource",
        "dataQualityMetrics",
    ):
        assert name in facets
    assert gold[0]["outputFacets"]["outputStatistics"]["rowCount"] > 0
    assert facets["columnLineage"]["fields"]["views"]["inputFields"][0]["name"] == "lake/silver/trends"


def test_every_event_of_every_task_carries_what_the_table_says(stack: Any, campaign: Any) -> None:
    upkeep, _ = stack.run("upkeep", {})
    chores = stack.job_of("upkeep", upkeep)
    stack.delivered(chores)
    events = [*events_of(stack, campaign.job_id), *events_of(stack, chores)]
    # A retry, as after a review that was answered before the scheduler knew it was asked, finds its own work unchanged.
    retried = {event["job"]["name"] for event in events if event["eventType"] == "FAIL"}
    unchanged = tuple(f"{name} COMPLETE outputs " for name in retried)
    found = [line for event in events for line in missing(event)]
    assert [
        line
        for line in found
        if not (line.endswith("no lifecycleStateChange") and line.startswith(unchanged))
    ] == []
    seen = {(event["job"]["name"], event["eventType"]) for event in events}
    assert {(name, kind) for name in TASKS for kind in ("START", "COMPLETE")} - seen <= {
        ("upkeep.verify", "COMPLETE")
    }, "only what checks everybody's work may fail on it"


def test_a_table_is_announced_with_the_columns_that_it_gets(stack: Any, campaign: Any) -> None:
    told: dict[str, dict[str, Any]] = {}
    for event in events_of(stack, campaign.job_id):
        for item in event.get("outputs") or []:
            if item["name"].startswith(("lake/bronze/", "lake/silver/", "lake/gold/")):
                told.setdefault(item["name"], {})[event["eventType"]] = item["facets"]["schema"]
    assert len(told) == 9
    assert [name for name, schemas in told.items() if schemas["START"] != schemas["COMPLETE"]] == []


def test_the_graph_was_declared_before_the_first_run(stack: Any, campaign: Any) -> None:
    rows = stack.query("SELECT job_name, delivered_at, dead_at FROM job_declaration")
    assert {row["job_name"] for row in rows} == set(TASKS)
    assert all(row["delivered_at"] and not row["dead_at"] for row in rows)
    first = stack.query("SELECT min(created_at) AS at FROM event WHERE job_name LIKE 'medallion.%%'")[0]["at"]
    assert max(row["delivered_at"] for row in rows) < first
    assert stack.throughline("lineage-jobs").stdout.splitlines()[-1] == f"{len(TASKS)} tasks, 0 declared anew"


def test_every_event_is_valid_openlineage(stack: Any, campaign: Any, check_openlineage: Any) -> None:
    assert check_openlineage(events_of(stack, campaign.job_id), "RunEvent") > 500


def test_what_is_deleted_at_the_server_is_exactly_what_is_reported(stack: Any, campaign: Any) -> None:
    dsn = stack.environment["THROUGHLINE_LINEAGE_DSN"]
    edge = (
        "job_id = (SELECT id FROM job WHERE namespace = 'throughline' AND name = %s) AND is_input"
        " AND dataset_id = (SELECT id FROM dataset WHERE namespace = 'throughline' AND name = 'sources/leads')"
    )
    bronze, composition = (
        stack.query(
            "SELECT run_id FROM event WHERE job_id = %s AND job_name = %s AND event_type = 'COMPLETE'",
            campaign.job_id,
            name,
        )[0]["run_id"]
        for name in ("medallion.leads.bronze", "video.composition")
    )
    with psycopg.connect(dsn, autocommit=True) as lineage:
        kept = {
            table: lineage.execute(f"SELECT row_to_json(t) FROM {table} t WHERE {where}", (which,)).fetchall()
            for table, where, which in (
                ("run", "id = %s", bronze),
                ("run_io", "run_id = %s", bronze),
                ("job_edge", edge, "reports.dossier_gather"),
            )
        }
        faceted = lineage.execute("SELECT id, facets FROM run WHERE id = %s", (composition,)).fetchone()
        lineage.execute("DELETE FROM run WHERE id = %s", (bronze,))
        lineage.execute(f"DELETE FROM job_edge WHERE {edge}", ("reports.dossier_gather",))
        lineage.execute(
            "UPDATE run SET facets = (facets::jsonb - 'throughline_job')::text WHERE id = %s",
            (composition,),
        )
        try:
            with connect() as client, transaction() as session:
                found = compare(session, client, job_id=campaign.job_id).differences
        finally:
            for table, rows in kept.items():
                for (row,) in rows:
                    lineage.execute(
                        f"INSERT INTO {table} SELECT * FROM json_populate_record(NULL::{table}, %s)",
                        (json.dumps(row),),
                    )
            lineage.execute("UPDATE run SET facets = %s WHERE id = %s", (faceted[1], faceted[0]))
    assert sorted((difference.what, difference.where.split(" ")[0]) for difference in found) == [
        ("edge", "reports.dossier_gather"),
        ("facet", "video.composition"),
        ("run", "medallion.leads.bronze"),
    ]
    with connect() as client, transaction() as session:
        assert compare(session, client, job_id=campaign.job_id).differences == ()
