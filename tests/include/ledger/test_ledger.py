"""The ledger's schema: reversible, complete, and with a job on every row."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest
from alembic import command
from sqlalchemy import inspect

from include.errors import ConfigurationError, UnknownJob
from include.ledger.jobs import close_job, open_job, refuse_run
from include.ledger.migrations import config, downgrade, upgrade
from include.ledger.models import Base, Job, JobRun
from include.ledger.session import engine, sqlalchemy_url, transaction

# Bytes belong to no job; tables are shared and name a stage run; what is declared belongs to the deployment.
WITHOUT_JOB = {"blob", "blob_check", "table_version", "job_declaration", "dataset_declaration"}


def test_migrations_go_up_down_and_up_and_match_the_models(database: str) -> None:
    upgrade(database)
    downgrade(database, "base")
    with psycopg.connect(database) as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        ).fetchall()
    assert left == [("alembic_version",)]
    upgrade(database)
    command.check(config(database))


def test_every_table_has_a_job_that_is_never_null(ledger: str) -> None:
    found = inspect(engine(ledger))
    tables = set(found.get_table_names()) - {"alembic_version"}
    assert tables == set(Base.metadata.tables)
    for table in sorted(tables - WITHOUT_JOB - {"job"}):
        columns = {column["name"]: column for column in found.get_columns(table)}
        assert columns["job_id"]["nullable"] is False, table
        assert any(
            key["constrained_columns"] == ["job_id"] and key["referred_table"] == "job"
            for key in found.get_foreign_keys(table)
        ), table


def test_every_time_has_a_zone(ledger: str) -> None:
    found = inspect(engine(ledger))
    for table in Base.metadata.tables:
        for column in found.get_columns(table):
            if "TIMESTAMP" in str(column["type"]):
                assert column["type"].timezone, f"{table}.{column['name']}"


def test_only_postgresql_is_supported() -> None:
    with pytest.raises(ConfigurationError, match="SQLite"):
        sqlalchemy_url("sqlite:///x.db")


def test_a_retry_finds_the_job_its_first_try_opened(ledger: str) -> None:
    derived = uuid4()
    for _ in range(2):
        with transaction() as session:
            assert (
                open_job(session, derived=derived, given=None, dag_id="video", run_id="r", params={})
                == derived
            )
    with transaction() as session:
        assert session.query(Job).count() == 1
        assert session.query(JobRun).count() == 1


def test_a_job_names_every_run_that_worked_for_it(ledger: str) -> None:
    derived = uuid4()
    with transaction() as session:
        open_job(
            session,
            derived=derived,
            given=None,
            dag_id="campaign",
            run_id="c",
            params={"theme": "t"},
            theme="t",
        )
        open_job(
            session, derived=uuid4(), given=derived, dag_id="video", run_id="v", params={"theme": "other"}
        )
        close_job(session, derived, dag_id="video", run_id="v", status="completed")
        job = session.get_one(Job, derived)
        assert (job.family, job.status, job.theme) == ("campaign", "running", "t")
        close_job(session, derived, dag_id="campaign", run_id="c", status="completed")
        session.refresh(job)
        assert job.status == "completed"
        assert {(run.dag_id, run.status) for run in session.query(JobRun)} == {
            ("campaign", "completed"),
            ("video", "completed"),
        }


def test_a_failed_family_fails_the_job(ledger: str) -> None:
    derived = uuid4()
    with transaction() as session:
        open_job(session, derived=derived, given=None, dag_id="campaign", run_id="c", params={})
        open_job(session, derived=uuid4(), given=derived, dag_id="video", run_id="v", params={})
        close_job(session, derived, dag_id="video", run_id="v", status="failed", error="composition")
        job = session.get_one(Job, derived)
        session.refresh(job)
        assert (job.status, job.error) == ("failed", "composition")


def test_an_unknown_job_is_refused_and_the_refusal_recorded(ledger: str) -> None:
    own, stranger = uuid4(), uuid4()
    with pytest.raises(UnknownJob, match=str(stranger)), transaction() as session:
        open_job(session, derived=own, given=stranger, dag_id="video", run_id="r", params={})
    with transaction() as session:
        refuse_run(session, own, dag_id="video", run_id="r", error="UnknownJob")
        assert session.get(Job, stranger) is None
        assert session.get_one(Job, own).status == "failed"
