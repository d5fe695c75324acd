"""Keep `airflow tasks test` and the deployment's own runs out of each other's way.

Its temporary run stands in Airflow's database, in state running, while the one tested task works: a scheduler would
work off every other task of it for real, and meet its deletion half way. Schedulers examine only runs whose `run_after`
has come, so the temporary run is given one that does not come.

Before it makes that run, Airflow deletes a run of equal logical date, with its history. Without a date on the command
line that is any run without one, which is how runs are triggered by hand: what is not temporary is not deleted here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from include.lineage.naming import is_rehearsal

NEVER = datetime(9000, 1, 1, tzinfo=UTC)


def keep_apart() -> None:
    """Let every temporary run that this process inserts wait for ever, and let it delete no other."""
    from airflow.models.dagrun import DagRun

    event.listen(DagRun, "before_insert", _wait_for_ever)
    event.listen(Session, "before_flush", _keep_real_runs)


def _wait_for_ever(_mapper: Any, _connection: Any, run: Any) -> None:
    if is_rehearsal(run.run_id):
        run.run_after = NEVER


def _keep_real_runs(session: Session, _context: Any, _instances: Any) -> None:
    from airflow.models.dagrun import DagRun

    doomed = list(session.deleted)
    if any(isinstance(one, DagRun) and not is_rehearsal(one.run_id) for one in doomed):
        for one in doomed:  # the run, and what its deletion would take along
            session.add(one)
