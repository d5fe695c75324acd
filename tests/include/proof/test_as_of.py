"""What was current at a moment, told later: after new versions, reuse, clearing, and outputs that were not made again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from include.cli import cli
from include.ledger import session
from include.ledger.history import artifacts_of
from include.ledger.jobs import open_job
from include.ledger.migrations import downgrade, upgrade
from include.ledger.session import transaction
from include.proof.impact import impact
from include.proof.target import Target
from include.settings import settings
from include.stack import credentials, databases
from include.stack.postgres import temporary_cluster
from include.stage import Stage, run_stage

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "stage"))

if TYPE_CHECKING:
    from datetime import datetime

CODE = ("include/errors.py",)
ADMIT = Stage("admit", "test", "toy_stages:admit", ("sources/words",), ("media/trends",), code=CODE)
SHOUT = Stage("shout", "test", "toy_stages:shout", ("media/trends",), ("media/scripts",), code=CODE)
SIFT = Stage("sift", "test", "made_ledger:sift", ("sources/words",), ("lake/table/words",), code=CODE)


def new_job() -> UUID:
    with transaction() as asking:
        return open_job(asking, derived=uuid4(), given=None, dag_id="test", run_id=f"r{uuid4()}", params={})


def clock() -> datetime:
    """The database's clock, between two commits."""
    with transaction() as asking:
        found: datetime = asking.execute(text("SELECT clock_timestamp()")).scalar_one()
        return found


def told(*words: str, status: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(cli, [*words, "--json"])
    assert done.exit_code == status, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def files(job: UUID, as_of: datetime | None = None) -> dict[str, str]:
    """Kind and digest of what was current, as the command tells it."""
    words = ("--as-of", as_of.isoformat()) if as_of else ()
    return {item["kind"]: item["sha256"] for item in told("outputs", str(job), *words)["artifacts"]}


@pytest.fixture
def versions(ledger: str, tmp_path: Path) -> tuple[UUID, list[datetime], list[dict[str, str]]]:
    """A job whose script was made, made anew from other words, and taken over again from the first time.

    With the moment after each step, and what was current at that moment, read at that moment.
    """
    job, moments, seen = new_job(), [clock()], [{}]
    for words in ("true line", "other line", "true line"):
        file = tmp_path / "words.txt"
        file.write_text(words)
        run_stage(ADMIT, job_id=job, params={"file": str(file)})
        run_stage(SHOUT, job_id=job)
        moments.append(clock())
        with transaction() as asking:
            seen.append({item["kind"]: item["sha256"] for item in artifacts_of(asking, job)})
    return job, moments, seen


def test_every_past_state_of_a_job_can_still_be_told(
    versions: tuple[UUID, list[datetime], list[dict[str, str]]],
) -> None:
    job, moments, seen = versions
    assert seen[1] != seen[2]
    assert seen[1] == seen[3]
    for moment, then in list(zip(moments, seen, strict=True))[1:]:
        assert files(job, moment) == then
    assert files(job) == seen[3]
    before = CliRunner().invoke(cli, ["outputs", str(job), "--as-of", "2020-01-01"])
    assert (before.exit_code, "was opened at" in before.output) == (2, True)


def test_a_trace_as_of_a_time_knows_only_what_had_been_made(
    versions: tuple[UUID, list[datetime], list[dict[str, str]]],
) -> None:
    _job, moments, seen = versions
    script = seen[1]["script"]
    assert told("trace", script, "--as-of", moments[0].isoformat(), status=1)["verdict"] == "unknown"
    current = [
        [making["current"] for making in told("trace", script, "--as-of", moment.isoformat())["makings"]]
        for moment in moments[1:]
    ]
    assert current == [[True], [False], [False, True]]
    first, again = told("trace", script)["makings"]
    assert again["reused_from"] == first["artifact_id"]
    assert first["artifact_id"] in {item["artifact_id"] for item in again["upstream"]}
    plain = CliRunner().invoke(cli, ["trace", script, "--as-of", moments[2].isoformat()]).output
    assert f"as of {moments[2].isoformat()}" in plain
    assert "superseded" in plain


def test_clearing_a_finished_job_changes_nothing_that_was_told(
    versions: tuple[UUID, list[datetime], list[dict[str, str]]], tmp_path: Path
) -> None:
    job, moments, seen = versions
    run_stage(ADMIT, job_id=job, params={"file": str(tmp_path / "words.txt")})
    run_stage(SHOUT, job_id=job)
    assert files(job) == seen[3]
    assert [files(job, moment) for moment in moments[1:]] == seen[1:]
    script = Target("bytes", seen[1]["trends"])
    with transaction() as asking:
        assert impact(asking, script, as_of=clock()) == impact(asking, script)
        then = impact(asking, script, as_of=moments[1])
        assert [item.kind for item in then.affected] == ["script"]


def test_what_was_not_made_again_is_no_longer_current(ledger: str, tmp_path: Path) -> None:
    job, words = new_job(), tmp_path / "words.txt"
    steps = []
    for content in ("good bad", "good better", "good bad"):
        words.write_text(content)
        run_stage(SIFT, job_id=job, params={"file": str(words)})
        steps.append((clock(), set(files(job))))
    wanted = [{"source", "table", "quarantine"}, {"source", "table"}, {"source", "table", "quarantine"}]
    assert [kinds for _, kinds in steps] == wanted
    assert [set(files(job, moment)) for moment, _ in steps] == wanted
    run_stage(
        SIFT, job_id=job, params={"file": str(words)}
    )  # its own finished output is confirmed, not withdrawn
    assert set(files(job)) == wanted[2]


def test_what_another_key_or_job_made_stays(ledger: str, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("good bad")
    one, other = new_job(), new_job()
    for job in (one, other):
        run_stage(SIFT, job_id=job, params={"file": str(words)})
    words.write_text("good")
    run_stage(SIFT, job_id=one, params={"file": str(words)})
    run_stage(ADMIT, job_id=other, params={"file": str(words)})
    assert "quarantine" not in files(one)
    assert "quarantine" in files(other)


def test_where_a_past_output_lies_today(
    versions: tuple[UUID, list[datetime], list[dict[str, str]]],
) -> None:
    job, moments, _ = versions
    for item in told("outputs", str(job), "--as-of", moments[2].isoformat())["artifacts"]:
        assert item["file"].startswith("blobs/")
    for item in told("outputs", str(job), "--as-of", moments[3].isoformat())["artifacts"]:
        assert item["file"] == f"out/{job}/{item['name']}"
        assert (settings().store / item["file"]).is_file()


def test_the_moment_of_supersession_is_final(
    ledger: str, versions: tuple[UUID, list[datetime], list[dict[str, str]]]
) -> None:
    rewrites = ("NULL", "now()", "superseded_at - interval '1 day'")
    with psycopg.connect(ledger, autocommit=True) as connection:
        for value in rewrites:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is final"):
                connection.execute(
                    f"UPDATE artifact SET superseded_at = {value} WHERE superseded_at IS NOT NULL"
                )
        connection.execute(
            "UPDATE artifact SET superseded_at = now() - interval '1 day' WHERE superseded_at IS NULL"
        )
        ends = connection.execute(
            "SELECT superseded_at >= created_at, superseded_at = created_at FROM artifact"
        ).fetchall()
    assert {end[0] for end in ends} == {True}
    assert any(end[1] for end in ends), "an end before the beginning is moved to the beginning"


def test_the_writer_makes_new_versions_and_rewrites_no_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = credentials.read_or_make(tmp_path)
    roles = databases.passwords(secrets)
    (tmp_path / "cluster").mkdir()
    with temporary_cluster(tmp_path / "cluster") as superuser:
        databases.ensure(superuser, secrets)
        place = superuser.rpartition("@")[2].rpartition("/")[0]
        owner, writer = (
            f"postgresql://{role}:{roles[role]}@{place}/throughline"
            for role in ("throughline_owner", "throughline_writer")
        )
        upgrade(owner)
        monkeypatch.setenv("THROUGHLINE_LEDGER_DSN", writer)
        monkeypatch.setenv("THROUGHLINE_ARTIFACT_DIR", str(tmp_path / "store"))
        settings.cache_clear()
        job, words = new_job(), tmp_path / "words.txt"
        for content in ("good bad", "good"):
            words.write_text(content)
            run_stage(SIFT, job_id=job, params={"file": str(words)})
        assert set(files(job)) == {"source", "table"}
        with psycopg.connect(writer, autocommit=True) as connection:
            for change in ("created_at = now()", "superseded_at = now()", "facts = '{}'"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"UPDATE artifact SET {change}")
        session.engine(writer).dispose()
        session.engine.cache_clear()
    settings.cache_clear()


def test_the_migration_goes_both_ways(database: str) -> None:
    guards = []
    for go, revision in ((upgrade, "head"), (downgrade, "0010"), (upgrade, "head")):
        go(database, revision)
        with psycopg.connect(database) as connection:
            found = connection.execute("SELECT count(*) FROM pg_trigger WHERE tgname = 'superseded_once'")
            guards.append(found.fetchone())
    assert guards == [(2,), (0,), (2,)]
