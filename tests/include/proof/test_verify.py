"""Every invariant on a real ledger: a sound one has no finding, and each seeded corruption is named by its ids."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from include.artifacts.store import Store
from include.errors import InvalidInput
from include.ledger.jobs import close_job
from include.ledger.session import transaction
from include.proof.completion import missing_of
from include.proof.files import Digests, stored
from include.proof.invariants import CHECKS
from include.proof.verify import oracle, traced, verify
from include.settings import settings
from tests.include.proof.made_runs import ADMIT, SHOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.include.proof.made_runs import Made


def findings(*only: str, job: UUID | None = None) -> dict[tuple[str, str], str]:
    """What is broken: (invariant, subject) -> problem."""
    with transaction() as session:
        found = verify(session, only=only, job_id=job)
    for finding in found:
        assert finding.remedy
        assert finding.sentence
    return {(finding.invariant, finding.subject): finding.problem for finding in found}


@pytest.fixture
def told(made: Made) -> Made:
    """The job's events were told and delivered."""
    made.tell_all()
    with transaction() as session:
        close_job(session, made.job, dag_id="test", run_id="manual__1", status="completed")
    return made


def artifact(made: Made, kind: str) -> UUID:
    ((found,),) = made.sql("SELECT artifact_id FROM artifact WHERE kind = %s", kind)
    assert isinstance(found, UUID)
    return found


def test_there_are_eleven_invariants_and_a_sound_system_holds_them_all(told: Made) -> None:
    assert [check.id for check in CHECKS] == [f"I{number}" for number in range(1, 12)]
    told.an_hour_passes()
    assert findings() == {}
    with transaction() as session:
        assert oracle(session) == []
        found = traced(session)
        assert (found.files, found.traced) == (3, 3)
        assert missing_of(session, told.job, ("trends", "script")) == []


def test_an_unknown_invariant_is_refused(told: Made) -> None:
    with pytest.raises(InvalidInput, match="I12"):
        findings("I12")


def test_i1_an_artifact_without_its_line_is_named(told: Made) -> None:
    script, trends = artifact(told, "script"), artifact(told, "trends")
    told.sql("DELETE FROM artifact_input WHERE artifact_id = %s", script)
    told.sql(
        "UPDATE artifact SET sha256 = (SELECT sha256 FROM blob WHERE path LIKE '%%.txt') WHERE kind = 'trends'"
    )
    assert findings("I1") == {
        ("I1", str(script)): "it has no exact input",
        ("I1", str(trends)): "the facts of its stage run do not name it",
    }
    assert findings("I1", job=told.job) == findings("I1")
    assert findings("I1", job=uuid4()) == {}


def test_i2_a_stage_run_without_an_end_is_named(told: Made) -> None:
    told.an_hour_passes()
    told.sql("DELETE FROM event WHERE run_id = %s AND event_type = 'COMPLETE'", told.runs["shout"])
    assert [subject for _, subject in findings("I2")] == [str(told.runs["shout"])]
    assert findings("I2", job=uuid4()) == {}


def test_i2_an_end_that_was_just_reached_is_left_a_minute(made: Made) -> None:
    assert findings("I2") == {}


def test_i3_altered_missing_and_wrongly_sized_files_are_named(told: Made) -> None:
    store = Store(settings().store)
    one, two, three = store.blobs()
    one.chmod(0o644)
    one.write_bytes(b"altered")
    two.unlink()
    told.sql(
        "UPDATE blob SET size_bytes = size_bytes + 1 WHERE path = %s",
        three.relative_to(store.root).as_posix(),
    )
    assert findings("I3") == {
        ("I3", one.relative_to(store.root).as_posix()): "the file was altered",
        ("I3", two.relative_to(store.root).as_posix()): "the file is missing",
        ("I3", three.relative_to(store.root).as_posix()): "the recorded size is not the file's",
    }
    with transaction() as session:
        assert traced(session).traced == 1
        assert missing_of(session, told.job, ("trends", "script", "source")) != []


def test_what_was_not_made_is_named(made: Made) -> None:
    with transaction() as session:
        assert missing_of(session, made.job, ("video",)) == ["no video was made"]


def test_i4_a_file_older_than_a_day_that_no_row_names_is_named(told: Made) -> None:
    store = Store(settings().store)
    old, young = (
        store.keep(lambda path, n=n: path.write_text(f"[{n}]"), suffix=".json", media_type="application/json")
        for n in range(2)
    )
    leftover = store.root / "incoming" / ".dead.mp4"
    leftover.write_bytes(b"half")
    for path in (store.root / old.path, leftover):
        os.utime(path, (1, 1))
    assert findings("I4") == {
        ("I4", old.path): "no artifact names it",
        ("I4", "incoming/.dead.mp4"): "a temporary file that a death left",
    }
    with transaction() as session:
        assert set(traced(session).untraced) == {old.path, young.path}


def test_i5_two_current_artifacts_of_a_key_are_named(told: Made) -> None:
    told.sql("DROP INDEX uq_artifact_current")
    told.sql(
        "INSERT INTO artifact (artifact_id, sha256, stage_run_id, kind, key, namespace, dataset, name, job_id)"
        " SELECT gen_random_uuid(), sha256, stage_run_id, kind, key, namespace, dataset, name, job_id"
        " FROM artifact WHERE kind = 'script'"
    )
    assert findings("I5") == {("I5", f"{told.job} script "): "2 current artifacts"}


def test_i5_what_was_made_from_bytes_that_are_no_longer_current_is_named(told: Made) -> None:
    told.words.write_text("another line")
    told.run(ADMIT)  # the trends change, and nobody makes the script again
    ((stage_run,),) = told.sql("SELECT stage_run_id FROM stage_run WHERE stage = 'shout'")
    ((subject, problem),) = findings("I5").items()
    assert subject == ("I5", str(stage_run))
    assert problem.startswith("shout read trends")
    told.run(SHOUT)
    assert findings("I5") == {}


def test_i5_a_job_that_is_still_at_work_may_be_between_two_states(told: Made) -> None:
    told.words.write_text("another line")
    told.run(ADMIT)
    told.sql("UPDATE job SET status = 'running'")
    assert findings("I5") == {}


@pytest.fixture
def report(told: Made) -> Made:
    """A report stands in the ledger, made of the script and the trends."""
    script, trends = artifact(told, "script"), artifact(told, "trends")
    stage_run = told.sql("SELECT stage_run_id FROM artifact WHERE artifact_id = %s", script)[0][0]
    template = uuid4()
    told.sql(
        "INSERT INTO template_version (template_version_id, template, version, sha256, job_id)"
        " VALUES (%s, 'audit', '1.0.0', repeat('a', 64), %s)",
        template,
        told.job,
    )
    told.sql(
        "INSERT INTO report_generation (report_id, template, pages, size_bytes, findings, job_id, stage_run_id,"
        " artifact_id) VALUES (gen_random_uuid(), 'audit', 1, 1, 0, %s, %s, %s)",
        told.job,
        stage_run,
        script,
    )
    told.sql(
        "INSERT INTO report_lineage (report_lineage_id, lead_id, pipeline_run_id, template_version_id,"
        " inputs_artifact_id, inputs_sha256, inputs_size_bytes, compressed_size_bytes, capture_status, logs,"
        " started_at, created_at, job_id, stage_run_id, artifact_id) SELECT gen_random_uuid(), 'L1', %s, %s, artifact_id,"
        " sha256, 1, 1, 'full', '[]', now(), now() - interval '1 hour', job_id, %s, %s FROM artifact WHERE artifact_id = %s",
        told.runs["test"],
        template,
        stage_run,
        script,
        trends,
    )
    assert findings("I6") == {}
    return told


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("lead_id = ''", "no subject"),
        ("pipeline_run_id = gen_random_uuid()", "no DAG run is known under its pipeline run id"),
        ("template_version_id = gen_random_uuid()", "its template version is no version of its template"),
        ("inputs_sha256 = repeat('b', 64)", "its captured inputs are not those it names"),
        ("artifact_id = inputs_artifact_id", "no report was generated for it"),
    ],
)
def test_i6_a_report_whose_triplet_does_not_resolve_is_named(report: Made, change: str, problem: str) -> None:
    report.sql(f"UPDATE report_lineage SET {change}")
    ((line,),) = report.sql("SELECT report_lineage_id FROM report_lineage")
    assert findings("I6") == {("I6", str(line)): problem}


def test_i7_two_ends_a_start_after_the_end_and_a_missing_start_are_named(told: Made) -> None:
    told.tell(told.event("shout", "FAIL", 1))
    told.sql("DELETE FROM event WHERE run_id = %s AND event_type = 'START'", told.runs["admit"])
    assert findings("I7") == {
        ("I7", str(told.runs["shout"])): "test.shout has 2 ends: COMPLETE, FAIL",
        ("I7", str(told.runs["admit"])): "test.admit ends without a START",
    }
    told.sql(
        "UPDATE event SET event_time = now() + interval '1 hour' WHERE job_name = 'test' AND event_type = 'START'"
    )
    assert findings("I7")["I7", str(told.runs["test"])] == "test starts after its end"


def test_i7_a_run_without_an_end_is_named_once_its_dag_run_is_over(told: Made) -> None:
    told.sql("DELETE FROM event WHERE job_name = 'test' AND event_type = 'COMPLETE'")
    assert findings("I7") == {}
    told.sql("UPDATE event SET created_at = now() - interval '2 hours'")
    told.sql("UPDATE job_run SET finished_at = now() - interval '1 hour'")
    assert findings("I7") == {("I7", str(told.runs["test"])): "test has no end, its DAG run is over"}


def test_i8_dead_and_long_waiting_events_are_named(told: Made) -> None:
    seqs = [seq for (seq,) in told.sql("SELECT seq FROM event ORDER BY seq")]
    told.sql(
        "UPDATE event SET delivered_at = NULL, dead_at = now(), last_error = '422 no' WHERE seq = %s", seqs[0]
    )
    told.sql("UPDATE event SET dead_at = now() WHERE seq = %s", seqs[1])
    told.sql(
        "UPDATE event SET delivered_at = NULL, created_at = now() - interval '1 hour' WHERE seq = %s", seqs[2]
    )
    told.sql("UPDATE event SET delivered_at = NULL WHERE seq = %s", seqs[3])
    found = findings("I8")
    assert set(found) == {("I8", f"event {seq}") for seq in seqs[:3]}
    assert found["I8", f"event {seqs[0]}"] == "the lineage server refused it: 422 no"
    assert found["I8", f"event {seqs[1]}"] == "is both delivered and dead"
    assert found["I8", f"event {seqs[2]}"].startswith("waits since")


def test_i9_a_hop_whose_rows_do_not_balance_is_named(told: Made) -> None:
    transition = uuid4()
    told.sql("ALTER TABLE layer_transition DROP CONSTRAINT ck_layer_transition_balance")
    told.sql(
        "INSERT INTO layer_transition (layer_transition_id, transition_id, stage_run_id, table_name, partition,"
        " source_layer, target_layer, source_files, row_count_in, row_count_out, rejected, deduplicated, filtered,"
        " transforms_applied, status, errors, engine, started_at, job_id)"
        " SELECT %s, gen_random_uuid(), stage_run_id, 'leads', '2026-11-01', 'bronze', 'silver', '[]', 10, 7, 1, 1, 0,"
        " '[]', 'success', '[]', 'polars', now(), job_id FROM stage_run WHERE stage = 'shout'",
        transition,
    )
    assert findings("I9") == {
        ("I9", str(transition)): "leads 2026-11-01: 10 rows in, 7 out, 1 rejected, 1 deduplicated, 0 filtered"
    }


def test_i10_a_guard_that_is_off_is_named(told: Made) -> None:
    told.sql("ALTER TABLE artifact DISABLE TRIGGER artifact_has_its_line")
    told.sql("DROP TRIGGER row_is_final ON artifact_input")
    assert findings("I10") == {
        ("I10", "artifact_has_its_line on artifact"): "the trigger is missing or off",
        ("I10", "row_is_final on artifact_input"): "the trigger is missing or off",
    }


@pytest.fixture
def writer(told: Made) -> Iterator[str]:
    """The writer's role, made for this test where the server has none."""
    name = "throughline_writer"
    there = told.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", name)
    if not there:
        told.sql(f"CREATE ROLE {name}")
    yield name
    told.sql(f"DROP OWNED BY {name}")
    if not there:
        told.sql(f"DROP ROLE {name}")


def test_i10_a_role_that_may_rewrite_is_named(told: Made, writer: str) -> None:
    assert findings("I10") == {}
    told.sql(f"GRANT UPDATE ON event TO {writer}")
    told.sql(f"GRANT DELETE ON artifact TO {writer}")
    assert findings("I10") == {
        ("I10", "throughline_writer on event"): "may update",
        ("I10", "throughline_writer on artifact"): "may delete",
    }


@pytest.fixture
def canary(told: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A secret of the deployment, and a state folder of its own."""
    secret = "canary-9f8e7d6c5b4a"  # planted here to be found
    monkeypatch.setenv("ANTHROPIC_API_KEY", secret)
    monkeypatch.setenv("THROUGHLINE_STATE_DIR", str(tmp_path / "state"))
    settings.cache_clear()
    assert findings("I11") == {}
    return secret


def test_i11_secrets_are_named_by_place_and_never_shown(told: Made, canary: str, tmp_path: Path) -> None:
    seqs = [seq for (seq,) in told.sql("SELECT seq FROM event ORDER BY seq")]
    for seq, leaked in zip(
        seqs, (canary, "postgresql://me:pw@db/x", "mail a.person@firm.example", "all is well"), strict=False
    ):
        told.sql("UPDATE event SET body = jsonb_set(body, '{leak}', %s) WHERE seq = %s", Jsonb(leaked), seq)
    ((stage_run,),) = told.sql("SELECT stage_run_id FROM stage_run WHERE stage = 'shout'")
    told.sql(
        "UPDATE stage_run SET facts = jsonb_set(facts, '{result}', %s) WHERE stage_run_id = %s",
        Jsonb("-----BEGIN RSA PRIVATE KEY-----"),
        stage_run,
    )
    script = artifact(told, "script")
    told.sql("UPDATE artifact SET facts = %s WHERE artifact_id = %s", Jsonb({"key": canary}), script)
    logs = tmp_path / "state" / "logs"
    logs.mkdir(parents=True)
    (logs / "relay.log").write_text("x" * ((1 << 20) - 5) + canary)  # over the edge of a chunk
    (logs / "quiet.log").write_text("nothing")
    found = findings("I11")
    assert found == {
        ("I11", f"event {seqs[0]}"): "holds a secret",
        ("I11", f"event {seqs[1]}"): "holds a secret",
        ("I11", f"event {seqs[2]}"): "holds a mail address",
        ("I11", f"facts of stage run {stage_run}"): "holds a secret",
        ("I11", f"facts of artifact {script}"): "holds a secret",
        ("I11", "logs/relay.log"): "holds a secret",
    }
    assert canary not in repr(found)


def test_files_are_read_once(told: Made) -> None:
    root = settings().store
    digests = Digests(root)
    names = stored(root)
    first = digests.read(names)
    for name in names:
        (root / name).unlink()
    assert digests.read(names) == first
    assert set(Digests(root).read(names).values()) == {None}


def test_a_large_file_has_the_digest_of_all_its_bytes(tmp_path: Path) -> None:
    content = os.urandom((1 << 20) + 17)
    (tmp_path / "large.bin").write_bytes(content)
    held = Digests(tmp_path).read(["large.bin", "none.bin"])
    assert held == {"large.bin": (hashlib.sha256(content).hexdigest(), len(content)), "none.bin": None}


def test_the_walk_of_a_store_finds_its_blobs_in_order(told: Made, tmp_path: Path) -> None:
    store = Store(settings().store)
    assert stored(store.root) == [path.relative_to(store.root).as_posix() for path in store.blobs()]
    assert stored(tmp_path / "nowhere") == []


def test_the_database_refuses_a_withdrawn_event_that_waits(told: Made) -> None:
    with psycopg.connect(told.dsn) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("UPDATE event SET delivered_at = NULL, withdrawn_at = now()")
