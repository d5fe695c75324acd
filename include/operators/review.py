"""The review: a person decides in Airflow, over REST or in the panel; nobody's worker waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param

from include.operators.coordinates import testing_a_task
from include.operators.stage import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.stage import Stage

log = structlog.get_logger("throughline.review")

SUBJECT = "Approve the video of job {{ ti.xcom_pull(task_ids='open_job') }}?"
BODY = """\
**{{ (ti.xcom_pull(task_ids='content_generation.write_script') or {}).get('title', '') }}**

* video: `{{ (ti.xcom_pull(task_ids='composition') or {}).get('video', '') }}`
* watch it with its quality report and its line: [the job's page](/lineage/jobs/{{ ti.xcom_pull(task_ids='open_job') }})
"""


class ReviewOperator(StageOperator, ApprovalOperator):
    """Publish the review's material, wait for a decision, record it with reviewer, reason and reviewed digest.

    With ``review=unattended`` in the form nobody is asked, and the decision says so.
    """

    ui_color = "#fbeed5"
    template_fields: tuple[str, ...] = (*StageOperator.template_fields, "subject", "body")

    def __init__(self, *, material: Stage, stage: Stage, **kwargs: Any) -> None:
        super().__init__(
            stage=stage,
            subject=SUBJECT,
            body=BODY,
            params={"reason": Param("", type=["null", "string"], description="Why; kept with the decision.")},
            **kwargs,
        )
        self.material = material

    def execute(self, context: Context) -> Any:
        """Wait for a person, unless the form says unattended or the task is only tested."""
        self.run(context, self.material, "material")
        params = self.stage_params if isinstance(self.stage_params, dict) else {}
        if params.get("review") == "unattended" or testing_a_task():
            if testing_a_task():
                log.info("would ask a person", subject=self.subject, options=self.options)
            return self._record(context, "approved", "unattended", "no person was asked", unattended=True)
        return ApprovalOperator.execute(self, context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record what the person decided."""
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

    def _record(
        self, context: Context, decision: str, reviewer: str, reason: str | None, *, unattended: bool
    ) -> dict[str, Any]:
        return self.run(
            context,
            self.stage,
            "decision",
            {"decision": decision, "reviewer": reviewer, "reason": reason, "unattended": unattended},
        )
