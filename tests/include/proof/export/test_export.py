"""Exports say exactly what the ledger says, in formats that others read; hostile text stays text."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from xml.etree import ElementTree

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from include.artifacts.store import Store
from include.cli import cli
from include.errors import ArtifactCorrupt, InvalidInput
from include.ledger.jobs import open_job
from include.ledger.session import transaction
from include.proof.export import in_toto, picture, plain, ro_crate, table
from include.proof.export.record import Record, gather
from include.proof.target import Target, find
from include.settings import settings
from include.stage import Coordinates, Stage, run_stage

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "stage"))
from made_ledger import Plan, write

CODE = ("include/errors.py",)
STAGES = (
    Stage("admit", "test", "toy_stages:admit", ("sources/words",), ("media/trends",), code=CODE),
    Stage("shout", "test", "toy_stages:shout", ("media/trends",), ("media/scripts",), code=CODE),
)
HOSTILE = [
    '=HYPERLINK("http://evil.example","x")',
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "＝1",
    "<script>alert(1)</script> & \"quotes\" 'single'",
    "]]> <!-- &amp; \x01\x1f control \ufffe 任务 🎬",
    'line\nbreak, comma; "quote"',
    "{{ 7*7 }} {% raw %}",
]
SVG = "{http://www.w3.org/2000/svg}"


@dataclass
class Made:
    """Two jobs that were run for real: the second took the outputs of the first over."""

    jobs: tuple[UUID, UUID]
    words: Path

    def record(self, number: int = 0, **options: Any) -> Record:
        with transaction() as session:
            return gather(session, Target("job", str(self.jobs[number])), **options)


@pytest.fixture
def made(ledger: str, tmp_path: Path) -> Made:
    words = tmp_path / "words.txt"
    words.write_text("true line")
    jobs = []
    for run_id in ("manual__1", "manual__2/ü"):
        with transaction() as session:
            job = open_job(session, derived=uuid4(), given=None, dag_id="test", run_id=run_id, params={})
        for stage in STAGES:
            at = Coordinates("test", run_id, stage.name, map_index=-1, try_number=2, ol_run_id=uuid4())
            run_stage(stage, job_id=job, params={"file": str(words)}, at=at)
        jobs.append(job)
    return Made((jobs[0], jobs[1]), words)


def hostile(ledger: str) -> tuple[UUID, list[Plan]]:
    plans = [Plan(), *(Plan((0,), name=name, dataset=name, theme=name) for name in HOSTILE)]
    return write(ledger, plans)[0], plans


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["export", *words])
    return done.exit_code, done.output


# -- CSV ---------------------------------------------------------------------------------------------------------


def test_the_csv_has_a_row_per_artifact_with_its_exact_inputs(made: Made) -> None:
    record = made.record()
    rows = list(csv.DictReader(io.StringIO(table.document(record), newline="")))
    assert [row["kind"] for row in rows] == [item.kind for item in record.artifacts.values()]
    by_kind = {row["kind"]: row for row in rows}
    assert set(by_kind) == {"source", "trends", "script"}
    assert by_kind["script"]["input_sha256"] == by_kind["trends"]["sha256"]
    assert by_kind["trends"]["input_ids"] == by_kind["source"]["artifact_id"]
    assert by_kind["source"]["input_ids"] == ""
    for row in rows:
        path = settings().store / row["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
        assert (row["run_id"], row["try_number"], row["current"]) == ("manual__1", "2", "yes")


def test_no_cell_is_a_formula_and_every_name_can_be_read_back(ledger: str) -> None:
    job, plans = hostile(ledger)
    with transaction() as session:
        document = table.document(gather(session, Target("job", str(job))))
    cells = [cell for row in csv.reader(io.StringIO(document, newline="")) for cell in row]
    risky = [cell for cell in cells if cell.lstrip(" ").startswith(table.FORMULA)]
    assert risky == []
    datasets = [row["dataset"] for row in csv.DictReader(io.StringIO(document, newline=""))]
    assert sorted(value.removeprefix("'") for value in datasets) == sorted(plan.dataset for plan in plans)
    assert sum(value.startswith("'") for value in datasets) == 8


def test_a_nul_is_shown_not_kept() -> None:
    assert table.cell("a\0b") == "a\ufffdb"


# -- SVG ---------------------------------------------------------------------------------------------------------


def test_the_svg_draws_every_artifact_and_every_edge(made: Made) -> None:
    record = made.record(1)
    tree = ElementTree.fromstring(picture.document(record))
    boxes = {item.get("data-node") for item in tree.iter(f"{SVG}g") if item.get("data-node")}
    assert boxes == {str(key) for key in record.artifacts}
    arrows = {(p.get("data-origin"), p.get("data-destination")) for p in tree.iter(f"{SVG}path")} - {
        (None, None)
    }
    assert arrows == {(str(used), str(made)) for made, used in (*record.edges, *record.reuses)}
    assert len(record.reuses) == 2
    assert list(tree.iter(f"{SVG}a")) == [], "a file leads nowhere"
    labels = {"".join(item.itertext()) for item in tree.iter(f"{SVG}text")}
    assert {"source words", "trends", "script", "↻ reused"} <= labels


def test_the_svg_takes_names_as_text(ledger: str) -> None:
    job, _plans = hostile(ledger)
    with transaction() as session:
        document = picture.document(gather(session, Target("job", str(job))))
    tree = ElementTree.fromstring(document)
    tags = {element.tag.removeprefix(SVG) for element in tree.iter()}
    assert tags == {"svg", "title", "desc", "style", "rect", "defs", "marker", "path", "g", "text"}
    titles = " ".join(item.text or "" for item in tree.iter(f"{SVG}title"))
    assert "<script>alert(1)</script> & \"quotes\" 'single'" in titles
    assert "]]> <!-- &amp; \ufffd\ufffd control \ufffd 任务 🎬" in titles
    assert "{{ 7*7 }}" in titles


def test_a_drawing_that_would_be_too_large_says_what_it_leaves_out(ledger: str) -> None:
    job = write(ledger, [Plan(), *(Plan((0,)) for _ in range(9))])[0]
    with transaction() as session:
        document = picture.document(gather(session, Target("job", str(job))), limit=4)
    tree = ElementTree.fromstring(document)
    assert len([item for item in tree.iter(f"{SVG}g") if item.get("data-node")]) == 4
    notes = [item for item in tree.iter(f"{SVG}text") if item.get("class") == "note"]
    assert ["".join(note.itertext()) for note in notes] == [
        "6 of 10 artifacts, the oldest, are not drawn; the CSV has all."
    ]
    lowest = max(
        float(item.get("transform", "").removesuffix(")").split()[1])
        for item in tree.iter(f"{SVG}g")
        if (item.get("class") or "").startswith("node")
    )
    assert float(notes[0].get("y", "0")) > lowest + 54, "the note is below the boxes"


# -- in-toto -----------------------------------------------------------------------------------------------------


def statements(record: Record) -> list[dict[str, Any]]:
    return [json.loads(line) for line in in_toto.document(record).splitlines()]


def test_a_statement_names_the_bytes_their_exact_inputs_and_the_run(made: Made) -> None:
    record = made.record()
    by_digest = {item["subject"][0]["digest"]["sha256"]: item for item in statements(record)}
    kinds = {item.kind: item for item in record.artifacts.values()}
    assert set(by_digest) == {kinds["trends"].sha256, kinds["script"].sha256}
    said = by_digest[kinds["script"].sha256]
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    build, details = said["predicate"]["buildDefinition"], said["predicate"]["runDetails"]
    materials = {item["name"]: item["digest"]["sha256"] for item in build["resolvedDependencies"]}
    run_ = record.runs[kinds["script"].stage_run_id]
    assert materials == {"trends": kinds["trends"].sha256, "code of shout": run_.code_digest}
    assert details["metadata"]["invocationId"] == "airflow:test/manual__1/shout/-1/2"
    assert build["internalParameters"]["airflow"]["openlineageRunId"] == str(run_.ol_run_id)
    assert build["externalParameters"]["jobId"] == str(made.jobs[0])
    for name in ("startedOn", "finishedOn"):
        assert datetime.fromisoformat(details["metadata"][name]).tzinfo is not None


def test_a_reused_artifact_names_the_run_that_wrote_its_bytes_and_who_took_them_over(made: Made) -> None:
    record = made.record(1)
    taken = [
        item
        for item in statements(record)
        if "takenOverBy" in item["predicate"]["buildDefinition"]["internalParameters"]
    ]
    assert len(taken) == 2
    for said in taken:
        build = said["predicate"]["buildDefinition"]
        assert build["externalParameters"]["jobId"] == str(made.jobs[0])
        assert build["internalParameters"]["takenOverBy"]["jobId"] == str(made.jobs[1])
        assert said["predicate"]["runDetails"]["metadata"]["invocationId"].startswith(
            "airflow:test/manual__1/"
        )
        assert said["subject"][0]["name"].startswith(f"out/{made.jobs[1]}/")
        inputs = {item["digest"]["sha256"] for item in build["resolvedDependencies"]}
        assert inputs & {item.sha256 for item in record.artifacts.values()}


def test_an_address_of_a_run_keeps_its_parts_apart(made: Made) -> None:
    run_ = next(run_ for run_ in made.record(1).runs.values() if run_.run_id == "manual__2/ü")
    assert "/manual__2%2F%C3%BC/" in in_toto.invocation(run_)


# -- RO-Crate ----------------------------------------------------------------------------------------------------


def references(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(references, value)) if value else set()
    if isinstance(value, dict):
        own = {value["@id"]} if set(value) == {"@id"} else set()
        return own.union(*(references(item) for item in value.values()))
    return set()


def crate(record: Record, **options: Any) -> tuple[zipfile.ZipFile, dict[str, dict[str, Any]]]:
    out = io.BytesIO()
    ro_crate.write(record, out, **options)
    packed = zipfile.ZipFile(out)
    described = json.loads(packed.read("ro-crate-metadata.json"))
    assert described["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    entities = {entity["@id"]: entity for entity in described["@graph"]}
    assert len(entities) == len(described["@graph"]), "an id names one entity"
    return packed, entities


@pytest.mark.parametrize("with_files", [False, True])
def test_the_crate_keeps_the_rules_of_ro_crate(made: Made, with_files: bool) -> None:
    record = made.record(1)
    packed, entities = crate(record, store=Store(settings().store) if with_files else None)
    descriptor, root = entities["ro-crate-metadata.json"], entities["./"]
    assert descriptor["conformsTo"]["@id"] == "https://w3id.org/ro/crate/1.1"
    assert descriptor["about"]["@id"] == "./"
    assert root["@type"] == "Dataset"
    assert all(root[name] for name in ("name", "description", "datePublished", "license"))
    assert entities[root["conformsTo"]["@id"]]["name"] == "Process Run Crate"
    wanted = set().union(*(references(list(entity.values())) for entity in entities.values()))
    assert wanted - set(entities) == {"https://w3id.org/ro/crate/1.1"}
    files = {key: entity for key, entity in entities.items() if entity["@type"] == "File"}
    assert {item["@id"] for item in root["hasPart"]} == set(files)
    assert {entity["sha256"] for entity in files.values()} == {i.sha256 for i in record.artifacts.values()}
    assert set(packed.namelist()) == {"ro-crate-metadata.json"} | (set(files) if with_files else set())
    for key, entity in files.items():
        if with_files:
            assert hashlib.sha256(packed.read(key)).hexdigest() == entity["sha256"]
            assert len(packed.read(key)) == int(entity["contentSize"])
        else:
            assert key.startswith("throughline://store/blobs/")


def test_every_run_that_made_something_is_an_action_from_its_inputs_to_its_outputs(made: Made) -> None:
    record = made.record(1)
    _, entities = crate(record)
    actions = [entities[item["@id"]] for item in entities["./"]["mentions"]]
    assert sorted(action["@type"] for action in actions) == [
        "Action",
        "Action",
        "CreateAction",
        "CreateAction",
    ]
    shout = next(a for a in actions if a["@type"] == "CreateAction" and a["name"] == "test.shout")
    kinds = {item.kind: item.sha256 for item in record.artifacts.values()}
    assert entities[shout["object"]["@id"]]["sha256"] == kinds["trends"]
    assert entities[shout["result"]["@id"]]["sha256"] == kinds["script"]
    assert entities[shout["instrument"]["@id"]]["@type"] == "SoftwareApplication"
    assert datetime.fromisoformat(shout["startTime"]) <= datetime.fromisoformat(shout["endTime"])


def test_equal_content_gives_equal_crates(made: Made) -> None:
    record, at = made.record(), datetime(2026, 11, 1, tzinfo=UTC)
    packed = [io.BytesIO(), io.BytesIO()]
    for out in packed:
        ro_crate.write(record, out, store=Store(settings().store), at=at)
    assert packed[0].getvalue() == packed[1].getvalue()


def test_an_altered_file_is_not_packed(made: Made) -> None:
    record = made.record()
    path = settings().store / next(iter(record.artifacts.values())).path
    path.chmod(0o644)
    path.write_bytes(b"altered")
    with pytest.raises(ArtifactCorrupt, match="altered"):
        ro_crate.write(record, io.BytesIO(), store=Store(settings().store))


# -- what is exported --------------------------------------------------------------------------------------------


def test_the_json_is_the_whole_record(made: Made) -> None:
    record = made.record(1)
    told = json.loads(plain.document(record))
    assert {item["artifact_id"] for item in told["artifacts"]} == {str(key) for key in record.artifacts}
    assert told["edges"] == [[str(made_), str(used)] for made_, used in record.edges]
    assert {item["job_id"] for item in told["runs"]} == {str(job) for job in made.jobs}


def test_a_long_line_is_exported_whole(ledger: str) -> None:
    plans = [Plan(), *(Plan((number,)) for number in range(1500))]
    write(ledger, plans)
    with transaction() as session:
        record = gather(session, Target("artifact", str(plans[-1].artifact_id)))
    assert len(record.artifacts) == 1501
    assert len(record.edges) == 1500


def test_an_export_as_of_a_time_is_that_of_then(made: Made) -> None:
    before = made.record()
    with transaction() as session:
        then = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    made.words.write_text("another line")
    for stage in STAGES:
        run_stage(stage, job_id=made.jobs[0], params={"file": str(made.words)})
    now, past = made.record(), made.record(as_of=then)
    assert now.artifacts.keys().isdisjoint(before.artifacts)
    assert past.artifacts.keys() == before.artifacts.keys()
    assert all(past.is_current(item) for item in past.artifacts.values())
    assert {past.file(item).split("/")[0] for item in past.artifacts.values()} == {"blobs"}


@pytest.mark.parametrize("form", ["csv", "svg", "json", "in-toto", "ro-crate"])
def test_the_command_writes_the_file_whole(made: Made, tmp_path: Path, form: str) -> None:
    out = tmp_path / "line.out"
    script = settings().store / "out" / str(made.jobs[0]) / "script.json"
    status, output = run(str(script), "--format", form, "-o", str(out))
    assert status == 0, output
    assert "6 artifacts of 4 runs" in output
    content = out.read_bytes()
    starts = {
        "csv": b"artifact_id,",
        "svg": b"<?xml",
        "json": b"{",
        "in-toto": b'{"_type"',
        "ro-crate": b"PK",
    }
    assert content.startswith(starts[form])
    assert [path.name for path in tmp_path.glob(".export-*")] == []


def test_a_failed_export_leaves_what_was_there(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "line.zip"
    out.write_text("before")
    source = next(iter(made.record().artifacts.values()))
    path = settings().store / source.path
    path.chmod(0o644)
    path.write_bytes(b"altered")
    status, output = run(str(made.jobs[0]), "-f", "ro-crate", "--with-files", "-o", str(out))
    assert (status, "altered" in output) == (2, True)
    assert out.read_text() == "before"
    assert list(tmp_path.glob(".export-*")) == []


def test_what_cannot_be_exported_is_refused_with_the_reason(made: Made, tmp_path: Path) -> None:
    for words, reason in (
        (("0" * 64,), "no artifact of it"),
        ((str(made.jobs[0]), "--as-of", "2020-01-01"), "no artifact of it by 2020-01-01"),
        ((str(made.jobs[0]), "-f", "csv", "--with-files"), "holds no files"),
        ((str(made.jobs[0]), "-o", str(tmp_path / "no" / "x")), "there is no folder"),
    ):
        status, output = run(*words)
        assert (status, reason in output) == (2, True), output
    with transaction() as session, pytest.raises(InvalidInput, match="no file, sha256"):
        find(session, "nothing")


def test_standard_output_is_the_file_and_nothing_else(made: Made) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "include.cli", "export", str(made.jobs[0]), "-f", "in-toto"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[4],
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == statements(made.record())
