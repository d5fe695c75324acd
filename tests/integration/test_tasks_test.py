"""`airflow tasks test` for every task of every DAG, judged by the ledger: a rehearsal that touches nobody's work."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytestmark = pytest.mark.stack

MAPPED = {
    ("video", "content_generation.render_scene"),
    ("reports", "audit.gather"),
    ("reports", "audit.render"),
}


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


def rehearse(stack: Any, task: tuple[str, str]) -> str | None:
    """Return what went wrong in `airflow tasks test`, or None."""
    done = stack.airflow("tasks", "test", *task, check=False)
    output = done.stdout + done.stderr
    if task in MAPPED:
        return None if "mapped" in output else f"{task} does not say that it is mapped: {output[-500:]}"
    return f"{task}: {output[-1500:]}" if done.returncode != 0 or "Task failed" in output else None


def test_every_task_can_be_rehearsed_and_leaves_other_work_alone(stack: Any, campaign: Any) -> None:
    before = counts(stack)
    with ThreadPoolExecutor(2) as pool:
        broken = [problem for problem in pool.map(lambda task: rehearse(stack, task), tasks()) if problem]
    failed = stack.query(
        "SELECT r.stage, r.error FROM stage_run r JOIN job USING (job_id) WHERE rehearsal AND r.status = 'failed'"
    )
    assert (broken, failed) == ([], [])
    rehearsed = stack.query(
        "SELECT DISTINCT r.stage FROM stage_run r JOIN job USING (job_id) WHERE rehearsal AND r.status <> 'running'"
    )
    assert len(rehearsed) > 20, "the tasks did not run"
    assert counts(stack) == before
