"""`airflow tasks test` for every task of every DAG on the running stack, judged by the ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.stack

HERE = Path(__file__).resolve().parent
MAPPED = {
    ("video", "content_generation.render_scene"),
    ("reports", "audit.gather"),
    ("reports", "audit.render"),
}
MAINTENANCE = "upkeep"


def tasks() -> list[tuple[str, str]]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(HERE.parents[1] / "dags"))
    return sorted((dag_id, task_id) for dag_id, dag in bag.dags.items() for task_id in dag.task_ids)


def counts(stack: Any) -> dict[str, int]:
    """Count the rows that are somebody's."""
    own = "job_id IN (SELECT job_id FROM job WHERE NOT rehearsal)"
    questions = {
        "artifact": f"artifact WHERE {own}",
        "stage_run": f"stage_run WHERE {own}",
        "table_version": "table_version",
        "stage_claim": "stage_claim",
        "event": "event WHERE body::text LIKE '%%__airflow_temporary_run_%%'",
    }
    return {
        name: stack.query(f"SELECT count(*) AS n FROM {question}")[0]["n"]
        for name, question in questions.items()
    }


def ended_runs(stack: Any) -> set[tuple[str, str]]:
    """Every run that Airflow knows as ended, by DAG."""
    return {
        (dag_id, run["dag_run_id"])
        for dag_id in stack.api.dags()
        for run in stack.api.dag_runs(dag_id, ("success", "failed"))
    }


def rehearse(stack: Any, wanted: list[tuple[str, str]]) -> tuple[dict[tuple[str, str], str | None], str]:
    """Return what each task's command ended with, and everything that was printed."""
    done = subprocess.run(
        [sys.executable, str(HERE / "rehearsals.py"), *(word for task in wanted for word in task)],
        env=os.environ | stack.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"task"')]
    return {(one["task"][0], one["task"][1]): one["error"] for one in told}, done.stderr


def test_every_task_can_be_rehearsed_and_leaves_other_work_alone(stack: Any, campaign: Any) -> None:
    before, runs_before = counts(stack), ended_runs(stack)
    assert ("campaign", campaign.run_id) in runs_before
    ended, printed = rehearse(stack, tasks())
    assert set(ended) == set(tasks()), printed[-3000:]
    assert {task for task, error in ended.items() if error and "mapped" in error} == MAPPED
    assert {task: error for task, error in ended.items() if error and task not in MAPPED} == {}
    runs = stack.query(
        "SELECT r.dag_id, r.task_id, r.status, r.error FROM stage_run r JOIN job USING (job_id) WHERE rehearsal"
    )
    assert [run for run in runs if run["status"] not in {"succeeded", "reused", "skipped"}] == []
    stages = {
        (dag, task)
        for dag, task in tasks()
        if task not in {"open_job", "close_job"} and not task.startswith("trigger_") and dag != MAINTENANCE
    }
    assert stages - MAPPED - {(run["dag_id"], run["task_id"]) for run in runs} == set()
    assert "Task failed" not in printed
    assert counts(stack) == before
    assert runs_before - ended_runs(stack) == set(), (
        "Airflow deletes a run without a date for its temporary one"
    )
