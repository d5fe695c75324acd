"""The unit of work on a real ledger: all or nothing, reuse, fencing, resume."""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from include.errors import InvalidInput, NotReady, StaleClaim
from include.ledger.jobs import open_job
from include.ledger.models import Artifact, ArtifactInput, Blob, Script, StageRun
from include.ledger.session import transaction
from include.settings import settings
from include.stage import SkipStage, Stage, run_stage

sys.path.insert(0, str(Path(__file__).parent))
import toy_stages

ADMIT = Stage(
    "admit", "test", "toy_stages:admit", ("sources/words",), ("media/trends",), code=("include/errors.py",)
)
SHOUT = Stage(
    "shout", "test", "toy_stages:shout", ("media/trends",), ("media/scripts",), code=("include/errors.py",)
)
FAIL = Stage(
    "fail", "test", "toy_stages:fail", ("media/trends",), ("media/scripts",), code=("include/errors.py",)
)
CHOOSE = Stage(
    "choose", "test", "toy_stages:choose", fans_out=("chosen", "spell"), code=("include/errors.py",)
)
SPELL = Stage("spell", "test", "toy_stages:spell", code=("include/errors.py",))
SKIP = Stage("skip", "test", "toy_stages:skip", code=("include/errors.py",))


@pytest.fixture
def words(tmp_path: Path) -> Path:
    file = tmp_path / "words.txt"
    file.write_text("true line")
    toy_stages.CALLS.clear()
    return file


def new_job() -> UUID:
    with transaction() as session:
        return open_job(session, derived=uuid4(), given=None, dag_id="test", run_id=f"r{uuid4()}", params={})


def current(job: UUID) -> list[Artifact]:
    with transaction() as session:
        return list(
            session.scalars(
                select(Artifact)
                .where(Artifact.job_id == job, Artifact.superseded_at.is_(None))
                .order_by(Artifact.kind)
            )
        )


def test_an_artifact_leads_back_to_its_source(ledger: str, words: Path) -> None:
    job = new_job()
    run_stage(ADMIT, job_id=job, params={"file": str(words)})
    outcome = run_stage(SHOUT, job_id=job)
    assert outcome.result == {"text": "TRUE LINE"}
    by_kind = {artifact.kind: artifact for artifact in current(job)}
    assert set(by_kind) == {"source", "trends", "script"}
    with transaction() as session:
        edges = {(e.artifact_id, e.input_id) for e in session.scalars(select(ArtifactInput))}
        assert edges == {
            (by_kind["trends"].artifact_id, by_kind["source"].artifact_id),
            (by_kind["script"].artifact_id, by_kind["trends"].artifact_id),
        }
        script = session.scalars(select(Script)).one()
        assert (script.job_id, script.artifact_id) == (job, by_kind["script"].artifact_id)
    friendly = settings().store / "out" / str(job) / "script.json"
    assert friendly.read_text() == '{"text": "TRUE LINE"}'


def test_the_same_recipe_is_reused_with_its_rows(ledger: str, words: Path) -> None:
    first, second = new_job(), new_job()
    for job in (first, second):
        run_stage(ADMIT, job_id=job, params={"file": str(words)})
        outcome = run_stage(SHOUT, job_id=job)
    assert outcome.status == "reused"
    assert outcome.result == {"text": "TRUE LINE"}
    assert toy_stages.CALLS == ["admit", "shout"]
    made = {a.kind: a for a in current(first)}
    again = {a.kind: a for a in current(second)}
    assert again["script"].sha256 == made["script"].sha256
    assert again["script"].reused_from == made["script"].artifact_id
    with transaction() as session:
        scripts = session.scalars(select(Script).where(Script.job_id == second)).all()
        assert [row.artifact_id for row in scripts] == [again["script"].artifact_id]
        edge = session.scalars(
            select(ArtifactInput.input_id).where(ArtifactInput.artifact_id == again["script"].artifact_id)
        ).one()
        assert edge == again["trends"].artifact_id, "the reused making points at its own job's inputs"
        assert session.scalar(select(Blob).where(Blob.sha256 == made["script"].sha256)) is not None


def test_a_retry_of_a_committed_stage_makes_no_second_row(ledger: str, words: Path) -> None:
    job = new_job()
    run_stage(ADMIT, job_id=job, params={"file": str(words)})
    run_stage(SHOUT, job_id=job)
    before = {a.artifact_id for a in current(job)}
    assert run_stage(SHOUT, job_id=job).status == "reused"
    with transaction() as session:
        assert set(session.scalars(select(Artifact.artifact_id))) == before


def test_a_job_that_reused_once_has_what_it_needs(ledger: str, words: Path) -> None:
    """Cleared, it neither makes again what it took from another job nor admits the same source twice."""
    first, second = new_job(), new_job()
    for job in (first, second):
        run_stage(ADMIT, job_id=job, params={"file": str(words)})
        run_stage(SHOUT, job_id=job)
    before = {a.artifact_id for a in current(second)}
    with transaction() as session:
        rows = session.scalar(select(func.count()).select_from(Artifact))
    assert run_stage(ADMIT, job_id=second, params={"file": str(words)}).status == "reused"
    assert run_stage(SHOUT, job_id=second).status == "reused"
    assert {a.artifact_id for a in current(second)} == before
    with transaction() as session:
        assert session.scalar(select(func.count()).select_from(Artifact)) == rows


def test_fresh_makes_anew(ledger: str, words: Path) -> None:
    job = new_job()
    run_stage(ADMIT, job_id=job, params={"file": str(words)})
    run_stage(SHOUT, job_id=job)
    assert run_stage(SHOUT, job_id=job, params={"fresh": True}).status == "succeeded"
    assert toy_stages.CALLS.count("shout") == 2


def test_a_changed_decision_is_another_recipe(ledger: str, words: Path) -> None:
    job = new_job()
    run_stage(ADMIT, job_id=job, params={"file": str(words)})
    run_stage(SHOUT, job_id=job)
    assert run_stage(SHOUT, job_id=job, params={"loud": False}).status == "succeeded"


def test_an_input_that_does_not_decide_lets_the_output_be_reused(ledger: str, words: Path) -> None:
    stage = Stage("letter", "test", "toy_stages:first_letter", code=("include/errors.py",))
    jobs = [new_job(), new_job()]
    for job, line in zip(jobs, ("true line", "true story"), strict=True):
        words.write_text(line)
        run_stage(ADMIT, job_id=job, params={"file": str(words)})
        outcome = run_stage(stage, job_id=job)
    assert outcome.status == "reused"
    assert toy_stages.CALLS.count("first_letter") == 1
    mine = {artifact.kind: artifact for artifact in current(jobs[1])}
    with transaction() as session:
        edges = session.scalars(
            select(ArtifactInput.input_id).where(ArtifactInput.artifact_id == mine["words"].artifact_id)
        ).all()
    assert edges == [mine["trends"].artifact_id], "the line still leads through this job's own input"


def test_a_failed_body_leaves_only_its_failure(ledger: str, words: Path) -> None:
    job = new_job()
    run_stage(ADMIT, job_id=job, params={"file": str(words)})
    seen: list[dict[str, object]] = []
    with pytest.raises(InvalidInput, match="column 'word'"):
        run_stage(FAIL, job_id=job, observe=seen.append)
    assert "script" not in {a.kind for a in current(job)}
    with transaction() as session:
        run = session.scalars(select(StageRun).where(StageRun.stage == "fail")).one()
    assert run.status == "failed"
    assert "column 'word' is missing" in (run.error or "")
    assert [item["name"] for item in seen[0]["inputs"]] == ["media/trends"]
    assert seen[0]["outputs"] == []


def test_a_skip_says_why(ledger: str) -> None:
    job = new_job()
    with pytest.raises(SkipStage):
        run_stage(SKIP, job_id=job)
    with transaction() as session:
        run = session.scalars(select(StageRun)).one()
    assert (run.status, run.error) == ("skipped", "SkipStage: no input for 2020-01-01")


@pytest.mark.parametrize("fresh", [True, False], ids=["made", "reused"])
def test_what_fewer_keys_leave_out_is_current_no_more(ledger: str, words: Path, fresh: bool) -> None:
    job, other = new_job(), new_job()
    words.write_text("one two three")
    for first in (2, 3):
        run_stage(ADMIT, job_id=job, params={"file": str(words)})
        for word in run_stage(CHOOSE, job_id=job, params={"first": first}).result["chosen"]:
            run_stage(SPELL, job_id=job, key=word)
    run_stage(ADMIT, job_id=other, params={"file": str(words)})
    run_stage(CHOOSE, job_id=other, params={"first": 3})
    run_stage(SPELL, job_id=other, key="three")
    again = run_stage(CHOOSE, job_id=job, params={"first": 2, "fresh": fresh})
    assert again.status == ("succeeded" if fresh else "reused")
    assert [a.key for a in current(job) if a.kind == "scene"] == ["one", "two"]
    assert [a.key for a in current(other) if a.kind == "scene"] == ["three"]


def test_a_missing_input_is_named(ledger: str) -> None:
    with pytest.raises(NotReady, match="no trends artifact"):
        run_stage(SHOUT, job_id=new_job())


def test_a_late_twin_leaves_no_trace(ledger: str, words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = new_job()
    run_stage(ADMIT, job_id=job, params={"file": str(words)})
    plain = toy_stages.shout

    def overtaken(work: object) -> dict[str, object]:
        monkeypatch.setattr(toy_stages, "shout", plain)
        run_stage(SHOUT, job_id=job)  # a newer attempt claims and commits while this one still works
        monkeypatch.setattr(toy_stages, "shout", overtaken)
        return plain(work)

    monkeypatch.setattr(toy_stages, "shout", overtaken)
    with pytest.raises(StaleClaim):
        run_stage(SHOUT, job_id=job, params={"fresh": True})
    with transaction() as session:
        states = sorted(session.scalars(select(StageRun.status).where(StageRun.stage == "shout")))
        assert states == ["stale", "succeeded"]
        assert len(session.scalars(select(Artifact).where(Artifact.kind == "script")).all()) == 1


def test_the_database_refuses_an_artifact_without_facts(ledger: str, words: Path) -> None:
    job = new_job()
    run_stage(ADMIT, job_id=job, params={"file": str(words)})
    with transaction() as session:
        run = session.scalars(select(StageRun)).one()
        sha256 = session.scalars(select(Blob.sha256)).first()
    with pytest.raises(DBAPIError, match="do not name artifact"), transaction() as session:
        session.add(
            Artifact(
                job_id=job,
                sha256=sha256,
                stage_run_id=run.stage_run_id,
                kind="video",
                key="",
                namespace="n",
                dataset="media/videos",
                name="video.mp4",
            )
        )


def test_edges_are_append_only(ledger: str, words: Path) -> None:
    job = new_job()
    run_stage(ADMIT, job_id=job, params={"file": str(words)})
    with pytest.raises(DBAPIError, match="append-only"), transaction() as session:
        session.execute(text("DELETE FROM artifact_input"))


def test_the_facts_say_what_an_output_is_to_what_was_there(ledger: str, words: Path) -> None:
    def changes(job: UUID, stage: Stage, **params: object) -> list[str | None]:
        return [
            item.get("lifecycle") for item in run_stage(stage, job_id=job, params=params).facts["outputs"]
        ]

    job = new_job()
    assert changes(job, ADMIT, file=str(words)) == ["CREATE"]
    assert changes(job, ADMIT, file=str(words)) == [None], "reused as it is"
    assert changes(job, ADMIT, file=str(words), fresh=True) == [None], "made anew, the same bytes"
    words.write_text("another line")
    assert changes(job, ADMIT, file=str(words)) == ["OVERWRITE"]
    assert changes(new_job(), ADMIT, file=str(words)) == ["CREATE"], "another job's own"


def test_a_failure_is_kept_without_the_secrets_in_its_text(
    ledger: str, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "correcthorse")
    job = new_job()
    run_stage(ADMIT, job_id=job, params={"file": str(words)})
    seen: list[dict[str, object]] = []
    with pytest.raises(InvalidInput):
        run_stage(FAIL, job_id=job, params={"says": "correcthorse at db://u:pw123@h"}, observe=seen.append)
    with transaction() as session:
        run = session.scalars(select(StageRun).where(StageRun.stage == "fail")).one()
    assert run.error == seen[0]["error"] == (run.facts or {})["error"] == "InvalidInput: *** at db://***@h"
