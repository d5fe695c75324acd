"""Bad input: refused by name, nothing published, and repaired input succeeds."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from include.errors import ProviderRefused

pytestmark = pytest.mark.stack

HEADER = (
    "video_id,title,publish_time,channel_id,channel_title,category_id,trending_date,tags,view_count,likes,dislikes,"
    "comment_count,thumbnail_link,comments_disabled,ratings_disabled,description\n"
)


def job_error(stack: Any, dag_id: str, run_id: str) -> str:
    rows = stack.query(
        "SELECT j.status, j.error, r.error AS run_error FROM job_run r JOIN job j USING (job_id)"
        " WHERE r.dag_id = %s AND r.run_id = %s",
        dag_id,
        run_id,
    )
    assert [row["status"] for row in rows] == ["failed"]
    return str(rows[0]["error"] or rows[0]["run_error"])


def test_an_unknown_conf_key_is_refused_by_name(stack: Any) -> None:
    run_id, state = stack.run("video", {"colour": "red"})
    assert state == "failed"
    assert "'colour'" in job_error(stack, "video", run_id)


def test_a_wrong_type_is_refused_at_the_form(stack: Any) -> None:
    with pytest.raises(ProviderRefused, match="400"):
        stack.trigger("video", {"seed": "many"})


def test_a_job_that_does_not_exist_is_refused(stack: Any) -> None:
    stranger = uuid4()
    run_id, state = stack.run("video", {"job_id": str(stranger)})
    assert state == "failed"
    assert str(stranger) in job_error(stack, "video", run_id)
    assert stack.query("SELECT 1 FROM job WHERE job_id = %s", stranger) == []


@pytest.mark.parametrize(
    ("day", "content", "named"),
    [
        ("2001-01-01", HEADER.replace(",view_count", "") + "a,b\n", "view_count"),
        ("2001-01-02", "", "empty"),
        ("2001-01-03", "\x89PNG\r\n\x1a\n\x00\x00", "2001-01-03.csv"),
    ],
)
def test_a_bad_table_is_named_and_its_repair_succeeds(stack: Any, day: str, content: str, named: str) -> None:
    file = stack.sources / "trends" / f"{day}.csv"
    file.write_bytes(content.encode("latin-1"))
    conf = {"tables": ["trends"], "partition": day}
    run_id, state = stack.run("medallion", conf)
    job_id = stack.job_of("medallion", run_id)
    assert state == "failed"
    stage = stack.query(
        "SELECT stage, error, ol_run_id FROM stage_run WHERE job_id = %s AND status = 'failed'", job_id
    )
    assert [row["stage"] for row in stage] == ["trends.ingest"]
    assert named in stage[0]["error"]
    assert f"{day}.csv" in stage[0]["error"]
    assert stack.query("SELECT 1 FROM table_version WHERE partition = %s", day) == []
    assert stack.query("SELECT 1 FROM artifact WHERE job_id = %s AND kind = 'table'", job_id) == []
    stack.delivered(job_id)
    failed = stack.query(
        "SELECT body FROM event WHERE run_id = %s AND event_type = 'FAIL'", stage[0]["ol_run_id"]
    )
    assert len(failed) == 1
    body = failed[0]["body"]
    assert "errorMessage" in body["run"]["facets"]
    assert {item["name"] for item in body["inputs"]} == {"sources/trends"}
    assert {item["name"] for item in body["outputs"]} == {"lake/staged/trends"}

    good = stack.sample_trends()
    file.write_text(good)
    stack.clear("medallion", run_id)
    assert stack.wait("medallion", run_id) == "success"
    assert stack.query("SELECT status FROM job WHERE job_id = %s", job_id) == [{"status": "completed"}]
    versions = stack.query("SELECT layer FROM table_version WHERE partition = %s", day)
    assert {row["layer"] for row in versions} == {"staged", "bronze", "silver", "gold"}


def test_what_a_marquez_refuses_is_refused_and_nothing_stored(stack: Any) -> None:
    event = {
        "eventType": "START",
        "eventTime": "2026-11-01T00:00:00Z",
        "producer": "https://throughline.example",
        "run": {"runId": str(uuid4())},
        "job": {
            "namespace": "refused",
            "name": "x",
            "facets": {"documentation": {"description": "no producer"}},
        },
    }
    answer = httpx.post(f"{stack.marquez_url}/api/v1/lineage", json=event)
    assert answer.status_code == 422
    assert "job.facets.documentation._producer" in answer.text
    assert httpx.get(f"{stack.marquez_url}/api/v1/namespaces/refused").status_code == 404
