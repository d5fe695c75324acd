"""Text from outside stays text, in every column that can hold any."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from conftest import Page
from psycopg.types.json import Jsonb

from include.marquez.client import MarquezClient

pytestmark = pytest.mark.slow

# Columns of what the pages show, in which the ledger itself takes any text.
COLUMNS = {
    "job": ["theme", "error", "stage"],
    "job_run": ["run_id", "error"],
    "stage_run": ["stage", "key", "task_id", "run_id", "error", "ol_job_name"],
    "artifact": ["kind", "key", "name", "namespace", "dataset"],
    "cost": ["provider", "model", "unit"],
    "review_decision": ["reviewer", "reason"],
    "blob": ["media_type"],
}
SHOWN = {
    "/jobs/{job}": [
        "job.theme",
        "job.error",
        "job_run.run_id",
        "job_run.error",
        "stage_run.stage",
        "stage_run.key",
        "stage_run.task_id",
        "stage_run.error",
        "artifact.kind",
        "artifact.key",
        "artifact.name",
        "artifact.dataset",
        "cost.provider",
        "cost.model",
        "cost.unit",
        "review_decision.reviewer",
        "review_decision.reason",
        "job.params",
    ],
    "/artifacts/{artifact}": [
        "artifact.kind",
        "artifact.key",
        "artifact.name",
        "artifact.dataset",
        "blob.media_type",
        "stage_run.stage",
        "stage_run.run_id",
        "stage_run.task_id",
        "artifact.facts",
    ],
    "/": ["job.theme"],
    "/graph": ["artifact.dataset", "artifact.namespace"],
}


def payload(where: str) -> str:
    return f"""{where}</title></script><script>alert("{where}")</script><img src=x onerror='alert(1)'>{{{{7*7}}}}"""


@pytest.fixture(scope="session")
def hostile(world: Any) -> dict[str, Any]:
    """A job whose rows hold a payload in every column of text; the guards are off for the forger.

    One in its world: some of these columns are keys. Tests that change workers would set up a module's anew.
    """
    job = uuid4()
    world.words.with_name("hostile.txt").write_text("hostile words")
    world.open(job, "video", "hostile", theme="x")
    world.run(job, "collect", "video", "hostile", file=str(world.words.with_name("hostile.txt")))
    world.run(job, "write", "video", "hostile")
    script = world.artifacts(job)["script"]
    with psycopg.connect(world.environment["THROUGHLINE_LEDGER_DSN"]) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "INSERT INTO review_decision (review_decision_id, job_id, stage_run_id, artifact_id, decision, reviewer,"
            " unattended, video_sha256) VALUES (%s, %s, %s, %s, 'rejected', 'r', false, %s)",
            (uuid4(), job, script["stage_run_id"], script["artifact_id"], script["sha256"]),
        )
        for table, columns in COLUMNS.items():
            for column in columns:
                if (table, column) == ("artifact", "kind"):
                    narrow, value = "job_id = %s AND kind = 'script'", job
                elif table == "blob":
                    narrow, value = "sha256 = %s", script["sha256"]
                else:
                    narrow, value = "job_id = %s", job
                row = (
                    "kind || key || "
                    if (table, column) in {("artifact", "key"), ("artifact", "name")}
                    else ""
                )
                connection.execute(
                    f"UPDATE {table} SET {column} = {row}%s WHERE {narrow}",
                    (payload(f"{table}.{column}"), value),
                )
        params = {payload("job.params"): [payload("job.params"), {"<b>": 1}]}
        connection.execute("UPDATE job SET params = %s WHERE job_id = %s", (Jsonb(params), job))
        connection.execute(
            "UPDATE artifact SET facts = %s WHERE artifact_id = %s",
            (Jsonb({payload("artifact.facts"): "</pre><script>"}), script["artifact_id"]),
        )
    return {"job": job, "artifact": UUID(script["artifact_id"])}


def assert_inert(page: Page) -> None:
    assert [set(script) for script in page.all("script")] == [{"src"}]
    assert [a for a in page.all("img") if a.get("src") == "x"] == []
    assert [name for _, a in page.elements for name in a if name.startswith("on")] == []
    assert [link for link in page.values("href") if link.lower().startswith(("javascript", "data"))] == []
    assert "49" not in [word.strip() for word in page.words]


@pytest.mark.parametrize("address", SHOWN)
def test_hostile_text_is_shown_as_text(hostile: dict[str, Any], panel: Any, address: str) -> None:
    page = panel.page(address.format(**hostile))
    assert_inert(page)
    everything = " ".join(page.words)
    missing = [where for where in SHOWN[address] if f'<script>alert("{where}")</script>' not in everything]
    assert [where for where in missing if where != "job.params" and where != "artifact.facts"] == []
    for where in {"job.params", "artifact.facts"} & set(SHOWN[address]):
        assert f"{where}</title></script>" in everything


def test_a_hostile_digest_is_shown_as_text(panel: Any) -> None:
    reply = panel.get("/trace?digest=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    page = Page.of(reply.text)
    assert_inert(page)
    assert page.all("input", name="digest")[-1]["value"] == '"><script>alert(1)</script>'


def test_hostile_names_on_the_lineage_server_are_drawn_as_text(world: Any, panel: Any) -> None:
    namespace, job = f"panel-{uuid4().hex[:8]}", payload("job")
    dataset = payload("dataset")
    event = {
        "eventType": "COMPLETE",
        "eventTime": "2026-03-01T00:00:00Z",
        "producer": "https://example.org",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": str(uuid4())},
        "job": {"namespace": namespace, "name": job},
        "inputs": [],
        "outputs": [{"namespace": namespace, "name": dataset}],
    }
    with MarquezClient(world.environment["MARQUEZ_URL"]) as client:
        client.deliver(event)
    for query in ({"node": f"dataset:{namespace}:{dataset}"}, {"q": "</title>"}):
        page = panel.page(f"/graph?{_encoded(query)}")
        assert_inert(page)
        assert dataset in " ".join(page.words)
    drawn = panel.page(f"/graph?{_encoded({'node': f'dataset:{namespace}:{dataset}'})}")
    assert len(drawn.values("data-node")) == 2


def _encoded(query: dict[str, str]) -> str:
    from urllib.parse import urlencode

    return urlencode(query)
