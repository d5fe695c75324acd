"""Attempts of tasks without a scheduler, each in a process of its own that a fault may kill.

An attempt does what a task does: it tells its START through the provider's adapter and the deployment's own transport,
runs its stage, and tells its end. Processes are forked from a server that has everything loaded; each gets the environment of the test
that starts it. They import this module by its bare name, hence so do the tests: `tests` is another package's name for them.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import traceback
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from sqlalchemy.orm import configure_mappers

import include.lineage.transport
import include.medallion.stages
import include.operators.masking
import include.reports.stages
import include.video.compose.assemble
import include.video.compose.scenes
import include.video.stages  # noqa: F401  # loaded once, for all that are forked
from include.lineage.facets import JOB_FACET, PRODUCER, error_of, inputs_of, job_facet, outputs_of
from include.settings import settings
from include.stack.parts import transport
from include.stage import Coordinates, SkipStage, Stage, run_stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

configure_mappers()  # with those of Airflow that are loaded on first use: once, not in every process
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["attempts"])
ROOT = Path(__file__).resolve().parents[2]
TEMPORARY = tempfile.gettempdir()
RUN_ID = "manual__1"


@dataclass(frozen=True)
class Task:
    """A stage, its key and its parameters."""

    stage: Stage
    key: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.stage.name} {self.key}".strip()


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: `status` is that of its stage, None where its process was killed or the stage failed."""

    run: UUID
    exit_code: int | None = 0
    status: str | None = None
    result: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class Running:
    """An attempt in a process of its own."""

    run: UUID
    process: ForkServerProcess
    answers: Connection

    def wait(self, seconds: float = 300) -> Ended:
        """Return how it ended; its process is gone then."""
        if not self.answers.poll(seconds):
            self.process.kill()
            self.process.join()
            raise AssertionError(f"attempt {self.run} did not end within {seconds} s")
        try:
            told = self.answers.recv()
        except EOFError:
            told = None  # killed before it could say anything
        self.process.join()
        return Ended(self.run, self.process.exitcode, **(told or {}))


def ready() -> None:
    """Start the server that processes are forked from, unless it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{Path(__file__).parent}")
        patch.setattr(tempfile, "tempdir", TEMPORARY)  # its socket needs a short path, and outlives the test
        forkserver.ensure_running()


def start(job: UUID, task: Task, fault: str | None = None, marker: Path | None = None) -> Running:
    """Start an attempt; `fault` is the point where it dies, `marker` the file that says it did."""
    environment = dict(os.environ)
    if fault:
        environment |= {
            "THROUGHLINE_TESTING": "1",
            "THROUGHLINE_FAULT": f"{task.stage.name}:{fault}",
            "THROUGHLINE_FAULT_MARKER": str(marker),
        }
    ready()
    run = uuid4()
    ours, theirs = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_in_process, args=(environment, job, task, run, theirs))
    process.start()
    theirs.close()
    return Running(run, process, ours)


def attempt(job: UUID, task: Task, fault: str | None = None, marker: Path | None = None) -> Ended:
    """Run an attempt to its end, whatever that is."""
    return start(job, task, fault, marker).wait()


def _in_process(environment: dict[str, str], job: UUID, task: Task, run: UUID, answers: Connection) -> None:
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # TMPDIR is the test's, too
    settings.cache_clear()
    try:
        with telling() as adapter:
            answers.send(as_task(job, task, run, adapter))
    except Exception as error:
        traceback.print_exc()
        answers.send({"error": f"{type(error).__name__}: {error}"})


@contextmanager
def telling() -> Iterator[OpenLineageAdapter]:
    """Yield the provider's adapter with the deployment's transport."""
    client = OpenLineageClient(config={"transport": json.loads(transport(str(settings().state_dir)))})
    with closing(client.transport):
        yield OpenLineageAdapter(client)


def as_task(job: UUID, task: Task, run: UUID, adapter: OpenLineageAdapter) -> dict[str, Any]:
    """Run one attempt here, with its events; return `status` and `result` of the stage, raise what it raises."""
    stage, facts = task.stage, dict[str, Any]()
    at = Coordinates(dag_id=stage.family, run_id=RUN_ID, task_id=stage.name, ol_run_id=run)
    tell(adapter, RunState.START, job, task, run, facts)
    try:
        outcome = run_stage(
            stage, job_id=job, key=task.key, params=dict(task.params), at=at, observe=facts.update
        )
    except SkipStage:
        tell(adapter, RunState.COMPLETE, job, task, run, facts)
        raise
    except Exception:
        tell(adapter, RunState.FAIL, job, task, run, facts)
        raise
    tell(adapter, RunState.COMPLETE, job, task, run, facts)
    return {"status": outcome.status, "result": outcome.result}


def tell(
    adapter: OpenLineageAdapter, kind: RunState, job: UUID, task: Task, run: UUID, facts: dict[str, Any]
) -> None:
    """Emit an event as the provider does: the declared datasets, and what the facts know."""
    stage = task.stage
    known = facts or {"job_id": str(job), "stage": stage.name, "key": task.key}
    facets: dict[str, Any] = {JOB_FACET: job_facet(known, dag_id=stage.family, run_id=RUN_ID)}
    if error := error_of(facts):
        facets["errorMessage"] = error
    adapter.emit(
        RunEvent(
            eventType=kind,
            eventTime=datetime.now(UTC).isoformat(),
            producer=PRODUCER,
            run=Run(runId=str(run), facets=facets),
            job=Job(namespace=settings().namespace, name=f"{stage.family}.{stage.name}", facets={}),
            inputs=inputs_of(facts, stage.inputs),
            outputs=outputs_of(facts, stage.outputs),
        )
    )
