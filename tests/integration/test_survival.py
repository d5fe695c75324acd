"""What must be survived on the real stack: outages, kills, rejections, clearing, failures."""

from __future__ import annotations

from typing import Any

import pytest

from include.ledger.session import transaction
from include.marquez.client import connect
from include.proof.differences import compare
from include.proof.verify import traced, verify

pytestmark = pytest.mark.stack

SHORT = {"target_s": 15, "size": "720x1280"}


def current(stack: Any, job_id: object) -> dict[tuple[str, str], str]:
    rows = stack.query(
        "SELECT kind, key, sha256 FROM artifact WHERE job_id = %s AND superseded_at IS NULL", job_id
    )
    return {(row["kind"], row["key"]): row["sha256"] for row in rows}


def test_a_server_that_is_away_for_a_whole_run_misses_nothing(stack: Any, campaign: Any) -> None:
    stack.supervisor.stop(["lineage-server"])
    try:
        run_id, state = stack.run("medallion", {"tables": ["leads"], "fresh": True})
        assert state == "success"
        job_id = stack.job_of("medallion", run_id)
        waiting = stack.query(
            "SELECT count(*) AS n FROM event WHERE job_id = %s AND delivered_at IS NULL", job_id
        )
        assert waiting[0]["n"] > 10
    finally:
        stack.supervisor.start("lineage-server")
    stack.delivered(job_id, seconds=120)
    with connect() as client, transaction() as session:
        found = compare(session, client, job_id=job_id)
    assert found.runs > 3
    assert found.differences == ()


@pytest.mark.parametrize("point", ["written", "renamed"])
def test_a_kill_in_composition_is_resumed_with_the_same_bytes(stack: Any, campaign: Any, point: str) -> None:
    stack.program_fault(f"composition:{point}")
    conf = {"source": "file", "review": "unattended", "seed": 11, "fresh": False, **SHORT}
    if point == "renamed":
        conf["fresh"] = True
    run_id, state = stack.run("video", conf)
    assert stack.fault_fired(), "the fault did not fire"
    assert state == "success"
    job_id = stack.job_of("video", run_id)
    attempts = stack.query(
        "SELECT status FROM stage_run WHERE job_id = %s AND stage = 'composition' ORDER BY started_at", job_id
    )
    assert [row["status"] for row in attempts] == ["stale", "succeeded"]
    doubled = stack.query(
        "SELECT kind, key FROM artifact WHERE job_id = %s AND superseded_at IS NULL GROUP BY 1, 2 HAVING count(*) > 1",
        job_id,
    )
    assert doubled == []
    assert len(stack.query("SELECT 1 FROM video WHERE job_id = %s", job_id)) == 1
    stack.seen_videos.append(current(stack, job_id)["video", ""])
    assert len(set(stack.seen_videos)) == 1, "the same plan gave other bytes after a kill"
    with transaction() as session:
        found = traced(session, job_id=job_id)
    assert found.untraced == ()
    assert found.files == found.traced > 10


def test_the_killed_attempts_end_is_synthesised_and_marked(stack: Any, campaign: Any) -> None:
    killed = stack.query(
        "SELECT ol_run_id FROM stage_run WHERE stage = 'composition' AND status = 'stale' AND ol_run_id IS NOT NULL"
    )
    assert killed, "no attempt was killed before this test"
    stack.throughline("reconcile", "--grace-s", "0")
    for row in killed:
        ends = stack.query(
            "SELECT event_type FROM event WHERE run_id = %s AND event_type IN ('COMPLETE', 'FAIL', 'ABORT')",
            row["ol_run_id"],
        )
        assert len(ends) == 1


def test_a_failed_stage_fails_run_and_job(stack: Any) -> None:
    (stack.sources / "leads" / "2002-02-02.csv").write_text("")
    run_id, state = stack.run("medallion", {"tables": ["leads"], "partition": "2002-02-02"})
    assert state == "failed"
    job = stack.query("SELECT status, error FROM job WHERE job_id = %s", stack.job_of("medallion", run_id))
    assert job[0]["status"] == "failed"
    assert "leads" in job[0]["error"]


def test_a_rejected_review_ends_the_run_properly(stack: Any, campaign: Any) -> None:
    run_id, state = stack.run("video", {"source": "file", "seed": 11, **SHORT}, review="Reject")
    assert state == "success"
    job_id = stack.job_of("video", run_id)
    assert stack.query("SELECT status FROM job WHERE job_id = %s", job_id) == [{"status": "rejected"}]
    decisions = stack.query(
        "SELECT decision, reviewer, reason, unattended, video_sha256 FROM review_decision WHERE job_id = %s",
        job_id,
    )
    assert decisions == [
        {
            "decision": "rejected",
            "reviewer": "admin",
            "reason": "Reject by a test",
            "unattended": False,
            "video_sha256": current(stack, job_id)["video", ""],
        }
    ]


def test_a_cleared_campaign_makes_nothing_twice(stack: Any, campaign: Any) -> None:
    before = current(stack, campaign.job_id)
    runs = stack.query("SELECT dag_id, run_id FROM job_run WHERE job_id = %s", campaign.job_id)
    stack.clear("campaign", campaign.run_id)
    assert stack.wait("campaign", campaign.run_id, review="Approve") == "success"
    after = current(stack, campaign.job_id)
    assert {key for key in before if after.get(key) != before[key]} <= {
        ("decision", ""),
        ("dossier", ""),
        ("dossier_inputs", ""),
    }, "only what tells of the second run may differ"
    video = next(run["run_id"] for run in runs if run["dag_id"] == "video")
    tries = {task["task_id"]: task["try_number"] for task in stack.api.task_instances("video", video)}
    assert tries["review"] == 2, "an answer that came at once made the review fail"
    assert stack.query("SELECT dag_id, run_id FROM job_run WHERE job_id = %s", campaign.job_id) == runs
    with transaction() as session:
        assert verify(session) == []


def test_a_second_campaign_reuses_what_is_the_same(stack: Any, campaign: Any) -> None:
    run_id, state = stack.run("campaign", {"theme": "What a test watches", "n_leads": 1}, review="Approve")
    assert state == "success"
    job_id = stack.job_of("campaign", run_id)
    assert job_id != campaign.job_id
    first, second = current(stack, campaign.job_id), current(stack, job_id)
    for kind in ("table", "trends", "report", "script", "scene", "voiceover", "video", "thumbnail"):
        mine = {key: value for key, value in second.items() if key[0] == kind}
        assert mine
        assert mine == {key: value for key, value in first.items() if key[0] == kind}
    reused = stack.query(
        "SELECT count(*) AS n FROM artifact WHERE job_id = %s AND kind = 'video' AND reused_from IS NOT NULL",
        job_id,
    )
    assert reused == [{"n": 1}]
