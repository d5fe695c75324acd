"""### Reports on leads, and the dossier of a job

For each chosen lead: captures the exact rows of gold leads and assessments, scores what to improve, renders a PDF/A-3.
Then renders the production dossier: everything the job made, with its line.

**Reads** `lake/gold/leads`, `lake/gold/assessments` and the job's artifacts. **Writes** `reports/lead_audit`,
`reports/dossier`. Does not contact anybody. Daily, and by hand; **safe to clear** and to backfill: a report made from
the same inputs is reused.

Example: `{"leads": ["L-0001"], "dossier": false}`
"""

from airflow.sdk import dag, task_group

from include.operators.forms import form
from include.operators.job import CloseJobOperator, OpenJobOperator
from include.operators.retry import TASK_DEFAULTS
from include.operators.stage import StageOperator
from include.reports import declared
from include.reports.params import ReportsParams


@dag(
    schedule="30 1 * * *",
    doc_md=__doc__,
    tags=["reports"],
    params=form(ReportsParams),
    default_args=TASK_DEFAULTS,
    max_active_runs=4,
    catchup=False,
)
def reports() -> None:
    """Wire: choose leads, gather and render each, then the dossier."""
    opened = OpenJobOperator(task_id="open_job", model=ReportsParams)
    closed = CloseJobOperator(task_id="close_job").as_teardown(setups=opened, on_failure_fail_dagrun=True)
    chosen = StageOperator(task_id="choose_leads", stage=declared.CHOOSE_LEADS, returns="leads")

    @task_group
    def audit(lead: str) -> None:
        """Make one lead's audit."""
        gathered = StageOperator(task_id="gather", stage=declared.GATHER, key=lead)
        gathered >> StageOperator(task_id="render", stage=declared.RENDER, key=lead)

    audits = audit.expand(lead=chosen.output)
    # one bad lead fails the run, but neither the other leads nor the dossier that tells of it
    dossier_inputs = StageOperator(
        task_id="dossier_gather", stage=declared.DOSSIER_GATHER, trigger_rule="all_done"
    )
    dossier = StageOperator(task_id="dossier_render", stage=declared.DOSSIER_RENDER)
    opened >> chosen >> audits >> dossier_inputs >> dossier >> closed


reports()
