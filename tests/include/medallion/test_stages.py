"""The lake's stages on a real ledger: versions, transitions, reuse, partitions, failures."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import polars as pl
import pytest
from sqlalchemy import select

from include.errors import InvalidInput, NotReady, QualityGateFailed
from include.ledger.jobs import open_job
from include.ledger.models import Artifact, ArtifactInput, Blob, LayerTransition, StageRun, TableVersion
from include.ledger.session import transaction
from include.medallion.declared import BY_NAME, TABLES, stages_of
from include.medallion.params import MedallionParams
from include.settings import settings
from include.stage import Coordinates, Outcome, SkipStage, run_stage

if TYPE_CHECKING:
    from pathlib import Path

HOPS = [("source", "staged"), ("staged", "bronze"), ("bronze", "silver"), ("silver", "gold")]
HEADER = "lead_id,company,country,rating,size,approved\n"


@pytest.fixture(autouse=True)
def inputs(ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sources folder; the configured files are unset, so that `latest` reads the samples."""
    for name in ("TRENDS_FILE", "LEADS_FILE", "ASSESSMENTS_FILE"):
        monkeypatch.delenv(f"THROUGHLINE_{name}", raising=False)
    folder = tmp_path / "sources"
    (folder / "leads").mkdir(parents=True)
    monkeypatch.setenv("THROUGHLINE_SOURCES_DIR", str(folder))
    settings.cache_clear()
    return folder


def new_job() -> UUID:
    with transaction() as session:
        return open_job(
            session, derived=uuid4(), given=None, dag_id="medallion", run_id=f"r{uuid4()}", params={}
        )


def run(stage: str, job: UUID, key: str = "latest", at: Coordinates | None = None, **params: Any) -> Outcome:
    values = MedallionParams.model_validate(params).model_dump(mode="json")
    return run_stage(BY_NAME[stage], job_id=job, key=key, params=values, at=at)


def run_table(table: str, job: UUID, key: str = "latest", **params: Any) -> list[Outcome]:
    return [run(stage.name, job, key, **params) for stage in stages_of(table)]


def rows(query: Any) -> list[Any]:
    with transaction() as session:
        return [row[0] for row in session.execute(query)]


def versions(**where: Any) -> list[TableVersion]:
    found: list[TableVersion] = rows(select(TableVersion).filter_by(superseded_at=None, **where))
    return sorted(found, key=lambda version: (version.table_name, version.partition, version.layer))


def file_of(version: TableVersion) -> Path:
    (found,) = rows(select(Blob.path).join(Artifact).where(Artifact.artifact_id == version.artifact_id))
    return settings().store / found


def test_all_tables_go_from_the_samples_to_gold_with_four_balanced_transitions_each() -> None:
    job = new_job()
    for table in TABLES:
        assert [outcome.status for outcome in run_table(table, job)] == ["succeeded"] * 4
    transitions = rows(select(LayerTransition).where(LayerTransition.job_id == job))
    assert sorted((t.table_name, t.source_layer, t.target_layer) for t in transitions) == sorted(
        (table, *hop) for table in TABLES for hop in HOPS
    )
    for hop in transitions:
        assert hop.status == "success"
        assert hop.row_count_in == hop.row_count_out + hop.rejected + hop.deduplicated + hop.filtered
        assert hop.source_files[0]["sha256"]
        assert hop.transforms_applied[0]["code_sha256"]
    gold = {v.table_name: pl.read_parquet(file_of(v)) for v in versions(layer="gold")}
    assert {name: frame.height for name, frame in gold.items()} == {
        "trends": 38,
        "leads": 58,
        "assessments": 198,
    }
    assert gold["assessments"].join(gold["leads"], on="lead_id", how="inner").height > 150


def test_a_batch_links_the_layers_and_a_transition_its_file() -> None:
    job = new_job()
    run_table("leads", job)
    transitions = {
        t.target_layer: t for t in rows(select(LayerTransition).where(LayerTransition.job_id == job))
    }
    assert len({t.batch_id for t in transitions.values()}) == 1
    for version in versions(table_name="leads"):
        footer = pl.read_parquet_metadata(file_of(version))
        transition = transitions[version.layer]
        assert footer["transition_id"] == str(transition.transition_id) == str(version.transition_id)
        assert footer["batch_id"] == str(transition.batch_id)
        link = settings().store / str(transition.target_file)
        assert link.resolve() == file_of(version).resolve()
        projected = json.loads(
            (settings().store / f"catalog/lineage/{transition.transition_id}.json").read_text()
        )
        assert projected["row_count_in"] == transition.row_count_in
        assert projected["outputs"][0]["rows"] == transition.row_count_out
        assert projected["schema_out"][-1]["name"] == "_row_number"


def test_the_time_of_ingestion_is_when_the_bytes_were_first_seen() -> None:
    run_table("leads", new_job())
    (version,) = versions(layer="gold")
    (source,) = rows(select(Blob.first_seen_at).join(Artifact).where(Artifact.kind == "source"))
    assert set(pl.read_parquet(file_of(version))["_ingested_at"]) == {source.astimezone(UTC)}


def test_refused_rows_are_an_artifact_made_from_the_exact_input() -> None:
    job = new_job()
    run_table("leads", job)
    kept = rows(select(Artifact).where(Artifact.kind == "quarantine").order_by(Artifact.key))
    assert [(one.key, one.dataset, one.facts["rows"], one.facts["rejected_by"]) for one in kept] == [
        ("bronze/leads/latest", "lake/quarantine/leads", 1, {"size:cast_int64": 1}),
        ("silver/leads/latest", "lake/quarantine/leads", 1, {"rating_in_range": 1}),
        ("staged/leads/latest", "lake/quarantine/leads", 1, {"missing_columns": 1}),
    ]
    for one in kept:
        (source,) = rows(
            select(Artifact)
            .join(ArtifactInput, ArtifactInput.input_id == Artifact.artifact_id)
            .where(ArtifactInput.artifact_id == one.artifact_id)
        )
        assert (
            source.dataset
            == {"staged": "sources/leads", "bronze": "lake/staged/leads", "silver": "lake/bronze/leads"}[
                one.key.split("/")[0]
            ]
        )


def test_facts_carry_what_the_facets_need() -> None:
    job = new_job()
    outcomes = run_table("trends", job)
    (output,) = outcomes[3].facts["outputs"]
    assert output["name"] == "lake/gold/trends"
    assert output["rows"] == 38
    assert output["owner"] == "content"
    schema = {field["name"]: field for field in output["schema"]}
    assert schema["views"] == {"name": "views", "type": "int64", "description": "views so far"}
    assert schema["observed_at"]["type"] == "datetime[us, UTC]"
    assert output["column_lineage"]["fields"]["views"]["inputFields"] == [
        {
            "namespace": "throughline",
            "name": "lake/silver/trends",
            "field": "views",
            "transformations": [{"type": "DIRECT", "subtype": "IDENTITY"}],
        }
    ]
    frame = pl.read_parquet(file_of(versions(layer="gold")[0]))
    assert output["quality"]["rowCount"] == frame.height
    metrics = output["quality"]["columnMetrics"]
    assert metrics["views"] == {
        "nullCount": frame["views"].null_count(),
        "distinctCount": frame["views"].n_unique(),
        "min": frame["views"].min(),
        "max": frame["views"].max(),
        "sum": frame["views"].sum(),
    }
    assert metrics["likes"]["nullCount"] == frame["likes"].null_count() > 0
    assert all(assertion["success"] for assertion in output["assertions"])
    silver = [out for out in outcomes[2].facts["outputs"] if out["kind"] == "table"][0]  # noqa: RUF015
    failed = [a["assertion"] for a in silver["assertions"] if not a["success"]]
    assert failed == ["likes_not_negative"]


def test_facts_become_valid_facets_and_tell_nothing_of_a_persons_values() -> None:
    from include.lineage.facets import outputs_of

    outcomes = run_table("leads", new_job())
    (dataset,) = outputs_of(outcomes[3].facts, BY_NAME["leads.gold"].outputs)
    assert {"schema", "columnLineage", "dataQualityMetrics", "dataQualityAssertions", "ownership"} <= set(
        dataset.facets
    )
    metrics = dataset.facets["dataQualityMetrics"].columnMetrics
    assert metrics["contact_email"].nullCount is not None
    assert metrics["contact_email"].distinctCount is None


def test_the_same_input_is_reused_and_keeps_its_record() -> None:
    first, second = new_job(), new_job()
    run_table("leads", first)
    assert [outcome.status for outcome in run_table("leads", first)] == ["reused"] * 4
    assert [outcome.status for outcome in run_table("leads", second)] == ["reused"] * 4
    assert [version.version for version in versions()] == [1, 1, 1, 1]
    mine = rows(select(LayerTransition).where(LayerTransition.job_id == second))
    assert [(hop.row_count_in > 0, hop.status) for hop in mine] == [(True, "success")] * 4
    for hop in mine:
        projected = json.loads((settings().store / f"catalog/lineage/{hop.transition_id}.json").read_text())
        assert projected["row_count_out"] == hop.row_count_out > 0
    catalogue = {path.stem for path in (settings().store / "catalog" / "lineage").glob("*.json")}
    assert catalogue == {str(hop.transition_id) for hop in mine}


def test_made_anew_the_bytes_are_the_same() -> None:
    first = new_job()
    run_table("assessments", first)
    before = [version.artifact_id for version in versions()]
    assert [outcome.status for outcome in run_table("assessments", new_job(), fresh=True)] == [
        "succeeded"
    ] * 4
    digests = rows(select(Artifact.sha256).where(Artifact.kind == "table").distinct())
    assert len(digests) == 4
    assert [version.artifact_id for version in versions()] == before, "the same bytes are no new version"


def test_dates_are_partitions_of_their_own(inputs: Path) -> None:
    for day, names in {"2026-01-01": ["a"], "2026-01-02": ["a", "b"]}.items():
        (inputs / "leads" / f"{day}.csv").write_text(HEADER + "".join(f"{n},,Malta,90%,1,t\n" for n in names))
        run_table("leads", new_job(), key=day)
    gold = versions(layer="gold")
    assert [(v.partition, pl.read_parquet(file_of(v)).height) for v in gold] == [
        ("2026-01-01", 1),
        ("2026-01-02", 2),
    ]
    frame = pl.read_parquet(file_of(gold[1]))
    assert set(frame["_source_file"]) == {"leads/2026-01-02.csv"}
    assert {run.key for run in rows(select(StageRun))} == {"2026-01-01", "2026-01-02"}


def test_two_partitions_of_one_job_keep_a_source_each(inputs: Path) -> None:
    job = new_job()
    for day in ("2026-01-01", "2026-01-02"):
        (inputs / "leads" / f"{day}.csv").write_text(HEADER + f"{day},,Malta,90%,1,t\n")
        run_table("leads", job, key=day)
    current = rows(
        select(Artifact.key)
        .where(Artifact.kind == "source", Artifact.superseded_at.is_(None))
        .order_by(Artifact.key)
    )
    assert current == ["leads/2026-01-01", "leads/2026-01-02"]
    names = rows(select(Artifact.name).where(Artifact.kind == "source").order_by(Artifact.name))
    assert names == ["source-leads-2026-01-01.csv", "source-leads-2026-01-02.csv"]
    assert set(rows(select(Artifact.dataset).where(Artifact.kind == "source"))) == {"sources/leads"}


def test_a_corrected_source_replaces_exactly_its_partition(inputs: Path) -> None:
    first, second = (inputs / "leads" / f"2026-01-0{n}.csv" for n in (1, 2))
    for file in (first, second):
        file.write_text(HEADER + "a,,Malta,90%,1,t\n")
        run_table("leads", new_job(), key=file.stem)
    first.write_text(HEADER + "a,,Niue,90%,1,t\n")
    run_table("leads", new_job(), key=first.stem)
    assert [(v.partition, v.version) for v in versions(layer="gold")] == [
        ("2026-01-01", 2),
        ("2026-01-02", 1),
    ]
    old = rows(
        select(TableVersion).where(
            TableVersion.layer == "gold", TableVersion.version == 1, TableVersion.partition == "2026-01-01"
        )
    )
    assert pl.read_parquet(file_of(old[0]))["country"].to_list() == ["Malta"], (
        "the older version stays readable"
    )


def test_a_date_without_a_file_is_an_explicit_skip() -> None:
    job = new_job()
    with pytest.raises(
        SkipStage, match=r"no input of leads for 2026-01-03: the sources folder has no leads/2026-01-03.csv"
    ):
        run("leads.ingest", job, key="2026-01-03")
    assert rows(select(StageRun.status)) == ["skipped"]
    assert rows(select(LayerTransition)) == []


def test_a_table_that_a_run_does_not_want_is_skipped() -> None:
    with pytest.raises(SkipStage, match="trends is not among the tables of this run: leads"):
        run("trends.ingest", new_job(), tables=["leads"])


def test_without_a_key_the_run_decides_the_partition(inputs: Path) -> None:
    (inputs / "leads" / "2026-01-05.csv").write_text(HEADER + "a,,Malta,90%,1,t\n")
    at = Coordinates(
        run_id="backfill__2026-01-05T00:00:00+00:00", logical_date=datetime(2026, 1, 5, tzinfo=UTC)
    )
    assert run("leads.ingest", new_job(), key="", at=at).result["partition"] == "2026-01-05"
    assert run("leads.ingest", new_job(), key="", partition="latest", at=at).result["partition"] == "latest"


def test_a_bad_file_leaves_a_failed_transition_and_nothing_else_until_it_is_repaired(inputs: Path) -> None:
    job = new_job()
    file = inputs / "leads" / "2026-01-01.csv"
    file.write_text(HEADER.replace("rating", "stars") + "a,,Malta,5,1,t\n")
    with pytest.raises(InvalidInput, match=r"leads/2026-01-01.csv lacks the column rating"):
        run("leads.ingest", job, key="2026-01-01")
    assert versions() == []
    assert rows(select(Artifact)) == []
    (failed,) = rows(select(LayerTransition))
    assert (failed.status, failed.source_layer, failed.target_layer, failed.row_count_out) == (
        "failed",
        "source",
        "staged",
        0,
    )
    assert "leads/2026-01-01.csv lacks the column rating" in failed.errors[0]
    assert failed.source_files[0]["path"] == "leads/2026-01-01.csv"
    (attempt,) = rows(select(StageRun))
    assert [item["name"] for item in attempt.facts["inputs"]] == ["sources/leads"]
    file.write_text(HEADER + "a,,Malta,90%,1,t\n")
    assert run("leads.ingest", job, key="2026-01-01").result["rows_out"] == 1


def test_rows_that_fail_the_gate_stop_the_table_and_keep_the_layer_below(inputs: Path) -> None:
    job = new_job()
    (inputs / "leads" / "2026-01-01.csv").write_text(HEADER + "a,,Malta,many,1,t\nb,,Malta,some,1,t\n")
    run("leads.ingest", job, key="2026-01-01")
    with pytest.raises(QualityGateFailed, match="leads bronze: 2 of 2 rows refused"):
        run("leads.bronze", job, key="2026-01-01")
    assert [version.layer for version in versions()] == ["staged"]
    assert [hop.status for hop in rows(select(LayerTransition).order_by(LayerTransition.started_at))] == [
        "success",
        "failed",
    ]
    with pytest.raises(NotReady, match="lake table bronze/leads partition 2026-01-01"):
        run("leads.silver", job, key="2026-01-01")
    failed = rows(select(LayerTransition).where(LayerTransition.status == "failed"))
    assert sorted(hop.target_layer for hop in failed) == ["bronze", "silver"]


def test_no_path_of_this_machine_is_in_a_table(tmp_path: Path) -> None:
    run_table("trends", new_job())
    for version in versions():
        content = file_of(version).read_bytes()
        assert str(tmp_path).encode() not in content
        assert b"/tmp/" not in content
