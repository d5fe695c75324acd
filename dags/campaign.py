"""### One job through all three families

Opens a job and triggers, one after the other, with that job's `job_id`:

* **medallion** - trends, leads and assessments from source to gold,
* **video** - made from the gold trends of the same job,
* **reports** - audits of the best leads, and the dossier of everything the job made.

**Reads** what the families read, **writes** what they write. The video waits for a review: answer it under
*Required actions*, or choose `unattended`.

**Safe to clear**: a cleared campaign resets the same family runs; what is finished is reused, nothing is doubled.

Example: `{"theme": "Music that travels", "target_s": 18, "n_leads": 3}`
"""

from airflow.sdk import dag

from include.operators.campaign import CampaignParams
from include.operators.forms import form
from include.operators.job import CloseJobOperator, OpenJobOperator
from include.operators.retry import TASK_DEFAULTS
from include.operators.trigger import TriggerFamilyOperator


@dag(
    schedule=None,
    doc_md=__doc__,
    tags=["campaign"],
    params=form(CampaignParams),
    default_args=TASK_DEFAULTS,
    max_active_runs=4,
)
def campaign() -> None:
    """Wire the three families of one job."""
    opened = OpenJobOperator(task_id="open_job", model=CampaignParams)
    closed = CloseJobOperator(
        task_id="close_job", requires=("table", "video", "thumbnail", "lead_audit", "dossier")
    ).as_teardown(setups=opened, on_failure_fail_dagrun=True)
    medallion = TriggerFamilyOperator(family="medallion", passes=("fresh",))
    video = TriggerFamilyOperator(
        family="video",
        conf={"source": "gold"},
        passes=("theme", "target_s", "seed", "review", "fresh"),
    )
    reports = TriggerFamilyOperator(family="reports", passes=("n_leads", "fresh"))
    opened >> medallion >> video >> reports >> closed


campaign()
