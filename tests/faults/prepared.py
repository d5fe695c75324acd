"""One small job through all three families, kept as it was before each task, so that a fault can begin anywhere."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest

from attempts import Task, start
from include.ledger import session as ledger_session
from include.ledger.jobs import open_job
from include.medallion.declared import BY_NAME, stages_of
from include.medallion.params import MedallionParams
from include.reports import declared as reports
from include.reports.params import ReportsParams
from include.settings import settings
from include.video import declared as video
from include.video.params import VideoParams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Postgres

# small and short, so that a whole video takes seconds; everything else is as in a full run
FORM = VideoParams.model_validate(
    {"size": "720x720", "target_s": 15, "fps": 24, "seed": 3, "theme": "Paper boats"}
).model_dump(mode="json")
DECISION = {"decision": "approved", "reviewer": "Ada", "reason": None, "unattended": False}
LAKE = MedallionParams().model_dump(mode="json")
REPORTS = ReportsParams().model_dump(mode="json")
FIRST_SCENE = Task(video.RENDER_SCENE, "01", FORM)
WORDS = tuple(
    Task(stage, "", FORM)
    for stage in (video.TREND_COLLECTION, video.TREND_ANALYSIS, video.WRITE_SCRIPT, video.SPEAK)
)
COMPOSITION = Task(video.COMPOSITION, "", FORM)
REVIEW = (
    Task(video.REVIEW_MATERIAL, "material", FORM),
    Task(video.REVIEW, "decision", {**FORM, **DECISION}),
)
LEADS = tuple(Task(stage, "latest", LAKE) for stage in stages_of("leads"))
ASSESSMENTS = tuple(Task(stage, "latest", LAKE) for stage in stages_of("assessments"))
CHOOSE = Task(reports.CHOOSE_LEADS, "", {**REPORTS, "n_leads": 1})
# Faults begin at these: every stage of the video, one of the lake, one of the reports.
VIDEO = (*WORDS, FIRST_SCENE, COMPOSITION, *REVIEW)
SILVER = next(task for task in LEADS if task.stage == BY_NAME["leads.silver"])
SOURCES = ("THROUGHLINE_TRENDS_FILE", "THROUGHLINE_LEADS_FILE", "THROUGHLINE_ASSESSMENTS_FILE")
MADE = """
SELECT trim(kind || ' ' || key) AS name, sha256 FROM artifact
WHERE superseded_at IS NULL AND (%(stages)s::text[] IS NULL OR stage_run_id IN (
    SELECT stage_run_id FROM stage_run WHERE stage || ' ' || key = ANY(%(stages)s)))
"""


@dataclass(frozen=True)
class Snapshot:
    """A ledger (a database's name) and the files of its store."""

    database: str
    store: Path


@dataclass
class Prepared:
    """The job, what it looked like before each task, and the digest of everything it made undisturbed."""

    postgres: Postgres
    job: UUID
    tasks: list[Task] = field(default_factory=list)
    before: dict[str, Snapshot] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    end: Snapshot | None = None

    def render(self) -> Task:
        """Return the task that typesets the audit of the lead that was chosen."""
        return next(task for task in self.tasks if task.stage == reports.RENDER)

    @contextmanager
    def before_task(self, task: Task | None, folder: Path) -> Iterator[str]:
        """Let this process's settings name the job as it was before a task, or at its end; yield the DSN."""
        snapshot = self.before[str(task)] if task else self.end
        assert snapshot is not None
        dsn = self.postgres.create_database("fault", snapshot.database)
        shutil.copytree(snapshot.store, folder / "artifacts", copy_function=os.link, symlinks=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("THROUGHLINE_LEDGER_DSN", dsn)
            patch.setenv("THROUGHLINE_ARTIFACT_DIR", str(folder / "artifacts"))
            settings.cache_clear()
            try:
                yield dsn
            finally:
                ledger_session.engine(dsn).dispose()
                ledger_session.engine.cache_clear()
        settings.cache_clear()
        self.postgres.drop_database(dsn)


def digests(dsn: str, *tasks: Task) -> dict[str, str]:
    """Return the sha256 of each current artifact by kind and key: all, or those that tasks made."""
    stages = [f"{task.stage.name} {task.key}" for task in tasks] or None
    with psycopg.connect(dsn) as connection:
        return dict(connection.execute(MADE, {"stages": stages}))


@contextmanager
def prepare(postgres: Postgres, template: str, folder: Path) -> Iterator[Prepared]:
    """Run the job once, undisturbed."""
    dsn = postgres.create_database("prepared", template)
    snapshots: list[Snapshot] = []
    store = folder / "artifacts"
    (folder / "state" / "lineage").mkdir(parents=True)

    def snapshot() -> Snapshot:
        copy = postgres.create_database("before", dsn.rsplit("/", 1)[1]).rsplit("/", 1)[1]
        files = folder / copy
        (store / "blobs").mkdir(parents=True, exist_ok=True)
        shutil.copytree(store, files, copy_function=os.link, symlinks=True)
        snapshots.append(Snapshot(copy, files))
        return snapshots[-1]

    with pytest.MonkeyPatch.context() as patch:
        for name in SOURCES:
            patch.delenv(name, raising=False)
        patch.setenv("THROUGHLINE_LEDGER_DSN", dsn)
        patch.setenv("THROUGHLINE_ARTIFACT_DIR", str(store))
        patch.setenv("THROUGHLINE_STATE_DIR", str(folder / "state"))
        settings.cache_clear()
        try:
            with ledger_session.transaction(dsn) as session:
                job = open_job(
                    session, derived=uuid4(), given=None, dag_id="video", run_id="manual__1", params={}
                )
            ledger_session.engine(dsn).dispose()  # nobody may look at a database that is copied
            prepared = Prepared(postgres, job)

            def run(*tasks: Task, keep: bool = False) -> dict[str, Any]:
                """Run tasks side by side, keeping what was before the first; return what the last one said."""
                if keep:
                    prepared.before[str(tasks[0])] = snapshot()
                ended = [running.wait() for running in [start(job, task) for task in tasks]]
                assert [one.status for one in ended] == ["succeeded"] * len(tasks), ended
                prepared.tasks.extend(tasks)
                return ended[-1].result

            said = {str(task): run(task, keep=True) for task in WORDS}
            keys = said[video.WRITE_SCRIPT.name]["scenes"]
            run(*(Task(video.RENDER_SCENE, key, FORM) for key in keys), keep=True)
            for task in (COMPOSITION, *REVIEW):
                run(task, keep=True)
            for task in (*ASSESSMENTS, *LEADS):
                run(task, keep=task is SILVER)
            (lead,) = run(CHOOSE)["leads"]
            run(Task(reports.GATHER, lead, REPORTS))
            run(Task(reports.RENDER, lead, REPORTS), keep=True)
            prepared.made = digests(dsn)
            prepared.end = snapshot()
        finally:
            settings.cache_clear()
            postgres.drop_database(dsn)
    try:
        yield prepared
    finally:
        for one in snapshots:
            postgres.drop_database(f"/{one.database}")
