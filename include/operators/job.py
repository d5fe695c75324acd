"""The first and the last task of every DAG: open the job, close it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from airflow.sdk import BaseOperator

from include.errors import InvalidInput, QualityGateFailed
from include.ledger import jobs
from include.ledger.session import transaction
from include.operators.coordinates import is_scheduled, own_job_id, rehearsing
from include.operators.forms import read_conf
from include.operators.masking import hidden, quiet_logs

if TYPE_CHECKING:
    from airflow.sdk import Context
    from pydantic import BaseModel

log = structlog.get_logger("throughline.job")
LATEST = "latest"
FAILED_STATES = {"failed", "upstream_failed"}


class OpenJobOperator(BaseOperator):
    """Validate the run's form, insert or find its job, hand job_id on by XCom.

    Pushes XComs ``return_value`` (job_id), ``params`` (validated, plain JSON) and ``partition`` (the date of a
    scheduled or backfilled run, else what the form says, else ``latest``).
    """

    ui_color = "#dfe8f5"

    def __init__(self, *, model: type[BaseModel], **kwargs: Any) -> None:
        kwargs.setdefault("doc_md", "Check the run's form and open its job, or find the one it names.")
        super().__init__(**kwargs)
        self.model = model

    def execute(self, context: Context) -> str:
        """Return the job_id; raise InvalidInput, after recording the refusal, for a conf that cannot be."""
        with quiet_logs():
            return self._open(context)

    def _open(self, context: Context) -> str:
        dag_run: Any = context["dag_run"]
        ti: Any = context["ti"]
        derived = own_job_id(context)
        try:
            params = read_conf(self.model, dict(context["params"]), dag_run.conf)
            given = params.pop("job_id", None)
            with transaction() as session:
                job_id = jobs.open_job(
                    session,
                    derived=derived,
                    given=UUID(given) if given else None,
                    dag_id=ti.dag_id,
                    run_id=dag_run.run_id,
                    params=params,
                    theme=params.get("theme"),
                    rehearsal=rehearsing(context),
                )
        except InvalidInput as error:
            with transaction() as session:
                jobs.refuse_run(
                    session,
                    derived,
                    dag_id=ti.dag_id,
                    run_id=dag_run.run_id,
                    error=hidden(f"{type(error).__name__}: {error}"),
                )
            raise
        log.info("job opened", job_id=str(job_id), dag_id=ti.dag_id, run_id=dag_run.run_id)
        partition = _partition(params, dag_run)
        if "partition" in params and partition != LATEST:
            params["partition"] = partition
        ti.xcom_push(key="params", value=params)
        ti.xcom_push(key="partition", value=partition)
        return str(job_id)


def _partition(params: dict[str, Any], dag_run: Any) -> str:
    given = params.get("partition")
    if given:
        return str(given)
    kind = str(getattr(dag_run.run_type, "value", dag_run.run_type))
    if kind in {"scheduled", "backfill"} and dag_run.logical_date is not None:
        return str(dag_run.logical_date.date().isoformat())
    return LATEST


class CloseJobOperator(BaseOperator):
    """Note how the run ended; refuse to complete a job whose required artifacts do not all verify.

    `requires` are artifact kinds that a completed job of this DAG has; a scheduled run may be held to fewer.
    """

    ui_color = "#dfe8f5"
    template_fields = ("job_id",)

    def __init__(
        self,
        *,
        requires: tuple[str, ...] = (),
        requires_when_scheduled: tuple[str, ...] | None = None,
        job_id: str = "{{ ti.xcom_pull(task_ids='open_job') or '' }}",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault(
            "doc_md", "Note how the run ended; a job completes only with every artifact that it requires."
        )
        super().__init__(**kwargs)
        self.requires = requires
        self.requires_when_scheduled = (
            requires if requires_when_scheduled is None else requires_when_scheduled
        )
        self.job_id = job_id

    def execute(self, context: Context) -> str:
        """Return the job's status: completed, rejected or failed."""
        from include.proof.completion import missing_of, rejected

        dag_run: Any = context["dag_run"]
        ti: Any = context["ti"]
        if not self.job_id:
            log.info("no job was opened by this run; nothing to close")
            return "refused"
        job_id = UUID(self.job_id)
        failed = self._failed_tasks(ti, dag_run)
        error = None
        with transaction() as session:
            status = "completed"
            if failed:
                status, error = "failed", f"failed tasks: {', '.join(failed)}"
            elif rejected(session, job_id):
                status = "rejected"
            elif missing := missing_of(session, job_id, self._required(dag_run)):
                status, error = "failed", "; ".join(missing)
            jobs.close_job(
                session, job_id, dag_id=ti.dag_id, run_id=dag_run.run_id, status=status, error=error
            )
        log.info("job closed", job_id=str(job_id), dag_id=ti.dag_id, status=status, error=error)
        if status == "failed":
            raise QualityGateFailed(f"job {job_id} cannot complete: {error}")
        return status

    def _required(self, dag_run: Any) -> tuple[str, ...]:
        return self.requires_when_scheduled if is_scheduled(dag_run) else self.requires

    @staticmethod
    def _failed_tasks(ti: Any, dag_run: Any) -> list[str]:
        """Return the failed tasks of this run, as Airflow knows them."""
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[dag_run.run_id]).get(dag_run.run_id, {})
        return sorted(task for task, state in states.items() if str(state) in FAILED_STATES)
