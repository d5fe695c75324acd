"""The campaign's trigger: a family's DAG for the same job, once per campaign run, waited for without a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

from include.operators.coordinates import testing_a_task

if TYPE_CHECKING:
    from airflow.sdk import Context

log = structlog.get_logger("throughline.trigger")


class TriggerFamilyOperator(TriggerDagRunOperator):
    """Trigger a family with the campaign's job_id.

    The run id is derived from job and family, so that a cleared campaign resets the same run instead of adding one.
    `passes` names the campaign's own parameters that the family is given.
    """

    def __init__(
        self, *, family: str, conf: dict[str, Any] | None = None, passes: tuple[str, ...] = (), **kwargs: Any
    ) -> None:
        job = "{{ ti.xcom_pull(task_ids='open_job') }}"
        kwargs.setdefault("doc_md", f"Run the {family} DAG for the campaign's job, and wait for its end.")
        kwargs.setdefault("task_id", f"trigger_{family}")
        super().__init__(
            trigger_dag_id=family,
            trigger_run_id=f"campaign__{job}__{family}",
            conf={**(conf or {}), "job_id": job},
            reset_dag_run=True,
            wait_for_completion=True,
            deferrable=True,
            poke_interval=2,
            logical_date=None,
            **kwargs,
        )
        self.passes = passes

    def execute(self, context: Context) -> Any:
        """Trigger and wait; `airflow tasks test` only says what would be triggered."""
        ti: Any = context["ti"]
        params = ti.xcom_pull(task_ids="open_job", key="params") or {}
        self.conf = {**(self.conf or {}), **{name: params[name] for name in self.passes if name in params}}
        if testing_a_task():
            log.info("would trigger", dag=self.trigger_dag_id, run_id=self.trigger_run_id, conf=self.conf)
            return None
        return super().execute(context)
