"""The line of an artifact cannot be written: then there is no artifact, the file is swept, and the next attempt makes it whole."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from attempts import Task, attempt
from include.ledger import session as ledger_session
from include.settings import settings
from tests.faults.oracle import assert_sound, settle
from tests.faults.prepared import SILVER, WORDS, Prepared, digests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.marquez.client import MarquezClient
    from tests.include.lineage.receiver import Receiver

pytestmark = pytest.mark.slow
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the line of % cannot be kept', TG_TABLE_NAME; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON artifact_input FOR EACH ROW EXECUTE FUNCTION refuse();
"""
# What the database's own guard sees at the commit: an artifact whose stage run says nothing of it.
FORGET = """
CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF NEW.status = 'succeeded' THEN NEW.facts := '{}'; END IF; RETURN NEW; END $$;
CREATE TRIGGER forget BEFORE UPDATE ON stage_run FOR EACH ROW EXECUTE FUNCTION forget();
"""
# fault, what undoes it, what the error must name
FAULTS = {
    "a trigger raises": (
        REFUSE,
        "DROP TRIGGER refuse ON artifact_input",
        "line of artifact_input cannot be kept",
    ),
    "a value is missing": (
        "ALTER TABLE artifact_input ADD witness text NOT NULL DEFAULT ''; ALTER TABLE artifact_input ALTER witness DROP DEFAULT",
        "ALTER TABLE artifact_input DROP witness",
        '"witness" of relation "artifact_input" violates not-null',
    ),
    "the facts are lost": (FORGET, "DROP TRIGGER forget ON stage_run", "do not name artifact"),
}


def run(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)


def refused_then_made(
    prepared: Prepared,
    task: Task,
    dsn: str,
    undo: str,
    names: str,
    server: MarquezClient,
    receiver: Receiver,
) -> None:
    before = digests(dsn)
    ended = attempt(prepared.job, task)
    assert ended.status is None
    assert names in (ended.error or "")
    assert digests(dsn) == before
    with psycopg.connect(dsn) as connection:
        told = connection.execute(
            "SELECT status, error FROM stage_run WHERE ol_run_id = %s", (ended.run,)
        ).fetchall()
        rows = connection.execute(
            "SELECT count(*) FROM artifact JOIN stage_run USING (stage_run_id) WHERE ol_run_id = %s",
            (ended.run,),
        ).fetchone()
    assert [status for status, _ in told] == ["failed"]
    assert names in told[0][1]
    assert rows == (0,)

    run(dsn, undo)
    settled = settle(dsn, server)
    assert settled.swept.orphans, "the file was written before its line was refused"
    assert_sound(dsn, receiver.got)
    assert attempt(prepared.job, task).status == "succeeded"
    assert digests(dsn, task).items() <= prepared.made.items()
    settle(dsn, server)
    assert_sound(dsn, receiver.got)
    ends = [one["eventType"] for one in receiver.got if one["job"]["name"].endswith(task.stage.name)][-4:]
    assert ends == ["START", "FAIL", "START", "COMPLETE"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("task", [WORDS[1], SILVER], ids=str)
def test_without_its_line_there_is_no_artifact(
    prepared: Prepared, task: Task, fault: str, tmp_path: Path, receiver: Receiver, server: MarquezClient
) -> None:
    statement, undo, names = FAULTS[fault]
    with prepared.before_task(task, tmp_path) as dsn:
        run(dsn, statement)
        refused_then_made(prepared, task, dsn, undo, names, server, receiver)


def test_a_writer_that_may_not_write_the_line_makes_no_artifact(
    prepared: Prepared,
    tmp_path: Path,
    receiver: Receiver,
    server: MarquezClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with prepared.before_task(WORDS[1], tmp_path) as dsn, writer(dsn) as (limited, role):
        run(dsn, f"REVOKE INSERT ON artifact_input FROM {role}")
        monkeypatch.setenv("THROUGHLINE_LEDGER_DSN", limited)
        settings.cache_clear()
        grant = f"GRANT INSERT ON artifact_input TO {role}"
        refused_then_made(
            prepared, WORDS[1], dsn, grant, "permission denied for table artifact_input", server, receiver
        )
        ledger_session.engine(limited).dispose()


@contextmanager
def writer(dsn: str) -> Iterator[tuple[str, str]]:
    """Make a role with the writer's rights; yield its DSN and name."""
    role, password = f"writer_{uuid4().hex[:12]}", uuid4().hex
    name = sql.Identifier(role)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
        try:
            connection.execute(
                sql.SQL("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {}").format(name)
            )
            connection.execute(sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(name))
            yield f"postgresql://{role}:{password}@{dsn.rpartition('@')[2]}", role
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
            connection.execute(sql.SQL("DROP ROLE {}").format(name))
