"""The reconciler beside a real Airflow: it asks over the REST API which runs are over, and how they ended."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from include.ledger.session import transaction
from include.operators.whereabouts import connect
from include.proof.verify import verify

pytestmark = pytest.mark.stack

LOSE = """
DELETE FROM event WHERE job_id = %s AND event_type = 'COMPLETE' AND job_name = ANY(%s)
RETURNING run_id
"""
LOST = ["medallion", "medallion.open_job"]


def test_ends_that_were_lost_are_asked_of_airflow(stack: Any) -> None:
    run_id, state = stack.run("medallion", {"tables": ["leads"]})
    assert state == "success"
    job_id = stack.job_of("medallion", run_id)
    stack.delivered(job_id)
    with psycopg.connect(stack.environment["THROUGHLINE_LEDGER_ADMIN_DSN"]) as owner:
        lost = [row[0] for row in owner.execute(LOSE, (job_id, LOST)).fetchall()]
    assert len(lost) == len(LOST)
    told = stack.throughline("reconcile", "--grace-s", "0", "--job", str(job_id), "--no-server").stdout
    for name, run in zip(LOST, lost, strict=False):
        assert f"COMPLETE {name} " in told, run
    ends = stack.query(
        "SELECT event_type, body #>> '{run,facets,throughline_job,reconciled}' AS marked FROM event"
        " WHERE run_id = ANY(%s) AND event_type <> 'START'",
        lost,
    )
    assert ends == [{"event_type": "COMPLETE", "marked": "true"}] * len(LOST)
    with transaction() as session:
        assert verify(session, job_id=job_id) == []


def test_airflow_says_where_its_runs_are(stack: Any) -> None:
    run_id, _ = stack.run("medallion", {"tables": ["leads"]})
    with connect() as airflow:
        ended = airflow.dag_run("medallion", run_id)
        task = airflow.task("medallion", run_id, "open_job", -1)
        assert airflow.dag_run("medallion", "no such run") is None
        assert airflow.task("medallion", run_id, "no_such_task", -1) is None
        assert airflow.task("medallion", run_id, "open_job", 7) is None
    assert ended is not None
    assert (ended.state, ended.ended_at is None) == ("success", False)
    assert task is not None
    assert (task.state, task.try_number) == ("success", 1)


def test_upkeep_reconciles_delivers_and_reads_the_store_back(stack: Any) -> None:
    run_id = stack.trigger("upkeep", {})
    stack.wait("upkeep", run_id)
    states = {task["task_id"]: task["state"] for task in stack.api.task_instances("upkeep", run_id)}
    chores = ("reconcile", "drain", "sweep", "read_back")
    assert {name: states[name] for name in chores} == dict.fromkeys(chores, "success"), states
    assert stack.query("SELECT count(*) > 0 AS some FROM blob_check WHERE problem IS NULL") == [
        {"some": True}
    ]
