"""Verify, sweep and reconcile on a real ledger: seeded corruption is found, nothing recorded is ever deleted."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text

from include.artifacts.store import Store
from include.errors import InvalidInput
from include.ledger.jobs import open_job
from include.ledger.session import transaction
from include.lineage.events import store_event
from include.proof.completion import missing_of
from include.proof.reconcile import reconcile
from include.proof.replay import reset, send
from include.proof.sweep import sweep
from include.proof.verify import traced, verify
from include.settings import settings
from include.stage import Coordinates, Stage, run_stage

sys.path.insert(0, str(Path(__file__).parents[1] / "stage"))

ADMIT = Stage(
    "admit", "test", "toy_stages:admit", ("sources/words",), ("media/trends",), code=("include/errors.py",)
)
SHOUT = Stage(
    "shout", "test", "toy_stages:shout", ("media/trends",), ("media/scripts",), code=("include/errors.py",)
)
AN_HOUR_AGO = "UPDATE stage_run SET finished_at = now() - interval '1 hour'"


def at(task: str, run: UUID) -> Coordinates:
    return Coordinates(dag_id="test", run_id="manual__1", task_id=task, ol_run_id=run)


@pytest.fixture
def made(ledger: str, tmp_path: Path) -> tuple[UUID, dict[str, UUID]]:
    """A job of two finished stages, with their OpenLineage run ids."""
    words = tmp_path / "words.txt"
    words.write_text("true line")
    with transaction() as session:
        job = open_job(session, derived=uuid4(), given=None, dag_id="test", run_id="manual__1", params={})
    runs = {"admit": uuid4(), "shout": uuid4()}
    run_stage(ADMIT, job_id=job, params={"file": str(words)}, at=at("admit", runs["admit"]))
    run_stage(SHOUT, job_id=job, at=at("shout", runs["shout"]))
    return job, runs


def start_event(job: UUID, run: UUID, task: str) -> dict[str, object]:
    return {
        "eventType": "START",
        "eventTime": "2026-11-01T00:00:00+00:00",
        "producer": "https://airflow.example",
        "job": {"namespace": "throughline", "name": f"test.{task}", "facets": {}},
        "run": {
            "runId": str(run),
            "facets": {"throughline_job": {"job_id": str(job), "dag_id": "test", "run_id": "manual__1"}},
        },
        "inputs": [],
        "outputs": [],
    }


def invariants(session: object) -> set[str]:
    return {finding.invariant for finding in verify(session)}


def test_a_sound_ledger_has_no_finding(made: tuple[UUID, dict[str, UUID]]) -> None:
    with transaction() as session:
        assert verify(session) == []
        found = traced(session)
        assert (found.files, found.traced) == (3, 3)
        assert missing_of(session, made[0], ("trends", "script")) == []


def test_altered_and_missing_files_are_found(made: tuple[UUID, dict[str, UUID]]) -> None:
    store = Store(settings().store)
    one, two, _ = store.blobs()
    one.chmod(0o644)
    one.write_bytes(b"altered")
    two.unlink()
    with transaction() as session:
        findings = verify(session)
        assert {finding.problem for finding in findings} == {"the file was altered", "the file is missing"}
        assert traced(session).traced == 1
        assert missing_of(session, made[0], ("trends", "script", "source")) != []


def test_what_was_not_made_is_named(made: tuple[UUID, dict[str, UUID]]) -> None:
    with transaction() as session:
        assert missing_of(session, made[0], ("video",)) == ["no video was made"]


def test_a_file_that_no_row_names_is_not_traced_and_is_swept(made: tuple[UUID, dict[str, UUID]]) -> None:
    store = Store(settings().store)
    blob = store.keep(lambda path: path.write_text("[]"), suffix=".json", media_type="application/json")
    leftover = store.root / "incoming" / ".dead.mp4"
    leftover.write_bytes(b"half")
    for path in (store.root / blob.path, leftover):
        os.utime(path, (1, 1))
    with transaction() as session:
        assert traced(session).untraced == (blob.path,)
        dry = sweep(session)
        assert (dry.temporaries, dry.orphans, dry.deleted) == (("incoming/.dead.mp4",), (blob.path,), False)
        assert leftover.exists()
        sweep(session, dry_run=False)
        assert not leftover.exists()
        assert traced(session).untraced == ()
        assert verify(session) == []


def test_a_young_file_is_left_alone(made: tuple[UUID, dict[str, UUID]]) -> None:
    store = Store(settings().store)
    store.keep(lambda path: path.write_text("[]"), suffix=".json", media_type="application/json")
    with transaction() as session:
        assert sweep(session, dry_run=False).orphans == ()


def test_a_run_without_an_end_is_found_and_its_end_made_from_the_facts(
    ledger: str, made: tuple[UUID, dict[str, UUID]]
) -> None:
    job, runs = made
    with psycopg.connect(ledger, autocommit=True) as connection:
        for task, run in runs.items():
            store_event(connection, start_event(job, run, task))
        connection.execute(AN_HOUR_AGO)
    with transaction() as session:
        assert invariants(session) == {"I7 a finished stage run has a terminal event"}
    ends = reconcile(ledger)
    assert {(end.job_name, end.event_type) for end in ends} == {
        ("test.admit", "COMPLETE"),
        ("test.shout", "COMPLETE"),
    }
    with psycopg.connect(ledger) as connection:
        body = connection.execute(
            "SELECT body FROM event WHERE run_id = %s AND event_type = 'COMPLETE'", (runs["shout"],)
        ).fetchone()
    assert body is not None
    facet = body[0]["run"]["facets"]["throughline_job"]
    assert facet["reconciled"] is True
    assert [item["kind"] for item in facet["artifacts"]] == ["script"]
    assert [item["name"] for item in body[0]["inputs"]] == ["media/trends"]
    assert reconcile(ledger) == []
    with transaction() as session:
        assert verify(session) == []


def test_a_killed_attempt_is_aborted(ledger: str, made: tuple[UUID, dict[str, UUID]]) -> None:
    job, runs = made
    with psycopg.connect(ledger, autocommit=True) as connection:
        store_event(connection, start_event(job, runs["shout"], "shout"))
        connection.execute("UPDATE stage_run SET status = 'stale', finished_at = now() - interval '1 hour'")
    assert [end.event_type for end in reconcile(ledger)] == ["ABORT"]


def test_a_failure_that_nobody_told_of_is_told_with_its_reason(
    ledger: str, made: tuple[UUID, dict[str, UUID]]
) -> None:
    job, _ = made
    run = uuid4()
    failing = Stage("fail", "test", "toy_stages:fail", ("media/trends",), code=("include/errors.py",))
    with pytest.raises(InvalidInput):
        run_stage(failing, job_id=job, at=at("fail", run), params={"says": "no way to db://me:pw123@h"})
    with psycopg.connect(ledger, autocommit=True) as connection:
        store_event(connection, start_event(job, run, "fail"))
        connection.execute(AN_HOUR_AGO)
        assert [(end.run_id, end.event_type) for end in reconcile(ledger)] == [(run, "FAIL")]
        body = connection.execute("SELECT body FROM event WHERE event_type = 'FAIL'").fetchone()
    assert body is not None
    error = body[0]["run"]["facets"]["errorMessage"]
    assert (error["message"], error["programmingLanguage"]) == (
        "InvalidInput: no way to db://***@h",
        "python",
    )


def test_two_ends_of_one_run_are_found(ledger: str, made: tuple[UUID, dict[str, UUID]]) -> None:
    job, runs = made
    with psycopg.connect(ledger, autocommit=True) as connection:
        for kind in ("COMPLETE", "FAIL"):
            store_event(connection, {**start_event(job, runs["shout"], "shout"), "eventType": kind})
    with transaction() as session:
        assert invariants(session) == {"I7 a run starts once it is over at most once"}


def test_a_dead_event_is_found_and_replayed(ledger: str, made: tuple[UUID, dict[str, UUID]]) -> None:
    job, runs = made
    with psycopg.connect(ledger, autocommit=True) as connection:
        store_event(connection, start_event(job, runs["shout"], "shout"))
        connection.execute("UPDATE event SET dead_at = now(), last_error = '422'")
    with transaction() as session:
        assert "I8 no event is dead" in invariants(session)
    assert reset(ledger, dead=True) == 1
    got: list[dict[str, object]] = []
    assert send(ledger, got.append, job_id=job) == 1
    assert got[0]["eventType"] == "START"
    with transaction() as session:
        assert session.execute(text("SELECT count(*) FROM event WHERE dead_at IS NOT NULL")).scalar() == 0
