"""Two jobs that differ: the first thing that does is named, whatever followed from it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from include.cli import cli
from include.ledger.jobs import open_job
from include.ledger.session import transaction
from include.settings import settings
from include.stage import Stage, run_stage

sys.path.insert(0, str(Path(__file__).parents[1] / "stage"))

if TYPE_CHECKING:
    from collections.abc import Callable

CODE = ("include/errors.py",)
ADMIT = Stage("admit", "test", "toy_stages:admit", code=CODE)
SHOUT = Stage("shout", "test", "toy_stages:shout", code=CODE)
OTHER_CODE = Stage("shout", "test", "toy_stages:shout", code=("include/settings.py",))


@pytest.fixture
def job(ledger: str, tmp_path: Path) -> Callable[..., UUID]:
    def make(words: str = "true line", stage: Stage = SHOUT, **params: Any) -> UUID:
        file = tmp_path / "words.txt"
        file.write_text(words)
        with transaction() as session:
            made = open_job(
                session, derived=uuid4(), given=None, dag_id="test", run_id=f"r{uuid4()}", params=params
            )
        run_stage(ADMIT, job_id=made, params={"file": str(file)})
        run_stage(stage, job_id=made, params=params)
        return made

    return make


def told(left: object, right: object, status: int) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["diff", str(left), str(right), "--json"])
    assert done.exit_code == status, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def changed(found: dict[str, Any]) -> dict[str, str]:
    return {item["kind"]: item["why"] for item in found["artifacts"] if item["state"] != "same"}


def test_equal_jobs_are_the_same(job: Callable[..., UUID]) -> None:
    found = told(job(), job(), 0)
    assert (found["sentence"], changed(found)) == ("all 3 artifacts are the same bytes", {})


def test_a_changed_source_is_where_the_difference_begins(job: Callable[..., UUID]) -> None:
    one, other = job(), job("other line")
    found = told(one, other, 1)
    assert changed(found) == {
        "source": "other bytes came from outside",
        "trends": "input source words",
        "script": "input trends",
    }
    begins = "3 of 3 artifacts differ; the difference begins at source words (other bytes came from outside)"
    assert found["sentence"] == begins
    output = CliRunner().invoke(cli, ["diff", str(one), str(other)]).output
    assert output.splitlines()[0] == begins


def test_a_parameter_or_code_that_gave_other_bytes_is_named(job: Callable[..., UUID]) -> None:
    first = job()
    with transaction() as session:  # the same words, but other bytes: as another parameter or code would give
        session.execute(text("ALTER TABLE artifact DISABLE TRIGGER USER"))

    def with_other_bytes(made: UUID) -> UUID:
        with transaction() as session:
            session.execute(
                text(
                    "UPDATE artifact SET sha256 = (SELECT sha256 FROM artifact WHERE job_id = :job"
                    " AND kind = 'source') WHERE job_id = :job AND kind = 'script'"
                ),
                {"job": made},
            )
        return made

    quiet = told(first, with_other_bytes(job(loud=False)), 1)
    assert changed(quiet) == {"script": "parameters"}
    assert quiet["parameters"] == {"loud": [None, False]}
    assert changed(told(first, with_other_bytes(job(stage=OTHER_CODE)), 1)) == {"script": "code"}
    again = with_other_bytes(job(fresh=True))
    assert changed(told(first, again, 1)) == {"script": "the same recipe gave other bytes"}


def test_what_only_one_side_has_is_named(job: Callable[..., UUID], tmp_path: Path) -> None:
    one = job()
    with transaction() as session:
        less = open_job(session, derived=uuid4(), given=None, dag_id="test", run_id="less", params={})
    run_stage(ADMIT, job_id=less, params={"file": str(tmp_path / "words.txt")})
    assert changed(told(one, less, 1)) == {"script": "only left"}
    assert changed(told(less, one, 1)) == {"script": "only right"}


def test_two_files_are_compared_by_their_lines(job: Callable[..., UUID]) -> None:
    files = [settings().store / "out" / str(made) / "script.json" for made in (job(), job("other line"))]
    assert set(changed(told(*files, 1))) == {"source", "trends", "script"}
    assert changed(told(files[0], files[0], 0)) == {}


def test_a_job_and_a_file_cannot_be_compared(job: Callable[..., UUID]) -> None:
    one = job()
    script = settings().store / "out" / str(one) / "script.json"
    done = CliRunner().invoke(cli, ["diff", str(one), str(script)])
    assert (done.exit_code, "compare two jobs, or two files" in done.output) == (2, True)
