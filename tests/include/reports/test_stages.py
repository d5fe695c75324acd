"""The stages on a real ledger and store: exact inputs, one triplet, reuse, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pypdf import PdfReader
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from include.errors import InvalidInput, NotReady
from include.ledger.jobs import open_job
from include.ledger.models import (
    Artifact,
    ArtifactInput,
    Blob,
    Lead,
    ReportGeneration,
    ReportLineage,
    StageRun,
    TemplateVersion,
)
from include.ledger.session import transaction
from include.reports import capture, declared, template
from include.reports.params import ReportsParams
from include.reports.reproduce import reproduce
from include.settings import settings
from include.stage import Coordinates, Outcome, SkipStage, Stage, Work, run_stage

PARAMS = ReportsParams().model_dump(mode="json")
AT = Coordinates(dag_id="reports", run_id="manual__1", task_id="render", ol_run_id=UUID(int=7))
Body = Callable[[Work], dict[str, Any]]
Gold = tuple[Path, Path]


@dataclass(frozen=True)
class Local(Stage):
    """A stage whose body is a function of this file."""

    function: Body | None = None

    def load(self) -> Any:
        return self.function


def run(stage: Stage, job: UUID, key: str = "", at: Coordinates = AT, **params: Any) -> Outcome:
    return run_stage(stage, job_id=job, key=key, params={**PARAMS, **params}, at=at)


def make(job: UUID, name: str, body: Body) -> None:
    run_stage(Local(name, "test", body="", code=("include/reports/params.py",), function=body), job_id=job)


@pytest.fixture
def job(ledger: str, gold: Gold) -> UUID:
    """A job that has made gold leads and assessments from a source file."""
    with transaction() as session:
        job_id = open_job(
            session, derived=uuid4(), given=None, dag_id="campaign", run_id="manual__1", params={}
        )

    def lake(work: Work) -> dict[str, Any]:
        source = work.admit("leads", gold[0], uri="file:leads.csv", media_type="text/csv")
        for name, path in zip(("leads", "assessments"), gold, strict=True):
            work.publish(
                "table",
                f"gold/{name}/latest",
                lambda target, path=path: target.write_bytes(path.read_bytes()),
                suffix=".parquet",
                media_type="application/vnd.apache.parquet",
                name=f"gold-{name}.parquet",
                dataset=f"lake/gold/{name}",
                inputs=[source],
            )
        return {}

    make(job_id, "lake", lake)
    return job_id


def artifact(job: UUID, kind: str, key: str = "") -> tuple[Artifact, bytes]:
    """Return a job's current artifact and its bytes."""
    with transaction() as session:
        row, blob = session.execute(
            select(Artifact, Blob)
            .join(Blob)
            .where(
                Artifact.job_id == job,
                Artifact.kind == kind,
                Artifact.key == key,
                Artifact.superseded_at.is_(None),
            )
        ).one()
        return row, (settings().store / blob.path).read_bytes()


def inputs_of(row: Artifact) -> set[tuple[str, str]]:
    with transaction() as session:
        edges = session.execute(
            select(Artifact.kind, Artifact.key)
            .join(ArtifactInput, ArtifactInput.input_id == Artifact.artifact_id)
            .where(ArtifactInput.artifact_id == row.artifact_id)
        )
        return {(kind, key) for kind, key in edges}


def test_a_lead_becomes_an_audit_with_its_line(job: UUID) -> None:
    chosen = run(declared.CHOOSE_LEADS, job, n_leads=2).result
    assert chosen["leads"] == ["1", "2"]
    assert chosen["preview"] == {"reports": 2, "seconds": 4.0, "cost_usd": "0.00"}
    run(declared.GATHER, job, "1")
    outcome = run(declared.RENDER, job, "1")
    assert (outcome.status, outcome.result["findings"], outcome.result["first"]) == (
        "succeeded",
        7,
        "Crew and service",
    )

    captured, content = artifact(job, "report_inputs", "1")
    assert inputs_of(captured) == {("table", "gold/leads/latest"), ("table", "gold/assessments/latest")}
    audit, pdf = artifact(job, "lead_audit", "1")
    assert inputs_of(audit) == {("report_inputs", "1")}
    assert (audit.dataset, captured.dataset) == ("reports/lead_audit", "reports/inputs")
    assert reproduce(content, sha256=captured.sha256).pdf == pdf

    line = json.loads(PdfReader(BytesIO(pdf)).attachments["lineage.json"][0])
    assert line["job_id"] == str(job)
    assert line["captured"]["sha256"] == captured.sha256
    assert {item["sha256"] for item in line["inputs"]} == {
        artifact(job, "table", f"gold/{name}/latest")[0].sha256 for name in ("leads", "assessments")
    }
    with transaction() as session:
        row = session.execute(select(ReportLineage)).scalar_one()
        version = session.execute(select(TemplateVersion)).scalar_one()
        report = session.execute(select(ReportGeneration)).scalar_one()
        lead = session.execute(select(Lead)).scalar_one()
    assert (row.lead_id, str(row.pipeline_run_id)) == ("1", line["run"]["pipeline_run_id"])
    assert row.template_version_id == version.template_version_id == template.current("lead_audit").version_id
    assert (row.artifact_id, row.inputs_artifact_id, row.job_id) == (
        audit.artifact_id,
        captured.artifact_id,
        job,
    )
    assert (row.inputs_sha256, row.inputs_size_bytes) == (captured.sha256, len(content))
    assert 0 < row.compressed_size_bytes == len(capture.pack(content))
    assert (row.capture_status, row.capture_reason) == ("full", None)
    assert [entry["event"] for entry in row.logs] == ["inputs read", "warning", "typeset"]
    assert row.started_at <= row.finished_at
    assert (report.lead_id, report.findings, report.size_bytes) == ("1", 7, len(pdf))
    assert (lead.company, lead.job_id) == ("Aster", job)


def test_the_same_inputs_are_rendered_once(job: UUID) -> None:
    for _ in range(2):
        run(declared.GATHER, job, "1", at=Coordinates("reports", "manual__1", ol_run_id=uuid4()))
        again = run(declared.RENDER, job, "1", at=Coordinates("reports", "manual__1", ol_run_id=uuid4()))
    assert again.status == "reused"
    assert again.result["findings"] == 7
    with transaction() as session:
        assert len(session.execute(select(Artifact).where(Artifact.kind == "lead_audit")).all()) == 1
    fresh = run(declared.RENDER, job, "1", fresh=True)
    assert fresh.status == "succeeded"
    assert fresh.result["sha256"] == again.result["sha256"]


def test_a_changed_template_is_rendered_again(
    job: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(declared.GATHER, job, "1")
    run(declared.RENDER, job, "1")
    import shutil

    folder = Path(shutil.copytree(template.FOLDER, tmp_path / "templates"))
    page = folder / "lead_audit" / "page.css"
    page.write_text(page.read_text() + ".cover { background: #203040 }")
    monkeypatch.setattr("include.reports.stages.current", lambda name: template.load(name, folder))
    assert run(declared.RENDER, job, "1").status == "succeeded"
    with transaction() as session:
        versions = session.execute(select(ReportLineage.template_version_id)).scalars().all()
    assert len(set(versions)) == 2


def test_switched_off_keeps_the_identity_only(job: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENABLE_REPORT_LINEAGE", "false")
    settings.cache_clear()
    run(declared.GATHER, job, "1")
    run(declared.RENDER, job, "1")
    with transaction() as session:
        row = session.execute(select(ReportLineage)).scalar_one()
    assert (row.capture_status, row.logs) == ("disabled", [])
    assert row.capture_reason == "ENABLE_REPORT_LINEAGE is off"
    assert (row.lead_id, row.template_version_id) == ("1", template.current("lead_audit").version_id)


def test_one_poisoned_lead_does_not_stop_the_rest(job: UUID) -> None:
    chosen = run(declared.CHOOSE_LEADS, job, leads=["1", "no such lead", "2"]).result["leads"]
    done, refused = [], []
    for lead in chosen:
        try:
            run(declared.GATHER, job, lead)
            done.append(run(declared.RENDER, job, lead).result["lead_id"])
        except InvalidInput as error:
            refused.append(str(error))
    assert done == ["1", "2"]
    assert "'no such lead'" in refused[0]
    assert len(refused) == 1
    with transaction() as session:
        failed = session.execute(select(StageRun).where(StageRun.status == "failed")).scalars().all()
        leads = session.execute(select(ReportLineage.lead_id)).scalars().all()
    assert [(row.stage, row.key) for row in failed] == [("gather", "no such lead")]
    assert {item["kind"] for item in failed[0].facts["inputs"]} == {"table"}
    assert sorted(leads) == ["1", "2"]


def test_a_lineage_row_that_cannot_be_written_takes_the_report_with_it(job: UUID, ledger: str) -> None:
    run(declared.GATHER, job, "1")
    with transaction() as session:
        session.execute(text("ALTER TABLE report_lineage ADD CONSTRAINT nothing_goes CHECK (false)"))
    with pytest.raises(IntegrityError, match="nothing_goes"):
        run(declared.RENDER, job, "1")
    with transaction() as session:
        for table in (ReportLineage, ReportGeneration, TemplateVersion):
            assert session.execute(select(table)).all() == []
        assert session.execute(select(Artifact).where(Artifact.kind == "lead_audit")).all() == []
        session.execute(text("ALTER TABLE report_lineage DROP CONSTRAINT nothing_goes"))
    assert run(declared.RENDER, job, "1").status == "succeeded"


def test_render_without_gather_says_what_is_missing(job: UUID) -> None:
    with pytest.raises(NotReady, match="no report_inputs artifact with key '1'"):
        run(declared.RENDER, job, "1")
    with pytest.raises(InvalidInput, match="give its lead_id as the key"):
        run(declared.GATHER, job)


@pytest.fixture
def filmed(
    job: UUID, contents: dict[str, Any], video_facts: dict[str, Any], pictures: dict[str, bytes]
) -> UUID:
    """The job, with a small video made of stand-in bytes from its gold table."""

    def publish(work: Work, kind: str, content: bytes, suffix: str, **more: Any) -> None:
        work.publish(
            kind,
            "",
            lambda target: target.write_bytes(content),
            suffix=suffix,
            media_type="x/y",
            name=kind,
            **more,
        )

    def film(work: Work) -> dict[str, Any]:
        work.table("gold", "leads")
        for kind, content in contents.items():
            publish(work, kind, json.dumps(content).encode(), ".json")
        publish(work, "video", b"moving pictures", ".bin", facts=video_facts)
        for kind, content in zip(("thumbnail", "review"), pictures.values(), strict=True):
            publish(work, kind, content, ".png")
        return {}

    make(job, "film", film)
    return job


def test_the_dossier_reads_everything_the_job_made(filmed: UUID) -> None:
    run(declared.GATHER, filmed, "1")
    run(declared.RENDER, filmed, "1")
    run(declared.DOSSIER_GATHER, filmed)
    outcome = run(declared.DOSSIER_RENDER, filmed)
    captured, content = artifact(filmed, "dossier_inputs")
    made, pdf = artifact(filmed, "dossier")
    expected = {
        ("source", "leads"),
        ("table", "gold/leads/latest"),
        ("table", "gold/assessments/latest"),
        *((kind, "") for kind in ("trends", "report", "script", "quality", "video", "thumbnail", "review")),
        ("report_inputs", "1"),
        ("lead_audit", "1"),
    }
    assert inputs_of(captured) == expected
    assert inputs_of(made) == {("dossier_inputs", ""), ("thumbnail", ""), ("review", "")}
    assert outcome.result["artifacts"] == len(expected)
    read = {(item["name"]) for item in run(declared.DOSSIER_GATHER, filmed, fresh=True).facts["inputs"]}
    assert {
        "media/videos",
        "media/scripts",
        "media/trends",
        "media/reviews",
        "lake/gold/leads",
        "sources/leads",
    } <= read

    words = "".join("".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())
    for kind, key in expected:
        assert artifact(filmed, kind, key)[0].sha256 in words
    pictures = {
        row.sha256: bytes_ for row, bytes_ in (artifact(filmed, kind) for kind in ("thumbnail", "review"))
    }
    assert reproduce(content, pictures=pictures, sha256=captured.sha256).pdf == pdf
    with transaction() as session:
        row = session.execute(
            select(ReportLineage).where(ReportLineage.artifact_id == made.artifact_id)
        ).scalar_one()
    assert (row.lead_id, row.template_version_id) == (f"job:{filmed}", template.current("dossier").version_id)


def test_a_second_dossier_of_the_same_job_is_the_first(filmed: UUID) -> None:
    first = [run(stage, filmed) for stage in (declared.DOSSIER_GATHER, declared.DOSSIER_RENDER)]
    second = [run(stage, filmed) for stage in (declared.DOSSIER_GATHER, declared.DOSSIER_RENDER)]
    assert [outcome.status for outcome in second] == ["reused", "reused"]
    assert [outcome.result for outcome in second] == [outcome.result for outcome in first]


def test_a_dossier_nobody_asked_for_is_skipped(filmed: UUID) -> None:
    with pytest.raises(SkipStage):
        run(declared.DOSSIER_GATHER, filmed, dossier=False)


@pytest.fixture
def empty(ledger: str) -> UUID:
    """A job in a deployment whose lake holds nothing yet."""
    with transaction() as session:
        return open_job(session, derived=uuid4(), given=None, dag_id="reports", run_id="r", params={})


def test_a_job_that_made_nothing_has_no_dossier(empty: UUID) -> None:
    with pytest.raises(SkipStage, match="has made nothing"):
        run(declared.DOSSIER_GATHER, empty)


def test_a_day_without_leads_is_an_explicit_skip(empty: UUID) -> None:
    with pytest.raises(SkipStage, match="nothing to report on: lake table gold/leads partition 2026-11-01"):
        run(declared.CHOOSE_LEADS, empty, partition="2026-11-01")


def test_named_leads_without_their_tables_are_a_failure(empty: UUID) -> None:
    with pytest.raises(NotReady, match="run the medallion DAG first"):
        run(declared.CHOOSE_LEADS, empty, leads=["L0001"])
