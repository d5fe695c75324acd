"""`airflow tasks test` for every task of every DAG, judged by the ledger: a rehearsal that touches nobody's work."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.stack

TABLES = ("event", "artifact", "stage_run", "table_version", "stage_claim")


def tasks() -> list[tuple[str, str]]:
    from pathlib import Path

    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(Path(__file__).resolve().parents[2] / "dags"))
    return sorted((dag_id, task_id) for dag_id, dag in bag.dags.items() for task_id in dag.task_ids)


def counts(stack: Any) -> dict[str, int]:
    own = "job_id IN (SELECT job_id FROM job WHERE NOT rehearsal)"
    return {
        "artifact": stack.query(f"SELECT count(*) AS n FROM artifact WHERE {own}")[0]["n"],
        "stage_run": stack.query(f"SELECT count(*) AS n FROM stage_run WHERE {own}")[0]["n"],
        "event": stack.query(
            "SELECT count(*) AS n FROM event WHERE body::text LIKE '%%__airflow_temporary_run_%%'"
        )[0]["n"],
        "table_version": stack.query("SELECT count(*) AS n FROM table_version")[0]["n"],
        "stage_claim": stack.query("SELECT count(*) AS n FROM stage_claim")[0]["n"],
    }


def test_every_task_can_be_rehearsed_and_leaves_other_work_alone(stack: Any, campaign: Any) -> None:
    mapped = {
        ("video", "content_generation.render_scene"),
        ("reports", "audit.gather"),
        ("reports", "audit.render"),
    }
    before = counts(stack)
    broken = []
    for dag_id, task_id in tasks():
        done = stack.airflow("tasks", "test", dag_id, task_id, check=False)
        output = done.stdout + done.stderr
        if (dag_id, task_id) in mapped:
            if "mapped" not in output:
                broken.append(f"{dag_id} {task_id}: does not say that it is mapped: {output[-500:]}")
            continue
        failed = stack.query(
            "SELECT r.stage, r.error FROM stage_run r JOIN job USING (job_id)"
            " WHERE rehearsal AND r.status = 'failed'"
        )
        if done.returncode != 0 or failed or "Task failed" in output:
            broken.append(f"{dag_id} {task_id}: {failed or output[-1500:]}")
    assert broken == []
    assert counts(stack) == before
