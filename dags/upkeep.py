"""### Keep the line whole

Every hour: delivers lineage events that wait (only when the relay is down), makes the missing starts and ends of runs
that were killed, sends again what the lineage server lost, reads back a share of the files, looks for files that a death
left behind, and checks the invariants.

**Reads** the ledger, the artifact store, the lineage server, Airflow's API. **Writes** events; deletes orphan files
older than a day only with `dry_run` off. **Safe to clear**: everything here is idempotent.
"""

from airflow.sdk import dag, task

from include.operators import upkeep as work
from include.operators.campaign import UpkeepParams
from include.operators.forms import form
from include.operators.job import CloseJobOperator, OpenJobOperator
from include.operators.retry import TASK_DEFAULTS


@dag(
    schedule="17 * * * *",
    doc_md=__doc__,
    tags=["upkeep"],
    params=form(UpkeepParams),
    default_args=TASK_DEFAULTS,
    max_active_runs=1,
    catchup=False,
)
def upkeep() -> None:
    """Wire the chores."""
    opened = OpenJobOperator(task_id="open_job", model=UpkeepParams)
    closed = CloseJobOperator(task_id="close_job").as_teardown(setups=opened, on_failure_fail_dagrun=True)
    drained = task(work.drain)()
    reconciled = task(work.reconcile)()
    swept = task(work.sweep)()
    read = task(work.read_back)()
    verified = task(work.verify)()
    opened >> drained >> reconciled >> swept >> [read, verified] >> closed


upkeep()
