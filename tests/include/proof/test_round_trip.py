"""From a job to its files and from a file to its jobs: the same pairs both ways, with many outputs, keys and reuse."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from include.artifacts.digests import sha256_file
from include.ledger.history import artifacts_of
from include.ledger.jobs import open_job
from include.ledger.session import transaction
from include.proof.trace import makings_of
from include.settings import settings
from include.stage import Stage, run_stage

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from collections.abc import Iterator

SIFT = Stage("sift", "test", "made_ledger:sift", code=("include/errors.py",))
PARTS = {"a": "good bad", "b": "good", "c": "other bad bad"}


@pytest.fixture
def jobs(ledger: str, tmp_path: Path) -> Iterator[list[UUID]]:
    """Three jobs of three keys each: the second takes everything over, the third makes equal bytes anew."""
    made = []
    for fresh in (False, False, True):
        with transaction() as session:
            job = open_job(
                session, derived=uuid4(), given=None, dag_id="test", run_id=f"r{uuid4()}", params={}
            )
        for key, content in PARTS.items():
            words = tmp_path / "words.txt"
            words.write_text(content)
            run_stage(SIFT, job_id=job, key=key, params={"file": str(words), "fresh": fresh})
        made.append(job)
    return made


def test_every_output_of_a_job_leads_back_to_it_and_to_every_other_job_with_these_bytes(
    jobs: list[UUID],
) -> None:
    with transaction() as session:
        outputs = {job: artifacts_of(session, job) for job in jobs}
        down = {(job, item["sha256"]) for job in jobs for item in outputs[job]}
        up = {
            (making.job_id, sha256)
            for sha256 in {sha256 for _, sha256 in down}
            for making in makings_of(session, sha256)
            if making.superseded_at is None
        }
    assert down == up
    assert {len({sha256 for job, sha256 in down if job == one}) for one in jobs} == {7}
    for job, items in outputs.items():
        for item in items:
            path = settings().store / "out" / str(job) / item["name"]
            if item["kind"] != "source":
                assert sha256_file(path) == item["sha256"]


def test_the_first_maker_comes_first_and_equal_bytes_are_told_from_reused_ones(jobs: list[UUID]) -> None:
    with transaction() as session:
        tables = [item for item in artifacts_of(session, jobs[0]) if item["kind"] == "table"]
        assert len(tables) == 3
        for item in tables:
            makings = [making for making in makings_of(session, item["sha256"]) if making.key == item["key"]]
            assert [making.job_id for making in makings] == jobs
            first = makings[0].artifact_id
            assert [making.reused_from for making in makings] == [None, first, None]


def test_a_key_that_ran_again_withdraws_nothing_of_the_others(jobs: list[UUID], tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("good now")
    run_stage(SIFT, job_id=jobs[0], key="a", params={"file": str(words)})
    with transaction() as session:
        left = {item["key"] for item in artifacts_of(session, jobs[0]) if item["kind"] == "quarantine"}
    assert left == {"c"}
