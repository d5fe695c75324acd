"""Keep a running scheduler's hands off the temporary run of `airflow tasks test`.

That run stands in Airflow's database, in state running, while the one tested task works: a scheduler would work off
every other task of it for real, and meet its deletion half way. Schedulers examine only runs whose `run_after` has
come, so the temporary run is given one that does not come.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import event

from include.lineage.naming import is_rehearsal

NEVER = datetime(9000, 1, 1, tzinfo=UTC)


def hide_temporary_runs() -> None:
    """Let every temporary run that this process inserts wait for ever."""
    from airflow.models.dagrun import DagRun

    event.listen(DagRun, "before_insert", _wait_for_ever)


def _wait_for_ever(_mapper: Any, _connection: Any, run: Any) -> None:
    if is_rehearsal(run.run_id):
        run.run_after = NEVER
