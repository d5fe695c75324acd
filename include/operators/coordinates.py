"""Where a task runs: its Airflow coordinates, its OpenLineage run, its job."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.lineage.naming import derived_job_id, is_rehearsal, job_id_of
from include.stage import Coordinates

if TYPE_CHECKING:
    from airflow.sdk import Context


def coordinates(context: Context) -> Coordinates:
    """Return the coordinates of the running task; run ids are the provider's own deterministic ones."""
    from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
    from airflow.providers.openlineage.plugins.macros import lineage_run_id

    ti: Any = context["ti"]
    dag_run: Any = context["dag_run"]
    clear_number = getattr(dag_run, "clear_number", 0) or 0
    pipeline = OpenLineageAdapter.build_dag_run_id(
        dag_id=ti.dag_id, logical_date=dag_run.logical_date or dag_run.run_after, clear_number=clear_number
    )
    return Coordinates(
        dag_id=ti.dag_id,
        run_id=dag_run.run_id,
        task_id=ti.task_id,
        map_index=ti.map_index if ti.map_index is not None else -1,
        try_number=ti.try_number,
        ol_run_id=UUID(str(lineage_run_id(ti))),
        pipeline_run_id=UUID(str(pipeline)),
        logical_date=dag_run.logical_date,
        clear_number=clear_number,
    )


def rehearsing(context: Context) -> bool:
    """Return whether this is `airflow tasks test` without a run id: work that must touch nobody's."""
    dag_run: Any = context["dag_run"]
    return is_rehearsal(dag_run.run_id)


def testing_a_task() -> bool:
    """Return whether `airflow tasks test` runs this task, with or without a run id."""
    return os.environ.get("AIRFLOW_TEST_MODE") == "True"


def own_job_id(context: Context) -> UUID:
    """Return the id of the job that this run opens when it is given none."""
    dag_run: Any = context["dag_run"]
    ti: Any = context["ti"]
    return derived_job_id(ti.dag_id, dag_run.run_id)


def wanted_job_id(context: Context) -> UUID:
    """Return the job this run works for, from conf or derived."""
    dag_run: Any = context["dag_run"]
    ti: Any = context["ti"]
    return job_id_of(ti.dag_id, dag_run.run_id, dag_run.conf)


def is_scheduled(dag_run: Any) -> bool:
    """Return whether the schedule made this run, not a person, another DAG or a backfill."""
    return str(getattr(dag_run.run_type, "value", dag_run.run_type)) == "scheduled"
