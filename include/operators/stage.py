"""The operator that runs a declared stage and answers the OpenLineage provider from the stage's own facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from include.errors import NotReady
from include.ledger import jobs
from include.ledger.models import Job
from include.ledger.session import transaction
from include.operators.coordinates import (
    coordinates,
    is_scheduled,
    own_job_id,
    rehearsing,
    wanted_job_id,
)
from include.operators.masking import hidden, quiet_logs
from include.stage import SkipStage, Stage, run_stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context


class StageOperator(BaseOperator):
    """Run one stage for the job of this run.

    `only_when_triggered` ends a scheduled run before this task. `key` tells apart what one stage makes several of: a
    scene number, a lead, a partition. `returns` names the list of the result that later tasks are mapped over (Airflow
    maps over return values only). The lineage methods are lazy and free of side effects; they read `declared` and the
    facts that the unit of work handed over.
    """

    ui_color = "#e6f2e4"
    template_fields: tuple[str, ...] = ("job_id", "key")

    def __init__(
        self,
        *,
        stage: Stage,
        key: Any = "",
        returns: str | None = None,
        only_when_triggered: bool = False,
        job_id: str = "{{ ti.xcom_pull(task_ids='open_job') or '' }}",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("doc_md", stage.doc)
        super().__init__(**kwargs)
        self.stage = stage
        self.key = key
        self.returns = returns
        self.only_when_triggered = only_when_triggered
        self.job_id = job_id
        self.facts: dict[str, Any] = {}

    @classmethod
    def of_each(cls, task_id: str, stage: Stage) -> Any:
        """Return the stage's task to be mapped with `expand`; Airflow asks no mapped task for its own documentation."""
        return cls.partial(task_id=task_id, stage=stage, doc_md=stage.doc)

    def execute(self, context: Context) -> Any:
        """Return the stage's small result, or the one field of it that others are mapped over; skip in a scheduled run what only a person asks for."""
        dag_run: Any = context["dag_run"]
        if self.only_when_triggered and is_scheduled(dag_run):
            raise AirflowSkipException("scheduled runs end here; trigger the DAG to go on")
        result = self.run(context, self.stage, self.key)
        context["ti"].xcom_push(key="result", value=result)
        return result[self.returns] if self.returns else result

    def run(
        self, context: Context, stage: Stage, key: str, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run a stage in this task's place; its facts become this run's lineage."""
        rehearsal = rehearsing(context)
        try:
            with quiet_logs():
                outcome = run_stage(
                    stage,
                    job_id=self._job(context, rehearsal),
                    key=str(key),
                    params={**self.form(context), **(extra or {})},
                    at=coordinates(context),
                    rehearsal=rehearsal,
                    observe=self._observe,
                    hide=hidden,
                )
        except SkipStage as skip:
            raise AirflowSkipException(str(skip)) from skip
        return outcome.result

    def form(self, context: Context) -> dict[str, Any]:
        """Return the run's validated parameters; a rehearsal without a first task has the form's defaults."""
        ti: Any = context["ti"]
        return ti.xcom_pull(task_ids="open_job", key="params") or dict(context["params"])

    def _observe(self, facts: dict[str, Any]) -> None:
        self.facts = facts

    def _job(self, context: Context, rehearsal: bool) -> UUID:
        """Return the job of this run; a rehearsal opens its own, which nobody else reads."""
        ti: Any = context["ti"]
        dag_run: Any = context["dag_run"]
        if rehearsal:
            derived = own_job_id(context)
            with transaction() as session:
                return jobs.open_job(
                    session,
                    derived=derived,
                    given=None,
                    dag_id=ti.dag_id,
                    run_id=dag_run.run_id,
                    params={},
                    rehearsal=True,
                )
        job_id = UUID(self.job_id) if self.job_id else wanted_job_id(context)
        with transaction() as session:
            if session.get(Job, job_id) is None:
                raise NotReady(
                    f"run {dag_run.run_id} has no job yet: run its first task, "
                    f"`airflow tasks test {ti.dag_id} open_job {dag_run.run_id}`"
                )
        return job_id

    # -- lineage: asked by the OpenLineage provider ---------------------------------------------------------------

    def get_openlineage_facets_on_start(self) -> Any:
        """Return the declared datasets, so that the graph is whole before the first run ends."""
        return self._lineage({})

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return declared plus actual datasets, from the facts."""
        return self._lineage(self.facts, task_instance)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Return declared plus read datasets, from what the failed attempt recorded."""
        return self._lineage(self.facts, task_instance)

    def _lineage(self, facts: dict[str, Any], task_instance: Any = None) -> Any:
        from airflow.providers.openlineage.extractors import OperatorLineage

        from include.lineage.facets import JOB_FACET, inputs_of, job_facet, outputs_of

        run_facets = {}
        if facts and task_instance is not None:
            run_facets[JOB_FACET] = job_facet(facts, dag_id=task_instance.dag_id, run_id=task_instance.run_id)
        inputs, outputs = self.declared()
        return OperatorLineage(
            inputs=inputs_of(facts, inputs),
            outputs=outputs_of(facts, outputs),
            run_facets=run_facets,
        )

    def declared(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names of the datasets that this task says it reads and makes."""
        return self.stage.inputs, self.stage.outputs
