"""What an orchestrator can say of a run, as the reconciler asks it; `include.operators` has the one that asks Airflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Whereabouts:
    """The state of a DAG run or of the newest try of a task instance; `ended_at` in UTC, None while it lives."""

    state: str | None
    ended_at: datetime | None = None
    try_number: int = 0


class Orchestrator(Protocol):
    """Answers for runs it knows; None for one that is gone. Raises ProviderUnavailable when it cannot be asked."""

    def task(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> Whereabouts | None:
        """Return where a task instance is; a mapped one by its index, others by -1."""

    def dag_run(self, dag_id: str, run_id: str) -> Whereabouts | None:
        """Return where a DAG run is."""
