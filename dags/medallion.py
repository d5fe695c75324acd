"""### Tables from source to gold

Per declared table: **ingest** (all text, faithful, broken lines to quarantine), **bronze** (names, types), **silver**
(clean, deduplicated, rules), **gold** (derived fields). Every hop balances its rows and logs its transition.

**Reads** the file of each table: for a date `<sources>/<table>/<date>.csv`, else the file that the deployment names, else
the bundled sample. **Writes** `lake/<layer>/<table>`. A date without a file is skipped, and says so.

Daily, and by hand; **safe to clear** and to backfill: a partition is replaced as a whole, equal input changes nothing.

Example: `{"tables": ["leads"], "partition": "2026-11-01"}`
"""

from airflow.sdk import dag, task_group

from include.medallion import declared
from include.medallion.params import MedallionParams
from include.operators.forms import form
from include.operators.job import CloseJobOperator, OpenJobOperator
from include.operators.retry import TASK_DEFAULTS
from include.operators.stage import StageOperator

PARTITION = "{{ ti.xcom_pull(task_ids='open_job', key='partition') or 'latest' }}"


@dag(
    schedule="0 0 * * *",
    doc_md=__doc__,
    tags=["medallion"],
    params=form(MedallionParams),
    default_args=TASK_DEFAULTS,
    max_active_runs=4,
    catchup=False,
)
def medallion() -> None:
    """Wire four layers per table."""
    opened = OpenJobOperator(task_id="open_job", model=MedallionParams)
    closed = CloseJobOperator(task_id="close_job").as_teardown(setups=opened, on_failure_fail_dagrun=True)
    for table in declared.TABLES:

        @task_group(group_id=table)
        def layers(table: str = table) -> None:
            """Promote one table."""
            before = None
            for stage in declared.stages_of(table):
                name = stage.name.partition(".")[2]
                here = StageOperator(task_id=name, stage=stage, key=PARTITION)
                if before is not None:
                    before >> here
                before = here

        opened >> layers() >> closed


medallion()
