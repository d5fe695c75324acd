"""Two stages that ran for a job, and the events that Airflow would tell of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg

from include.ledger.jobs import open_job
from include.ledger.session import transaction
from include.lineage.events import store_event
from include.lineage.relay import drain_once
from include.stage import Coordinates, Stage, run_stage
from tests.include.lineage.by_function import ByFunction

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, str(Path(__file__).parents[1] / "stage"))

ADMIT = Stage(
    "admit", "test", "toy_stages:admit", ("sources/words",), ("media/trends",), code=("include/errors.py",)
)
SHOUT = Stage(
    "shout", "test", "toy_stages:shout", ("media/trends",), ("media/scripts",), code=("include/errors.py",)
)
FAIL = Stage(
    "fail", "test", "toy_stages:fail", ("media/trends",), ("media/scripts",), code=("include/errors.py",)
)


@dataclass
class Made:
    """A job of the DAG run ``test manual__1``: `runs` has the OpenLineage run of each task."""

    dsn: str
    job: UUID
    runs: dict[str, UUID]
    words: Path

    def run(self, stage: Stage, run: UUID | None = None, **params: Any) -> UUID:
        """Run a stage as a task of the same name; return its OpenLineage run."""
        ol_run = run or uuid4()
        at = Coordinates(dag_id="test", run_id="manual__1", task_id=stage.name, ol_run_id=ol_run)
        run_stage(stage, job_id=self.job, params={"file": str(self.words), **params}, at=at)
        return ol_run

    def event(
        self, task: str | None, kind: str, minute: float = 0.0, run: UUID | None = None, **changes: Any
    ) -> dict[str, Any]:
        """An event of a task's run (None: of the DAG run), its time `minute` minutes from now."""
        name = f"test.{task}" if task else "test"
        told: dict[str, Any] = {
            "eventType": kind,
            "eventTime": (datetime.now(UTC) + timedelta(minutes=minute)).isoformat(),
            "producer": "https://airflow.example",
            "job": {"namespace": "throughline", "name": name, "facets": {}},
            "run": {
                "runId": str(run or self.runs[task or "test"]),
                "facets": {
                    "throughline_job": {"job_id": str(self.job), "dag_id": "test", "run_id": "manual__1"},
                    **({"airflow": {"taskInstance": {"try_number": 1}}} if task else {}),
                },
            },
            "inputs": [],
            "outputs": [],
        }
        return {**told, **changes}

    def tell(self, *events: dict[str, Any]) -> None:
        """Store events."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for event in events:
                assert store_event(connection, event)

    def tell_all(self) -> None:
        """Store a START and a COMPLETE of every task and of the DAG run, and call them delivered."""
        for task in [*(name for name in self.runs if name != "test"), None]:
            self.tell(self.event(task, "START", -2), self.event(task, "COMPLETE", -1))
        self.sql("UPDATE event SET delivered_at = now(), attempts = 1")

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser; guards are off, so that corruption can be seeded."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def an_hour_passes(self) -> None:
        """Let everything of the ledger have happened an hour ago."""
        self.sql("UPDATE stage_run SET finished_at = finished_at - interval '1 hour'")
        self.sql("UPDATE job_run SET finished_at = finished_at - interval '1 hour'")
        self.sql("UPDATE event SET created_at = created_at - interval '1 hour'")


def deliver(dsn: str, post: Callable[[dict[str, Any]], None]) -> None:
    """Let the relay deliver what is pending."""
    assert drain_once(dsn, ByFunction(post)) is not None


def make(dsn: str, folder: Path) -> Made:
    """Open a job and run two stages for it."""
    words = folder / "words.txt"
    words.write_text("true line")
    with transaction() as session:
        job = open_job(session, derived=uuid4(), given=None, dag_id="test", run_id="manual__1", params={})
    made = Made(dsn, job, {"test": uuid4()}, words)
    made.runs["admit"] = made.run(ADMIT)
    made.runs["shout"] = made.run(SHOUT)
    return made
