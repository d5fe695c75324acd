"""The review: a person decides in Airflow, over REST or in the panel; nobody's worker waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from sqlalchemy import select

from include.ledger.models import StageRun
from include.ledger.session import transaction
from include.operators.coordinates import coordinates, testing_a_task
from include.operators.stage import StageOperator

if TYPE_CHECKING:
    from uuid import UUID

    from airflow.sdk import Context

    from include.stage import Stage


def facts_of_run(ol_run_id: UUID | None) -> dict[str, Any]:
    """Return the facts that the first half of a waiting task left in the ledger."""
    with transaction() as session:
        found = session.execute(
            select(StageRun.facts)
            .where(StageRun.ol_run_id == ol_run_id, StageRun.status.in_(("succeeded", "reused")))
            .order_by(StageRun.finished_at.desc())
            .limit(1)
        ).scalar_one_or_none()
    return found or {}


log = structlog.get_logger("throughline.review")

SUBJECT = "Approve the video of job {{ ti.xcom_pull(task_ids='open_job') }}?"
BODY = """\
**{{ (ti.xcom_pull(task_ids='content_generation.write_script', key='result') or {}).get('title', '') }}**

* video: `{{ (ti.xcom_pull(task_ids='composition', key='result') or {}).get('video', '') }}`
* watch it with its quality report and its line: [the job's page](/lineage/jobs/{{ ti.xcom_pull(task_ids='open_job') }})
"""


def reason_only() -> ParamsDict:
    """Return the reviewer's form. At run time a task's params hold the DAG's too, and the answer would not match."""
    return ParamsDict(
        {"reason": Param("", type=["null", "string"], description="Why; kept with the decision.")}
    )


class ReviewOperator(StageOperator, ApprovalOperator):
    """Publish the review's material, wait for a decision, record it with reviewer, reason and reviewed digest.

    With ``review=unattended`` in the form nobody is asked, and the decision says so.
    """

    ui_color = "#fbeed5"
    template_fields: tuple[str, ...] = (*StageOperator.template_fields, "subject", "body")

    def __init__(self, *, material: Stage, stage: Stage, **kwargs: Any) -> None:
        kwargs["execution_timeout"] = None  # it would bound the wait for a person, too
        kwargs.setdefault("doc_md", f"{material.doc}\n\n{stage.doc}")
        super().__init__(stage=stage, subject=SUBJECT, body=BODY, **kwargs)
        self.material = material

    def execute(self, context: Context) -> Any:
        """Wait for a person, unless the form says unattended or the task is only tested."""
        self.run(context, self.material, "material")
        if self.form(context).get("review") == "unattended" or testing_a_task():
            if testing_a_task():
                log.info("would ask a person", subject=self.subject, options=self.options)
            return self._record(context, "approved", "unattended", "no person was asked", unattended=True)
        self.params = reason_only()
        return ApprovalOperator.execute(self, context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record what the person decided."""
        self.params = reason_only()
        self.facts = facts_of_run(coordinates(context).ol_run_id)
        answer = ApprovalOperator.execute_complete(self, context, event)
        approved = answer["chosen_options"] == [self.APPROVE]
        user = answer.get("responded_by_user") or {}
        return self._record(
            context,
            "approved" if approved else "rejected",
            str(user.get("name") or user.get("id") or "unknown"),
            (answer.get("params_input") or {}).get("reason") or None,
            unattended=False,
        )

    def _observe(self, facts: dict[str, Any]) -> None:
        """Join the facts of the material and of the decision: they are one task, so one run of the graph."""
        made = [*self.facts.get("outputs", []), *facts.get("outputs", [])]
        names = {item["artifact_id"] for item in made}
        read = {
            item["artifact_id"]: item for item in [*self.facts.get("inputs", []), *facts.get("inputs", [])]
        }
        inputs = [item for artifact_id, item in read.items() if artifact_id not in names]
        self.facts = {**facts, "inputs": inputs, "outputs": made}

    def declared(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what both halves of the task say."""
        outputs = (*self.material.outputs, *self.stage.outputs)
        inputs = dict.fromkeys((*self.material.inputs, *self.stage.inputs))
        return tuple(name for name in inputs if name not in outputs), outputs

    def _record(
        self, context: Context, decision: str, reviewer: str, reason: str | None, *, unattended: bool
    ) -> dict[str, Any]:
        return self.run(
            context,
            self.stage,
            "decision",
            {"decision": decision, "reviewer": reviewer, "reason": reason, "unattended": unattended},
        )
